package engine_test

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// atRollback makes f happen when the way back begins, the nth time.
func (l *lab) atRollback(f func(n int)) {
	n := 0
	l.onRecord = func(r journal.Record) {
		if r.Type == journal.TypeRollback {
			n++
			f(n)
		}
	}
}

func TestTheWayBackComparesThreeWays(t *testing.T) {
	tests := map[string]struct {
		mode  engine.OnDrift
		want  journal.Outcome
		live  map[string]string
		drift []string
	}{
		"drift is left alone":   {engine.DriftSkip, journal.OutcomeIncomplete, map[string]string{"a1": "100", "a2": "100", "a3": "37", "r1": "100"}, []string{"a3 37"}},
		"it stops the way back": {engine.DriftStop, journal.OutcomeIncomplete, map[string]string{"a1": "100", "a2": "100", "a3": "37", "r1": "60"}, []string{"a3 37"}},
		"it is overwritten":     {engine.DriftForce, journal.OutcomeRolledBack, map[string]string{"a1": "100", "a2": "100", "a3": "100", "r1": "100"}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, `
flip: 1
name: three
targets: {web: {driver: mem, name: web, pool: {a1: {weight: 100}, a2: {weight: 100}, a3: {weight: 100}, r1: {weight: 100}}}}
steps:
  - {id: early, set: {target: web, members: [r1], weight: 60}}
  - {id: cut, run: "true", undo: "true"}
  - {id: first, set: {target: web, members: ["a*"], weight: 50}}
  - {id: second, set: {target: web, members: ["a*"], weight: 20}}
  - {id: bad, gate: {script: {name: no}, timeout: 5s}}
`)
				l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
				l.atRollback(func(int) {
					l.outside("web", "a1", "weight", state.Int(100)) // as before
					l.outside("web", "a2", "weight", state.Int(50))  // as the run once meant it
					l.outside("web", "a3", "weight", state.Int(37))  // neither
				})
				end, err := l.start(engine.Options{OnDrift: test.mode})
				l.ended(test.want, end, err)
				l.shows("web", test.live)
				var drift []string
				for _, d := range end.Drift {
					drift = append(drift, d.Object+" "+d.Now.String())
				}
				same(t, "drift", test.drift, drift)
				if test.want == journal.OutcomeIncomplete && len(l.locked()) == 0 {
					t.Error("the locks of a run that needs a person are gone")
				}
			})
		})
	}
}

func TestCapacityComesBackEverywhereBeforeAnyIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - {id: shift, ramp: {from: a, to: b, percent: [50, 100]}}
  - {id: bad, gate: {script: {name: no}, timeout: 5s}}
`)
		l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
		l.atRollback(func(int) { l.writes() })
		l.run(journal.OutcomeRolledBack)
		same(t, "writes", []string{
			"edge a1 weight 0 -> 100", "web lb1/a1 weight 0 -> 100", "web lb2/a1 weight 0 -> 100",
			"edge b1 weight 100 -> 0", "web lb1/b1 weight 100 -> 0", "web lb2/b1 weight 100 -> 0",
		}, l.writes())
	})
}

func TestNothingIsLoweredWhileTheRaisedSideIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - {id: shift, ramp: {from: a, to: b, percent: [100]}}
  - {id: bad, gate: {script: {name: no}, timeout: 5s}}
`)
		l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
		l.atRollback(func(n int) {
			if n == 1 {
				must(t, l.mems["web"].SetHealth("lb2/a1", driver.Down, "L7STS 503"))
			}
		})
		end := l.run(journal.OutcomeIncomplete)
		contains(t, end.Reason, "lb2/a1 is L7STS 503")
		l.shows("edge", map[string]string{"a1": "100", "b1": "100"})
		l.shows("web", map[string]string{"lb1/a1": "100", "lb1/b1": "100", "lb2/a1": "100", "lb2/b1": "100"})
		must(t, l.mems["web"].SetHealth("lb2/a1", driver.Up, ""))
		end, err := l.rollback(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		l.shows("web", map[string]string{"lb1/a1": "100", "lb1/b1": "0", "lb2/a1": "100", "lb2/b1": "0"})
	})
}

