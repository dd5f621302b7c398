package engine

import (
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

// bothKinds is the type of an object that is the A and the AAAA set of a name.
const bothKinds = " A+AAAA"

// asksAbout reports whether looking a question up shows values of a record set.
func asksAbout(question, record string) bool {
	question, record = plan.RecordKey(question), plan.RecordKey(record)
	name, both := strings.CutSuffix(record, bothKinds)
	return question == record || both && (question == name+" A" || question == name+" AAAA")
}

// sameAnswers is what a version of one record set is of another one: the same, a
// set in an object that is both kinds of addresses, or the part of such an
// object that is of one kind.
func sameAnswers(v journal.Replaced, of, record string) (part journal.Replaced, same bool) {
	if asksAbout(of, record) {
		return v, true
	}
	if !asksAbout(record, of) {
		return v, false
	}
	other := func(held string) bool {
		return strings.Contains(held, ":") == strings.HasSuffix(plan.RecordKey(record), " A")
	}
	had := len(v.Values) > 0
	v.Values, v.Next = slices.DeleteFunc(slices.Clone(v.Values), other), slices.DeleteFunc(slices.Clone(v.Next), other)
	return v, !had || len(v.Values) > 0
}

// firstOfAKind reports whether the A or the AAAA set of a name begins in an
// object that is both: what it replaces is then also "there is none", which is
// kept for a time of its own.
func firstOfAKind(record string, v journal.Replaced) bool {
	_, both := strings.CutSuffix(plan.RecordKey(record), bothKinds)
	if !both || len(v.Values) == 0 {
		return false
	}
	six := func(held string) bool { return strings.Contains(held, ":") }
	four := func(held string) bool { return !six(held) }
	begins := func(kind func(string) bool) bool {
		return slices.ContainsFunc(v.Next, kind) && !slices.ContainsFunc(v.Values, kind)
	}
	return begins(six) || begins(four)
}

// lookedUp are the questions that views can be asked for one about a record
// set: nobody can look A+AAAA up. What asks for nothing is left out.
func lookedUp(ask journal.Question) []journal.Question {
	name, both := strings.CutSuffix(strings.ToUpper(ask.Record), bothKinds)
	if !both {
		return []journal.Question{ask}
	}
	name = ask.Record[:len(name)]
	var asks []journal.Question
	for _, kind := range []string{"A", "AAAA"} {
		other := func(v string) bool { return strings.Contains(v, ":") != (kind == "AAAA") }
		one := journal.Question{Record: name + " " + kind, TTL: ask.TTL}
		one.Not = slices.DeleteFunc(slices.Clone(ask.Not), other)
		one.Set = slices.DeleteFunc(slices.Clone(ask.Set), other)
		if len(one.Not)+len(one.Set) > 0 {
			asks = append(asks, one)
		}
	}
	return asks
}
