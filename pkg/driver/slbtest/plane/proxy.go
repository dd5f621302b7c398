package plane

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"
)

// ProxyOptions say where a Proxy listens; the zero value works.
type ProxyOptions struct {
	// Listen gives addresses to listeners by their id; default a free port of 127.0.0.1.
	Listen map[string]string
	// Only, when not nil, chooses the listeners that this proxy carries.
	Only func(listener string) bool
	// DialTimeout is how long a member may take to accept; default 2s.
	DialTimeout time.Duration
}

// Proxy is a load balancer: HTTP listeners balance every request (websockets
// once, at the upgrade), TCP listeners every connection. Each request to a
// member has a connection of its own, so that nothing is sent twice behind the
// client's back.
type Proxy struct {
	o ProxyOptions

	mu     sync.Mutex
	fronts map[string]*front
	timers map[*time.Timer]bool
	closed bool
	wait   sync.WaitGroup
}

// Count is what a member has seen through a listener, or through all of them.
type Count struct {
	Requests int // requests, or connections of TCP listeners
	Failures int // of them, failed on the way to the member or from it
	Open     int // requests, websockets or connections now
}

// NewProxy returns a proxy without listeners; Apply opens them.
func NewProxy(o ProxyOptions) *Proxy {
	if o.DialTimeout == 0 {
		o.DialTimeout = 2 * time.Second
	}
	return &Proxy{o: o, fronts: map[string]*front{}, timers: map[*time.Timer]bool{}}
}

// Apply implements Plane.
func (p *Proxy) Apply(t Table) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("proxy is closed")
	}
	gone := maps.Clone(p.fronts)
	for _, l := range t.Listeners {
		if p.o.Only != nil && !p.o.Only(l.ID) {
			continue
		}
		delete(gone, l.ID)
		f := p.fronts[l.ID]
		if f == nil {
			var err error
			if f, err = p.open(l); err != nil {
				return fmt.Errorf("listener %s: %w", l.ID, err)
			}
			p.fronts[l.ID] = f
		}
		for _, d := range f.set(l) {
			p.after(d.after, d.cut)
		}
	}
	for id, f := range gone {
		f.close()
		delete(p.fronts, id)
	}
	return nil
}

// Addr is where a listener can be reached, "" before Apply has opened it.
func (p *Proxy) Addr(listener string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.fronts[listener]; f != nil {
		return f.ln.Addr().String()
	}
	return ""
}

// Addrs is where all listeners can be reached.
func (p *Proxy) Addrs() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	addrs := map[string]string{}
	for id, f := range p.fronts {
		addrs[id] = f.ln.Addr().String()
	}
	return addrs
}

// Counts are the counters of a listener by member id; an empty name sums all
// listeners up. Requests that had no member to go to are under "".
func (p *Proxy) Counts(listener string) map[string]Count {
	p.mu.Lock()
	defer p.mu.Unlock()
	sum := map[string]Count{}
	for id, f := range p.fronts {
		if listener == "" || listener == id {
			f.addCounts(sum)
		}
	}
	return sum
}

// Close cuts everything and waits until it has ended.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	for _, f := range p.fronts {
		f.close()
	}
	for t := range p.timers {
		t.Stop()
	}
	p.mu.Unlock()
	p.wait.Wait()
	return nil
}

func (p *Proxy) open(l Listener) (*front, error) {
	addr := p.o.Listen[l.ID]
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr) //nolint:noctx // loopback, at once
	if err != nil {
		return nil, err
	}
	f := &front{ln: ln, dialTimeout: p.o.DialTimeout, wheels: map[string]*Wheel{}, tracks: map[string]*track{}}
	if l.Protocol == "tcp" {
		p.wait.Go(f.serveTCP)
	} else {
		p.wait.Go(f.serveHTTP)
	}
	return f, nil
}

// after needs mu.
func (p *Proxy) after(d time.Duration, fn func()) {
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		fn()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.timers, t)
	})
	p.timers[t] = true
}