func TestTheWayForwardWaitsForTheRaisedSideToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, `
flip: 1
name: health
targets: {web: {driver: mem, name: web, pool: {a1: {weight: 100}, b1: {weight: 0, health: down}}}}
groups: {a: {web: [a1]}, b: {web: [b1]}}
steps: [{id: shift, ramp: {from: a, to: b, percent: [100]}}]
`)
		began := time.Now()
		time.AfterFunc(19950*time.Millisecond, func() { _ = l.mems["web"].SetHealth("b1", driver.Up, "") })
		l.run(journal.OutcomeDone)
		same(t, "time", 20*time.Second, time.Since(began))

		must(t, l.mems["web"].Restart(""))
		must(t, l.mems["web"].SetHealth("b1", driver.Down, "L4TOUT"))
		l.writes()
		contains(t, l.run(journal.OutcomeRolledBack).Reason, "b1 is L4TOUT")
		same(t, "writes", []string{"web b1 weight 0 -> 100", "web b1 weight 100 -> 0"}, l.writes())
	})
}

func TestBetweenTwoCommandsValuesAreAsTheyWereThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - {id: out, set: {group: a, on: edge, weight: 40}}
  - {id: deploy, run: "true", undo: "echo back"}
  - {id: more, set: {group: a, on: edge, weight: 60}}
  - {id: again, set: {group: a, on: edge, weight: 0}}
  - {id: bad, gate: {script: {name: no}, timeout: 5s}}
`)
		l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
		var seen []string
		l.onRecord = func(r journal.Record) {
			if r.Type == journal.TypeIntent && r.Activity == "run" {
				seen = append(seen, l.live("edge")["a1"])
			}
		}
		l.run(journal.OutcomeRolledBack)
		same(t, "while a command ran, and while it was undone", []string{"40", "40"}, seen)
		l.shows("edge", map[string]string{"a1": "100", "b1": "0"})
		same(t, "writes", []string{"edge a1 weight 100 -> 40", "edge a1 weight 40 -> 60", "edge a1 weight 60 -> 0", "edge a1 weight 0 -> 40", "edge a1 weight 40 -> 100"}, l.writes())
	})
}

func TestWhatIsInFlightEndsBeforeAnUndoCommandMayStopItsServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for load, want := range map[string]time.Duration{"sessions: 6, drains: 6s": 6*time.Second + 200*time.Millisecond, "sessions: 6, drains: 1h": 15 * time.Second} {
			l := newLab(t, `
flip: 1
name: undo
targets: {web: {driver: mem, name: web, pool: {a1: {weight: 100}, b1: {weight: 0, `+load+`}}}}
groups: {a: {web: [a1]}, b: {web: [b1]}}
steps:
  - {id: deploy, run: "true", undo: "true"}
  - {id: shift, ramp: {from: a, to: b, percent: [100]}}
  - {id: bad, gate: {script: {name: no}, timeout: 5s}}
`)
			l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
			var began, undone time.Time
			l.onRecord = func(r journal.Record) {
				switch {
				case r.Type == journal.TypeRollback:
					began = time.Now()
				case r.Type == journal.TypeIntent && r.Activity == "run":
					undone = time.Now()
				}
			}
			l.run(journal.OutcomeRolledBack)
			same(t, load, want, undone.Sub(began))
		}
	})
}

func TestASecondAttemptSkipsWhatTheFirstFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "undo")
		l := newLab(t, pair+`
steps:
  - {id: one, set: {group: a, on: edge, weight: 90}}
  - {id: first, run: "true", undo: "echo first >> `+file+`; test -f `+file+`.ok"}
  - {id: two, set: {group: a, on: edge, weight: 80}}
  - {id: second, run: "true", undo: "echo second >> `+file+`"}
  - {id: three, set: {group: a, on: edge, weight: 70}}
  - {id: bad, run: "exit 1", undo: none}
`)
		end := l.run(journal.OutcomeIncomplete)
		contains(t, end.Reason, `undo of step "first": command exited with 1`)
		l.shows("edge", map[string]string{"a1": "90", "b1": "0"})
		l.writes()
		must(t, writeFile(file+".ok"))
		end, err := l.rollback(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		same(t, "undone", "second\nfirst\nfirst\n", read(t, file))
		same(t, "writes", []string{"edge a1 weight 90 -> 100"}, l.writes())
		same(t, "restored", [2]int{1, 1}, [2]int{end.Changed, end.Restored})
	})
}

func TestAWriteThatLandsDuringTheWayBackIsJudgedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tests := map[string]struct {
			value state.Value
			want  journal.Outcome
			a1    string
		}{
			"one of the run's own": {state.Int(50), journal.OutcomeRolledBack, "100"},
			"another operator's":   {state.Int(37), journal.OutcomeIncomplete, "37"},
			"the old one":          {state.Int(100), journal.OutcomeRolledBack, "100"},
		}
		for name, test := range tests {
			for _, calls := range []string{"read", "apply"} {
				l := newLab(t, one+`
