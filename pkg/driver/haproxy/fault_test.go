package haproxy_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/haproxy"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeOf starts a fake with servers a (checked) and b, and a driver on it.
func fakeOf(t *testing.T) (*haproxytest.Fake, driver.Driver) {
	t.Helper()
	f := haproxytest.StartFake(t, haproxytest.FakeBackend{Name: "be", Servers: []haproxytest.FakeServer{
		{Name: "a", Address: "127.0.0.1:1001", Weight: 10, Check: true},
		{Name: "b", Address: "127.0.0.1:1002", Weight: 10},
	}})
	return f, open(t, haproxy.Config{Endpoints: endpoints(f.Socket), Backend: haproxy.Names{"be"}, Timeout: time.Second, HealthTimeout: time.Second})
}

func TestAnAnswerThatDoesNotComeIsNeverSuccess(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    haproxytest.FaultKind
		applied bool // in the end
		text    string
	}{
		{"closed without a reply", haproxytest.CloseWithoutReply, false, "closed the connection without an answer"},
		{"hangs", haproxytest.Hang, false, "nothing for 1s"},
		{"answers garbage", haproxytest.Garbage, false, "HTTP/1.0 400 Bad request"},
		{"applies and loses the reply", haproxytest.LoseReply, true, "closed the connection without an answer"},
		{"applies and cuts the reply", haproxytest.CutReply, true, "1 answers to 2 commands"},
		{"applies late", haproxytest.LateApply, true, "closed the connection without an answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, d := fakeOf(t)
			f.Fault(haproxytest.Fault{Kind: c.kind, Match: "set server", Times: 1, After: time.Millisecond})
			err := d.Apply(t.Context(), []state.Change{change("lb1/be/a", "weight", "10", "5")})
			if !errors.Is(err, driver.ErrUnknown) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), "set weight be/a") {
				t.Errorf("want an unknown outcome of set weight be/a with %q, got %v", c.text, err)
			}
			f.Late()
			value := map[bool]string{true: "5", false: "10"}[c.applied]
			want(t, d, map[string]string{"lb1/be/a weight": value})
			apply(t, d, change("lb1/be/a", "weight", "10", "5"))
			want(t, d, map[string]string{"lb1/be/a weight": "5"})
		})
		t.Run(c.name+" while reading", func(t *testing.T) {
			f, d := fakeOf(t)
			f.Fault(haproxytest.Fault{Kind: c.kind, Match: "show", After: time.Millisecond})
			if s, err := d.Read(t.Context()); err == nil {
				t.Errorf("read succeeds with %v", s)
			}
			err := d.Apply(t.Context(), []state.Change{change("lb1/be/a", "weight", "10", "5")})
			if err == nil || !strings.Contains(err.Error(), "nothing was written") || errors.Is(err, driver.ErrUnknown) {
				t.Errorf("want an error that says that nothing was written, got %v", err)
			}
			if got := f.Server("be", "a").Weight; got != 10 {
				t.Errorf("the weight is %d", got)
			}
		})
	}
}

func TestASlowHAProxyIsWaitedFor(t *testing.T) {
	f, d := fakeOf(t)
	f.Fault(haproxytest.Fault{Kind: haproxytest.Slow, After: 20 * time.Millisecond})
	apply(t, d, change("lb1/be/a", "weight", "10", "5"))
	want(t, d, map[string]string{"lb1/be/a weight": "5"})
}

func TestTheEndOfTheContextEndsACall(t *testing.T) {
	f, d := fakeOf(t)
	f.Fault(haproxytest.Fault{Kind: haproxytest.Hang, Match: "set server"})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // time to read, and less than Timeout
	defer cancel()
	err := d.Apply(ctx, []state.Change{change("lb1/be/a", "weight", "10", "5")})
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, driver.ErrUnknown) {
		t.Errorf("want an unknown outcome because of the deadline, got %v", err)
	}
}

