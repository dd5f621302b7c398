package haproxytest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
)

// named serves its name on / and 200 on /health.
func named(t *testing.T, name string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func fetch(t *testing.T, front, host string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+front+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host, req.Close = host, true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func command(t *testing.T, s *haproxytest.Server, line string) string {
	t.Helper()
	reply, err := s.Command(line)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func backend(name string, addrs ...string) haproxytest.Backend {
	be := haproxytest.Backend{Name: name}
	for i, addr := range addrs {
		be.Servers = append(be.Servers, haproxytest.Member{Name: string(rune('a' + i)), Address: addr, Weight: 10})
	}
	return be
}

func TestServerServesAndObeysItsSocket(t *testing.T) {
	t.Parallel()
	be := backend("be", named(t, "one"), named(t, "two"))
	be.Cookie = true
	s := haproxytest.Start(t, haproxytest.Config{Backends: []haproxytest.Backend{be}, CheckInterval: 50 * time.Millisecond})
	if got := command(t, s, "set server be/a state maint"); got != "" {
		t.Fatalf("set server answered %q, want only a newline", got)
	}
	if got := fetch(t, s.Front, "any"); got != "two" {
		t.Errorf("with a in maint the answer comes from %q, want two", got)
	}
	if got := command(t, s, "get weight be/b"); !strings.HasPrefix(got, "10 (initial 10)") {
		t.Errorf("get weight answered %q", got)
	}
	conn, err := net.Dial("tcp", s.TCPSocket)
	if err != nil {
		t.Fatalf("TCP admin socket: %v", err)
	}
	conn.Close()
}

func TestMapChoosesTheBackend(t *testing.T) {
	t.Parallel()
	s := haproxytest.Start(t, haproxytest.Config{
		Backends: []haproxytest.Backend{backend("blue", named(t, "blue")), backend("green", named(t, "green"))},
		Map:      &haproxytest.Map{Entries: []string{"new.test green"}},
	})
	if got := fetch(t, s.Front, "old.test"); got != "blue" {
		t.Errorf("old.test is served by %q, want the default blue", got)
	}
	if got := fetch(t, s.Front, "new.test"); got != "green" {
		t.Errorf("new.test is served by %q, want green", got)
	}
	command(t, s, "set map "+s.MapFile+" new.test blue")
	if got := fetch(t, s.Front, "new.test"); got != "blue" {
		t.Errorf("after set map new.test is served by %q, want blue", got)
	}
}

func TestReloadForgetsWhatTheSocketWasTold(t *testing.T) {
	t.Parallel()
	s := haproxytest.Start(t, haproxytest.Config{
		Backends: []haproxytest.Backend{backend("be", named(t, "one"))}, MasterWorker: true,
	})
	command(t, s, "set server be/a weight 3")
	master := s.PID()
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := command(t, s, "get weight be/a"); !strings.HasPrefix(got, "10 ") {
		t.Errorf("after the reload the weight is %q, want 10", got)
	}
	if got := s.PID(); got != master {
		t.Errorf("the master changed from %d to %d", master, got)
	}
	if procs, err := s.MasterCommand("show proc"); err != nil || !strings.Contains(procs, "worker") {
		t.Errorf("show proc = %q, %v", procs, err)
	}
}

func TestKilledHAProxyIsGoneUntilRestart(t *testing.T) {
	t.Parallel()
	s := haproxytest.Start(t, haproxytest.Config{
		Backends: []haproxytest.Backend{backend("be", named(t, "one"))}, MasterWorker: true,
	})
	worker := workerPID(t, s)
	s.Kill()
	if s.PID() != 0 {
		t.Errorf("PID = %d after Kill, want 0", s.PID())
	}
	if err := syscall.Kill(worker, 0); err == nil {
		if stat, _ := os.ReadFile("/proc/" + strconv.Itoa(worker) + "/stat"); !strings.Contains(string(stat), ") Z ") {
			t.Errorf("worker %d survived Kill: %s", worker, stat)
		}
	}
	if _, err := s.Command("show info"); err == nil {
		t.Error("the admin socket of a killed HAProxy answers")
	}
	if conn, err := net.Dial("tcp", s.Front); err == nil {
		conn.Close()
		t.Error("the frontend of a killed HAProxy accepts")
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, s.Front, "any"); got != "one" {
		t.Errorf("after Restart the answer is %q, want one", got)
	}
}

func workerPID(t *testing.T, s *haproxytest.Server) int {
	t.Helper()
	for line := range strings.Lines(command(t, s, "show info")) {
		if text, ok := strings.CutPrefix(line, "Pid: "); ok {
			pid, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("show info has no Pid")
	return 0
}

func TestRunSaysWhatHAProxySaid(t *testing.T) {
	t.Parallel()
	s, err := haproxytest.Run(t.Context(), t.TempDir(), haproxytest.Config{Defaults: []string{"timeout forever"}})
	if errors.Is(err, haproxytest.ErrNotInstalled) {
		t.Skip(err)
	}
	if err == nil {
		s.Stop()
		t.Fatal("a wrong configuration was accepted")
	}
	if !strings.Contains(err.Error(), "timeout") || !strings.Contains(err.Error(), "haproxy.cfg:") {
		t.Errorf("the error does not carry HAProxy's message: %v", err)
	}
}

func TestRunNamesWhatToInstall(t *testing.T) {
	t.Parallel()
	_, err := haproxytest.Run(t.Context(), "", haproxytest.Config{Binary: "/nonexistent/haproxy"})
	if !errors.Is(err, haproxytest.ErrNotInstalled) {
		t.Fatalf("err = %v, want ErrNotInstalled", err)
	}
}

func TestHAProxyEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := haproxytest.Run(ctx, "", haproxytest.Config{Backends: []haproxytest.Backend{backend("be", named(t, "one"))}})
	if errors.Is(err, haproxytest.ErrNotInstalled) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	s.Stop()
	if s.PID() != 0 {
		t.Errorf("PID = %d after the context ended, want 0", s.PID())
	}
}
