package drivertest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

var applyChecks = []check{
	{name: "what was applied is what is read, and nothing else moves", run: appliedIsRead},
	{name: "changes of one object can be made together", run: changedTogether, when: hasPair},
	{name: "applying again, or nothing, is harmless", run: appliedAgain},
	{name: "the inverse restores exactly what was before", run: inverseRestores},
	{name: "a value that somebody else wrote is drift and nothing of that object is written", run: driftIsRefused, when: hasThird},
	{name: "an object that does not exist is not found, for good", run: unknownIsNotFound, when: hasUnknown},
	{name: "what is absent can be created and removed again", run: createdAndRemoved, when: canCreate},
	{name: "calls at the same time do not disturb each other", run: concurrentCalls},
	{name: "settling ends, and ends with its context", run: settles},
}

func hasPair(h Harness) bool    { return len(pairs(h)) > 0 }
func hasUnknown(h Harness) bool { return h.Unknown != "" }
func canCreate(h Harness) bool  { return h.Create != nil }
func hasThird(h Harness) bool {
	return slices.ContainsFunc(h.Settable, func(s Settable) bool { return s.C.Present() })
}

// pairs are the changes of every object with several settable attributes.
func pairs(h Harness) [][]state.Change {
	by := map[string][]state.Change{}
	for _, c := range allToB(h) {
		by[c.Object] = append(by[c.Object], c)
	}
	maps.DeleteFunc(by, func(_ string, changes []state.Change) bool { return len(changes) < 2 })
	return slices.Collect(maps.Values(by))
}

func appliedIsRead(t *testing.T, h Harness) {
	for _, s := range h.Settable {
		d := open(t, h).Driver
		before := read(t, d)
		apply(t, d, s.toB())
		wantAttrs(t, h, d, before.With(s.toB()), "after setting "+s.Attribute)
	}
}

func changedTogether(t *testing.T, h Harness) {
	for _, changes := range pairs(h) {
		d := open(t, h).Driver
		before := read(t, d)
		apply(t, d, changes)
		wantAttrs(t, h, d, before.With(changes), "after all changes of "+changes[0].Object)
	}
}

func appliedAgain(t *testing.T, h Harness) {
	d := open(t, h).Driver
	before, changes := read(t, d), allToB(h)
	apply(t, d, nil)
	wantAttrs(t, h, d, before, "after applying no changes")
	apply(t, d, changes)
	wantAttrs(t, h, d, before.With(changes), "after applying once")
	apply(t, d, changes)
	wantAttrs(t, h, d, before.With(changes), "after applying twice")
}

func inverseRestores(t *testing.T, h Harness) {
	d := open(t, h).Driver
	before, changes := read(t, d), allToB(h)
	apply(t, d, changes)
	wantAttrs(t, h, d, before.With(changes), "after applying")
	apply(t, d, inverse(changes))
	wantAttrs(t, h, d, before, "after the inverse")
	apply(t, d, inverse(changes))
	wantAttrs(t, h, d, before, "after the inverse once more")
}

func driftIsRefused(t *testing.T, h Harness) {
	for _, s := range h.Settable {
		if !s.C.Present() {
			continue
		}
		id := s.Objects[0]
		target := open(t, h)
		d := target.Driver
		foreign := state.Change{Target: "t", Object: id, Attribute: s.Attribute, From: s.A, To: s.C}
		if target.Outside == nil {
			t.Fatal("the harness has no Outside: who makes the drift?")
		}
		want := read(t, d).With([]state.Change{foreign})
		target.Outside(t, foreign)
		wantAttrs(t, h, d, want, "after another operator's write")
		// Every change of the object, the drifted one last: a driver that
		// writes before it has compared everything is found out.
		changes := slices.DeleteFunc(allToB(h), func(c state.Change) bool { return c.Object != id })
		slices.SortStableFunc(changes, func(a, b state.Change) int {
			return cmp.Compare(rank(a, s.Attribute), rank(b, s.Attribute))
		})
		err := d.Apply(t.Context(), changes)
		drift, ok := errors.AsType[*driver.DriftError](err)
		if !ok {
			t.Errorf("%s: %s was %s, is %s, to be %s: want a *DriftError, got %v", id, s.Attribute, s.A, s.C, s.B, err)
		} else if drift.Change.Object != id || drift.Change.Attribute != s.Attribute || drift.Now != s.C {
			t.Errorf("the drift is of %s %s, now %s, but the error says %s", id, s.Attribute, s.C, drift)
		}
		wantAttrs(t, h, d, want, "after the refused write")
	}
}

