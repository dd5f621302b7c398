package plane_test

import (
	"bufio"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

// socket takes the commands of a runtime socket. It is not HAProxy: the test
// of scripts/servers/aliyun runs the real one.
type socket struct {
	path string
	mu   sync.Mutex
	said []string
}

func runtime(t *testing.T) *socket {
	t.Helper()
	s := &socket{path: filepath.Join(t.TempDir(), "s")}
	ln, err := net.Listen("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(c).ReadString('\n') // a part is a wrong command
			answer := "\n"
			if strings.Contains(line, "be/s9") {
				answer = "No such server.\n\n"
			}
			s.mu.Lock()
			s.said = append(s.said, strings.TrimSpace(line))
			s.mu.Unlock()
			_, _ = c.Write([]byte(answer)) // the client may be gone
			c.Close()
		}
	})
	t.Cleanup(func() {
		ln.Close()
		serving.Wait()
	})
	return s
}

func (s *socket) commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := s.said
	s.said = nil
	return said
}

func TestHAProxyIsToldWhatChangedAndRaisesFirst(t *testing.T) {
	a, b, s := start(t, "a"), start(t, "b"), runtime(t)
	h := plane.NewHAProxy(s.path, map[string]map[string]string{"l": {"g/a": "be/s1", "g/b": "be/s2"}})
	defer h.Close()
	steps := []struct {
		name  string
		table plane.Table
		want  []string
	}{
		{"a serves", two("http", a, b, 100, 0), []string{"set server be/s1 weight 100", "set server be/s2 weight 0"}},
		{"the same", two("http", a, b, 100, 0), nil},
		{"b serves", two("http", a, b, 0, 100), []string{"set server be/s2 weight 100", "set server be/s1 weight 0"}},
		{"nobody is left", plane.Table{Listeners: []plane.Listener{{ID: "l"}}}, []string{"set server be/s2 weight 0"}},
	}
	for _, step := range steps {
		apply(t, h, step.table)
		if diff := cmp.Diff(step.want, s.commands()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestPoolsBecomeOneInHAProxy(t *testing.T) {
	s := runtime(t)
	h := plane.NewHAProxy(s.path, map[string]map[string]string{"l": {"ga/1": "be/s1", "ga/2": "be/s2", "gb/1": "be/s3"}})
	defer h.Close()
	pools := []plane.Pool{
		{ID: "ga", Weight: 10, Members: []plane.Member{{ID: "ga/1", Weight: 100}, {ID: "ga/2", Weight: 100}}},
		{ID: "gb", Weight: 90, Members: []plane.Member{{ID: "gb/1", Weight: 7}}},
	}
	apply(t, h, plane.Table{Listeners: []plane.Listener{{ID: "l", Routes: []plane.Route{{Pools: pools}}}}})
	got := map[string]bool{}
	for _, c := range s.commands() {
		got[c] = true
	}
	// 5%, 5% and 90%, with 100 for the most.
	want := map[string]bool{"set server be/s1 weight 6": true, "set server be/s2 weight 6": true, "set server be/s3 weight 100": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestAServerThatHAProxyDoesNotHaveIsAnError(t *testing.T) {
	a, b, s := start(t, "a"), start(t, "b"), runtime(t)
	h := plane.NewHAProxy(s.path, map[string]map[string]string{"l": {"g/a": "be/s1", "g/b": "be/s9"}})
	defer h.Close()
	if err := h.Apply(two("http", a, b, 100, 50)); err == nil || !strings.Contains(err.Error(), "No such server") {
		t.Errorf("error %v", err)
	}
}

func TestHAProxyCutsAfterTheDrainOfARemovedMember(t *testing.T) {
	a, b, s := start(t, "a"), start(t, "b"), runtime(t)
	h := plane.NewHAProxy(s.path, map[string]map[string]string{"l": {"g/a": "be/s1", "g/b": "be/s2"}})
	defer h.Close()
	removed := two("http", a, b, 0, 100)
	pool := &removed.Listeners[0].Routes[0].Pools[0]
	pool.Members, pool.DrainOn, pool.Drain = pool.Members[1:], true, 10*time.Millisecond
	apply(t, h, removed)
	var said []string
	until(t, "the cut", func() bool {
		said = append(said, s.commands()...)
		return len(said) == 3
	})
	if said[2] != "shutdown sessions server be/s1" {
		t.Errorf("said %v", said)
	}
}
