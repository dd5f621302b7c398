package journal_test

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
)

// hold is another process in the middle of a write, for a while.
func hold(t *testing.T, path string, d time.Duration) *sync.WaitGroup {
	t.Helper()
	l := flock.New(path)
	if ok, err := l.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	var held sync.WaitGroup
	held.Go(func() {
		time.Sleep(d)
		if err := l.Unlock(); err != nil {
			t.Error(err)
		}
	})
	return &held
}

func TestWritersWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRun(t, newStore(t, journal.FileOptions{}))
		writers := hold(t, filepath.Join(l.Dir(), "journal.lock"), 3*time.Second)
		for range 3 {
			writers.Go(func() {
				if _, err := l.Append(t.Context(), step("a", "begin")); err != nil {
					t.Error(err)
				}
			})
		}
		writers.Wait()
		if n := len(l.Records()); n != 4 {
			t.Errorf("%d records, want 4", n)
		}
	})
}

func TestAWriterThatIsFrozenIsNotWaitedForForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newRun(t, newStore(t, journal.FileOptions{}))
		frozen := hold(t, filepath.Join(l.Dir(), "journal.lock"), time.Hour)
		_, err := l.Append(t.Context(), step("a", "begin"))
		if err == nil || errors.Is(err, journal.ErrFenced) || errors.Is(err, journal.ErrNotDurable) {
			t.Errorf("got %v", err)
		}
		mentions(t, "the hint", strings.Join(hint.Of(err), "\n"), "frozen")
		frozen.Wait()
		add(t, l, step("a", "begin"))
	})
}

func TestABeatThatWaitsKeepsNobodyFromAskingForValidity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := t.TempDir()
		h := acquire(t, locksOf(root, far("a")), "R1", scopes, journal.LockOptions{})
		asking := hold(t, filepath.Join(root, "locks", ".guard"), 12*time.Second)
		for range 3 {
			asking.Go(func() {
				time.Sleep(11 * time.Second) // after the first beat began
				if err := h.Valid(5 * time.Second); err != nil {
					t.Error(err)
				}
			})
		}
		asking.Wait()
	})
}
