package alidns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Read returns the record sets that were named and exist. A set whose records
// have different TTLs shows all of them.
func (t *Target) Read(ctx context.Context) (state.State, error) {
	s, err := t.Target.Read(ctx)
	for id, o := range s.Objects {
		n, perr := recordset.ParseName(id)
		if perr != nil {
			continue
		}
		for _, part := range n.Parts() {
			if ttls := t.p.note(part).ttls; len(ttls) > 1 {
				o.Attrs[recordset.TTL] = uneven(ttls)
			}
		}
	}
	return s, err
}

// CacheTime is the longest TTL of a set.
func (t *Target) CacheTime(ctx context.Context, id string, attrs map[string]state.Value) (time.Duration, error) {
	return t.Target.CacheTime(ctx, id, longest(attrs))
}

func longest(attrs map[string]state.Value) map[string]state.Value {
	v := attrs[recordset.TTL]
	if _, even := v.Int(); even || !v.Present() {
		return attrs
	}
	most := 0
	for _, text := range v.List() {
		n, _ := state.Value(text).Int()
		most = max(most, n)
	}
	with := map[string]state.Value{}
	maps.Copy(with, attrs)
	with[recordset.TTL] = state.Int(most)
	return with
}

// Resolvable: what is set can be looked up, by weight one value at a time.
func (t *Target) Resolvable(_ context.Context, id string) error {
	_, err := t.Locate(recordset.KindRecord, id)
	return err
}

// Apply makes the changes. A set that is created has nothing switched off and
// no weights unless a change says so. Where an earlier call was cut short it
// goes on from there.
func (t *Target) Apply(ctx context.Context, changes []state.Change) error {
	changes = complete(changes)
	err := t.Target.Apply(ctx, t.level(changes))
	for range changes {
		drift, ok := errors.AsType[*driver.DriftError](err)
		if !ok {
			break
		}
		further, on := resume(changes, drift)
		if !on {
			break
		}
		changes = further
		err = t.Target.Apply(ctx, t.level(changes))
	}
	if err != nil {
		return err
	}
	return driver.Named(Name, t.finish(ctx, changes))
}

// complete adds what a new set has and no change tells.
func complete(changes []state.Change) []state.Change {
	told := map[state.Key]bool{}
	for _, c := range changes {
		told[c.Key()] = true
	}
	var all []state.Change
	for _, c := range changes {
		all = append(all, c)
		n, err := recordset.ParseName(c.Object)
		if err != nil || c.Attribute != recordset.Values || c.From.Present() || !c.To.Present() {
			continue
		}
		for _, attribute := range []string{Disabled, Weights} {
			more := state.Change{Target: c.Target, Object: c.Object, Attribute: attribute, To: state.List(nil)}
			if !told[more.Key()] && (attribute == Disabled || weighable(n.Parts()[0].Type)) {
				all = append(all, more)
			}
		}
	}
	return all
}

// level writes the longest TTL for different ones, as the provider does.
func (t *Target) level(changes []state.Change) []state.Change {
	all := slices.Clone(changes)
	for i, c := range all {
		if c.Attribute == recordset.TTL && len(c.From.List()) > 1 {
			all[i].From = longest(map[string]state.Value{recordset.TTL: c.From})[recordset.TTL]
		}
	}
	return all
}

// resume lets a change begin where it stands, if that is on its way or on the
// way back.
func resume(changes []state.Change, drift *driver.DriftError) ([]state.Change, bool) {
	kind := Info().Kinds[0]
	all := slices.Clone(changes)
	i := slices.IndexFunc(all, func(c state.Change) bool { return c.Key() == drift.Change.Key() })
	if i < 0 {
		return nil, false
	}
	attr, ok := kind.Attribute(all[i].Attribute)
	from, to := all[i].From, all[i].To
	if !ok || !slices.Contains(slices.Concat(attr.Via(from, to), attr.Via(to, from)), drift.Now) {
		return nil, false
	}
	all[i].From = drift.Now
	return all, true
}

