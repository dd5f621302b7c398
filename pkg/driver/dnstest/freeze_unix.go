//go:build unix

package dnstest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Freeze stops the server's process: it accepts connections and packets and
// answers nothing until Thaw.
func (s *Server) Freeze(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGSTOP)
	s.Wait(t, s.stopped) // the signal comes to one thread after the other
}

// stopped looks at the threads where the system shows them.
func (s *Server) stopped() error {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.cmd.Process.Pid))
	for _, path := range threads {
		stat, rerr := os.ReadFile(path)
		if rerr != nil {
			continue // the thread has ended
		}
		_, rest, _ := strings.Cut(string(stat), ") ") // the name is in parentheses
		if !strings.HasPrefix(rest, "T") {
			err = fmt.Errorf("%s: a thread is not stopped", path)
		}
	}
	return err
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *Server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}
