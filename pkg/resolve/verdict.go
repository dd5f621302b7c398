package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Decision is what answers say about an expectation.
type Decision int

// The decisions. Unseen: no answer is known at all.
const (
	Undecided Decision = iota
	Pass
	Fail
	Unseen
)

func (d Decision) String() string { return [...]string{"undecided", "pass", "fail", "unseen"}[d] }

// Verdict is what the answers of several views say.
type Verdict struct {
	Decision Decision
	Views    []ViewVerdict // in the order of the answers
}

// ViewVerdict is what the answers of one view say.
type ViewVerdict struct {
	View     string
	Decision Decision
	// Passed, Failed and Unknown answers make the total. Unknown answers of
	// addresses without a route are not in it while others answer.
	Passed, Failed, Unknown int
	NoRoute                 int
	// Why is the first complaint, or the first reason of an unknown answer.
	Why string
}

// Rule is how answers are judged.
type Rule struct {
	Expect  Expectation // made with For
	Quorum  Quorum
	Unknown OnUnknown // empty: wait
}

// Judge judges answers of one or more views. Every view must reach the quorum.
// A view without a known answer is never a pass.
func (r Rule) Judge(answers []Answer) Verdict {
	var v Verdict
	for group := range groups(answers) {
		v.Views = append(v.Views, r.view(group))
	}
	count := map[Decision]int{}
	for _, one := range v.Views {
		count[one.Decision]++
	}
	switch {
	case count[Fail] > 0:
		v.Decision = Fail
	case count[Unseen] == len(v.Views):
		v.Decision = Unseen
	case count[Undecided] > 0, count[Unseen] > 0 && r.Unknown != UnknownIgnore:
		v.Decision = Undecided
	default:
		v.Decision = Pass
	}
	return v
}

// groups are the answers of each view in turn.
func groups(answers []Answer) func(func([]Answer) bool) {
	var names []string
	of := map[string][]Answer{}
	for _, a := range answers {
		if !slices.Contains(names, a.View) {
			names = append(names, a.View)
		}
		of[a.View] = append(of[a.View], a)
	}
	return func(yield func([]Answer) bool) {
		for _, name := range names {
			if !yield(of[name]) {
				return
			}
		}
	}
}

// view judges the answers of one view.
func (r Rule) view(answers []Answer) ViewVerdict {
	v := ViewVerdict{View: answers[0].View}
	var complaint, reason, route string
	for _, a := range answers {
		ok, why := false, a.Vantage+": "+a.Unknown
		if a.Known() {
			ok, why = r.Expect.Judge(a)
		}
		switch {
		case ok:
			v.Passed++
		case a.Known():
			v.Failed++
			complaint = cmp.Or(complaint, why)
		case a.NoRoute:
			v.NoRoute++
			route = cmp.Or(route, why)
		default:
			v.Unknown++
			reason = cmp.Or(reason, why)
		}
	}
	if v.Passed+v.Failed == 0 { // no route to any, or no answer from any
		v.Unknown, v.NoRoute = v.Unknown+v.NoRoute, 0
	}
	v.Decision = r.decide(v)
	v.Why = cmp.Or(complaint, reason, route)
	return v
}

func (r Rule) decide(v ViewVerdict) Decision {
	known := v.Passed + v.Failed
	if r.Unknown == UnknownFail {
		total := known + v.Unknown
		if v.Passed >= r.Quorum.of(total) {
			return Pass
		}
		return Fail
	}
	if known == 0 {
		return Unseen
	}
	total := known
	if r.Unknown != UnknownIgnore {
		total += v.Unknown
	}
	need := r.Quorum.of(total)
	switch {
	case v.Passed >= need:
		return Pass
	case total-v.Failed < need:
		return Fail
	}
	return Undecided
}

// String is the verdict of each view on one line: "auth 4/4, isp 1/5 still
// 192.0.2.1 (ttl 37), doh unknown: no answer within 5s".
func (v Verdict) String() string {
	parts := make([]string, len(v.Views))
	for i, one := range v.Views {
		parts[i] = one.String()
	}
	return strings.Join(parts, ", ")
}

func (v ViewVerdict) String() string {
	total := v.Passed + v.Failed + v.Unknown
	text := fmt.Sprintf("%s %d/%d", v.View, v.Passed, total)
	switch {
	case v.Failed > 0:
		text = fmt.Sprintf("%s %d/%d %s", v.View, v.Failed, total, v.Why)
	case v.Passed == 0:
		text = fmt.Sprintf("%s unknown: %s", v.View, v.Why)
	case v.Unknown > 0:
		text += fmt.Sprintf(", %d unknown: %s", v.Unknown, v.Why)
	}
	if v.NoRoute > 0 {
		text += fmt.Sprintf(" (%d without a route from here)", v.NoRoute)
	}
	return text
}