// finish does what a set of values and one TTL cannot say: the TTL of records
// that had another one, and the switched off records of a set that goes.
func (t *Target) finish(ctx context.Context, changes []state.Change) error {
	for _, c := range changes {
		n, err := recordset.ParseName(c.Object)
		if err != nil {
			return err
		}
		for _, part := range n.Parts() {
			seconds, set := c.To.Int()
			switch {
			case c.Attribute == recordset.TTL && set && len(t.p.note(part).ttls) > 1:
				err = t.p.equalize(ctx, part, seconds)
			case c.Attribute == Disabled && len(c.From.List()) > 0 && goes(changes, c.Object):
				err = t.p.sweep(ctx, part, c.From.List())
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func goes(changes []state.Change, object string) bool {
	return slices.ContainsFunc(changes, func(c state.Change) bool {
		return c.Object == object && c.Attribute == recordset.Values && !c.To.Present()
	})
}

// Check says what Apply would refuse. Locks are no attribute: they are looked
// at as they are now.
func (t *Target) Check(ctx context.Context, now state.State, changes []state.Change) error {
	even := state.State{Objects: map[string]state.Object{}}
	for id, o := range now.Objects {
		o.Attrs = longest(o.Attrs)
		even.Objects[id] = o
	}
	if err := t.Target.Check(ctx, even, complete(changes)); err != nil {
		return err
	}
	byObject := map[string][]state.Change{}
	var objects []string
	for _, c := range changes {
		if len(byObject[c.Object]) == 0 {
			objects = append(objects, c.Object)
		}
		byObject[c.Object] = append(byObject[c.Object], c)
	}
	for _, id := range objects {
		if err := t.p.admit(ctx, id, byObject[id]); err != nil {
			return driver.Named(Name, err)
		}
	}
	return nil
}

// admit refuses changes of one object for what its records are now.
func (p *provider) admit(ctx context.Context, id string, changes []state.Change) error {
	n, err := recordset.ParseName(id)
	if err != nil {
		return driver.Permanent(err)
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	h, err := p.look(ctx, n.Host)
	if err != nil {
		return driver.Uncertain(err)
	}
	for _, part := range n.Parts() {
		s := h.shape(part.Type)
		for _, c := range changes {
			if c.Attribute != recordset.Values || c.From.Present() || !c.To.Present() {
				continue
			}
			if err := leftover(part, s, recordset.Set{Values: c.To.List()}); err != nil {
				return driver.Permanent(err)
			}
		}
		if err := cmp.Or(s.admitLocked(part, changes), p.admitUneven(part, s, changes)); err != nil {
			return driver.Permanent(err)
		}
	}
	return nil
}

func (s shape) admitLocked(n recordset.Name, changes []state.Change) error {
	locked := s.locked()
	for _, c := range changes {
		if len(locked) == 0 {
			break
		}
		kept := c.Attribute == recordset.Values
		for _, v := range locked {
			kept = kept && slices.Contains(s.values(), v) == slices.Contains(c.To.List(), v)
		}
		if !kept {
			return s.refuseLocked(n, step{value: locked[0]})
		}
	}
	return nil
}

// admitUneven refuses to change what could not be put back. Different TTLs that
// a change of the TTL left behind are its own.
func (p *provider) admitUneven(n recordset.Name, s shape, changes []state.Change) error {
	ttls := s.ttls()
	if len(ttls) < 2 || p.force {
		return nil
	}
	for _, c := range changes {
		from, even := c.From.Int()
		to, set := c.To.Int()
		if c.Attribute == recordset.TTL && even && set && !slices.ContainsFunc(ttls, func(ttl int) bool { return ttl != from && ttl != to }) {
			return nil
		}
	}
	return hint.Wrap(fmt.Errorf("%s: its records have different TTLs (%s), and flip could not put them back", n, strings.Join(uneven(ttls).List(), ", ")),
		"give all of them the same TTL first, or set force: true on the target")
}
