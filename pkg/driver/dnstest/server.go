package dnstest

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Server is one running name server.
type Server struct {
	name string
	zone string
	addr string
	url  string
	ca   string

	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{} // closed when the process has ended
	once sync.Once
}

// Addr is where the server answers, host:port, UDP and TCP.
func (s *Server) Addr() string { return s.addr }

// Zone is the name of the zone that the server is about.
func (s *Server) Zone() string { return s.zone }

// URL is the address of DNS over HTTPS, with DoH or DoHPlain.
func (s *Server) URL() string { return s.url }

// CA is the file with the certificate of URL.
func (s *Server) CA() string { return s.ca }

// Log is what the server has written so far.
func (s *Server) Log() string { return s.log.String() }

// started bounds how long a server may take to answer.
const started = 20 * time.Second

// start runs a server and waits until it answers for its zone. The test ends
// the process; when the test has failed, the server's log is shown.
func start(t testing.TB, s *Server, path string, args ...string) *Server {
	t.Helper()
	s.log, s.done = &logBuffer{}, make(chan struct{})
	s.cmd = exec.Command(path, args...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.WaitDelay = 5 * time.Second
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // killed, as it should be
	}()
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("%s %s:\n%s", s.name, s.addr, s.Log())
		}
	})
	s.Wait(t, func() error {
		r, err := s.exchange(question(s.zone, "SOA"))
		if err != nil {
			return err
		}
		if r.Rcode != dns.RcodeSuccess || len(r.Answer) == 0 {
			return fmt.Errorf("it answers %s for the SOA of %s", dns.RcodeToString[r.Rcode], s.zone)
		}
		return nil
	})
	return s
}

// Wait calls ready until it returns nil, and fails the test when it does not
// for 20 seconds or the server has ended.
func (s *Server) Wait(t testing.TB, ready func() error) {
	t.Helper()
	end := time.NewTimer(started)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-s.done:
			t.Fatalf("%s has ended (%v):\n%s", s.name, s.cmd.ProcessState, s.Log())
		case <-end.C:
			t.Fatalf("%s %s: after %s: %v\n%s", s.name, s.addr, started, err, s.Log())
		case <-tick.C:
		}
	}
}

// Stop ends the server at once, as kill -9 does, and returns when it is gone.
// Connections to it are refused from then on.
func (s *Server) Stop() {
	s.once.Do(func() {
		_ = s.cmd.Process.Kill() // gone already is fine
	})
	<-s.done
}

// logBuffer keeps the last part of a log.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const logLimit = 1 << 20

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() > logLimit {
		l.b.Next(l.b.Len() - logLimit/2)
	}
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.b.String())
}
