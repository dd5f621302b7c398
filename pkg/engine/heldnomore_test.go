package engine_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// asserting makes what it holds again, as Nacos' driver does.
type asserting struct{ driver.Driver }

func (a *asserting) Unwrap() driver.Driver { return a.Driver }
func (a *asserting) Hold(c context.Context, changes []state.Change) error {
	for c.Err() == nil {
		select {
		case <-c.Done():
			return nil
		case <-time.After(3 * time.Second):
		}
		s, _ := a.Read(c)
		for _, ch := range changes {
			if now := s.Get(ch.Object, ch.Attribute); now != ch.To {
				ch.From = now
				_ = a.Apply(c, []state.Change{ch})
			}
		}
	}
	return nil
}

func TestWhatAWayBackFoundRestoredIsHeldNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, one+`
steps:
  - {id: first, run: "true", undo: "true"}
  - {id: out, set: {target: web, members: [a1], weight: 0}}
  - {id: bad, gate: {script: {name: no}, timeout: 5s}}
`)
		l.wrap["web"] = func(d driver.Driver) driver.Driver { return &asserting{d} }
		l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
		l.onRecord = func(r journal.Record) {
			switch {
			case r.Type == journal.TypeRollback:
				l.outside("web", "a1", "weight", state.Int(100)) // the system forgot it right then
			case r.Type == journal.TypeIntent && r.Activity == "run" && strings.HasPrefix(r.Key, "/undo/"):
				time.Sleep(10 * time.Second)
			}
		}
		l.run(journal.OutcomeRolledBack)
		l.shows("web", map[string]string{"a1": "100", "a2": "100", "a3": "100"})
		same(t, "writes", []string{"web a1 weight 100 -> 0"}, l.writes())
	})
}
