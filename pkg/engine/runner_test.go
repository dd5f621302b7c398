package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

const small = one + `
steps:
  - {id: half, set: {target: web, members: [a1], weight: 50}}
  - {id: check, gate: {script: {name: check}, timeout: 5s}, on_fail: ON}
  - {id: zero, set: {target: web, members: [a1], weight: 0}}
`

func newSmall(t *testing.T, onFail string) *lab {
	return newLab(t, strings.Replace(small, "ON", onFail, 1))
}

func TestEveryEndingHasItsRecordsInOrder(t *testing.T) {
	begin := []string{
		"run", "takeover", "step begin /steps/half", "done observe /steps/half.web.observe", "intent apply /steps/half.web.lower", "done apply /steps/half.web.lower", "step done /steps/half",
		"step begin /steps/check",
	}
	undo := []string{
		"rollback", "intent restore /undo/1/0.web.raise", "done restore /undo/1/0.web.raise",
		"intent restore /undo/1/0.web.lower", "done restore /undo/1/0.web.lower", "end",
	}
	tests := map[string]struct {
		onFail string
		pass   bool
		o      engine.Options
		want   journal.Outcome
		lines  []string
		locked []string
	}{
		"done": {"rollback", true, engine.Options{}, journal.OutcomeDone, slices.Concat(begin, []string{
			"done gate /steps/check.gate", "step done /steps/check", "step begin /steps/zero", "done observe /steps/zero.web.observe",
			"intent apply /steps/zero.web.lower", "done apply /steps/zero.web.lower", "step done /steps/zero", "end",
		}), nil},
		"rolled back": {"rollback", false, engine.Options{}, journal.OutcomeRolledBack, slices.Concat(begin, []string{"failed gate /steps/check.gate", "step failed /steps/check"}, undo), nil},
		"paused":      {"pause", false, engine.Options{}, journal.OutcomePaused, slices.Concat(begin, []string{"failed gate /steps/check.gate", "step failed /steps/check", "pause"}), []string{"mem://web"}},
		"told not to go back": {
			"rollback", false,
			engine.Options{NoRollback: true},
			journal.OutcomePaused,
			slices.Concat(begin, []string{"failed gate /steps/check.gate", "step failed /steps/check", "pause"}),
			[]string{"mem://web"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newSmall(t, test.onFail)
				l.gates["check"] = func(int) (gate.Result, error) { return gate.Result{Pass: test.pass, Detail: "looked"}, nil }
				end, err := l.start(test.o)
				l.ended(test.want, end, err)
				same(t, "records", test.lines, l.lines())
				same(t, "locks", test.locked, l.locked())
			})
		})
	}
}

func TestAPausedStepIsDoneAnewAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSmall(t, "pause")
		bad := true
		l.gates["check"] = func(int) (gate.Result, error) { return gate.Result{Pass: !bad, Detail: "looked"}, nil }
		l.run(journal.OutcomePaused)
		end, err := l.resume(engine.Options{})
		l.ended(journal.OutcomePaused, end, err)
		bad = false
		end, err = l.resume(engine.Options{})
		l.ended(journal.OutcomeDone, end, err)
		same(t, "writes", []string{"web a1 weight 100 -> 50", "web a1 weight 50 -> 0"}, l.writes())
		_, err = l.resume(engine.Options{})
		if !errors.Is(err, engine.ErrNothingToDo) {
			t.Errorf("a run that is done was resumed: %v", err)
		}
		same(t, "locks", []string(nil), l.locked())
	})
}

func TestAPausedStepIsDoneAnewThoughTheFirstResumeDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, records := range []int{1, 2, 3} {
			d := &death{}
			l := newSmall(t, "rollback")
			l.mortal(d, "web")
			l.gates["check"] = func(n int) (gate.Result, error) { return gate.Result{Pass: n > 4, Detail: "looked"}, nil }
			end, err := l.start(engine.Options{NoRollback: true})
			l.ended(journal.OutcomePaused, end, err)
			d.record, d.after = len(l.records())+records, true
			if _, err := l.resume(engine.Options{}); !errors.Is(err, errDead) {
				t.Fatal(err)
			}
			d.revive()
			end, err = l.resume(engine.Options{})
			l.ended(journal.OutcomeDone, end, err)
		}
	})
}

