package engine

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
)

// DefaultSlack is added to the time that caches may keep an answer where a plan
// does not say: resolvers count whole seconds, each hop of them anew.
const DefaultSlack = 2 * time.Second

// SafeAt is the moment from which no cache that keeps to its TTL holds one of
// the retired values any more:
//
//	max over every version that held one of them (u + TTL) + slack
//
// where u is when the last name server had stopped serving the version. It is
// not the TTL of the newest version: one with an old, long TTL may end later.
// Without retired values it is about every version. last is the version that
// decides; ok is false when no version held what is retired.
func SafeAt(versions []journal.Replaced, retired []string, slack time.Duration) (at time.Time, last journal.Replaced, ok bool) {
	for _, v := range versions {
		if len(retired) > 0 && !slices.ContainsFunc(v.Values, func(held string) bool { return among(retired, held) }) {
			continue
		}
		if !ok || v.Until().After(last.Until()) {
			last, ok = v, true
		}
	}
	return last.Until().Add(slack), last, ok
}

// Retired are the values that some version held and that are not served now.
func Retired(versions []journal.Replaced, now []string) []string {
	var out []string
	for _, v := range versions {
		for _, held := range v.Values {
			if !among(now, held) && !among(out, held) {
				out = append(out, held)
			}
		}
	}
	slices.Sort(out)
	return out
}

// among reports whether one of values means the same as v.
func among(values []string, v string) bool {
	return slices.ContainsFunc(values, func(o string) bool { return sameValue(o, v) })
}

// sameValue compares two values of a record set: addresses as addresses, names
// without case and without the dot at their end.
func sameValue(a, b string) bool {
	if a == b {
		return true
	}
	x, err := netip.ParseAddr(a)
	y, err2 := netip.ParseAddr(b)
	if err == nil && err2 == nil {
		return x == y
	}
	return err != nil && err2 != nil && strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}
