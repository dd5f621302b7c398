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

const twoSides = `
flip: 1
name: sides
targets: {web: {driver: mem, name: web, pool: {a1: {weight: 100}, b1: {weight: 0}}}}
groups: {a: {web: [a1]}, b: {web: [b1]}}
`

// sick makes b1 fail its health check from the moment when it is given traffic.
func (l *lab) sick(t *testing.T, id string) {
	t.Helper()
	must(t, l.mems["web"].SetHealth(id, driver.Down, "L7STS 503"))
}

func TestADeadRunLowersNothingBeforeWhatItRaisedIsSeenHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, twoSides+`
steps:
  - {id: shift, ramp: {from: a, to: b, percent: [100]}}
`)
		d := &death{}
		l.mortal(d, "web")
		l.onRecord = func(r journal.Record) {
			if r.Type == journal.TypeIntent && r.Activity == "apply" && d.record == 0 {
				l.sick(t, "b1")
				d.record = r.Seq + 1 // the result: the write was made, its health never seen
			}
		}
		if _, err := l.start(engine.Options{}); err == nil {
			t.Fatal("the process lives")
		}
		l.shows("web", map[string]string{"a1": "100", "b1": "100"})
		l.onRecord = nil
		d.revive()
		end, err := l.resume(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		contains(t, end.Reason, "b1 is L7STS 503")
		for _, w := range l.writes() {
			if w == "web a1 weight 100 -> 0" {
				t.Error("a1 lost its traffic while b1 was down")
			}
		}
	})
}

func TestAStepThatIsDoneAnewLowersNothingWhileWhatItRaisedIsDown(t *testing.T) {
	for name, steps := range map[string]string{
		"ramp": `
  - {id: shift, ramp: {from: a, to: b, percent: [50, 100]}, on_fail: pause}
`,
		"set": `
  - {id: in, set: {group: b, weight: 100}, on_fail: pause}
  - {id: out, set: {group: a, weight: 0}, on_fail: pause}
`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, twoSides+"steps:"+steps)
				l.onRecord = func(r journal.Record) {
					if r.Type == journal.TypeRun {
						l.sick(t, "b1")
					}
				}
				end := l.run(journal.OutcomePaused)
				contains(t, end.Reason, "b1 is L7STS 503")
				l.writes()
				l.onRecord = nil
				end, err := l.resume(engine.Options{})
				l.ended(journal.OutcomePaused, end, err)
				contains(t, end.Reason, "b1 is L7STS 503")
				same(t, "a1 keeps its traffic", "100", l.live("web")["a1"])

				must(t, l.mems["web"].SetHealth("b1", driver.Up, ""))
				end, err = l.resume(engine.Options{})
				l.ended(journal.OutcomeDone, end, err)
				l.shows("web", map[string]string{"a1": "0", "b1": "100"})
			})
		})
	}
}

const thereAndBack = twoSides + `
steps:
  - {id: shift, ramp: {from: a, to: b, percent: [100]}}
  - {id: bad, gate: {script: {name: no}, timeout: 5s}}
`

func TestASecondWayBackLowersNothingWhileTheRaisedSideIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, thereAndBack)
		l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
		l.atRollback(func(n int) {
			if n == 1 {
				l.sick(t, "a1")
			}
		})
		end := l.run(journal.OutcomeIncomplete)
		contains(t, end.Reason, "a1 is L7STS 503")
		end, err := l.rollback(engine.Options{})
		l.ended(journal.OutcomeIncomplete, end, err)
		contains(t, end.Reason, "a1 is L7STS 503")
		l.shows("web", map[string]string{"a1": "100", "b1": "100"})
		must(t, l.mems["web"].SetHealth("a1", driver.Up, ""))
		end, err = l.rollback(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		l.shows("web", map[string]string{"a1": "100", "b1": "0"})
	})
}

func TestTheWayBackDoesNotTakeTheLastMemberThatServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, thereAndBack)
		l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
		l.atRollback(func(n int) {
			if n == 1 {
				l.outside("web", "a1", mem.State, state.Text("maint"))
			}
		})
		end := l.run(journal.OutcomeIncomplete)
		contains(t, end.Reason, "a1")
		l.shows("web", map[string]string{"a1": "maint 100", "b1": "100"})

		l.outside("web", "a1", mem.State, state.Text("ready"))
		end, err := l.rollback(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		l.shows("web", map[string]string{"a1": "100", "b1": "0"})
	})
}

func TestARampTakesNoTrafficFromASideWhoseHeirIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, twoSides+`
gates: {watch: {script: {name: watch}, every: 1s, timeout: 1m}}
steps:
  - {id: shift, ramp: {from: a, to: b, percent: [50, 100], hold: 10s}, gate: watch}
`)
		l.gates["watch"] = func(n int) (gate.Result, error) {
			if n == 2 {
				l.outside("web", "b1", mem.State, state.Text("maint"))
			}
			return yes("fine")
		}
		end := l.run(journal.OutcomeRolledBack)
		contains(t, end.Reason, "b1")
		for _, w := range l.writes() {
			if w == "web a1 weight 50 -> 0" {
				t.Error("nobody served")
			}
		}
	})
}
