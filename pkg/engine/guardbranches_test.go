package engine_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// slowApply takes its time to write.
type slowApply struct {
	driver.Driver
	d time.Duration
}

func (s *slowApply) Unwrap() driver.Driver { return s.Driver }
func (s *slowApply) Apply(c context.Context, changes []state.Change) error {
	time.Sleep(s.d)
	return s.Driver.Apply(c, changes)
}

func TestAGuardHoldsForBranchesTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, `
flip: 1
name: guard
targets: {web: {driver: mem, name: web, pool: {a1: {weight: 100}, a2: {weight: 100}, a3: {weight: 100}, a4: {weight: 100}}}}
guards: [{target: web, min_serving: 2}]
steps:
  - id: both
    parallel:
      - {id: one, set: {target: web, members: [a1], weight: 0}}
      - {id: two, set: {target: web, members: [a2], weight: 0}}
`)
		l.wrap["web"] = func(d driver.Driver) driver.Driver { return &slowApply{d, time.Second} }
		l.onRecord = func(r journal.Record) {
			if r.Type == journal.TypeRun {
				must(t, l.mems["web"].SetHealth("a3", driver.Down, "L4CON"))
			}
		}
		end := l.run(journal.OutcomeRolledBack)
		contains(t, end.Reason, "guard: web would serve with 1 of at least 2")
		w := strings.Join(l.writes(), "\n")
		if strings.Contains(w, "a1 weight 100 -> 0") && strings.Contains(w, "a2 weight 100 -> 0") {
			t.Error("both went out:\n" + w)
		}
	})
}
