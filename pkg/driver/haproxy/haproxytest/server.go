// Package haproxytest runs the peers that the haproxy driver is tested against: a real HAProxy process, and a fake
// admin socket that misbehaves on demand.
package haproxytest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// ErrNotInstalled says that there is no haproxy program on this machine.
var ErrNotInstalled = errors.New("haproxy is not installed")

// Server is a HAProxy process that listens on loopback only. Its addresses stay the same over Restart and Reload.
// Methods may be called from several goroutines, one that changes the process (Stop, Kill, Restart) at a time.
type Server struct {
	// Socket is the path of the unix admin socket, TCPSocket the same on "127.0.0.1:port".
	Socket, TCPSocket string
	// Master is the path of the master socket, "" unless Config.MasterWorker.
	Master string
	// Front is the "127.0.0.1:port" that clients talk to.
	Front string
	// ConfigFile can be rewritten before Restart or Reload. MapFile is "" without Config.Map.
	ConfigFile, MapFile string

	cfg    Config
	binary string
	short  string // the sockets' directory, removed by Stop
	log    logBuffer
	proc   *process
}

// Run starts HAProxy with its configuration in dir and returns when it answers on its admin socket. An empty dir means
// one that Stop removes. HAProxy is killed when ctx ends; Stop must be called in any case.
func Run(ctx context.Context, dir string, cfg Config) (*Server, error) {
	binary, err := find(cfg.Binary)
	if err != nil {
		return nil, err
	}
	short, err := shortDir()
	if err != nil {
		return nil, fmt.Errorf("run haproxy: %w", err)
	}
	if dir == "" {
		dir = short
	}
	s := &Server{cfg: cfg, binary: binary, short: short}
	for attempt := 1; ; attempt++ {
		err = s.first(ctx, dir)
		if err == nil {
			return s, nil
		}
		if attempt == 3 || !s.log.contains("cannot bind") {
			os.RemoveAll(short)
			return nil, fmt.Errorf("run %s: %w", orWord(cfg.Name, "haproxy"), err)
		}
		s.log.reset()
	}
}

// Start is Run for a test: the process ends with the test, and its messages are shown when the test fails. Without
// HAProxy the test fails when CI=true and is skipped otherwise.
func Start(tb testing.TB, cfg Config) *Server {
	tb.Helper()
	s, err := Run(context.WithoutCancel(tb.Context()), "", cfg)
	if errors.Is(err, ErrNotInstalled) && os.Getenv("CI") != "true" {
		tb.Skipf("NOT TESTED: %v\n%s", err, strings.Join(hint.Of(err), "\n"))
	}
	if err != nil {
		tb.Fatalf("%v\n%s", err, strings.Join(hint.Of(err), "\n"))
	}
	tb.Cleanup(func() {
		s.Stop()
		if tb.Failed() && s.Log() != "" {
			tb.Logf("%s said:\n%s", orWord(cfg.Name, "haproxy"), s.Log())
		}
	})
	return s
}

// PID is the process that was started: the master with Config.MasterWorker, else the one that serves. 0 = not running.
func (s *Server) PID() int {
	if s.proc == nil || s.proc.ended() {
		return 0
	}
	return s.proc.pid
}

// Log returns what HAProxy wrote to its standard streams.
func (s *Server) Log() string { return s.log.String() }

// Kill sends SIGKILL to every process of this HAProxy and waits for its end: a machine that is gone. Restart brings it back.
func (s *Server) Kill() {
	if s.proc != nil {
		s.proc.signalGroup(syscall.SIGKILL)
		<-s.proc.done
	}
}

// Stop ends HAProxy, waits for its end and removes its sockets. It may be called again.
func (s *Server) Stop() {
	s.halt()
	os.RemoveAll(s.short)
}

// Restart ends HAProxy if it runs, and starts it again on the same addresses with what ConfigFile says now.
func (s *Server) Restart(ctx context.Context) error {
	s.halt()
	if err := s.launch(ctx); err != nil {
		return fmt.Errorf("restart haproxy: %w", err)
	}
	return nil
}

// Reload makes the master start a new worker (SIGUSR2) and returns when the new one answers; the old one may still serve
// what it had. Needs Config.MasterWorker.
func (s *Server) Reload(ctx context.Context) error {
	if s.Master == "" {
		return errors.New("reload haproxy: not in master-worker mode")
	}
	before, err := s.worker()
	if err != nil {
		return fmt.Errorf("reload haproxy: %w", err)
	}
	if err := syscall.Kill(s.proc.pid, syscall.SIGUSR2); err != nil {
		return fmt.Errorf("reload haproxy: %w", err)
	}
	err = s.poll(ctx, func() error {
		now, err := s.worker()
		if err == nil && now == before {
			return fmt.Errorf("worker %s still answers", before)
		}
		return s.answers()
	})
	if err != nil {
		return fmt.Errorf("reload haproxy: %w", err)
	}
	return nil
}

func (s *Server) first(ctx context.Context, dir string) error {
	if err := s.place(dir); err != nil {
		return err
	}
	if err := s.writeFiles(); err != nil {
		return err
	}
	return s.launch(ctx)
}

func (s *Server) launch(ctx context.Context) error {
	args := []string{"-f", s.ConfigFile, "-db"}
	if s.Master != "" {
		args = append(args, "-W", "-S", s.Master)
	}
	proc, err := startProcess(ctx, exec.Command(s.binary, args...), &s.log)
	if err != nil {
		return err
	}
	s.proc = proc
	if err := s.poll(ctx, s.answers); err != nil {
		s.Kill()
		return err
	}
	return nil
}

// answers says whether HAProxy is up. The worker answers before its master can handle a signal: SIGUSR2 would be lost.
func (s *Server) answers() error {
	if s.Master != "" {
		if _, err := s.MasterCommand("show proc"); err != nil {
			return err
		}
	}
	_, err := s.worker()
	return err
}

// halt asks with SIGTERM, which HAProxy obeys at once (management.txt 4), and kills what is left.
func (s *Server) halt() {
	if s.proc == nil {
		return
	}
	s.proc.signal(syscall.SIGTERM)
	select {
	case <-s.proc.done:
	case <-time.After(3 * time.Second):
	}
	s.Kill()
}

// poll asks every 10 ms until ask succeeds, at most 30 s (10,000 servers on a busy machine), and gives up when the process ends.
func (s *Server) poll(ctx context.Context, ask func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-s.proc.done:
			return fmt.Errorf("it ended (%w):\n%s", s.proc.err, s.Log())
		case <-ctx.Done():
			return fmt.Errorf("%w; %w\n%s", ctx.Err(), err, s.Log())
		case <-tick.C:
		}
	}
}

func find(binary string) (string, error) {
	names := []string{binary}
	if binary == "" {
		names = []string{"haproxy"}
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"} {
			names = append(names, filepath.Join(dir, "haproxy"))
		}
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", hint.Wrap(ErrNotInstalled, "apt-get install haproxy, or brew install haproxy")
}
