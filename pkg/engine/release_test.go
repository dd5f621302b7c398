package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// littering is a forgetful target whose watch leaves something behind.
type littering struct {
	*forgetful
	seen     state.State
	held     []state.Change
	released []int // watches that were open then
	fails    error
}

func (l *littering) Unwrap() driver.Driver { return l.forgetful }

func (l *littering) Inherit(seen state.State, held []state.Change) { l.seen, l.held = seen, held }

func (l *littering) Release(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released = append(l.released, l.open)
	return l.fails
}

func litterLab(t *testing.T) (*lab, *littering) {
	l, f := holdLab(t)
	w := &littering{forgetful: f}
	l.wrap["web"] = func(d driver.Driver) driver.Driver { f.Driver = d; return w }
	return l, w
}

func TestWhatAWatchLeavesBehindIsTakenBackWhenARunEndsOrPausesAndNoWatchIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := litterLab(t)
		w.fails = errors.New("the server is gone")
		soft, stop := contextWithCancel(t)
		l.gates["watch"] = func(n int) (gate.Result, error) {
			if n == 2 {
				stop()
			}
			return yes("fine")
		}
		end, err := l.start(engine.Options{Soft: soft})
		l.ended(journal.OutcomeInterrupted, end, err)
		same(t, "open watches at the pause", []int{0}, w.released)
		same(t, "inherited by the first process", 0, len(w.held))

		l.gates["watch"] = func(int) (gate.Result, error) { return yes("fine") }
		end, err = l.resume(engine.Options{})
		l.ended(journal.OutcomeDone, end, err)
		same(t, "open watches at the end", []int{0, 0}, w.released)
		same(t, "inherited", []state.Change{{Target: "web", Object: "a1", Attribute: "weight", From: "100", To: "0"}}, w.held)
		same(t, "as the run saw it before", state.Value("100"), w.seen.Get("a1", "weight"))
	})
}

func TestAWayBackOfAnotherProcessInheritsWhatTheRunHadSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, w := litterLab(t)
		l.gates["watch"] = func(int) (gate.Result, error) { return yes("fine") }
		l.run(journal.OutcomeDone)
		end, err := l.rollback(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		same(t, "inherited", []state.Change{{Target: "web", Object: "a1", Attribute: "weight", From: "0", To: "50"}}, w.held)
		same(t, "open watches at both ends", []int{0, 0}, w.released)
	})
}
