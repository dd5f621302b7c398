package journal_test

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/journal"
)

func TestANewProcessWithAnOldNumberIsNotMistakenForIt(t *testing.T) {
	self := journal.Self()
	if self.Start == "" || self.Space == "" {
		t.Fatalf("this system does not tell when a process started: %+v", self)
	}
	reused := self
	reused.Start = "1"
	elsewhere := reused
	elsewhere.Space = "another container"
	for name, tc := range map[string]struct {
		p    journal.Process
		dead bool
	}{
		"this process lives":                    {self, false},
		"its number was another's before":       {reused, true},
		"another container cannot be looked at": {elsewhere, false},
		"another host cannot be looked at":      {far("b"), false},
	} {
		if got := tc.p.Dead(self); got != tc.dead {
			t.Errorf("%s: dead %v", name, got)
		}
	}
	root := t.TempDir()
	acquire(t, locksOf(root, reused), "R1", scopes, journal.LockOptions{})
	h := acquire(t, locksOf(root, self), "R1", scopes, journal.LockOptions{})
	if !h.Takeover().Unclean {
		t.Errorf("taken over from a dead process: %+v", h.Takeover())
	}
}

func TestOneOfTwoProcessesGetsTheLock(t *testing.T) {
	root := t.TempDir()
	a, b := spawn(t, "lock", root, "R1"), spawn(t, "lock", root, "R2")
	a.tell("go")
	b.tell("go")
	got := map[string]int{}
	got[a.hear()]++
	got[b.hear()]++
	if diff := cmp.Diff(map[string]int{"ok": 1, "locked": 1}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

func TestALockOfAKilledProcessIsItsRunsUntilResumed(t *testing.T) {
	root := t.TempDir()
	c := spawn(t, "lock", root, "R1")
	c.tell("go")
	if got := c.hear(); got != "ok" {
		t.Fatal(got)
	}
	l := journal.NewLocks(root, journal.LocksOptions{})
	refused(t, l, "R2", scopes, true)
	refused(t, l, "R1", scopes, true)
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.cmd.Wait()
	refused(t, l, "R2", scopes, false, "flip resume R1")
	if h := acquire(t, l, "R1", scopes, journal.LockOptions{}); !h.Takeover().Unclean {
		t.Errorf("taken over: %+v", h.Takeover())
	}
}

func TestAFrozenProcessIsFencedAtItsNextRecord(t *testing.T) {
	s := newStore(t, journal.FileOptions{})
	l := newRun(t, s)
	c := spawn(t, "drive", s.Dir(), l.ID())
	c.tell("before")
	if got := c.hear(); got != "ok" {
		t.Fatal(got)
	}
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	again, err := s.Open(t.Context(), l.ID())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	add(t, again, journal.Record{Type: journal.TypeTakeover, Data: journal.Encode(journal.Holder{Who: "ann"})})
	c.tell("after")
	if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := c.hear(); got != "fenced" {
		t.Errorf("the woken process was told %q, want fenced", got)
	}
	add(t, again, step("mine", "begin"))
}
