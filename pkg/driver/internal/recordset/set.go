package recordset

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// The names that plans use.
const (
	KindRecord = "record"
	Values     = "values"
	TTL        = "ttl"
)

// maxTTL is the largest TTL of the protocol (RFC 2181, 8).
const maxTTL = 1<<31 - 1

// Kind is the kind of object of all drivers of record sets, with what one of
// them adds.
func Kind(more ...driver.Attribute) driver.Kind {
	return driver.Kind{
		Name: KindRecord, Selector: []string{KindRecord},
		Attributes: append([]driver.Attribute{
			{Name: Values, Type: driver.TypeList, Doc: "the set's values, in any order; IPv6 addresses in their short form, names in lower case without a dot at the end"},
			{Name: TTL, Type: driver.TypeInt, Min: 0, Max: maxTTL, Doc: "seconds that resolvers may keep the answer; it belongs to the whole set"},
		}, more...),
		Doc: "A record set, called by its name and type: \"www.example.com A\". \"www.example.com A+AAAA\" is both sets of addresses, changed as one.",
	}
}

// OrderedKind is Kind for a provider that answers in the order of the values,
// see Options.Ordered.
func OrderedKind(more ...driver.Attribute) driver.Kind {
	k := Kind(more...)
	k.Attributes[0].Ordered = true
	k.Attributes[0].Doc = "the set's values, in the order in which they are answered; many clients take the first; IPv6 addresses in their short form, names in lower case without a dot at the end"
	return k
}

// Set is a record set as a provider stores it. Without values it is absent.
type Set struct {
	Values []string // canonical, each once; sorted unless Options.Ordered
	TTL    int      // seconds
	// Extra are the driver's own attributes.
	Extra map[string]state.Value
	// Beside are other types that the provider saw at the same name, so far as
	// it had to look. CNAME matters: it stands alone (RFC 1034, 3.6.2).
	Beside []string
	// Raw is the provider's own: ids of records, records as they were answered.
	Raw any

	ordered bool
}

// Absent reports whether there is no such set.
func (s Set) Absent() bool { return len(s.Values) == 0 }

// Same compares what a plan can set.
func (s Set) Same(o Set) bool {
	if s.Absent() || o.Absent() {
		return s.Absent() == o.Absent()
	}
	return slices.Equal(s.Values, o.Values) && s.TTL == o.TTL && maps.Equal(s.Extra, o.Extra)
}

func (s Set) attrs() map[string]state.Value {
	if s.Absent() {
		return nil
	}
	attrs := maps.Clone(s.Extra)
	if attrs == nil {
		attrs = map[string]state.Value{}
	}
	attrs[Values], attrs[TTL] = state.List(s.Values), state.Int(s.TTL)
	if s.ordered {
		attrs[Values] = state.Sequence(s.Values)
	}
	return attrs
}

// Swap is one record set going from what it is to what it shall be. Old is as
// Get returned it, with Raw. An absent New takes the set away, which only the
// way back of a creation does.
type Swap struct {
	Name     Name // never of type Both
	Old, New Set
}

// Added are the values of New that Old lacks, Removed those of Old that New
// lacks, Kept those in both. A provider that cannot replace a set at once adds
// first and removes then.
func (s Swap) Added() []string { return without(s.New.Values, s.Old.Values) }

// Removed: see Added.
func (s Swap) Removed() []string { return without(s.Old.Values, s.New.Values) }

// Kept: see Added.
func (s Swap) Kept() []string { return without(s.New.Values, s.Added()) }

func without(values, others []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return slices.Contains(others, v) })
}

// join makes one set of the parts of a name.
func join(n Name, sets map[Name]Set) (Set, error) {
	if n.Type != Both {
		return sets[n], nil
	}
	v4, v6 := sets[n.Parts()[0]], sets[n.Parts()[1]]
	switch {
	case v6.Absent():
		v4.Beside = slices.Concat(v4.Beside, v6.Beside)
		return v4, nil
	case v4.Absent():
		v6.Beside = slices.Concat(v4.Beside, v6.Beside)
		return v6, nil
	case v4.TTL != v6.TTL:
		return Set{}, driver.Permanent(hint.Wrap(fmt.Errorf("%s: the A records have TTL %d and the AAAA records %d", n, v4.TTL, v6.TTL),
			"set the TTL of both alike first, or name the two sets by themselves"))
	case !maps.Equal(v4.Extra, v6.Extra):
		return Set{}, driver.Permanent(hint.Wrap(fmt.Errorf("%s: the A and the AAAA records have different settings", n), "name the two sets by themselves"))
	}
	v4.Values = slices.Sorted(slices.Values(slices.Concat(v4.Values, v6.Values)))
	return v4, nil
}

// split returns the swaps that lead the parts of n from what they are to want.
func split(n Name, now map[Name]Set, want Set) []Swap {
	var swaps []Swap
	for _, part := range n.Parts() {
		next := Set{TTL: want.TTL, Extra: want.Extra, ordered: want.ordered}
		for _, v := range want.Values {
			if n.partOf(v) == part {
				next.Values = append(next.Values, v)
			}
		}
		if !next.Same(now[part]) {
			swaps = append(swaps, Swap{Name: part, Old: now[part], New: next})
		}
	}
	return swaps
}

// with returns s after the changes of its object. ttl is for a new set, -1 when
// the changes have to say it.
func (s Set) with(n Name, changes []state.Change, ttl int) (Set, error) {
	next := Set{Values: s.Values, TTL: s.TTL, Extra: maps.Clone(s.Extra), ordered: s.ordered}
	if s.Absent() {
		next.TTL = ttl
	}
	removed, ttlGone := false, false
	for _, c := range changes {
		switch c.Attribute {
		case Values:
			next.Values, removed = c.To.List(), !c.To.Present()
			if c.To.Present() && len(next.Values) == 0 {
				return next, driver.Permanent(hint.Wrap(fmt.Errorf("%s would be left without a value: names that do not exist are remembered by resolvers too", n),
					"values needs at least one"))
			}
		case TTL:
			if seconds, ok := c.To.Int(); ok {
				next.TTL = seconds
			}
			ttlGone = !c.To.Present()
		default:
			if next.Extra == nil {
				next.Extra = map[string]state.Value{}
			}
			next.Extra[c.Attribute] = c.To
			if !c.To.Present() {
				delete(next.Extra, c.Attribute)
			}
		}
	}
	switch {
	case removed:
		return Set{}, nil
	case s.Absent() && next.Absent():
		return next, driver.Permanent(hint.Wrap(fmt.Errorf("%s does not exist", n), "set its values, then it is created"))
	case next.TTL < 0:
		return next, driver.Permanent(hint.Wrap(fmt.Errorf("%s does not exist, and nothing says what TTL it shall have", n), "set values and ttl in one step"))
	case ttlGone:
		return next, driver.Permanent(errors.New(n.String() + ": a record set has a TTL as long as it exists"))
	}
	return next, nil
}
