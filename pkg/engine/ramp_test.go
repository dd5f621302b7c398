package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
)

func TestARampMovesEveryTargetStepByStepAndRaisesFirst(t *testing.T) {
	l := newLab(t, pair+`
steps:
  - {id: shift, ramp: {from: live, to: idle, percent: [5, 50, 100]}}
`)
	end := l.run(journal.OutcomeDone)
	var want []string
	for _, w := range [][4]string{{"0", "5", "100", "95"}, {"5", "50", "95", "50"}, {"50", "100", "50", "0"}} {
		for _, side := range []struct{ member, from, to string }{{"b1", w[0], w[1]}, {"a1", w[2], w[3]}} {
			for _, at := range []string{"edge ", "web lb1/", "web lb2/"} {
				want = append(want, at+side.member+" weight "+side.from+" -> "+side.to)
			}
		}
	}
	same(t, "writes", want, l.writes())
	same(t, "attributes that changed", 6, end.Changed)
}

func TestWeightsOfARampAreWhole(t *testing.T) {
	ramp := func(rest string) string {
		return `
flip: 1
name: ramp
targets:
  web: {driver: mem, name: web, pool: {a1: {weight: 10}, a2: {weight: 30}, b1: {weight: 0}, b2: {weight: 7}, off: {weight: 0, state: maint}}}
groups:
  a: {web: [a1, a2]}
  b: {web: [b1, b2]}
  dark: {web: ["off"]}
steps:
  - {id: shift, ramp: {` + rest + `}}
`
	}
	tests := map[string]struct {
		ramp   string
		want   map[string]string // nil: refused
		refuse string
	}{
		"the full weight is the largest of the other side":  {"from: a, to: b, percent: [50]", map[string]string{"a1": "5", "a2": "15", "b1": "15", "b2": "15", "off": "maint 0"}, ""},
		"halves are rounded away from zero":                 {"from: a, to: b, percent: [25]", map[string]string{"a1": "8", "a2": "23", "b1": "8", "b2": "8", "off": "maint 0"}, ""},
		"what is left of a share never rounds to nothing":   {"from: a, to: b, percent: [98]", map[string]string{"a1": "1", "a2": "1", "b1": "29", "b2": "29", "off": "maint 0"}, ""},
		"a full weight that is given counts for both sides": {"from: a, to: b, percent: [10], full: 200", map[string]string{"a1": "180", "a2": "180", "b1": "20", "b2": "20", "off": "maint 0"}, ""},
		"all of it": {"from: a, to: b, percent: [100]", map[string]string{"a1": "0", "a2": "0", "b1": "30", "b2": "30", "off": "maint 0"}, ""},
		"a share that is less than half a weight is refused": {"from: a, to: b, percent: [1]", nil, "1 % of weight 30 is not a whole weight"},
		"so is one that leaves less than half a weight":      {"from: a, to: b, percent: [99]", nil, "99 % of weight 30 is not a whole weight"},
		"a side without weight cannot be the beginning":      {"from: dark, to: b, percent: [50]", nil, "dark has no weight on web to ramp from"},
		"a member that takes no traffic cannot be the end":   {"from: a, to: dark, percent: [50]", nil, "off would take no traffic at any weight: state is maint"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, ramp(test.ramp))
			end, err := l.start(engine.Options{})
			if test.want == nil {
				if err == nil {
					t.Fatalf("not refused: %s", end.Outcome)
				}
				contains(t, err.Error(), test.refuse)
				same(t, "writes", []string(nil), l.writes())
				return
			}
			l.ended(journal.OutcomeDone, end, err)
			l.shows("web", test.want)
		})
	}
}

func TestARampStaysAtEveryStepAndItsGateIsWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - id: shift
    ramp: {from: a, to: b, on: edge, percent: [50, 100], hold: 1m}
    gate: {script: {name: errors}, every: 10s}
`)
		began := time.Now()
		l.gates["errors"] = func(int) (gate.Result, error) { return yes("0 errors") }
		l.run(journal.OutcomeDone)
		same(t, "time", 2*time.Minute, time.Since(began))
		if n := l.looks["errors"]; n < 12 {
			t.Errorf("the gate was looked at %d times in two minutes", n)
		}
	})
}

func TestARampEndsAtTheFirstNoOfItsGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - id: shift
    ramp: {from: a, to: b, percent: [50, 100], hold: 1m}
    gate: {script: {name: errors}, every: 10s}
`)
		began := time.Now()
		l.gates["errors"] = func(n int) (gate.Result, error) {
			if n == 4 {
				return no("3 errors")
			}
			return yes("0 errors")
		}
		end := l.run(journal.OutcomeRolledBack)
		contains(t, end.Reason, "3 errors")
		same(t, "time", 30*time.Second, time.Since(began))
		l.shows("edge", map[string]string{"a1": "100", "b1": "0"})
		for _, w := range l.writes() {
			if strings.HasSuffix(w, "b1 weight 50 -> 100") {
				t.Errorf("the ramp went on: %s", w)
			}
		}
	})
}

func TestARampWithoutAGateHoldsForItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps: [{id: shift, ramp: {from: a, to: b, percent: [50, 100], hold: 90s}}]
`)
		began := time.Now()
		l.run(journal.OutcomeDone)
		same(t, "time", 3*time.Minute, time.Since(began))
	})
}

func TestARampStopsBetweenTwoShares(t *testing.T) {
	l := newLab(t, pair+`
steps:
  - {id: shift, ramp: {from: a, to: b, on: edge, percent: [10, 50, 100]}}
`)
	soft, stop := contextWithCancel(t)
	l.onRecord = func(r journal.Record) {
		if r.Type == journal.TypeDone && strings.Contains(r.Key, "/50.edge.raise") {
			stop()
		}
	}
	end, err := l.start(engine.Options{Soft: soft})
	l.ended(journal.OutcomeInterrupted, end, err)
	l.shows("edge", map[string]string{"a1": "50", "b1": "50"})
	same(t, "locks stay", 2, len(l.locked()))
	end, err = l.resume(engine.Options{})
	l.ended(journal.OutcomeDone, end, err)
	l.shows("edge", map[string]string{"a1": "0", "b1": "100"})
	same(t, "writes", []string{
		"edge b1 weight 0 -> 10", "edge a1 weight 100 -> 90", "edge b1 weight 10 -> 50", "edge a1 weight 90 -> 50",
		"edge b1 weight 50 -> 100", "edge a1 weight 50 -> 0",
	}, l.writes())
}
