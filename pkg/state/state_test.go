package state_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/state"
)

type attrs = map[string]state.Value

func pool() state.State {
	return state.State{
		Objects: map[string]state.Object{
			"lb1/web1": {Kind: "server", Name: "web1", Node: "lb1", Attrs: attrs{"weight": "100", "state": `"ready"`}},
			"lb2/web1": {Kind: "server", Name: "web1", Node: "lb2", Attrs: attrs{"weight": "100", "state": `"ready"`}},
			"lb1/web2": {Kind: "server", Name: "web2", Node: "lb1", Attrs: attrs{"weight": "0"}},
			"web1":     {Kind: "record", Name: "web1", Attrs: attrs{"ttl": "60"}},
		},
		Nodes: map[string]state.Incarnation{"lb1": {ID: "1"}, "lb2": {ID: "1"}},
	}
}

func change(object, attr string, from, to state.Value) state.Change {
	return state.Change{Target: "web", Object: object, Attribute: attr, From: from, To: to}
}

func TestDiffNamesOnlyWhatWantNames(t *testing.T) {
	tests := map[string]struct {
		want state.State
		out  []state.Change
	}{
		"nothing wanted, nothing changes": {state.State{}, nil},
		"what is so already is no change": {pool(), nil},
		"one attribute of one object": {
			objects("lb1/web1", attrs{"weight": "0"}),
			[]state.Change{change("lb1/web1", "weight", "100", "0")},
		},
		"an attribute that is missing comes from absent": {
			objects("lb1/web2", attrs{"state": `"drain"`}),
			[]state.Change{change("lb1/web2", "state", state.Absent, `"drain"`)},
		},
		"an object that is missing comes from absent": {
			objects("lb1/web9", attrs{"weight": "1"}),
			[]state.Change{change("lb1/web9", "weight", state.Absent, "1")},
		},
		"what is wanted absent goes": {
			objects("lb1/web2", attrs{"weight": state.Absent}),
			[]state.Change{change("lb1/web2", "weight", "0", state.Absent)},
		},
		"changes are ordered by object and attribute": {
			objects("lb2/web1", attrs{"weight": "0", "state": `"drain"`}, "lb1/web1", attrs{"weight": "1"}),
			[]state.Change{
				change("lb1/web1", "weight", "100", "1"),
				change("lb2/web1", "state", `"ready"`, `"drain"`),
				change("lb2/web1", "weight", "100", "0"),
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := state.Diff("web", pool(), test.want)
			if diff := cmp.Diff(test.out, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if left := state.Diff("web", pool().With(got), test.want); left != nil {
				t.Errorf("after the changes there still is %v", left)
			}
		})
	}
}

func objects(pairs ...any) state.State {
	s := state.State{Objects: map[string]state.Object{}}
	for i := 0; i < len(pairs); i += 2 {
		s.Objects[pairs[i].(string)] = state.Object{Attrs: pairs[i+1].(attrs)}
	}
	return s
}

func TestWithMakesChangesOnACopy(t *testing.T) {
	before := pool()
	after := before.With([]state.Change{
		change("lb1/web1", "weight", "100", "0"),
		change("lb1/web2", "weight", "0", state.Absent),
		change("new", "ttl", state.Absent, "60"),
		change("ghost", "ttl", "60", state.Absent),
	})
	if diff := cmp.Diff(pool(), before); diff != "" {
		t.Errorf("the original (-want +got):\n%s", diff)
	}
	want := pool()
	want.Objects["lb1/web1"].Attrs["weight"] = "0"
	delete(want.Objects, "lb1/web2") // its only attribute went
	want.Objects["new"] = state.Object{Attrs: attrs{"ttl": "60"}}
	if diff := cmp.Diff(want, after); diff != "" {
		t.Errorf("the copy (-want +got):\n%s", diff)
	}
}

func TestWithOfAnEmptyStateCreates(t *testing.T) {
	got := state.State{}.With([]state.Change{change("a", "ttl", state.Absent, "1")})
	if diff := cmp.Diff(objects("a", attrs{"ttl": "1"}), got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestInversesTakeChangesBack(t *testing.T) {
	changes := []state.Change{
		change("lb1/web1", "weight", "100", "0"),
		change("lb1/web1", "state", `"ready"`, state.Absent),
		change("lb1/web1", "note", state.Absent, `"x"`),
	}
	var back []state.Change
	for _, c := range changes {
		back = append(back, c.Inverse())
	}
	if diff := cmp.Diff(pool(), pool().With(changes).With(back)); diff != "" {
		t.Errorf("there and back (-want +got):\n%s", diff)
	}
}

func TestAMissingObjectHasAbsentAttributes(t *testing.T) {
	if got := pool().Get("nobody", "weight"); got != state.Absent {
		t.Errorf("got %s", got)
	}
	if got := (state.State{}).Get("lb1/web1", "weight"); got != state.Absent {
		t.Errorf("got %s from an empty state", got)
	}
}

func TestANameMeansItsObjectsOnEveryNode(t *testing.T) {
	tests := map[string]struct {
		kind, name string
		want       []string
	}{
		"of one kind":         {"server", "web1", []string{"lb1/web1", "lb2/web1"}},
		"of every kind":       {"", "web1", []string{"lb1/web1", "lb2/web1", "web1"}},
		"of a kind not there": {"map", "web1", nil},
		"nobody's name":       {"", "web7", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, pool().Named(test.kind, test.name)); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJudgeTellsDriftFromWhatTheRunWrote(t *testing.T) {
	ours := []state.Value{"5", "25", "50"}
	tests := map[string]struct {
		now  state.Value
		want state.Verdict
	}{
		"the value before is restored":                   {"0", state.Restored},
		"the last value written is ours":                 {"50", state.Ours},
		"an earlier one that landed late is ours":        {"5", state.Ours},
		"anything else is drift":                         {"37", state.Drift},
		"what somebody deleted is drift":                 {state.Absent, state.Drift},
		"the text is not the number, so it is drift":     {`"5"`, state.Drift},
		"a value that was ours and before needs no undo": {"0", state.Restored},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := state.Judge("0", append(ours, "0"), test.now); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestALifeOfANodeIsToldByItsIDAndStart(t *testing.T) {
	begin := time.Date(2025, 11, 21, 14, 0, 0, 0, time.UTC)
	life := state.Incarnation{ID: "pid 7", Since: begin}
	tests := map[string]struct {
		other state.Incarnation
		want  bool
	}{
		"itself":                        {life, true},
		"the same start told roughly":   {state.Incarnation{ID: "pid 7", Since: begin.Add(2 * time.Second)}, true},
		"or roughly the other way":      {state.Incarnation{ID: "pid 7", Since: begin.Add(-2 * time.Second)}, true},
		"the same id much later":        {state.Incarnation{ID: "pid 7", Since: begin.Add(time.Minute)}, false},
		"another id at the same moment": {state.Incarnation{ID: "pid 8", Since: begin}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := life.Same(test.other); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
