package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

func TestARunIsDoneOnlyWhenEverythingIsStillAsItLeftIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, one+`
steps:
  - {id: out, set: {target: web, members: [a1], weight: 0}}
  - {id: nap, wait: 1m}
`)
		time.AfterFunc(30*time.Second, func() { l.outside("web", "a1", "weight", state.Int(37)) })
		end := l.run(journal.OutcomePaused)
		contains(t, end.Reason, "a1 weight: this run left it 0, now 37")

		end, err := l.resume(engine.Options{})
		l.ended(journal.OutcomePaused, end, err)
		l.outside("web", "a1", "weight", state.Int(0))
		end, err = l.resume(engine.Options{})
		l.ended(journal.OutcomeDone, end, err)
	})
}

func TestARunIsDoneOnlyWhenWhatItLeftCanBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - {id: in, set: {group: b, on: web, weight: 5}}
  - {id: nap, wait: 1m}
`)
		time.AfterFunc(30*time.Second, func() { must(t, l.mems["web"].Break("lb2", "no route to host")) })
		end := l.run(journal.OutcomePaused)
		contains(t, end.Reason, "no route to host")
		must(t, l.mems["web"].Mend("lb2"))
		end, err := l.resume(engine.Options{})
		l.ended(journal.OutcomeDone, end, err)
	})
}

func TestAStepThatMayFailClaimsNothingAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, one+`
steps:
  - {id: out, set: {target: web, members: [a1], weight: 0}, on_fail: continue}
  - {id: nap, wait: 1m}
`)
		l.onRecord = func(r journal.Record) {
			if r.Type == journal.TypeIntent {
				l.outside("web", "a1", "weight", state.Int(37))
			}
		}
		l.run(journal.OutcomeDone)
	})
}

func TestARunIsRolledBackOnlyWhenEverythingStillReadsAsBefore(t *testing.T) {
	for name, value := range map[string]state.Value{"another operator's value": state.Int(37), "one of the run's own": state.Int(0)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, one+`
steps:
  - {id: first, run: "true", undo: "true"}
  - {id: out, set: {target: web, members: [a1], weight: 0}}
  - {id: bad, gate: {script: {name: no}, timeout: 5s}}
`)
				l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
				l.onRecord = func(r journal.Record) {
					if r.Type == journal.TypeIntent && r.Activity == "run" && r.Key != "/steps/first.run" {
						l.outside("web", "a1", "weight", value)
					}
				}
				end := l.run(journal.OutcomeIncomplete)
				same(t, "drift", 1, len(end.Drift))
				same(t, "restored", [2]int{1, 0}, [2]int{end.Changed, end.Restored})
			})
		})
	}
}

func TestASecondWayBackLooksAtWhatTheFirstFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, one+`
steps:
  - {id: both, set: {target: web, members: [a1, a2], weight: 0}}
  - {id: bad, gate: {script: {name: no}, timeout: 5s}}
`)
		l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
		l.atRollback(func(n int) {
			if n == 1 {
				l.outside("web", "a2", "weight", state.Int(37))
			}
		})
		l.run(journal.OutcomeIncomplete)
		l.outside("web", "a1", "weight", state.Int(63)) // it was put back already
		l.outside("web", "a2", "weight", state.Int(100))
		end, err := l.rollback(engine.Options{})
		l.ended(journal.OutcomeIncomplete, end, err)
		same(t, "drift", 1, len(end.Drift))
		l.shows("web", map[string]string{"a1": "63", "a2": "100", "a3": "100"})
	})
}
