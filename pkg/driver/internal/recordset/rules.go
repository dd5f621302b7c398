package recordset

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// edit is all changes of one object.
type edit struct {
	name    Name
	changes []state.Change
}

// edits groups changes by object, in the order in which they came, and refuses
// what is wrong without looking at the provider.
func (t *Target) edits(changes []state.Change) ([]edit, error) {
	var all []edit
	at := map[Name]int{}
	for _, c := range changes {
		n, err := t.name(c.Object)
		if err != nil {
			return nil, driver.Permanent(fmt.Errorf("%w: %w", err, driver.ErrNotFound))
		}
		if err := wellFormed(n, c); err != nil {
			return nil, driver.Permanent(err)
		}
		i, seen := at[n]
		if !seen {
			i = len(all)
			at[n] = i
			all = append(all, edit{name: n})
		}
		all[i].changes = append(all[i].changes, c)
	}
	return all, nil
}

func wellFormed(n Name, c state.Change) error {
	switch c.Attribute {
	case Values:
		for _, v := range c.To.List() {
			if err := n.checkValue(v); err != nil {
				return err
			}
		}
	case TTL:
		if seconds, ok := c.To.Int(); c.To.Present() && (!ok || seconds < 0 || seconds > maxTTL) {
			return fmt.Errorf("%s: ttl is a number of seconds, not %s", n, c.To)
		}
	}
	return nil
}

// drift returns what somebody else changed: a value that is neither where a
// change begins nor where it ends.
func (e edit) drift(now Set) error {
	attrs := now.attrs()
	for _, c := range e.changes {
		if v := attrs[c.Attribute]; v != c.From && v != c.To {
			return &driver.DriftError{Change: c, Now: v}
		}
	}
	return nil
}

// plan compares the edits with what is stored, refuses what breaks a rule, and
// returns what is left to do, by host: sets of one name are changed together.
// A state that is only foreseen may lack what the provider fills in, and is not
// compared.
func (t *Target) plan(edits []edit, now map[Name]Set, limits Limits, compare bool) ([][]Swap, error) {
	var hosts []string
	byHost := map[string][]Swap{}
	for _, e := range edits {
		set, err := join(e.name, now)
		if err != nil {
			return nil, err
		}
		if compare {
			if err := e.drift(set); err != nil {
				return nil, err
			}
		}
		next, err := set.with(e.name, e.changes, limits.newTTL())
		if err != nil {
			return nil, err
		}
		if next.Same(set) {
			continue
		}
		if err := limits.refuse(e.name, set, next); err != nil {
			return nil, driver.Permanent(err)
		}
		if !slices.Contains(hosts, e.name.Host) {
			hosts = append(hosts, e.name.Host)
		}
		byHost[e.name.Host] = append(byHost[e.name.Host], split(e.name, now, next)...)
	}
	var groups [][]Swap
	for _, h := range hosts {
		if err := t.refuse(byHost[h]); err != nil {
			return nil, driver.Permanent(err)
		}
		groups = append(groups, byHost[h])
	}
	return groups, nil
}

// newTTL is the TTL of a set that is created without one, -1 for none.
func (l Limits) newTTL() int {
	switch {
	case l.DefaultTTL > 0:
		return l.DefaultTTL
	case l.MaxTTL > 0 && l.MinTTL == l.MaxTTL:
		return l.MinTTL
	}
	return -1
}

