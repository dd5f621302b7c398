package engine_test

import (
	"errors"
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

const one = `
flip: 1
name: one
targets: {web: {driver: mem, name: web, pool: {a1: {weight: 100}, a2: {weight: 100}, a3: {weight: 100}}}}
`

// flaky makes a target of the lab suffer faults; the calls of Bind come first:
// one Read.
func (l *lab) flaky(target string, f drivertest.Faults) {
	l.wrap[target] = func(d driver.Driver) driver.Driver { return drivertest.Faulty(d, f) }
}

func TestAnUnknownOutcomeIsDecidedByReading(t *testing.T) {
	tests := map[string]struct {
		fault  drivertest.Fault
		writes int
	}{
		"the answer was lost, the change was made": {drivertest.Fault{Kind: drivertest.LoseReply}, 2},
		"half of the batch was made":               {drivertest.Fault{Kind: drivertest.HalfBatch}, 2},
		"nothing was made":                         {drivertest.Fault{Kind: drivertest.FailBefore}, 2},
		"too many requests":                        {drivertest.Fault{Kind: drivertest.Throttle}, 2},
		"it was slow":                              {drivertest.Fault{Kind: drivertest.Slow, Delay: time.Minute}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, one+`
steps: [{id: half, set: {target: web, members: [a1, a2], weight: 50}}]
`)
				l.flaky("web", drivertest.Faults{Apply: map[int]drivertest.Fault{1: test.fault}})
				l.run(journal.OutcomeDone)
				same(t, "effective writes", test.writes, len(l.writes()))
				l.shows("web", map[string]string{"a1": "50", "a2": "50", "a3": "100"})
			})
		})
	}
}

func TestAChangeIsGivenUpAfterFourTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, one+`
steps: [{id: half, set: {target: web, members: [a1], weight: 50}}]
`)
		l.flaky("web", drivertest.Faults{Apply: map[int]drivertest.Fault{1: {Kind: drivertest.FailBefore}, 2: {Kind: drivertest.FailBefore}, 3: {Kind: drivertest.FailBefore}, 4: {Kind: drivertest.FailBefore}}})
		contains(t, l.run(journal.OutcomeRolledBack).Reason, "connection refused")
	})
}

func TestAPermanentErrorIsNotTriedAgain(t *testing.T) {
	l := newLab(t, one+`
steps: [{id: half, set: {target: web, members: [a1], weight: 50}, retry: 2}]
`)
	var f *drivertest.Flaky
	l.wrap["web"] = func(d driver.Driver) driver.Driver {
		f = drivertest.Faulty(d, drivertest.Faults{Apply: map[int]drivertest.Fault{1: {Kind: drivertest.FailBefore, Err: driver.Permanent(errors.New("no such weight"))}}})
		return f
	}
	synctest.Test(t, func(t *testing.T) {
		l.run(journal.OutcomeDone) // by the step's own retry
		_, applies := f.Calls()
		same(t, "applies", 2, applies)
	})
}

func TestASecondOperatorsWriteIsDriftAndNeverRetriedOrOverwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, where := range map[string]func(*lab, func()){
			"between reading and writing": func(l *lab, do func()) {
				l.flaky("web", drivertest.Faults{Apply: map[int]drivertest.Fault{1: {Kind: drivertest.Outside, Do: do}}})
			},
			"between looking and reading": func(l *lab, do func()) {
				l.onRecord = func(r journal.Record) {
					if r.Type == journal.TypeIntent && r.Activity == "apply" {
						do()
					}
				}
			},
		} {
			l := newLab(t, one+`
steps: [{id: told, run: "true", undo: none}, {id: half, set: {target: web, members: [a1, a2], weight: 50}, retry: 5}]
`)
			once := false
			where(l, func() {
				if !once {
					l.outside("web", "a1", "weight", state.Int(37))
				}
				once = true
			})
			end := l.run(journal.OutcomeIncomplete)
			contains(t, end.Reason, "somebody else changed")
			same(t, name, []journal.Drift{{Key: state.Key{Target: "web", Object: "a1", Attribute: "weight"}, Before: "100", Ours: []state.Value{"50"}, Now: "37"}}, end.Drift)
			l.shows("web", map[string]string{"a1": "37", "a2": "100", "a3": "100"})
		}
	})
}

func TestWhichFailuresAreRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "tries")
		tests := map[string]struct {
			step  string
			tries int
			want  journal.Outcome
			took  time.Duration
		}{
			"a command":                  {`{id: s, run: "echo $FLIP_ATTEMPT ${{ attempt }} >> ` + file + `; test $FLIP_ATTEMPT = 3", undo: none, retry: {attempts: 5, backoff: 10s, max: 15s}}`, 3, journal.OutcomeDone, 25 * time.Second},
			"a gate":                     {`{id: s, gate: {script: {name: no}, timeout: 5s}, retry: {attempts: 2, backoff: 10s}}`, 2, journal.OutcomeFailed, 20 * time.Second},
			"a denial":                   {`{id: s, approve: go, retry: 3, timeout: 1m}`, 1, journal.OutcomeFailed, 250 * time.Millisecond},
			"a guard":                    {`{id: s, set: {target: web, weight: "${{ attempt * 0 }}"}, retry: 3}`, 0, "", 0},
			"steps around a failing one": {`{id: outer, steps: [{id: s, gate: {script: {name: no}, timeout: 5s}, retry: 2}], retry: 3}`, 2, journal.OutcomeFailed, 11 * time.Second},
		}
		for name, test := range tests {
			guards := "guards: [{target: web, min_serving: 1}]"
			l := newLab(t, one+guards+"\nsteps: ["+test.step+"]\n")
			l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
			began := time.Now()
			l.onRecord = func(r journal.Record) {
				if r.Type == journal.TypeAwait {
					if _, err := journal.Post(l.runDir(), journal.Message{Kind: journal.AskDeny, Key: "s", By: "ann"}); err != nil {
						t.Error(err)
					}
				}
			}
			end, err := l.start(engine.Options{})
			if test.want == "" {
				if err == nil {
					t.Errorf("%s was not refused", name)
				}
				continue
			}
			l.ended(test.want, end, err)
			tries := 0
			for _, line := range l.lines() {
				for _, kind := range []string{"done run", "failed run", "done gate", "failed gate", "signal await"} {
					if strings.HasPrefix(line, kind) {
						tries++
					}
				}
			}
			same(t, name+": tries", test.tries, tries)
			same(t, name+": time", test.took, time.Since(began))
		}
		same(t, "attempts", "1 1\n2 2\n3 3\n", read(t, file))
	})
}

func TestWhatAFailureDoesToThePlan(t *testing.T) {
	tests := map[string]struct {
		steps string
		want  journal.Outcome
		web   string // weight of a1
		done  bool   // the last step was done
	}{
		"it goes back":                          {`{id: bad, gate: G}`, journal.OutcomeRolledBack, "100", false},
		"it pauses":                             {`{id: bad, gate: G, on_fail: pause}`, journal.OutcomePaused, "50", false},
		"it goes on":                            {`{id: bad, gate: G, on_fail: continue}`, journal.OutcomeDone, "50", true},
		"steps around it go on":                 {`{id: outer, steps: [{id: bad, gate: G}, {id: never, set: {target: web, members: [a3], weight: 1}}], on_fail: continue}`, journal.OutcomeDone, "50", true},
		"a pause inside pauses":                 {`{id: outer, steps: [{id: bad, gate: G, on_fail: pause}]}`, journal.OutcomePaused, "50", false},
		"going on around a pause goes on":       {`{id: outer, steps: [{id: bad, gate: G, on_fail: pause}], on_fail: continue}`, journal.OutcomeDone, "50", true},
		"a branch that goes on hurts nobody":    {`{id: outer, parallel: [{id: bad, gate: G, on_fail: continue}, {id: good, set: {target: web, members: [a3], weight: 7}}]}`, journal.OutcomeDone, "50", true},
		"behind a commit it pauses":             {`{id: point, set: {target: web, members: [a2], weight: 5}, commit: true}, {id: bad, gate: G}`, journal.OutcomePaused, "50", false},
		"behind a commit in a branch it pauses": {`{id: p, parallel: [{id: point, set: {target: web, members: [a2], weight: 5}, commit: true}]}, {id: bad, gate: G}`, journal.OutcomePaused, "50", false},
		"a commit that was not reached is none": {`{id: bad, gate: G, commit: true}`, journal.OutcomeRolledBack, "100", false},
		"a post-condition counts like the step": {`{id: bad, set: {target: web, members: [a1], weight: 20}, gate: G, on_fail: pause}`, journal.OutcomePaused, "20", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, one+"steps: [{id: half, set: {target: web, members: [a1], weight: 50}}, "+
					strings.ReplaceAll(test.steps, "G", "{script: {name: no}, timeout: 5s}")+", {id: last, set: {target: web, members: [a2], weight: 10}}]\n")
				l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
				l.run(test.want)
				same(t, "a1", test.web, l.live("web")["a1"])
				same(t, "last step done", test.done, l.live("web")["a2"] == "10")
			})
		})
	}
}

func TestARestartedNodeEndsTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - {id: half, set: {group: a, on: web, weight: 50}}
  - {id: nap, wait: 1m}
  - {id: zero, set: {group: a, on: web, weight: 0}}
`)
		l.onRecord = func(r journal.Record) {
			if r.Type == journal.TypeSleep {
				must(t, l.mems["web"].Restart("lb2"))
			}
		}
		end := l.run(journal.OutcomeRolledBack)
		contains(t, end.Reason, "node lb2 was restarted")
		l.shows("web", map[string]string{"lb1/a1": "100", "lb1/b1": "0", "lb2/a1": "100", "lb2/b1": "0"})
	})
}
