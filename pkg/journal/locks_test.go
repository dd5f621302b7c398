package journal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/google/go-cmp/cmp"
)

var scopes = []string{"haproxy:///run/haproxy/admin.sock/be_web", "dns://cloudflare/example.com"}

// far is a process on another host, which nobody here can look at.
func far(host string) journal.Process {
	return journal.Process{Host: host, PID: 7, Start: "1", Space: host}
}

func locksOf(root string, p journal.Process) *journal.Locks {
	return journal.NewLocks(root, journal.LocksOptions{Self: p})
}

func acquire(t *testing.T, l *journal.Locks, run string, scopes []string, o journal.LockOptions) *journal.Held {
	t.Helper()
	h, err := l.Acquire(t.Context(), scopes, journal.LockInfo{Run: run, Plan: "shop-web", Who: "ann"}, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Abandon)
	return h
}

func refused(t *testing.T, l *journal.Locks, run string, scopes []string, alive bool, hints ...string) {
	t.Helper()
	_, err := l.Acquire(t.Context(), scopes, journal.LockInfo{Run: run, Who: "bob"}, journal.LockOptions{MaxInFlight: 5 * time.Second})
	e, ok := errors.AsType[*journal.LockedError](err)
	if !ok || e.Alive != alive {
		t.Fatalf("run %s: got %v, want locked, alive %v", run, err, alive)
	}
	mentions(t, "the hint", strings.Join(hint.Of(err), "\n"), hints...)
}

func held(t *testing.T, l *journal.Locks) []string {
	t.Helper()
	all, err := l.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var scopes []string
	for _, i := range all {
		scopes = append(scopes, i.Scope+" "+i.Run)
	}
	return scopes
}

func TestLocksAreTakenTogetherInOrderOrNotAtAll(t *testing.T) {
	root := t.TempDir()
	a, b := locksOf(root, far("a")), locksOf(root, far("b"))
	acquire(t, a, "R1", []string{"m"}, journal.LockOptions{})
	refused(t, b, "R2", []string{"z", "m", "a"}, true, "flip stop R1")
	if diff := cmp.Diff([]string{"m R1"}, held(t, a)); diff != "" {
		t.Errorf("after a refusal (-want +got):\n%s", diff)
	}
	h := acquire(t, b, "R2", []string{"z", "b", "z"}, journal.LockOptions{})
	if diff := cmp.Diff([]string{"b R2", "m R1", "z R2"}, held(t, a)); diff != "" {
		t.Errorf("locks (-want +got):\n%s", diff)
	}
	if got := h.Infos(); got[0].Scope != "b" || got[1].Scope != "z" || len(got) != 2 {
		t.Errorf("not in order, each once: %v", got)
	}
	if err := h.Release(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"m R1"}, held(t, a)); diff != "" {
		t.Errorf("after a release (-want +got):\n%s", diff)
	}
}

func TestScopesThatLookAlikeHaveTheirOwnLocks(t *testing.T) {
	l := locksOf(t.TempDir(), far("a"))
	acquire(t, l, "R1", []string{"a/b"}, journal.LockOptions{})
	acquire(t, l, "R2", []string{"a-b", "a:b", strings.Repeat("x", 300)}, journal.LockOptions{})
}

func TestALockBelongsToItsRunUntilTheRunHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := t.TempDir()
		a, b := locksOf(root, far("a")), locksOf(root, far("b"))
		h := acquire(t, a, "R1", scopes, journal.LockOptions{})
		refused(t, b, "R2", scopes, true, "flip stop R1")
		if err := h.Detach(); err != nil {
			t.Fatal(err)
		}
		refused(t, b, "R2", scopes, false, "flip resume R1", "flip rollback R1", "flip unlock ")
		h = acquire(t, b, "R1", scopes, journal.LockOptions{})
		if got := h.Takeover(); got.Unclean || got.From.Host != "a" {
			t.Errorf("taken over from a paused process: %+v", got)
		}
		h.Abandon()
		refused(t, a, "R2", scopes, true)
		time.Sleep(34 * time.Second)
		refused(t, a, "R2", scopes, true)
		time.Sleep(2 * time.Second)
		refused(t, a, "R2", scopes, false, "flip resume R1")
		open := true
		c := journal.NewLocks(root, journal.LocksOptions{Self: far("c"), Ended: func(string) bool { return !open }})
		refused(t, c, "R2", scopes, false)
		open = false
		acquire(t, c, "R2", scopes, journal.LockOptions{})
	})
}

func TestASilentProcessIsTakenOverAfterLeaseAndFlightTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := t.TempDir()
		o := journal.LockOptions{MaxInFlight: 5 * time.Second}
		first := acquire(t, locksOf(root, far("a")), "R1", scopes, o)
		b := locksOf(root, far("b"))
		time.Sleep(5 * time.Minute) // beats go on
		refused(t, b, "R1", scopes, true, "counts as gone at")
		if err := first.Valid(5 * time.Second); err != nil {
			t.Fatalf("a process that beats: %v", err)
		}
		first.Abandon()
		time.Sleep(34 * time.Second)
		refused(t, b, "R1", scopes, true)
		time.Sleep(time.Second)
		second := acquire(t, b, "R1", scopes, o)
		got := second.Takeover()
		if !got.Unclean || got.SinceBeat < 35*time.Second || got.From.Epoch != 1 {
			t.Errorf("taken over: %+v", got)
		}
		if e := second.Infos()[0].Epoch; e != 2 {
			t.Errorf("epoch %d, want 2", e)
		}
	})
}

