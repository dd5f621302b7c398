package engine

import (
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/journal"
)

// bothKinds is the type of an object that is the A and the AAAA set of a name.
const bothKinds = " A+AAAA"

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