func TestAStopEndsTheRunAtASafePoint(t *testing.T) {
	tests := map[string]struct {
		ask  journal.Ask
		o    engine.Options
		want journal.Outcome
		a1   string
	}{
		"a signal":                           {"", engine.Options{}, journal.OutcomeInterrupted, "50"},
		"a signal that goes back":            {"", engine.Options{RollbackOnStop: true}, journal.OutcomeRolledBack, "100"},
		"another process asks to stop":       {journal.AskStop, engine.Options{}, journal.OutcomeInterrupted, "50"},
		"another process asks to go back":    {journal.AskRollback, engine.Options{}, journal.OutcomeRolledBack, "100"},
		"another asks to stop, it goes back": {journal.AskStop, engine.Options{RollbackOnStop: true}, journal.OutcomeRolledBack, "100"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, one+`
steps:
  - {id: half, set: {target: web, members: [a1], weight: 50}}
  - {id: nap, wait: 10m}
  - {id: zero, set: {target: web, members: [a1], weight: 0}}
`)
				soft, stop := contextWithCancel(t)
				began := time.Now()
				time.AfterFunc(time.Minute, func() {
					if test.ask == "" {
						stop()
						return
					}
					if _, err := journal.Post(l.runDir(), journal.Message{Kind: test.ask, By: "ann", Reason: "lunch"}); err != nil {
						t.Error(err)
					}
				})
				test.o.Soft = soft
				end, err := l.start(test.o)
				l.ended(test.want, end, err)
				if test.ask != "" {
					contains(t, end.Reason, "ann asked to "+string(test.ask)+": lunch")
				}
				if took := time.Since(began); took > time.Minute+time.Second {
					t.Errorf("it took %s to stop", took)
				}
				same(t, "a1", test.a1, l.live("web")["a1"])
				if test.want == journal.OutcomeRolledBack {
					return
				}
				end, err = l.resume(engine.Options{})
				l.ended(journal.OutcomeDone, end, err)
				same(t, "writes", []string{"web a1 weight 100 -> 50", "web a1 weight 50 -> 0"}, l.writes())
				if took := time.Since(began); took < 10*time.Minute || took > 10*time.Minute+time.Second {
					t.Errorf("a wait of 10m ended after %s", took)
				}
			})
		})
	}
}

func TestAStopDoesNotGoBackBehindACommitOnItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, one+`
steps:
  - {id: half, set: {target: web, members: [a1], weight: 50}, commit: true}
  - {id: nap, wait: 10m}
`)
		soft, stop := contextWithCancel(t)
		time.AfterFunc(time.Minute, stop)
		end, err := l.start(engine.Options{Soft: soft, RollbackOnStop: true})
		l.ended(journal.OutcomeInterrupted, end, err)
		same(t, "a1", "50", l.live("web")["a1"])
		end, err = l.rollback(engine.Options{}) // a person may
		l.ended(journal.OutcomeRolledBack, end, err)
	})
}

func TestAHardStopLeavesTheRunInDoubtAndTouchesNothingMore(t *testing.T) {
	for name, cause := range map[string]error{"the second signal": engine.ErrHardStop, "the caller's context ended": context.Canceled} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, one+`
steps:
  - {id: half, set: {target: web, members: [a1], weight: 50}}
  - {id: zero, set: {target: web, members: [a1], weight: 0}}
`)
				hard, kill := context.WithCancelCause(context.Background())
				defer kill(nil)
				l.onRecord = func(r journal.Record) {
					if r.Type == journal.TypeDone && r.Activity == "apply" {
						kill(cause)
					}
				}
				end, err := l.start(engine.Options{Hard: hard})
				if !errors.Is(err, engine.ErrHardStop) {
					t.Fatalf("%s: %v\n%s", end.Outcome, err, l.story())
				}
				same(t, "a1", "50", l.live("web")["a1"])
				same(t, "locks", []string{"mem://web"}, l.locked())
				l.onRecord = nil
				end, err = l.resume(engine.Options{})
				l.ended(journal.OutcomeDone, end, err)
				same(t, "a1", "0", l.live("web")["a1"])
			})
		})
	}
}

func TestAFinishedRunCanBeRolledBackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSmall(t, "rollback")
		l.run(journal.OutcomeDone)
		l.outside("web", "a2", "weight", state.Int(7)) // not the run's business
		end, err := l.rollback(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		l.shows("web", map[string]string{"a1": "100", "a2": "7", "a3": "100"})
		same(t, "locks", []string(nil), l.locked())
		_, err = l.rollback(engine.Options{})
		if !errors.Is(err, engine.ErrNothingToDo) {
			t.Errorf("twice: %v", err)
		}
	})
}

