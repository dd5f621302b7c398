package engine_test

import (
	"testing"
	"testing/synctest"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

const guarded = `
flip: 1
name: guarded
targets:
  web: {driver: mem, name: web, nodes: [lb1, lb2], pool: {a1: {weight: 100}, a2: {weight: 100}, b1: {weight: 0}}}
guards: [{target: web, min_serving: 2}]
`

func TestAPlanThatBreaksAGuardIsRefusedBeforeAnyChange(t *testing.T) {
	l := newLab(t, guarded+`
steps:
  - {id: fine, set: {target: web, members: [a1], weight: 5}}
  - {id: too-few, set: {target: web, members: [a1], weight: 0}}
`)
	_, err := l.start(engine.Options{})
	var pre *engine.PreconditionError
	if !asError(err, &pre) {
		t.Fatalf("got %v", err)
	}
	contains(t, err.Error(), "web would serve with 1 of at least 2 members")
	same(t, "writes", []string(nil), l.writes())
}

func TestAGuardHoldsBeforeEveryChange(t *testing.T) {
	down := func(l *lab) { must(t, l.mems["web"].SetHealth("lb2/a2", driver.Down, "L4CON")) }
	tests := map[string]struct {
		steps   string
		happens func(*lab)
		want    journal.Outcome
		says    string
		live    map[string]string
	}{
		"a member that is down on one node does not serve": {
			`{id: out, set: {target: web, members: [a1], weight: 0}}`, down, journal.OutcomeIncomplete, // b1 is needed now
			"web would serve with 1 of at least 2 members (now a1, b1)",
			map[string]string{"lb1/a1": "100", "lb1/a2": "100", "lb1/b1": "100", "lb2/a1": "100", "lb2/a2": "100", "lb2/b1": "100"},
		},
		"what does not lower the number is never refused": {
			`{id: more, set: {target: web, members: [a1], weight: 120}}, {id: less, set: {target: web, members: [a1], weight: 1}}`,
			func(l *lab) {
				down(l)
				l.outside("web", "lb1/a1", mem.State, state.Text("maint"))
			}, journal.OutcomeDone, "",
			map[string]string{"lb1/a1": "maint 1", "lb1/a2": "100", "lb1/b1": "100", "lb2/a1": "1", "lb2/a2": "100", "lb2/b1": "100"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, guarded+"steps: [{id: b-in, set: {target: web, members: [b1], weight: 100}}, "+test.steps+"]\n")
			happened := false
			l.onRecord = func(r journal.Record) {
				if r.Type == journal.TypeDone && r.Activity == "apply" && !happened {
					happened = true
					test.happens(l)
				}
			}
			contains(t, l.run(test.want).Reason, test.says)
			l.shows("web", test.live)
		})
	}
}

func TestAGuardHoldsOnTheWayBackToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, `
flip: 1
name: back
targets: {web: {driver: mem, name: web, pool: {a1: {weight: 100}, b1: {weight: 0}}}}
guards: [{target: web, min_serving: 1}]
steps:
  - {id: b-in, set: {target: web, members: [b1], weight: 100}}
  - {id: a-out, set: {target: web, members: [a1], weight: 0}}
  - {id: bad, gate: {script: {name: no}, timeout: 5s}}
`)
		l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
		l.atRollback(func(n int) {
			if n == 1 {
				l.outside("web", "a1", mem.State, state.Text("maint"))
			}
		})
		end := l.run(journal.OutcomeIncomplete)
		contains(t, end.Reason, "guard: web would serve with 0 of at least 1 members")
		l.shows("web", map[string]string{"a1": "maint 100", "b1": "100"})
		same(t, "the locks stay", []string{"mem://web"}, l.locked())

		l.outside("web", "a1", mem.State, state.Text("ready"))
		end, err := l.rollback(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		l.shows("web", map[string]string{"a1": "100", "b1": "0"})
	})
}

func TestANodeThatIsDownKeepsNoOtherFromBeingPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, guarded+`
steps:
  - {id: b-in, set: {target: web, members: [b1], weight: 100}}
  - {id: a-out, set: {target: web, members: [a1], weight: 0}}
  - {id: bad, gate: {script: {name: no}, timeout: 5s}}
`)
		l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
		broken := true
		l.onRecord = func(r journal.Record) {
			if r.Type == journal.TypeRollback && broken {
				must(t, l.mems["web"].Break("lb2", "no route to host"))
			}
		}
		end := l.run(journal.OutcomeIncomplete)
		want := []journal.Drift{
			{Key: state.Key{Target: "web", Object: "lb2/a1", Attribute: "weight"}, Before: "100", Ours: []state.Value{"0"}, Unreadable: "no route to host"},
			{Key: state.Key{Target: "web", Object: "lb2/b1", Attribute: "weight"}, Before: "0", Ours: []state.Value{"100"}, Unreadable: "no route to host"},
		}
		same(t, "drift", want, end.Drift)
		same(t, "restored", [2]int{4, 2}, [2]int{end.Changed, end.Restored})
		l.shows("web", map[string]string{"lb1/a1": "100", "lb1/a2": "100", "lb1/b1": "0"})

		broken = false
		must(t, l.mems["web"].Mend("lb2"))
		l.writes()
		end, err := l.rollback(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		same(t, "the second attempt's writes", []string{"web lb2/a1 weight 0 -> 100", "web lb2/b1 weight 100 -> 0"}, l.writes())
		same(t, "restored", [2]int{4, 4}, [2]int{end.Changed, end.Restored})
	})
}
