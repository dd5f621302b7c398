package engine_test

import (
	"context"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// registry is a target whose a1 is gone until it registers again.
type registry struct {
	driver.Driver
	back time.Time
}

func (r *registry) Unwrap() driver.Driver       { return r.Driver }
func (r *registry) Coming(string) time.Duration { return 30 * time.Second }
func (r *registry) restart(away time.Duration)  { r.back = time.Now().Add(away) }

func (r *registry) Read(ctx context.Context) (state.State, error) {
	s, err := r.Driver.Read(ctx)
	if time.Now().Before(r.back) {
		s.Objects = maps.Clone(s.Objects)
		delete(s.Objects, "a1")
	}
	return s, err
}

func registryLab(t *testing.T, fails bool, restarts func(r *registry, undo bool)) *lab {
	l := newLab(t, one+`
gates: {ok: {script: {name: ok}, timeout: 5s}}
steps:
  - {id: out, set: {target: web, members: [a1], weight: 0}}
  - {id: restart, run: "true", undo: "true"}
  - {id: in, set: {target: web, members: [a1], weight: 100}}
  - {id: good, gate: ok}
`)
	r := &registry{}
	l.wrap["web"] = func(d driver.Driver) driver.Driver { r.Driver = d; return r }
	l.gates["ok"] = func(int) (gate.Result, error) {
		if fails {
			return no("no")
		}
		return yes("yes")
	}
	l.onRecord = func(rec journal.Record) {
		if rec.Type == journal.TypeIntent && rec.Activity == "run" {
			restarts(r, strings.HasPrefix(rec.Key, "/undo/"))
		}
	}
	return l
}

func TestWhoIsHealthyBeforeItHasRegisteredIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := registryLab(t, false, func(r *registry, _ bool) { r.restart(20 * time.Second) })
		l.run(journal.OutcomeDone)
		same(t, "writes", []string{"web a1 weight 100 -> 0", "web a1 weight 0 -> 100"}, l.writes())
	})
}

func TestWhoIsRestartedOnTheWayBackIsWaitedForToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := registryLab(t, true, func(r *registry, undo bool) {
			if undo {
				r.restart(20 * time.Second)
			}
		})
		l.run(journal.OutcomeRolledBack)
		l.shows("web", map[string]string{"a1": "100", "a2": "100", "a3": "100"})
	})
}

func TestWhoDoesNotComeBackIsSaidToBeGoneAfterAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := registryLab(t, false, func(r *registry, _ bool) { r.restart(time.Hour) })
		began := time.Now()
		end := l.run(journal.OutcomeIncomplete)
		contains(t, end.Reason, "web: gone is a1: its weight was 100, this run left it 0")
		if took := time.Since(began); took < time.Minute || took > 75*time.Second {
			t.Errorf("it took %s: one wait of 30 s for all looks, and one more after the command was undone", took)
		}
		same(t, "what is left", 1, len(end.Drift))
	})
}

func TestWhoComesBackWhenItsCommandIsUndoneIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := registryLab(t, false, func(r *registry, undo bool) {
			r.restart(time.Hour)
			if undo {
				r.restart(10 * time.Second)
			}
		})
		end := l.run(journal.OutcomeRolledBack)
		contains(t, end.Reason, "web: gone is a1")
		l.shows("web", map[string]string{"a1": "100", "a2": "100", "a3": "100"})
	})
}
