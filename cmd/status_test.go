package cmd

import (
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/driver/all"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
)

func TestStatusSaysThatARunGoesBack(t *testing.T) {
	l := newLab(t, strings.Replace(quickPlan, "steps:", "steps:\n  - {id: deploy, run: \"true\", undo: \"true\"}", 1))
	var seen strings.Builder
	l.onRecord = func(r journal.Record) {
		if r.Type == journal.TypeIntent && strings.HasPrefix(r.Key, "/undo/") && seen.Len() == 0 {
			other := App{In: strings.NewReader(""), Out: &seen, Err: &seen, Drivers: all.Drivers(), Gates: gate.Kinds(), Getenv: func(name string) (string, bool) { v, ok := l.env[name]; return v, ok }}
			other.Run(l.Context(), []string{"status"})
		}
	}
	l.must(0, "run plan.yaml")
	l.must(0, "rollback --yes")
	if !strings.Contains(seen.String(), "running  rollback") {
		t.Errorf("it says: %s", seen.String())
	}
}