func TestABatchWithOneBadCommandTellsWhichOne(t *testing.T) {
	f, d := fakeOf(t)
	// a is deleted between the reading and the writing.
	f.Before("set server", func() { f.Remove("be", "a") })
	err := d.Apply(t.Context(), []state.Change{change("lb1/be/a", "weight", "10", "5"), change("lb1/be/b", "weight", "10", "6")})
	if !errors.Is(err, driver.ErrNotFound) || !strings.Contains(err.Error(), "set weight be/a: No such server.") {
		t.Errorf("want a refusal of be/a, got %v", err)
	}
	if got := f.Server("be", "b").Weight; got != 6 {
		t.Errorf("HAProxy runs the rest of a line, but b has weight %d", got)
	}
}

func TestWhatIsAsItShouldBeIsNotWritten(t *testing.T) {
	f, d := fakeOf(t)
	apply(t, d, change("lb1/be/a", "weight", "3", "10"), change("lb1/be/a", "state", "maint", "ready"))
	if got := f.Commands(); len(got) > 0 {
		t.Errorf("written: %q", got)
	}
}

func TestARaiseGoesThroughGenuineChecksAndTheOrderHolds(t *testing.T) {
	f, d := fakeOf(t)
	f.Update("be", "a", func(s *haproxytest.FakeServer) { s.Admin = 1 })
	f.Update("be", "b", func(s *haproxytest.FakeServer) { s.Admin = 8 })
	apply(t, d,
		change("lb1/be/a", "state", "maint", "ready"), change("lb1/be/a", "weight", "10", "5"),
		change("lb1/be/b", "address", "127.0.0.1:1002", "[::1]:1002"), change("lb1/be/b", "state", "drain", "maint"))
	if diff := cmp.Diff([]string{
		"set server be/a weight 5", "set server be/a state drain", "set server be/a health down", "set server be/a state ready",
		"set server be/b addr ::1 port 1002", "set server be/b state maint",
	}, f.Commands()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestAServerWithoutChecksIsRaisedAndSaidToBeUnverified(t *testing.T) {
	f, d := fakeOf(t)
	f.Update("be", "b", func(s *haproxytest.FakeServer) { s.Admin = 1 })
	var told []string
	ctx := driver.WithProgress(t.Context(), func(s string) { told = append(told, s) })
	if err := d.Apply(ctx, []state.Change{change("lb1/be/b", "state", "maint", "ready")}); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, "not verified") }) {
		t.Errorf("progress told %q", told)
	}
}

func TestAReloadWhileChecksRunStopsTheRaise(t *testing.T) {
	f, d := fakeOf(t)
	f.Update("be", "a", func(s *haproxytest.FakeServer) { s.Admin, s.Dead = 1, true })
	reloaded := false
	ctx := driver.WithProgress(t.Context(), func(string) {
		if !reloaded {
			f.Reload()
			reloaded = true
		}
	})
	err := d.Apply(ctx, []state.Change{change("lb1/be/a", "state", "maint", "ready")})
	if err == nil || !strings.Contains(err.Error(), "was reloaded") {
		t.Errorf("want an error that tells of the reload, got %v", err)
	}
	if got := f.Commands(); slices.Contains(got, "set server be/a state ready") {
		t.Errorf("raised after a reload: %q", got)
	}
}

func TestAnotherOperatorsMaintDuringARaiseIsDrift(t *testing.T) {
	f, d := fakeOf(t)
	f.Update("be", "a", func(s *haproxytest.FakeServer) { s.Admin, s.Dead = 1, true })
	ctx := driver.WithProgress(t.Context(), func(string) {
		f.Update("be", "a", func(s *haproxytest.FakeServer) { s.Admin = 1 })
	})
	err := d.Apply(ctx, []state.Change{change("lb1/be/a", "state", "maint", "ready")})
	if _, ok := errors.AsType[*driver.DriftError](err); !ok {
		t.Errorf("want a *DriftError, got %v", err)
	}
}

func TestDriftOfOneObjectLeavesAllAlone(t *testing.T) {
	f, d := fakeOf(t)
	f.Update("be", "b", func(s *haproxytest.FakeServer) { s.Weight = 37 })
	err := d.Apply(t.Context(), []state.Change{change("lb1/be/a", "weight", "10", "5"), change("lb1/be/b", "weight", "10", "5")})
	drift, ok := errors.AsType[*driver.DriftError](err)
	if !ok || drift.Now != "37" || len(f.Commands()) > 0 {
		t.Errorf("want drift of b and no command, got %v and %q", err, f.Commands())
	}
}

