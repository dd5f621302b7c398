package engine_test

import (
	"testing"
	"testing/synctest"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
)

// pair has two targets, one of them with two nodes, and two groups in both.
const pair = `
flip: 1
name: pair
targets:
  edge: {driver: mem, name: edge, pool: {a1: {weight: 100}, b1: {weight: 0}}}
  web:  {driver: mem, name: web, nodes: [lb1, lb2], pool: {a1: {weight: 100}, b1: {weight: 0}}}
groups:
  a: {edge: [a1], web: [a1]}
  b: {edge: [b1], web: [b1]}
alternate: [a, b]
`

func TestASetChangesOnlyWhatIsDifferent(t *testing.T) {
	l := newLab(t, pair+`
steps:
  - {id: so, set: {group: a, weight: 100}}
  - {id: half, set: {group: a, on: web, weight: 50, state: ready}}
`)
	end := l.run(journal.OutcomeDone)
	same(t, "writes", []string{"web lb1/a1 weight 100 -> 50", "web lb2/a1 weight 100 -> 50"}, l.writes())
	same(t, "changed", 2, end.Changed)
	for _, r := range l.records() {
		if s, _ := journal.Decode[journal.Step](r); r.Type == journal.TypeStep && s.Status == "done" {
			same(t, s.ID, map[string]string{"so": "already so", "half": "2 changes"}[s.ID], s.Text)
		}
	}
	same(t, "locks", []string(nil), l.locked())
}

func TestASetRaisesBeforeItLowersAcrossTargetsAndNodes(t *testing.T) {
	l := newLab(t, `
flip: 1
name: level
targets:
  edge: {driver: mem, name: edge, pool: {x: {weight: 100}, y: {weight: 10}}}
  web:  {driver: mem, name: web, nodes: [lb1, lb2], pool: {x: {weight: 100}, y: {weight: 10}}}
groups:
  all: {edge: [x, y], web: [x, y]}
steps:
  - {id: level, set: {group: all, weight: 50}}
`)
	l.run(journal.OutcomeDone)
	same(t, "writes", []string{
		"edge y weight 10 -> 50",
		"web lb1/y weight 10 -> 50", "web lb2/y weight 10 -> 50",
		"edge x weight 100 -> 50",
		"web lb1/x weight 100 -> 50", "web lb2/x weight 100 -> 50",
	}, l.writes())
}

func TestPresentFalseTakesEveryAttributeAndUndoBringsThemBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, `
flip: 1
name: delete
targets:
  web: {driver: mem, name: web, nodes: [lb1, lb2], pool: {a1: {weight: 70, state: drain}, a2: {weight: 1}}}
steps:
  - {id: gone, set: {target: web, members: [a1], present: false}}
  - {id: no, gate: {script: {name: no}, timeout: 3s}}
`)
		l.gates["no"] = func(int) (gate.Result, error) { return no("never") }
		before := map[string]string{"lb1/a1": "drain 70", "lb2/a1": "drain 70", "lb1/a2": "1", "lb2/a2": "1"}
		seen := map[string]string{}
		l.onRecord = func(r journal.Record) {
			if r.Type == journal.TypeRollback {
				seen = l.live("web")
			}
		}
		end := l.run(journal.OutcomeRolledBack)
		same(t, "while it was gone", map[string]string{"lb1/a2": "1", "lb2/a2": "1"}, seen)
		l.shows("web", before)
		same(t, "restored", [2]int{6, 6}, [2]int{end.Changed, end.Restored})
	})
}

func TestPresentTrueCreatesOnEveryNodeAndUndoTakesItAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, `
flip: 1
name: create
targets:
  web: {driver: mem, name: web, nodes: [lb1, lb2], pool: {a1: {weight: 100}}}
groups:
  old: {web: [a1]}
  new: {web: [b1]}
guards:
  - {target: web, min_serving: 1}
steps:
  - {id: there, set: {group: new, present: true, weight: 100, state: ready}}
  - {id: old-out, set: {group: old, weight: 0}}
  - {id: no, gate: {script: {name: no}, timeout: 3s}}
`)
		l.gates["no"] = func(int) (gate.Result, error) { return no("never") }
		seen := map[string]string{}
		l.onRecord = func(r journal.Record) {
			if r.Type == journal.TypeRollback {
				seen = l.live("web")
			}
		}
		end := l.run(journal.OutcomeRolledBack)
		contains(t, end.Reason, "never")
		same(t, "before the way back", map[string]string{"lb1/a1": "0", "lb2/a1": "0", "lb1/b1": "100", "lb2/b1": "100"}, seen)
		l.shows("web", map[string]string{"lb1/a1": "100", "lb2/a1": "100"})
	})
}

func TestARecordSetIsCreatedChangedAndPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, `
flip: 1
name: names
targets:
  zone: {driver: mem, name: zone, records: {"www.example.com A": {values: [192.0.2.1], ttl: 300}}}
steps:
  - {id: www, set: {target: zone, record: www.example.com A, values: [192.0.2.2, 192.0.2.1]}}
  - {id: new, set: {target: zone, record: new.example.com A, values: [192.0.2.9], ttl: 60}}
  - {id: no, gate: {script: {name: no}, timeout: 3s}}
`)
		l.gates["no"] = func(int) (gate.Result, error) { return no("never") }
		l.run(journal.OutcomeRolledBack)
		same(t, "writes", []string{
			"zone www.example.com A values 192.0.2.1 -> 192.0.2.1, 192.0.2.2",
			"zone new.example.com A ttl absent -> 60", "zone new.example.com A values absent -> 192.0.2.9",
			"zone new.example.com A ttl 60 -> absent", "zone new.example.com A values 192.0.2.9 -> absent",
			"zone www.example.com A values 192.0.2.1, 192.0.2.2 -> 192.0.2.1",
		}, l.writes())
		l.shows("zone", map[string]string{"www.example.com A": "300 192.0.2.1"})
	})
}

func TestAValueFromAnExpressionIsCheckedBeforeAnythingMoves(t *testing.T) {
	l := newLab(t, pair+`
vars:
  share: {type: int, default: 900}
steps:
  - {id: first, set: {group: a, weight: 99}}
  - {id: too-much, set: {group: a, weight: "${{ vars.share }}"}}
`)
	_, err := l.start(engine.Options{})
	if err == nil {
		t.Fatal("a weight of 900 was accepted")
	}
	contains(t, err.Error(), "0..256")
	same(t, "writes", []string(nil), l.writes())
	same(t, "locks", []string(nil), l.locked())
}