// refuse holds a set against the rules and the provider's limits.
func (l Limits) refuse(n Name, old, next Set) error {
	if next.Absent() {
		return nil
	}
	if n.Type == "CNAME" && len(next.Values) > 1 {
		return fmt.Errorf("%s: a name has one CNAME, not %d", n, len(next.Values))
	}
	for _, part := range n.Parts() {
		if len(l.Types) > 0 && !slices.Contains(l.Types, part.Type) {
			return hint.Wrap(fmt.Errorf("%s: %s records cannot be set here", n, part.Type), "types: %s", strings.Join(l.Types, ", "))
		}
	}
	if next.TTL == old.TTL && !old.Absent() {
		return nil // it was so before
	}
	why := ""
	if l.Why != "" {
		why = ": " + l.Why
	}
	longest := orElse(l.MaxTTL, maxTTL)
	switch {
	case l.MinTTL == longest && next.TTL != longest:
		return fmt.Errorf("%s: the TTL is always %d here and cannot be %d%s", n, longest, next.TTL, why)
	case next.TTL < l.MinTTL:
		return hint.Wrap(fmt.Errorf("%s: a TTL of %d is too short%s", n, next.TTL, why), "at least %d seconds", l.MinTTL)
	case next.TTL > longest:
		return hint.Wrap(fmt.Errorf("%s: a TTL of %d is too long%s", n, next.TTL, why), "at most %d seconds", longest)
	}
	return nil
}

// refuse holds the swaps of one host against what stands beside them.
func (t *Target) refuse(swaps []Swap) error {
	goes := func(typ string) bool {
		return slices.ContainsFunc(swaps, func(s Swap) bool { return s.Name.Type == typ && s.New.Absent() })
	}
	for _, s := range swaps {
		if s.New.Absent() {
			continue
		}
		for _, other := range slices.Concat(s.Old.Beside, madeBeside(s, swaps)) {
			if (s.Name.Type == "CNAME") != (other == "CNAME") && !goes(other) {
				return hint.Wrap(fmt.Errorf("%s: %s has a record of type %s, and a CNAME stands alone", s.Name, s.Name.Host, other),
					"flip does not turn one into the other: servers ignore such a change or drop the name for a moment")
			}
		}
	}
	if r, ok := t.o.Provider.(Refuser); ok {
		return r.Refuse(swaps)
	}
	return nil
}

func madeBeside(s Swap, swaps []Swap) []string {
	var types []string
	for _, o := range swaps {
		if o.Name != s.Name && !o.New.Absent() {
			types = append(types, o.Name.Type)
		}
	}
	return types
}

// Check says what Apply would refuse: wrong names and values, an empty set, a
// TTL that the provider does not take, a CNAME beside others.
func (t *Target) Check(ctx context.Context, now state.State, changes []state.Change) error {
	edits, err := t.edits(changes)
	if err != nil {
		return t.wrap(err)
	}
	limits, err := t.limits(ctx)
	if err != nil {
		return t.wrap(driver.Uncertain(err))
	}
	sets := map[Name]Set{}
	for id, o := range now.Objects {
		n, err := ParseName(id)
		if err != nil {
			continue
		}
		for _, s := range split(n, nil, t.setOf(o.Attrs)) {
			sets[s.Name] = s.New
		}
	}
	for n, s := range sets {
		for o := range sets {
			if o.Host == n.Host && o != n {
				s.Beside = append(s.Beside, o.Type)
			}
		}
		slices.Sort(s.Beside)
		sets[n] = s
	}
	t.beside(edits, sets)
	_, err = t.plan(edits, sets, limits, false)
	return t.wrap(err)
}

// beside tells sets that do not exist yet what stands beside them.
func (t *Target) beside(edits []edit, sets map[Name]Set) {
	for _, e := range edits {
		for _, n := range e.name.Parts() {
			s, exists := sets[n]
			if exists {
				continue
			}
			for o := range sets {
				if o.Host == n.Host && o != n && !sets[o].Absent() {
					s.Beside = append(s.Beside, o.Type)
				}
			}
			slices.Sort(s.Beside)
			sets[n] = s
		}
	}
}

func (t *Target) setOf(attrs map[string]state.Value) Set {
	s := Set{Values: attrs[Values].List(), Extra: map[string]state.Value{}, ordered: t.o.Ordered}
	s.TTL, _ = attrs[TTL].Int()
	for name, v := range attrs {
		if name != Values && name != TTL {
			s.Extra[name] = v
		}
	}
	return s
}

func (t *Target) limits(ctx context.Context) (Limits, error) {
	if err := ctx.Err(); err != nil {
		return Limits{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.o.Timeout)
	defer cancel()
	return t.o.Provider.Limits(ctx)
}
