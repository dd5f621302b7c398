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

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
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

func TestLocksThatCannotAllBeWrittenAreAsTheyWere(t *testing.T) {
	root := t.TempDir()
	acquire(t, locksOf(root, far("a")), "R1", []string{"b"}, journal.LockOptions{Lease: time.Nanosecond, Beat: time.Hour}).Abandon()
	b := locksOf(root, far("b"))
	before, err := b.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.FailWrite(2, syscall.ENOSPC)
	_, err = b.Acquire(t.Context(), []string{"a", "b", "c"}, journal.LockInfo{Run: "R1"}, journal.LockOptions{})
	if !errors.Is(err, syscall.ENOSPC) || len(hint.Of(err)) == 0 {
		t.Errorf("got %v, hints %q", err, hint.Of(err))
	}
	after, err := b.List(t.Context())
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("locks (-before +after):\n%s %v", diff, err)
	}
	if h := acquire(t, b, "R1", []string{"a", "b", "c"}, journal.LockOptions{}); !h.Takeover().Unclean {
		t.Errorf("the death of the process before is forgotten: %+v", h.Takeover())
	}
}

func TestAnErrorOfALockSaysWhoHasIt(t *testing.T) {
	i := journal.LockInfo{
		Scope: "haproxy://lb1/be_web", Run: "01K9Z3M8", Plan: "shop-web", Who: "deploy",
		Process: journal.Process{Host: "ci-17", PID: 7}, Since: began, Beat: began,
	}
	for text, e := range map[string]journal.LockedError{
		"haproxy://lb1/be_web is locked by run 01K9Z3M8 (shop-web), driven by deploy on ci-17 (pid 7) since 2026-11-21T14:02:07Z":                                             {Info: i, Alive: true},
		"haproxy://lb1/be_web is locked by run 01K9Z3M8 (shop-web), whose driver is gone: deploy on ci-17 (pid 7) since 2026-11-21T14:02:07Z, last beat 2026-11-21T14:02:07Z": {Info: i},
	} {
		if got := e.Error(); got != text {
			t.Errorf("got  %s\nwant %s", got, text)
		}
	}
	i.Detached, i.Plan = true, ""
	if got, want := (&journal.LockedError{Info: i}).Error(), "haproxy://lb1/be_web is locked by run 01K9Z3M8, which stands since 2026-11-21T14:02:07Z: deploy on ci-17 let go of it"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
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
