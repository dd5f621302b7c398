package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// forgetful is a target that has to be watched: what it is told to hold is
// noted, and it may lose it.
type forgetful struct {
	driver.Driver
	mu     sync.Mutex
	held   [][]state.Change // one entry for each watch that began
	open   int
	forget chan error // one error makes the watch give up
}

func (f *forgetful) Unwrap() driver.Driver { return f.Driver }

func (f *forgetful) Hold(ctx context.Context, changes []state.Change) error {
	f.mu.Lock()
	f.held = append(f.held, changes)
	f.open++
	f.mu.Unlock()
	defer func() { f.mu.Lock(); f.open--; f.mu.Unlock() }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-f.forget:
		return err
	}
}

// watched are the values that the last watch held, by object.
func (f *forgetful) watched() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]string{}
	if len(f.held) > 0 {
		for _, c := range f.held[len(f.held)-1] {
			out[c.Object+" "+c.Attribute] = c.To.String()
		}
	}
	return out
}

const holdPlan = `
flip: 1
name: hold
targets:
  web: {driver: mem, name: web, pool: {a1: {weight: 100}, a2: {weight: 100}}}
groups:
  all: {web: [a1, a2]}
gates:
  watch: {script: {name: watch}, every: 1s, timeout: 1m}
steps:
  - {id: out, set: {target: web, members: [a1], weight: 0}}
  - {id: stay, wait: 10s, gate: watch}
  - {id: in, set: {target: web, members: [a1], weight: 50}}
`

func holdLab(t *testing.T) (*lab, *forgetful) {
	l := newLab(t, holdPlan)
	f := &forgetful{forget: make(chan error, 1)}
	l.wrap["web"] = func(d driver.Driver) driver.Driver { f.Driver = d; return f }
	return l, f
}

func TestWhatASystemMayForgetIsWatchedUntilTheRunChangesItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := holdLab(t)
		during := map[string]string{}
		l.gates["watch"] = func(int) (gate.Result, error) { during = f.watched(); return yes("fine") }
		l.run(journal.OutcomeDone)
		same(t, "watched while it held", map[string]string{"a1 weight": "0"}, during)
		same(t, "watched at the end", map[string]string{"a1 weight": "50"}, f.watched())
		same(t, "watches that are still open", 0, f.open)
	})
}

func TestAValueThatCannotBeHeldFailsTheStepAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := holdLab(t)
		l.gates["watch"] = func(n int) (gate.Result, error) {
			if n == 3 {
				f.forget <- errors.New("a1 came back by itself")
			}
			return yes("fine")
		}
		began := time.Now()
		end := l.run(journal.OutcomeRolledBack)
		contains(t, end.Reason, "a1 came back by itself")
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("it took %s to notice", took)
		}
		l.shows("web", map[string]string{"a1": "100", "a2": "100"})
	})
}

func TestAResumedRunWatchesWhatItsDeadProcessHadSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f := holdLab(t)
		soft, stop := contextWithCancel(t)
		l.gates["watch"] = func(n int) (gate.Result, error) {
			if n == 2 {
				stop()
			}
			return yes("fine")
		}
		end, err := l.start(engine.Options{Soft: soft})
		l.ended(journal.OutcomeInterrupted, end, err)
		f.held = nil
		during := map[string]string{}
		l.gates["watch"] = func(int) (gate.Result, error) { during = f.watched(); return yes("fine") }
		end, err = l.resume(engine.Options{})
		l.ended(journal.OutcomeDone, end, err)
		same(t, "watched after the resume", map[string]string{"a1 weight": "0"}, during)
	})
}
