package plane

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// front is an open listener.
type front struct {
	ln          net.Listener
	dialTimeout time.Duration
	server      *http.Server // of HTTP
	serving     sync.WaitGroup

	mu     sync.Mutex
	now    Listener
	wheels map[string]*Wheel // by route, and by route and pool
	tracks map[string]*track // by member id
	none   Count
	closed bool
}

// track is what goes on with a member.
type track struct {
	count Count
	conns map[*conn]bool
}

// conn is a connection to a member.
type conn struct {
	net.Conn
	front *front
	id    string
	cut   atomic.Bool
	once  sync.Once
}

// Close also ends the count.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.front.mu.Lock()
		defer c.front.mu.Unlock()
		delete(c.front.tracks[c.id].conns, c)
	})
	return c.Conn.Close()
}

// CloseWrite half-closes, for websockets and TCP.
func (c *conn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// chosen is where a request goes.
type chosen struct {
	Member
	route Route
	ok    bool // there is a member, or the route answers itself
}

// pick takes the next member for a request.
func (f *front) pick(host, path string) chosen {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, route := range f.now.Routes {
		if !route.matches(host, path) {
			continue
		}
		if route.Status != 0 {
			return chosen{route: route, ok: true}
		}
		spokes := make([]Spoke, len(route.Pools))
		for j, pool := range route.Pools {
			spokes[j] = Spoke{pool.ID, pool.Weight}
		}
		key := strconv.Itoa(i)
		j := f.wheel(key).Next(spokes)
		if j < 0 {
			break
		}
		pool := route.Pools[j]
		offered := pool.offered(f.now.FailOpen)
		k := f.wheel(key + "/" + pool.ID).Next(offered)
		if k < 0 {
			break
		}
		for _, m := range pool.Members {
			if m.ID == offered[k].ID {
				f.track(m.ID).count.Requests++
				return chosen{Member: m, route: route, ok: true}
			}
		}
	}
	f.none.Requests++
	f.none.Failures++
	return chosen{}
}

// wheel and track need mu.
func (f *front) wheel(key string) *Wheel {
	if f.wheels[key] == nil {
		f.wheels[key] = &Wheel{}
	}
	return f.wheels[key]
}

func (f *front) track(id string) *track {
	if f.tracks[id] == nil {
		f.tracks[id] = &track{conns: map[*conn]bool{}}
	}
	return f.tracks[id]
}

func (f *front) failed(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.track(id).count.Failures++
}

// dial connects to a member and counts the connection.
func (f *front) dial(ctx context.Context, m Member) (*conn, error) {
	d := net.Dialer{Timeout: f.dialTimeout}
	raw, err := d.DialContext(ctx, "tcp", m.Address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, front: f, id: m.ID}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		raw.Close()
		return nil, net.ErrClosed
	}
	f.track(m.ID).conns[c] = true
	return c, nil
}

// draining is a cut that is due.
type draining struct {
	after time.Duration
	cut   func()
}

// set puts a listener's table into effect and returns the drains that begin.
func (f *front) set(l Listener) []draining {
	f.mu.Lock()
	defer f.mu.Unlock()
	type place struct {
		pool Pool
		up   bool
	}
	places := func(l Listener) map[string]place {
		all := map[string]place{}
		for _, r := range l.Routes {
			for _, p := range r.Pools {
				for _, m := range p.Members {
					all[m.ID] = place{p, m.Up}
				}
			}
		}
		return all
	}
	before, now := places(f.now), places(l)
	var due []draining
	for id, was := range before {
		is, still := now[id]
		if !was.pool.DrainOn || (still && (is.up || !was.up)) {
			continue
		}
		if cut := f.cutter(id); cut != nil {
			due = append(due, draining{was.pool.Drain, cut})
		}
	}
	if len(before) != len(now) {
		f.wheels = map[string]*Wheel{} // who is gone leaves no debt
	}
	f.now = l
	return due
}

// cutter closes the connections that a member has now, and no later ones.
func (f *front) cutter(id string) func() {
	var open []*conn
	for c := range f.track(id).conns {
		open = append(open, c)
	}
	if len(open) == 0 {
		return nil
	}
	return func() {
		for _, c := range open {
			c.cut.Store(true)
			c.Close()
		}
	}
}

func (f *front) addCounts(sum map[string]Count) {
	f.mu.Lock()
	defer f.mu.Unlock()
	add := func(id string, c Count, open int) {
		s := sum[id]
		sum[id] = Count{s.Requests + c.Requests, s.Failures + c.Failures, s.Open + open}
	}
	for id, t := range f.tracks {
		add(id, t.count, len(t.conns))
	}
	if f.none.Requests > 0 {
		add("", f.none, 0)
	}
}

// close cuts everything; the proxy waits for the serving goroutines.
func (f *front) close() {
	f.mu.Lock()
	f.closed = true
	var open []*conn
	for _, t := range f.tracks {
		for c := range t.conns {
			open = append(open, c)
		}
	}
	server := f.server
	f.mu.Unlock()
	f.ln.Close()
	if server != nil {
		server.Close()
	}
	for _, c := range open {
		c.cut.Store(true)
		c.Close()
	}
}
