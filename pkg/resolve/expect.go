package resolve

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// Expectation is what an answer has to be. All that is given must hold; nil is
// not given.
type Expectation struct {
	Set     []string       // exactly these values; empty and not nil: no values
	Has     []string       // these among others
	Not     []string       // none of these
	Within  []netip.Prefix // every value is an address in one of these, and there is one
	Changed []string       // another set than this one, and not an empty one
}

// For returns e with its values in canonical form, and refuses what no answer
// to q can be.
func (e Expectation) For(q Question) (Expectation, error) {
	if e.Set == nil && len(e.Has)+len(e.Not)+len(e.Within)+len(e.Changed) == 0 {
		return e, hint.Wrap(errors.New("nothing is expected of the answers"), "give set, has, not, within or changed")
	}
	if len(e.Within) > 0 && q.Type != "A" && q.Type != "AAAA" {
		return e, fmt.Errorf("within: the values of %s are no addresses", q)
	}
	var err error
	for key, list := range map[string]*[]string{"set": &e.Set, "has": &e.Has, "not": &e.Not, "changed": &e.Changed} {
		if *list == nil {
			continue
		}
		own := make([]string, len(*list))
		for i, value := range *list {
			if own[i], err = Canonical(q.Type, value); err != nil {
				return e, fmt.Errorf("%s: %w", key, err)
			}
		}
		slices.Sort(own)
		*list = slices.Compact(own)
	}
	return e, nil
}

// Judge says whether a known answer is as expected, and if not, why not, for
// people: "still 192.0.2.1 (ttl 37)".
func (e Expectation) Judge(a Answer) (ok bool, why string) {
	for _, complaint := range []string{e.extra(a), e.missing(a), e.outside(a), e.unchanged(a)} {
		if complaint != "" {
			return false, complaint + remaining(a)
		}
	}
	return true, ""
}

// extra: what must not be there is.
func (e Expectation) extra(a Answer) string {
	var bad []string
	for _, v := range a.Values {
		if slices.Contains(e.Not, v) || e.Set != nil && !slices.Contains(e.Set, v) {
			bad = append(bad, v)
		}
	}
	return about("still ", bad)
}

// missing: what must be there is not.
func (e Expectation) missing(a Answer) string {
	var gone []string
	for _, v := range slices.Concat(e.Set, e.Has) {
		if !slices.Contains(a.Values, v) && !slices.Contains(gone, v) {
			gone = append(gone, v)
		}
	}
	if len(gone) > 0 && len(a.Values) == 0 {
		return nothing(a)
	}
	return about("without ", gone)
}

func (e Expectation) outside(a Answer) string {
	if len(e.Within) == 0 {
		return ""
	}
	if len(a.Values) == 0 {
		return nothing(a)
	}
	var bad []string
	for _, v := range a.Values {
		ip, err := netip.ParseAddr(v)
		if err != nil || !slices.ContainsFunc(e.Within, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			bad = append(bad, v)
		}
	}
	if len(bad) == 0 {
		return ""
	}
	return list(bad) + " outside " + list(texts(e.Within, netip.Prefix.String))
}

func (e Expectation) unchanged(a Answer) string {
	switch {
	case e.Changed == nil:
		return ""
	case len(a.Values) == 0:
		return nothing(a)
	case slices.Equal(e.Changed, a.Values):
		return about("unchanged ", a.Values)
	}
	return ""
}

// nothing names an empty answer.
func nothing(a Answer) string {
	switch a.Empty {
	case NXDomain:
		return "no such name"
	case NoData:
		return "no such record"
	}
	return "nothing"
}

// about is a complaint about values, "" without any.
func about(what string, values []string) string {
	if len(values) == 0 {
		return ""
	}
	return what + list(values)
}

// list names a few values.
func list(values []string) string {
	const most = 4
	cut := make([]string, 0, most)
	for _, v := range values[:min(len(values), most)] {
		cut = append(cut, short(v, 60))
	}
	text := strings.Join(cut, ", ")
	if more := len(values) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// remaining is how long the answer may be kept where it is.
func remaining(a Answer) string {
	if !a.HasTTL {
		return ""
	}
	return fmt.Sprintf(" (ttl %d)", a.MaxTTL/time.Second)
}
