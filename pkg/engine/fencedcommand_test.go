package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
)

func TestACommandIsNotRunBehindALockThatIsGone(t *testing.T) {
	l := newLab(t, one+`
steps:
  - {id: deploy, run: "touch FILE", undo: none}
`)
	file := filepath.Join(t.TempDir(), "deployed")
	l.text = strings.ReplaceAll(l.text, "FILE", file)
	l.onRecord = func(r journal.Record) {
		if r.Type == journal.TypeIntent {
			_, err := journal.NewLocks(l.dir, journal.LocksOptions{}).Break(context.Background(), "mem://web", true)
			must(t, err)
		}
	}
	if _, err := l.start(engine.Options{}); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the command ran")
	}
}
