package dnslab

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Front is the port of a DNS service: it passes questions on to the service
// behind it and remembers when they came. It can be stopped and started again.
type Front struct {
	addr, upstream string

	mu      sync.Mutex
	running *dns.Server
	ended   chan struct{}
	asked   map[string][]time.Time // by name
}

// NewFront is the front of a service at upstream that does not run yet. addr
// and upstream are host:port, UDP.
func NewFront(addr, upstream string) *Front {
	return &Front{addr: addr, upstream: upstream, asked: map[string][]time.Time{}}
}

// Addr is where it answers.
func (f *Front) Addr() string { return f.addr }

// Start has it answer. A second time is harmless.
func (f *Front) Start(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running != nil {
		return nil
	}
	pc, err := retry(func() (net.PacketConn, error) { return new(net.ListenConfig).ListenPacket(ctx, "udp", f.addr) })
	if err != nil {
		return err
	}
	up, ended := make(chan struct{}), make(chan struct{})
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(f.pass), NotifyStartedFunc: func() { close(up) }}
	f.running, f.ended = s, ended
	go func() {
		defer close(ended)
		_ = s.ActivateAndServe() // ends with Shutdown
	}()
	<-up
	return nil
}

// Stop ends it. A second time is harmless.
func (f *Front) Stop() {
	f.mu.Lock()
	s, ended := f.running, f.ended
	f.running = nil
	f.mu.Unlock()
	if s != nil {
		_ = s.Shutdown() // it waits for answers under way
		<-ended
	}
}

// Running reports whether it answers.
func (f *Front) Running() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running != nil
}

func (f *Front) pass(w dns.ResponseWriter, q *dns.Msg) {
	if len(q.Question) == 1 {
		name := strings.ToLower(strings.TrimSuffix(q.Question[0].Name, "."))
		f.mu.Lock()
		f.asked[name] = append(f.asked[name], time.Now())
		f.mu.Unlock()
	}
	c := dns.Client{Timeout: patience}
	if a, _, err := c.Exchange(q, f.upstream); err == nil {
		_ = w.WriteMsg(a) // who asked may be gone
	}
}

// Asked is how often a name was looked up in the time before now.
func (f *Front) Asked(name string, window time.Duration) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, since := 0, time.Now().Add(-window)
	for _, at := range f.asked[name] {
		if at.After(since) {
			n++
		}
	}
	return n
}

// Share is a page with the share of look-ups of a name that came to one of two
// fronts within a window: {"share": 0.12, "old": 6, "all": 50}. Where there were
// none at all it cannot say, which is another thing than 0.
func Share(old, other *Front, name string, window time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a := old.Asked(name, window)
		all := a + other.Asked(name, window)
		if all == 0 {
			http.Error(w, "nobody asked", http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]float64{"share": float64(a) / float64(all), "old": float64(a), "all": float64(all)})
	})
}
