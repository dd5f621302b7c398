package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flip-cli/flip/integration/estate"
	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/journal"
)

// TestSwitchesLoseNothing releases back and forth with plans/canary.yaml under the load that the controls of
// TestTheWrongOrderIsSeen lose requests in. As soon as flip says that the old servers are drained they are killed with
// SIGKILL. FLIP_SOAK=1 makes it ten times as many requests.
func TestSwitchesLoseNothing(t *testing.T) {
	t.Parallel()
	goal := int64(100_000)
	if os.Getenv("FLIP_SOAK") == "1" {
		goal = 1_000_000
	}
	var all, switches atomic.Int64
	t.Cleanup(func() {
		if !t.Failed() {
			fmt.Printf("requests %d, failed 0, switches %d\n", all.Load(), switches.Load())
		}
	})
	for _, tt := range []struct {
		name     string
		load     func(*traffic.Config)
		backend  haproxytest.Backend
		switches int // at least
		requests int64
	}{
		{"with websockets that the old release closes", func(c *traffic.Config) { c.Websockets = 6 }, haproxytest.Backend{}, 8, goal * 7 / 10},
		{"with clients pinned by a cookie", func(c *traffic.Config) { c.Sticky, c.Websockets = true, 6 }, haproxytest.Backend{Cookie: true}, 3, goal * 3 / 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := set(t, estate.Config{Backend: tt.backend})
			s.begin(func(c *traffic.Config) {
				c.Pause = 2 * time.Millisecond
				tt.load(c)
			})
			n := 0
			for n < tt.switches || s.loads[0].Now().Total().Requests < tt.requests {
				n++
				s.phase(fmt.Sprintf("switch %d", n))
				s.switchAndKill(n)
			}
			s.until("load after the last switch", func() error {
				if s.loads[0].Now().Total().Requests < tt.requests {
					return fmt.Errorf("fewer than %d requests", tt.requests)
				}
				return nil
			})
			result := s.stop()[0]
			total := result.Total()
			if result.Lost() > 0 {
				t.Errorf("lost %d:\n%s", result.Lost(), result)
			}
			if want := int64(6 * n); total.Websockets.Closed < want {
				t.Errorf("%d websockets were closed by a frame, want the %d of every switch", total.Websockets.Closed, want)
			}
			t.Logf("requests %d, failed %d, switches %d; websockets %d opened, %d closed, %d cut; longest %.0f ms",
				total.Requests, total.Failed, n, total.Websockets.Opened, total.Websockets.Closed, total.Websockets.Cut, total.MaxMS)
			all.Add(total.Requests)
			switches.Add(int64(n))
		})
	}
}

// switchAndKill releases to the idle side and kills the other once it is drained, which must be by itself.
func (s *site) switchAndKill(n int) {
	s.Helper()
	old, fresh := []string{"web1", "web2"}, []string{"web3", "web4"}
	if n%2 == 0 {
		old, fresh = fresh, old
	}
	s.records = nil
	said := s.want(0, s.run("canary", s.release(fmt.Sprintf("version=r%d", n), "goodbye="+s.Polite, "hold=100ms", "quiet=700ms")...)...)
	if drained := s.drained("/steps/drained.web.drain"); !drained.Quiet {
		s.Fatalf("switch %d: not quiet: %s\n%s", n, drained.Text, said)
	}
	for _, name := range old {
		if p := s.picture()["lb1/be_web/"+name]; p["weight"] != "0" || p["state"] != "maint" {
			s.Fatalf("switch %d: %s is out with %v", n, name, p)
		}
	}
	for _, name := range fresh {
		if want := fmt.Sprintf("r%d", n); s.Version(name) != want {
			s.Fatalf("switch %d: %s runs %s", n, name, s.Version(name))
		}
	}
	s.KillApps(old...)
}

// drained is what flip recorded of a drain.
func (s *site) drained(key string) journal.Drained {
	s.Helper()
	var out journal.Drained
	for _, r := range s.records {
		if r.Type == journal.TypeDone && r.Key == key {
			if err := json.Unmarshal(r.Data, &out); err != nil {
				s.Fatal(err)
			}
			return out
		}
	}
	var keys []string
	for _, r := range s.records {
		keys = append(keys, string(r.Type)+" "+r.Key)
	}
	s.Fatalf("no drain %s in\n%s", key, strings.Join(keys, "\n"))
	return out
}