func TestAProcessThatWasTakenOverIsFenced(t *testing.T) {
	root := t.TempDir()
	p := far("a")
	first := acquire(t, locksOf(root, p), "R1", scopes, journal.LockOptions{})
	second := acquire(t, locksOf(root, p), "R1", scopes, journal.LockOptions{})
	if err := first.Valid(time.Second); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("Valid: %v", err)
	}
	if err := first.Renew(t.Context()); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("Renew: %v", err)
	}
	if err := first.Release(); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("Release: %v", err)
	}
	if err := second.Valid(time.Second); err != nil {
		t.Errorf("the new holder: %v", err)
	}
	if n := len(held(t, locksOf(root, p))); n != 2 {
		t.Errorf("%d locks, want 2", n)
	}
}

func TestAProcessThatStoodStillIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := locksOf(t.TempDir(), far("a"))
		h := acquire(t, l, "R1", scopes, journal.LockOptions{Lease: 30 * time.Second, Beat: time.Hour})
		time.Sleep(20 * time.Second)
		if err := h.Valid(15 * time.Second); err != nil {
			t.Fatalf("late, but within the lease: %v", err)
		}
		time.Sleep(31 * time.Second)
		err := h.Valid(15 * time.Second)
		if f, ok := errors.AsType[*journal.FrozenError](err); !ok || f.For < 31*time.Second {
			t.Fatalf("after 31 s of silence: %v", err)
		}
		if err := h.Valid(15 * time.Second); err != nil {
			t.Errorf("told already, and nobody took over: %v", err)
		}
		if err := h.Valid(31 * time.Second); err == nil {
			t.Error("a call longer than the lease was allowed")
		}
	})
}

func TestAFreezeIsToldEvenWhenABeatComesFirst(t *testing.T) {
	now := began
	var mu sync.Mutex
	l := journal.NewLocks(t.TempDir(), journal.LocksOptions{Self: far("a"), Now: func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}})
	h := acquire(t, l, "R1", scopes, journal.LockOptions{})
	mu.Lock()
	now = now.Add(2 * time.Hour)
	mu.Unlock()
	if err := h.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if f, ok := errors.AsType[*journal.FrozenError](h.Valid(0)); !ok || f.For != 2*time.Hour {
		t.Errorf("got %v", f)
	}
}

func TestAcquireWaitsForAnotherRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := t.TempDir()
		h := acquire(t, locksOf(root, far("a")), "R1", scopes, journal.LockOptions{})
		var release sync.WaitGroup
		release.Go(func() {
			time.Sleep(time.Minute)
			if err := h.Release(); err != nil {
				t.Error(err)
			}
		})
		began := time.Now()
		acquire(t, locksOf(root, far("b")), "R2", scopes, journal.LockOptions{Wait: 2 * time.Minute})
		if waited := time.Since(began); waited < time.Minute || waited > time.Minute+time.Second {
			t.Errorf("waited %s", waited)
		}
		release.Wait()
		began = time.Now()
		_, err := locksOf(root, far("c")).Acquire(t.Context(), scopes, journal.LockInfo{Run: "R3"}, journal.LockOptions{Wait: 20 * time.Second})
		waited := time.Since(began)
		if _, ok := errors.AsType[*journal.LockedError](err); !ok || waited < 20*time.Second || waited > 21*time.Second {
			t.Errorf("after %s: %v", waited, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = locksOf(root, far("c")).Acquire(ctx, scopes, journal.LockInfo{Run: "R3"}, journal.LockOptions{Wait: time.Hour}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

func TestUnlockFreesAScopeAndFencesItsHolder(t *testing.T) {
	l := locksOf(t.TempDir(), far("a"))
	_, err := l.Break(t.Context(), "x", false)
	mentions(t, "the hint", strings.Join(hint.Of(err), "\n"), "nothing is locked")
	h := acquire(t, l, "R1", scopes, journal.LockOptions{})
	_, err = l.Break(t.Context(), "x", false)
	mentions(t, "the hint", strings.Join(hint.Of(err), "\n"), scopes[0], scopes[1])
	if _, err := l.Break(t.Context(), scopes[0], false); err == nil {
		t.Error("a lock of a living process was broken without force")
	}
	i, err := l.Break(t.Context(), scopes[0], true)
	if err != nil || i.Run != "R1" {
		t.Errorf("broke %+v, %v", i, err)
	}
	if err := h.Valid(0); !errors.Is(err, journal.ErrFenced) {
		t.Errorf("the holder: %v", err)
	}
}

func TestALockThatIsNoLockIsNamed(t *testing.T) {
	root := t.TempDir()
	l := locksOf(root, far("a"))
	acquire(t, l, "R1", scopes, journal.LockOptions{})
	files, err := filepath.Glob(filepath.Join(root, "locks", "*.lock.json"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = l.List(t.Context())
	mentions(t, "the error", err.Error(), files[0])
}

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
