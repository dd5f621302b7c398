package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

const installPlan = `
flip: 1
name: install
targets:
  web: {driver: mem, name: web, pool: {a1: {weight: 100}, b1: {weight: 0}}}
groups:
  new: {web: [b1]}
gates:
  fine: {script: {name: fine}, timeout: 1s}
steps:
  - {id: install, run: "true", undo: "touch UNDONE"}
  - {id: in, set: {group: new, weight: 100}}
  - {id: fine, gate: fine}
`

// installLab runs until the gate, where somebody else does as between says,
// and the gate says no.
func installLab(t *testing.T, between func(*lab)) (l *lab, undone func() bool) {
	mark := filepath.Join(t.TempDir(), "undone")
	l = newLab(t, strings.ReplaceAll(installPlan, "UNDONE", mark))
	l.gates["fine"] = func(n int) (gate.Result, error) {
		if n == 1 {
			between(l)
		}
		return no("bad")
	}
	return l, func() bool { _, err := os.Stat(mark); return err == nil }
}

func TestAnUndoCommandIsNotRunOnAMemberThatSomebodyKeepsInTraffic(t *testing.T) {
	l, undone := installLab(t, func(l *lab) { l.outside("web", "b1", "weight", state.Int(37)) })
	end := l.run(journal.OutcomeIncomplete)
	contains(t, end.Reason, `undo of step "install" was not run: b1 (weight is 37) may still take traffic`)
	same(t, "the undo ran", false, undone())
	same(t, "drift", 1, len(end.Drift))

	// A person decides: now it goes all the way.
	end, err := l.rollback(engine.Options{OnDrift: engine.DriftForce})
	l.ended(journal.OutcomeRolledBack, end, err)
	same(t, "the undo ran", true, undone())
	l.shows("web", map[string]string{"a1": "100", "b1": "0"})
}

func TestAnUndoCommandRunsWhenDriftKeepsNobodyInTraffic(t *testing.T) {
	l, undone := installLab(t, func(l *lab) {
		l.outside("web", "b1", "state", state.Text("maint"))
	})
	l.run(journal.OutcomeRolledBack)
	same(t, "the undo ran", true, undone())
}
