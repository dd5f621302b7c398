package plane

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// HAProxy steers a real HAProxy through its runtime socket. It sets weights
// only: HAProxy checks its members itself.
type HAProxy struct {
	socket string
	names  map[string]map[string]string

	mu     sync.Mutex
	sent   map[string]int // by be/srv
	timers map[string]*time.Timer
	closed bool
	cuts   sync.WaitGroup
}

// NewHAProxy steers the process behind a unix socket of level admin. names
// gives "backend/server" by listener id and member id; what is not in it is
// not touched. The weights of HAProxy's `server` lines must be in the range
// 0..256 and are replaced.
func NewHAProxy(socket string, names map[string]map[string]string) *HAProxy {
	return &HAProxy{socket: socket, names: names, sent: map[string]int{}, timers: map[string]*time.Timer{}}
}

// Apply implements Plane: higher weights are sent before lower ones, as one
// table is in effect at one moment on the real thing.
func (h *HAProxy) Apply(t Table) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errors.New("haproxy plane is closed")
	}
	want, drains := h.want(t)
	servers := make([]string, 0, len(want))
	for server := range want {
		servers = append(servers, server)
	}
	slices.SortFunc(servers, func(a, b string) int {
		return (want[b] - h.sent[b]) - (want[a] - h.sent[a])
	})
	for _, server := range servers {
		if was, known := h.sent[server]; known && was == want[server] {
			continue
		}
		if err := h.say(fmt.Sprintf("set server %s weight %d", server, want[server])); err != nil {
			return err
		}
		h.sent[server] = want[server]
	}
	h.drain(drains)
	return nil
}

// Close ends the drains that run. It leaves HAProxy as it is.
func (h *HAProxy) Close() error {
	h.mu.Lock()
	h.closed = true
	for _, t := range h.timers {
		t.Stop()
	}
	h.mu.Unlock()
	h.cuts.Wait()
	return nil
}

// want are the weights of all named servers; who is not in the table has 0.
// drains are the times after which removed members are cut.
func (h *HAProxy) want(t Table) (map[string]int, map[string]time.Duration) {
	want, drains := map[string]int{}, map[string]time.Duration{}
	for _, l := range t.Listeners {
		names := h.names[l.ID]
		for _, server := range names {
			want[server] = 0
		}
		present := map[string]bool{}
		for _, r := range l.Routes {
			for id, weight := range r.flat() {
				if server, ok := names[id]; ok {
					want[server], present[server] = weight, true
				}
			}
		}
		for _, server := range names {
			if after, on := l.drain(); on && !present[server] {
				drains[server] = after
			}
		}
	}
	return want, drains
}

// drain needs mu.
func (h *HAProxy) drain(drains map[string]time.Duration) {
	for server, t := range h.timers {
		if _, still := drains[server]; !still {
			t.Stop()
			delete(h.timers, server)
		}
	}
	for server, after := range drains {
		if h.timers[server] == nil {
			h.timers[server] = time.AfterFunc(after, func() { h.cut(server) })
		}
	}
}

// cut ends what is open on a server; a process that is gone has nothing open.
func (h *HAProxy) cut(server string) {
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.cuts.Add(1)
	}
	h.mu.Unlock()
	if closed {
		return
	}
	defer h.cuts.Done()
	_ = h.say("shutdown sessions server " + server)
}

// drain is the drain of a listener's pools.
func (l Listener) drain() (time.Duration, bool) {
	for _, r := range l.Routes {
		for _, p := range r.Pools {
			if p.DrainOn {
				return p.Drain, true
			}
		}
	}
	return 0, false
}

// flat are the weights 0..100 of a route's members when its pools are one.
func (r Route) flat() map[string]int {
	if len(r.Pools) == 1 && r.Pools[0].Weight > 0 {
		flat := map[string]int{}
		for _, m := range r.Pools[0].Members {
			flat[m.ID] = m.Weight
		}
		return flat
	}
	share, most := map[string]float64{}, 0.0
	for _, p := range r.Pools {
		total := 0
		for _, m := range p.Members {
			total += m.Weight
		}
		for _, m := range p.Members {
			if share[m.ID] = 0; total > 0 {
				share[m.ID] = float64(p.Weight) * float64(m.Weight) / float64(total)
			}
			most = max(most, share[m.ID])
		}
	}
	flat := map[string]int{}
	for id, s := range share {
		if flat[id] = 0; s > 0 {
			flat[id] = max(1, int(math.Round(s/most*100)))
		}
	}
	return flat
}

// say sends a command. HAProxy answers a newline when it has done it.
func (h *HAProxy) say(command string) error {
	c, err := net.DialTimeout("unix", h.socket, 2*time.Second) //nolint:noctx // bounded here; a table is applied whole
	if err != nil {
		return fmt.Errorf("haproxy: %s: %w", command, err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return fmt.Errorf("haproxy: %s: %w", command, err)
	}
	if _, err := io.WriteString(c, command+"\n"); err != nil {
		return fmt.Errorf("haproxy: %s: %w", command, err)
	}
	answer, err := io.ReadAll(io.LimitReader(c, 4096))
	if err != nil {
		return fmt.Errorf("haproxy: %s: %w", command, err)
	}
	if text := strings.TrimSpace(string(answer)); text != "" || len(answer) == 0 {
		return fmt.Errorf("haproxy: %s: %q", command, text)
	}
	return nil
}