steps:
  - {id: half, set: {target: web, weight: 50}}
  - {id: less, set: {target: web, weight: 20}}
  - {id: bad, gate: {script: {name: no}, timeout: 5s}}
`)
				l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
				back := false
				l.wrap["web"] = func(d driver.Driver) driver.Driver {
					return &between{Driver: d, call: calls, do: func() bool {
						if back {
							l.outside("web", "a1", "weight", test.value)
						}
						return back
					}}
				}
				l.atRollback(func(int) { back = true })
				end := l.run(test.want)
				if got := l.live("web"); got["a1"] != test.a1 || got["a2"] != "100" || got["a3"] != "100" {
					t.Errorf("%s, after %s: %v, %s", name, calls, got, end.Reason)
				}
			}
		}
	})
}

// between lets something happen once between two calls of the engine.
type between struct {
	driver.Driver
	call string
	done bool
	do   func() bool
}

func (b *between) Unwrap() driver.Driver { return b.Driver }

func (b *between) Read(ctx ctx) (state.State, error) {
	s, err := b.Driver.Read(ctx)
	if b.call == "read" && !b.done {
		b.done = b.do()
	}
	return s, err
}

func (b *between) Apply(ctx ctx, changes []state.Change) error {
	if b.call == "apply" && !b.done {
		b.done = b.do()
	}
	return b.Driver.Apply(ctx, changes)
}

// lateWrite is a plan whose one write is given up before it lands.
const lateWrite = `
flip: 1
name: late
targets: {web: {driver: mem, name: web, max_in_flight: 10s, pool: {a1: {weight: 100}, a2: {weight: 100}}}}
steps:
  - {id: half, set: {target: web, members: [a1], weight: 50}, timeout: 2s, on_fail: ON}
`

func TestALostCallThatLandsInTimeIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, strings.Replace(lateWrite, "timeout: 2s, on_fail: ON", "timeout: 20s", 1))
		l.flaky("web", drivertest.Faults{Apply: map[int]drivertest.Fault{1: {Kind: drivertest.LateWrite, Delay: 8 * time.Second}}})
		l.run(journal.OutcomeDone)
		same(t, "writes", []string{"web a1 weight 100 -> 50"}, l.writes())
	})
}

func TestALateWriteOfALostCallIsSweptAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, strings.Replace(lateWrite, "ON", "rollback", 1))
		l.flaky("web", drivertest.Faults{Apply: map[int]drivertest.Fault{1: {Kind: drivertest.LateWrite, Delay: 8 * time.Second}}})
		l.run(journal.OutcomeRolledBack)
		time.Sleep(time.Minute)
		l.shows("web", map[string]string{"a1": "100", "a2": "100"})
		same(t, "it did land", []string{"web a1 weight 100 -> 50", "web a1 weight 50 -> 100"}, l.writes())
		contains(t, strings.Join(l.lines(), "\n"), "done restore /undo/1/sweep.web.sweep")
	})
}

func TestALateWriteAfterAPauseIsSweptAwayByTheRollback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, strings.Replace(lateWrite, "ON", "pause", 1))
		l.flaky("web", drivertest.Faults{Apply: map[int]drivertest.Fault{1: {Kind: drivertest.LateWrite, Delay: 8 * time.Second}}})
		l.run(journal.OutcomePaused)
		end, err := l.rollback(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		time.Sleep(time.Minute)
		l.shows("web", map[string]string{"a1": "100", "a2": "100"})
		same(t, "it did land", []string{"web a1 weight 100 -> 50", "web a1 weight 50 -> 100"}, l.writes())
	})
}

func TestARollbackThatWasCutShortStillOwesItsSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, `
flip: 1
name: late
targets: {web: {driver: mem, name: web, max_in_flight: 10s, pool: {a1: {weight: 100}, a2: {weight: 100}}}}
steps:
  - {id: first, run: "true", undo: "test -f DIR/ok"}
  - {id: half, set: {target: web, members: [a1], weight: 50}, timeout: 2s}
`)
		l.text = strings.Replace(l.text, "DIR", l.dir, 1)
		l.flaky("web", drivertest.Faults{Apply: map[int]drivertest.Fault{1: {Kind: drivertest.LateWrite, Delay: 8 * time.Second}}})
		l.run(journal.OutcomeIncomplete) // the undo of the command failed, before the sweep
		must(t, writeFile(filepath.Join(l.dir, "ok")))
		end, err := l.rollback(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		time.Sleep(time.Minute)
		l.shows("web", map[string]string{"a1": "100", "a2": "100"})
	})
}
