// Package drivertest holds the contract that every driver passes, against its
// test server and against the real system, and a wrapper that makes any driver
// suffer faults.
package drivertest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// Harness tells Run how to get at a driver's target.
type Harness struct {
	Info driver.Info
	// Open returns a driver on a target with the objects of Settable, each
	// attribute at its A. Every check opens its own; targets may be shared as
	// long as each Open puts them back. Cleaning up is t.Cleanup's.
	Open func(t *testing.T) Target
	// Settable are what the checks change. There is at least one.
	Settable []Settable
	// Create is what does not exist and can be made; nil for drivers that
	// cannot create.
	Create *Creation
	// Unknown is the id of an object that the target does not have and cannot
	// make; empty where every id can be made.
	Unknown string
	// Shows is how long a change may take to be read; 10s when 0.
	Shows time.Duration
	// Soon is how long a call may take to notice that its context has ended;
	// 10s when 0.
	Soon time.Duration
}

// Target is one opened driver and what can be done to its system from outside.
type Target struct {
	Driver driver.Driver
	// Outside makes a change as another operator would, past flip.
	Outside func(t *testing.T, c state.Change)
	// Break makes the target unreachable: connections are refused.
	Break func(t *testing.T)
	// Hang makes the target accept calls and never answer. Optional.
	Hang func(t *testing.T)
}

// Settable is an attribute that is A and can be B.
type Settable struct {
	Objects   []string // ids; the attribute is A on all of them
	Attribute string
	A, B      state.Value
	// C is a third value for the check on drift; absent where there is none,
	// as for booleans.
	C state.Value
}

// Creation is an object to make: what Locate names, or the ids themselves.
type Creation struct {
	Kind, Name string
	IDs        []string
	Attrs      map[string]state.Value
}

type check struct {
	name string
	run  func(*testing.T, Harness)
	// when tells whether the harness has what the check needs; nil is always.
	when func(Harness) bool
}

var checks = slices.Concat(readChecks, applyChecks, memberChecks)

// Run checks the contract. Each promise is a subtest.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.Open == nil || len(h.Settable) == 0 {
		t.Fatal("the harness needs Open and at least one Settable")
	}
	if h.Shows == 0 {
		h.Shows = 10 * time.Second
	}
	if h.Soon == 0 {
		h.Soon = 10 * time.Second
	}
	for _, c := range checks {
		if c.when == nil || c.when(h) {
			t.Run(c.name, func(t *testing.T) { c.run(t, h) })
		}
	}
}

func open(t *testing.T, h Harness) Target {
	t.Helper()
	target := h.Open(t)
	if c, ok := driver.As[driver.Closer](target.Driver); ok {
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	return target
}

func read(t *testing.T, d driver.Driver) state.State {
	t.Helper()
	s, err := d.Read(t.Context())
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return s
}

func apply(t *testing.T, d driver.Driver, changes []state.Change) {
	t.Helper()
	if err := d.Apply(t.Context(), changes); err != nil {
		t.Fatalf("apply %v: %v", changes, err)
	}
}

// facts are what two readings of an unchanged target have in common.
type facts struct {
	Kind, Name, Node string
	Attrs            map[string]state.Value
}

func factsOf(s state.State) map[string]facts {
	all := map[string]facts{}
	for id, o := range s.Objects {
		all[id] = facts{o.Kind, o.Name, o.Node, maps.Clone(o.Attrs)}
	}
	return all
}

// attrsOf leaves out what With does not know of new objects.
func attrsOf(s state.State) map[string]map[string]state.Value {
	all := map[string]map[string]state.Value{}
	for id, o := range s.Objects {
		all[id] = maps.Clone(o.Attrs)
	}
	return all
}

// wantAttrs waits until exactly want is read, or fails with the difference.
func wantAttrs(t *testing.T, h Harness, d driver.Driver, want state.State, why string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), h.Shows)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		diff := cmp.Diff(attrsOf(want), attrsOf(read(t, d)))
		if diff == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s (-want +got):\n%s", why, diff)
		case <-tick.C:
		}
	}
}

// toB are the changes of one settable from A to B.
func (s Settable) toB() []state.Change { return s.change(s.A, s.B) }

func (s Settable) change(from, to state.Value) []state.Change {
	var changes []state.Change
	for _, id := range s.Objects {
		changes = append(changes, state.Change{Target: "t", Object: id, Attribute: s.Attribute, From: from, To: to})
	}
	return changes
}

// allToB are the changes of every settable, ordered so that those of one
// object stand together.
func allToB(h Harness) []state.Change {
	var changes []state.Change
	for _, s := range h.Settable {
		changes = append(changes, s.toB()...)
	}
	state.Sort(changes)
	return changes
}

// inverse undoes changes, the last first.
func inverse(changes []state.Change) []state.Change {
	var back []state.Change
	for _, c := range slices.Backward(changes) {
		back = append(back, c.Inverse())
	}
	return back
}