func rank(c state.Change, last string) int {
	if c.Attribute == last {
		return 1
	}
	return 0
}

func unknownIsNotFound(t *testing.T, h Harness) {
	d := open(t, h).Driver
	before := read(t, d)
	change := h.Settable[0].toB()[0]
	change.Object = h.Unknown
	err := d.Apply(t.Context(), []state.Change{change})
	if !errors.Is(err, driver.ErrNotFound) || !errors.Is(err, driver.ErrPermanent) {
		t.Errorf("want a permanent ErrNotFound, got %v", err)
	}
	wantAttrs(t, h, d, before, "after a change of what does not exist")
}

func createdAndRemoved(t *testing.T, h Harness) {
	d := open(t, h).Driver
	before := read(t, d)
	var changes []state.Change
	for _, id := range creationIDs(t, h, d) {
		if _, exists := before.Objects[id]; exists {
			t.Fatalf("%s exists already", id)
		}
		for _, attr := range slices.Sorted(maps.Keys(h.Create.Attrs)) {
			changes = append(changes, state.Change{Target: "t", Object: id, Attribute: attr, To: h.Create.Attrs[attr]})
		}
	}
	for range 2 { // what was removed can be made again
		apply(t, d, changes)
		wantAttrs(t, h, d, before.With(changes), "after creating")
		after := read(t, d)
		for _, c := range changes {
			if o := after.Objects[c.Object]; o.Kind != h.Create.Kind || o.Name != h.Create.Name {
				t.Errorf("%s was created as %s %q, want %s %q", c.Object, o.Kind, o.Name, h.Create.Kind, h.Create.Name)
			}
		}
		apply(t, d, changes)
		wantAttrs(t, h, d, before.With(changes), "after creating twice")
		apply(t, d, inverse(changes))
		wantAttrs(t, h, d, before, "after removing")
		apply(t, d, inverse(changes))
		wantAttrs(t, h, d, before, "after removing twice")
	}
}

func creationIDs(t *testing.T, h Harness, d driver.Driver) []string {
	t.Helper()
	l, ok := driver.As[driver.Locator](d)
	if !ok {
		if len(h.Create.IDs) == 0 {
			t.Fatal("the driver has no Locate and the harness no ids of what to create")
		}
		return h.Create.IDs
	}
	found, err := l.Locate(h.Create.Kind, h.Create.Name)
	if err != nil || len(found) == 0 {
		t.Fatalf("locate %s %q: %v, %v", h.Create.Kind, h.Create.Name, found, err)
	}
	return slices.Sorted(maps.Keys(found))
}

// concurrentCalls moves all settables to B at once, then back, while others
// read. What one goroutine changes nobody else does, so there is no drift.
func concurrentCalls(t *testing.T, h Harness) {
	d := open(t, h).Driver
	before := read(t, d)
	round := func(direction func([]state.Change) []state.Change) {
		var calls sync.WaitGroup
		for _, s := range h.Settable {
			calls.Go(func() {
				if err := persist(t.Context(), d, direction(s.toB())); err != nil {
					t.Errorf("apply %s: %v", s.Attribute, err)
				}
			})
			calls.Go(func() {
				if _, err := d.Read(t.Context()); err != nil {
					t.Errorf("read: %v", err)
				}
			})
		}
		calls.Wait()
	}
	for range 3 {
		round(slices.Clone[[]state.Change])
		wantAttrs(t, h, d, before.With(allToB(h)), "after all went to B at once")
		round(inverse)
		wantAttrs(t, h, d, before, "after all went back at once")
	}
}

// persist applies, and does so again when another writer was in the way.
func persist(ctx context.Context, d driver.Driver, changes []state.Change) error {
	var err error
	for range 5 {
		err = d.Apply(ctx, changes)
		if _, drift := errors.AsType[*driver.DriftError](err); err == nil || drift || errors.Is(err, driver.ErrPermanent) {
			return err
		}
	}
	return err
}

func settles(t *testing.T, h Harness) {
	d := open(t, h).Driver
	s, ok := driver.As[driver.Settler](d)
	if !ok {
		return
	}
	changes := allToB(h)
	apply(t, d, changes)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := within(t, h, func() error { return s.Settle(ended, changes) }); err == nil {
		t.Error("a cancelled settle says that all consumers see the change")
	}
	ctx, stop := context.WithTimeout(t.Context(), h.Shows)
	defer stop()
	if err := s.Settle(ctx, changes); err != nil {
		t.Errorf("settle: %v", err)
	}
}
