package engine_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
)

func TestAGateIsWaitedForAndHeldTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
gates:
  up: {script: {name: "up-${{ member.name }}"}, each: a, every: 1s, passes: 3}
steps:
  - {id: healthy, gate: [up, {script: {name: slow}, every: 5s}]}
`)
		began := time.Now()
		l.gates["slow"] = func(n int) (gate.Result, error) {
			if n < 3 {
				return no("not yet")
			}
			return yes("now")
		}
		l.run(journal.OutcomeDone)
		same(t, "time", 10*time.Second, time.Since(began))
		contains(t, stepText(l, "healthy"), "3 of 3 passes on 1 member")
	})
}

func TestAGateThatNeverPassesFailsItsStepBeforeAnyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - {id: healthy, gate: {script: {name: up}, timeout: 1m}}
  - {id: out, set: {group: a, weight: 0}}
`)
		l.gates["up"] = func(int) (gate.Result, error) { return gate.Result{}, errors.New("no route to host") }
		end := l.run(journal.OutcomeFailed)
		contains(t, end.Reason, "no route to host")
		same(t, "writes", []string(nil), l.writes())
		same(t, "locks", []string(nil), l.locked())
	})
}

func TestTheTimeOfAStepEndsItsGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - {id: healthy, gate: {script: {name: up}, timeout: 4m}, timeout: 10s}
`)
		began := time.Now()
		l.gates["up"] = func(int) (gate.Result, error) { return no("503") }
		end := l.run(journal.OutcomeFailed)
		same(t, "time", 10*time.Second, time.Since(began))
		contains(t, end.Reason, "the step's time is over while gate healthy was looked at")
	})
}

func TestAWaitTakesItsTimeAndWatchesItsGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - {id: nap, wait: 26m}
  - {id: watched, wait: 1h, gate: {script: {name: fine}, every: 1m}}
`)
		began := time.Now()
		l.run(journal.OutcomeDone)
		same(t, "time", 86*time.Minute, time.Since(began))
		if n := l.looks["fine"]; n < 60 {
			t.Errorf("%d looks in an hour", n)
		}

		l = newLab(t, pair+`
steps:
  - {id: watched, wait: 1h, gate: {script: {name: fine}, every: 1m}}
`)
		began = time.Now()
		l.gates["fine"] = func(n int) (gate.Result, error) {
			if n > 10 {
				return no("5 errors")
			}
			return yes("0 errors")
		}
		contains(t, l.run(journal.OutcomeFailed).Reason, "5 errors")
		same(t, "time", 10*time.Minute, time.Since(began))
	})
}

func TestAGateBehindAStepIsItsPostCondition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - {id: out, set: {group: a, weight: 1}, gate: {script: {name: works}, timeout: 5s}}
`)
		l.gates["works"] = func(int) (gate.Result, error) {
			if l.live("edge")["a1"] != "1" {
				t.Error("the gate was looked at before the change")
			}
			return no("it does not")
		}
		contains(t, l.run(journal.OutcomeRolledBack).Reason, "it does not")
		l.shows("edge", map[string]string{"a1": "100", "b1": "0"})
	})
}

func TestAnApprovalGoesOnOrEndsTheRun(t *testing.T) {
	const ask = pair + `
steps:
  - {id: out, set: {group: a, weight: 1}}
  - {id: go, approve: "look at ${{ live.name }}", timeout: 1h}
  - {id: more, set: {group: a, weight: 2}}
`
	tests := map[string]struct {
		answer journal.Message
		want   journal.Outcome
		says   string
	}{
		"yes, by the step's name": {journal.Message{Kind: journal.AskApprove, Key: "go", By: "ann"}, journal.OutcomeDone, "approved by ann"},
		"yes, by its key":         {journal.Message{Kind: journal.AskApprove, Key: "/steps/go.answer", By: "ann", Reason: "fine"}, journal.OutcomeDone, "approved by ann: fine"},
		"no":                      {journal.Message{Kind: journal.AskDeny, Key: "go", By: "bob", Reason: "Friday"}, journal.OutcomeRolledBack, "denied by bob: Friday"},
		"nobody answers":          {journal.Message{Kind: journal.AskApprove, Key: "another", By: "ann"}, journal.OutcomeRolledBack, "nobody approved in time"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, ask)
				began := time.Now()
				l.answer(t, test.answer, "look at a")
				l.run(test.want)
				contains(t, stepText(l, "go"), test.says)
				if took := time.Since(began); name == "nobody answers" && took != time.Hour {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// answer posts a message when the run asks for an approval.
func (l *lab) answer(t *testing.T, m journal.Message, message string) {
	before := l.onRecord
	l.onRecord = func(r journal.Record) {
		if before != nil {
			before(r)
		}
		if r.Type != journal.TypeAwait {
			return
		}
		u, _ := journal.Decode[journal.Until](r)
		same(t, "message", message, u.Message)
		if _, err := journal.Post(l.runDir(), m); err != nil {
			t.Error(err)
		}
	}
}

func TestADenialCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - {id: out, set: {group: a, weight: 1}}
  - {id: go, approve: really, on_fail: pause, timeout: 1h}
`)
		asked := 0
		l.onRecord = func(r journal.Record) {
			if r.Type != journal.TypeAwait {
				return
			}
			asked++
			kind := map[int]journal.Ask{1: journal.AskDeny, 2: journal.AskApprove}[asked]
			if _, err := journal.Post(l.runDir(), journal.Message{Kind: kind, Key: "go", By: "ann"}); err != nil {
				t.Error(err)
			}
		}
		l.run(journal.OutcomePaused)
		end, err := l.resume(engine.Options{})
		l.ended(journal.OutcomeDone, end, err)
		same(t, "asked", 2, asked)
		left, err := journal.Poll(l.runDir())
		must(t, err)
		same(t, "messages left", 0, len(left))
	})
}

func TestALongWaitCanGoOnInAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, pair+`
steps:
  - {id: out, set: {group: a, weight: 1}}
  - {id: nap, wait: 2h}
  - {id: ask, approve: go, timeout: 3h}
`)
		began := time.Now()
		end, err := l.start(engine.Options{Detach: 10 * time.Minute})
		l.ended(journal.OutcomeWaiting, end, err)
		same(t, "step", "nap", end.Step)
		same(t, "it left at once", time.Duration(0), time.Since(began))
		same(t, "locks stay", 2, len(l.locked()))
		time.Sleep(115 * time.Minute)
		end, err = l.resume(engine.Options{Detach: 10 * time.Minute})
		l.ended(journal.OutcomeWaiting, end, err)
		same(t, "step", "ask", end.Step)
		same(t, "the wait ended when it should", 2*time.Hour, time.Since(began))
		if _, err := journal.Post(l.runDir(), journal.Message{Kind: journal.AskApprove, Key: "ask", By: "ann"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		end, err = l.resume(engine.Options{Detach: 10 * time.Minute})
		l.ended(journal.OutcomeDone, end, err)
		same(t, "writes", 3, len(l.writes()))
		same(t, "waits", 1, strings.Count(strings.Join(l.lines(), "\n"), "sleep /steps/nap.wait")-1)
	})
}