func TestASocketThatMayOnlyLookIsAnErrorWithAdvice(t *testing.T) {
	f, d := fakeOf(t)
	f.Level("operator")
	want(t, d, map[string]string{"lb1/be/a weight": "10"})
	err := d.Apply(t.Context(), []state.Change{change("lb1/be/a", "weight", "10", "5")})
	if !errors.Is(err, driver.ErrPermanent) || !strings.Contains(strings.Join(hint.Of(err), " "), "level admin") {
		t.Errorf("want a permanent error that names `level admin`, got %v (%q)", err, hint.Of(err))
	}
}

func TestASocketThatCannotBeUsedSaysWhy(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(dir, "dead")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, c := range []struct {
		name, endpoint, text, hint string
		is                         error
	}{
		{"absent", "unix://" + dir + "/none", "unix://" + dir + "/none: no such file or directory", "stats socket", fs.ErrNotExist},
		{"not a socket", file, "not a socket", "stats socket", nil},
		{"nobody listens", dead, "connection refused", "nobody listens", syscall.ECONNREFUSED},
		{"no tcp port", "tcp://127.0.0.1:1", "tcp://127.0.0.1:1: connection refused", "stats socket ipv4@127.0.0.1:1", syscall.ECONNREFUSED},
		{"no master", "master://" + dir + "/none@2", "master://" + dir + "/none@2: no such file", "stats socket", fs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := readErr(t, open(t, haproxy.Config{Endpoints: endpoints(c.endpoint), Backend: haproxy.Names{"be"}}))
			if err == nil || !strings.Contains(err.Error(), c.text) || (c.is != nil && !errors.Is(err, c.is)) || errors.Is(err, driver.ErrUnknown) {
				t.Errorf("want %q, got %v", c.text, err)
			}
			if got := strings.Join(hint.Of(err), "; "); !strings.Contains(got, c.hint) {
				t.Errorf("want a hint with %q, got %q", c.hint, got)
			}
		})
	}
}

func TestADyingServerIsDeletedOnceItsSessionsHaveEnded(t *testing.T) {
	f, d := fakeOf(t)
	apply(t, d, change("lb1/be/n", "address", "", "127.0.0.1:1"), change("lb1/be/n", "present", "", "true"), change("lb1/be/n", "state", "", "ready"))
	f.Update("be", "n", func(s *haproxytest.FakeServer) { s.Sessions = 2 })
	ctx := driver.WithProgress(t.Context(), func(string) {
		f.Update("be", "n", func(s *haproxytest.FakeServer) { s.Sessions = 0 })
	})
	if err := d.Apply(ctx, []state.Change{change("lb1/be/n", "present", "true", "")}); err != nil {
		t.Fatal(err)
	}
	got := f.Commands()
	if diff := cmp.Diff([]string{"set server be/n state drain", "set server be/n state maint", "del server be/n"}, got[len(got)-3:]); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestManyChangesOnManyNodesArriveWhole(t *testing.T) {
	const servers = 1000
	var all []haproxytest.FakeServer
	for i := range servers {
		all = append(all, haproxytest.FakeServer{Name: fmt.Sprintf("s%d", i), Address: fmt.Sprintf("10.0.%d.%d:80", i/250, i%250)})
	}
	be := haproxytest.FakeBackend{Name: "be", Servers: all}
	one, two := haproxytest.StartFake(t, be), haproxytest.StartFake(t, be)
	d := open(t, haproxy.Config{Endpoints: endpoints(one.Socket, "tcp://"+two.TCP), Backend: haproxy.Names{"be"}})
	var changes []state.Change
	for i := range servers {
		for _, node := range []string{"lb1", "lb2"} {
			changes = append(changes, change(fmt.Sprintf("%s/be/s%d", node, i), "weight", "1", fmt.Sprint(i%257)))
		}
	}
	before, err := d.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	apply(t, d, changes...)
	after, err := d.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.With(changes).Objects, after.Objects); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}