func TestThereIsNothingToUndoOfARunThatChangedNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, one+`
steps: [{id: check, gate: {script: {name: check}, timeout: 5s}}, {id: zero, set: {target: web, weight: 0}}]
`)
		l.gates["check"] = func(int) (gate.Result, error) { return no("no") }
		l.run(journal.OutcomeFailed)
		for verb, f := range map[string]func(engine.Options) (journal.End, error){"rollback": l.rollback, "resume": l.resume} {
			if _, err := f(engine.Options{}); !errors.Is(err, engine.ErrNothingToDo) {
				t.Errorf("%s: %v", verb, err)
			}
		}
	})
}

func TestAPersonCanAcceptARunAsItStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSmall(t, "pause")
		l.gates["check"] = func(int) (gate.Result, error) { return no("no") }
		l.run(journal.OutcomePaused)
		accept := func() (journal.End, error) {
			return l.runner().Accept(context.Background(), l.id, l.options(engine.Options{}))
		}
		end, err := accept()
		l.ended(journal.OutcomeAccepted, end, err)
		contains(t, end.Reason, "accepted by tester")
		same(t, "changed", 1, end.Changed)
		same(t, "locks", []string(nil), l.locked())
		if _, err = accept(); !errors.Is(err, engine.ErrNothingToDo) {
			t.Errorf("twice: %v", err)
		}
		end, err = l.rollback(engine.Options{}) // and change their mind
		l.ended(journal.OutcomeRolledBack, end, err)
		l.shows("web", map[string]string{"a1": "100", "a2": "100", "a3": "100"})
	})
}

func TestAnEndedRunThatWasOnlyReopenedNeverGoesForward(t *testing.T) {
	prepare := map[string]func(*testing.T, *lab){
		"accepted": func(t *testing.T, l *lab) {
			soft, stop := contextWithCancel(t)
			l.onRecord = func(r journal.Record) {
				if r.Type == journal.TypeDone && r.Activity == "apply" {
					stop()
				}
			}
			end, err := l.start(engine.Options{Soft: soft})
			l.ended(journal.OutcomeInterrupted, end, err)
			end, err = l.runner().Accept(context.Background(), l.id, l.options(engine.Options{}))
			l.ended(journal.OutcomeAccepted, end, err)
		},
		"rolled back in part": func(t *testing.T, l *lab) {
			soft, stop := contextWithCancel(t)
			l.onRecord = func(r journal.Record) {
				if s, _ := journal.Decode[journal.Step](r); r.Type == journal.TypeStep && s.ID == "half" && s.Status == "done" {
					stop()
				}
				if r.Type == journal.TypeRollback && r.Seq < 15 {
					l.outside("web", "a1", "weight", state.Int(37))
				}
			}
			end, err := l.start(engine.Options{Soft: soft, RollbackOnStop: true})
			l.ended(journal.OutcomeIncomplete, end, err)
		},
	}
	for name, before := range prepare {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &death{}
				l := newSmall(t, "pause")
				l.mortal(d, "web")
				before(t, l)
				l.writes()
				d.records = len(l.records())
				d.record, d.after = d.records+1, true // the takeover of a rollback
				if _, err := l.rollback(engine.Options{}); err == nil {
					t.Fatal("it did not die")
				}
				d.revive()
				end, err := l.resume(engine.Options{})
				if err != nil {
					t.Fatal(err)
				}
				for _, line := range l.lines()[d.records:] {
					if strings.Contains(line, "/steps/") {
						t.Errorf("%s: it went forward: %s", end.Outcome, line)
					}
				}
			})
		})
	}
}

func TestARunKeepsItsOwnCopyOfThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSmall(t, "pause")
		l.gates["check"] = func(int) (gate.Result, error) { return no("no") }
		l.run(journal.OutcomePaused)
		l.text = strings.ReplaceAll(l.text, "a1", "a3") // somebody edits the file
		end, err := l.rollback(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		l.shows("web", map[string]string{"a1": "100", "a2": "100", "a3": "100"})
		contains(t, read(t, filepath.Join(l.runDir(), "plan.yaml")), "members: [a1]")
	})
}
