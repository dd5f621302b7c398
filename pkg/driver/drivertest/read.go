package drivertest

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
)

var readChecks = []check{
	{name: "reading changes nothing and says the same again", run: readsTheSame},
	{name: "every attribute that is read is declared and has an accepted value", run: readsDeclared},
	{name: "a name finds its object on every node", run: namesFindObjects},
	{name: "locating an object that exists gives its ids", run: locateAgrees},
	{name: "scopes name what is changed and stay the same", run: scopesStay},
	{name: "capacity is a share of the traffic and nothing without attributes", run: capacityIsSane},
	{name: "a call whose context has ended returns soon with an error", run: endedContext},
	{name: "a target that hangs holds no call beyond its deadline", run: hangingTarget},
	{name: "an unreachable target is an error that may pass, never an empty state", run: unreachableTarget},
}

func readsTheSame(t *testing.T, h Harness) {
	d := open(t, h).Driver
	first, second := read(t, d), read(t, d)
	if diff := cmp.Diff(factsOf(first), factsOf(second)); diff != "" {
		t.Errorf("two readings in a row (-first +second):\n%s", diff)
	}
	for node, life := range first.Nodes {
		if !life.Same(second.Nodes[node]) {
			t.Errorf("node %q began a new life between two readings: %v, then %v", node, life, second.Nodes[node])
		}
	}
	for _, s := range h.Settable {
		for _, id := range s.Objects {
			if got := first.Get(id, s.Attribute); got != s.A {
				t.Errorf("%s %s is %s, but the harness promises %s", id, s.Attribute, got, s.A)
			}
		}
	}
}

func readsDeclared(t *testing.T, h Harness) {
	for id, o := range read(t, open(t, h).Driver).Objects {
		k, ok := h.Info.Kind(o.Kind)
		if !ok {
			t.Errorf("%s: kind %q is not declared", id, o.Kind)
			continue
		}
		if len(o.Attrs) == 0 {
			t.Errorf("%s has no attributes: an object without any is absent", id)
		}
		for name, v := range o.Attrs {
			a, ok := k.Attribute(name)
			if !ok {
				t.Errorf("%s: attribute %q of %s is not declared", id, name, o.Kind)
				continue
			}
			if !v.Present() {
				t.Errorf("%s: %s is in the state although it is absent", id, name)
				continue
			}
			a.ReadOnly = false
			if err := a.Check(v); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
}

func namesFindObjects(t *testing.T, h Harness) {
	s := read(t, open(t, h).Driver)
	type place struct{ kind, name, node string }
	seen := map[place]string{}
	for id, o := range s.Objects {
		if o.Name == "" || id == "" {
			t.Errorf("object %q has the name %q", id, o.Name)
		}
		if !slices.Contains(s.Named(o.Kind, o.Name), id) {
			t.Errorf("%s %q does not find %s", o.Kind, o.Name, id)
		}
		at := place{o.Kind, o.Name, o.Node}
		if other, taken := seen[at]; taken {
			t.Errorf("%s and %s are both %s %q on node %q", id, other, o.Kind, o.Name, o.Node)
		}
		seen[at] = id
		if _, ok := s.Nodes[o.Node]; !ok && o.Node != "" {
			t.Errorf("%s is on node %q, which did not answer: there are %v", id, o.Node, s.Nodes)
		}
	}
}

func locateAgrees(t *testing.T, h Harness) {
	d := open(t, h).Driver
	l, ok := driver.As[driver.Locator](d)
	if !ok {
		return
	}
	s := read(t, d)
	for _, o := range s.Objects {
		found, err := l.Locate(o.Kind, o.Name)
		if err != nil {
			t.Errorf("locate %s %q: %v", o.Kind, o.Name, err)
			continue
		}
		for _, id := range s.Named(o.Kind, o.Name) {
			got, ok := found[id]
			if !ok {
				t.Errorf("locate %s %q does not name %s", o.Kind, o.Name, id)
				continue
			}
			if got.Kind != o.Kind || got.Name != o.Name || got.Node != s.Objects[id].Node || len(got.Attrs) != 0 {
				t.Errorf("locate %s %q: %s is %+v", o.Kind, o.Name, id, got)
			}
		}
	}
}

func scopesStay(t *testing.T, h Harness) {
	d := open(t, h).Driver
	s, ok := driver.As[driver.Scoper](d)
	if !ok {
		t.Fatal("the driver names no scopes: two runs could change the target at once")
	}
	before := slices.Clone(s.Scopes())
	if len(before) == 0 || slices.Contains(before, "") {
		t.Errorf("scopes are %q", before)
	}
	apply(t, d, h.Settable[0].toB())
	if diff := cmp.Diff(before, s.Scopes()); diff != "" {
		t.Errorf("scopes changed with the target (-before +after):\n%s", diff)
	}
}

func capacityIsSane(t *testing.T, h Harness) {
	s := read(t, open(t, h).Driver)
	for _, k := range h.Info.Kinds {
		if k.Capacity == nil {
			if k.Member {
				t.Errorf("members of kind %s have no capacity", k.Name)
			}
			continue
		}
		if c := k.Capacity(nil); c != 0 {
			t.Errorf("an absent %s takes %g of the traffic", k.Name, c)
		}
		for id, o := range s.Objects {
			if o.Kind != k.Name {
				continue
			}
			if c := k.Capacity(o.Attrs); c < 0 || math.IsNaN(c) || math.IsInf(c, 0) {
				t.Errorf("%s takes %g of the traffic", id, c)
			}
		}
	}
}

func endedContext(t *testing.T, h Harness) {
	d := open(t, h).Driver
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	past, cancelPast := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancelPast()
	for name, ctx := range map[string]context.Context{"cancelled": cancelled, "past its deadline": past} {
		if err := within(t, h, func() error { _, err := d.Read(ctx); return err }); err == nil {
			t.Errorf("read, %s: no error", name)
		}
		if err := within(t, h, func() error { return d.Apply(ctx, h.Settable[0].toB()) }); err == nil {
			t.Errorf("apply, %s: no error", name)
		}
	}
}

func hangingTarget(t *testing.T, h Harness) {
	target := open(t, h)
	if target.Hang == nil {
		return
	}
	target.Hang(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := within(t, h, func() error { _, err := target.Driver.Read(ctx); return err }); err == nil {
		t.Error("read: no error")
	}
	err := within(t, h, func() error { return target.Driver.Apply(ctx, h.Settable[0].toB()) })
	if err == nil {
		t.Error("apply: no error")
	}
	if _, drift := errors.AsType[*driver.DriftError](err); drift || errors.Is(err, driver.ErrPermanent) {
		t.Errorf("apply: an answer that never came is no verdict: %v", err)
	}
}

func unreachableTarget(t *testing.T, h Harness) {
	target := open(t, h)
	if target.Break == nil {
		t.Fatal("the harness cannot break the target")
	}
	ids := members(h, read(t, target.Driver))
	target.Break(t)
	calls := map[string]func() error{
		"read":  func() error { _, err := target.Driver.Read(t.Context()); return err },
		"apply": func() error { return target.Driver.Apply(t.Context(), h.Settable[0].toB()) },
	}
	if c, ok := driver.As[driver.Counter](target.Driver); ok && len(ids) > 0 {
		calls["in flight"] = func() error { _, err := c.InFlight(t.Context(), ids); return err }
	}
	for name, call := range calls {
		err := within(t, h, call)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, drift := errors.AsType[*driver.DriftError](err); drift || errors.Is(err, driver.ErrPermanent) {
			t.Errorf("%s: a target that cannot be reached may come back, but the error is final: %v", name, err)
		}
	}
	if c, ok := driver.As[driver.Healther](target.Driver); ok && len(ids) > 0 {
		health, err := c.Health(t.Context(), ids)
		for id, got := range health {
			if err == nil && got.State == driver.Up {
				t.Errorf("%s is up although nobody could look", id)
			}
		}
	}
}

// within fails when f does not return soon.
func within(t *testing.T, h Harness, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(h.Soon):
		t.Fatalf("still not back after %s", h.Soon)
		return nil
	}
}
