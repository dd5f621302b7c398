// Package traffic shows what users feel while traffic is moved: a backend application, and a load generator that counts
// every answer that a client did not get.
//
// The generator is strict. It speaks over raw TCP and never tries anything again, because net/http repeats a request by
// itself when a kept connection turns out to be dead, and so hides the very failures that are looked for. A zero of this
// generator is worth something only beside a wrong order that shows failures in the same setting.
package traffic

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Config is the mix of clients. The zero value of a count means none of that kind; Usual gives a good mix.
type Config struct {
	// Addr is the "host:port" of the load balancer, Host the Host header (default Addr).
	Addr, Host string
	// Cookie is sent with every request when not "", for instance "SRV=a".
	Cookie string
	// Sticky clients send the cookie that they were last given, as browsers do. Those that close their connection are
	// new visitors each time.
	Sticky bool
	// Clients: GET on a kept connection, GET with Connection: close, POST of 10 bytes on a kept connection, GET
	// /slow on a kept connection, websockets.
	KeepAlive, Close, Post, Slow, Websockets int
	// SlowFor is how long a slow request takes at the app.
	SlowFor time.Duration
	// Pause is between the requests of one client; 0 means none.
	Pause time.Duration
	// Ping is between the messages of a websocket; default 50ms.
	Ping time.Duration
	// DialTimeout (default 10s) and Timeout (default 30s) limit one connection attempt and one request.
	DialTimeout, Timeout time.Duration
}

// Usual is a mix of all request kinds without websockets: some 4,000 requests a second on two cores, fewer with -race.
func Usual(addr string) Config {
	return Config{
		Addr: addr, KeepAlive: 8, Close: 8, Post: 4, Slow: 4,
		SlowFor: 1500 * time.Millisecond, Pause: 2 * time.Millisecond,
	}
}

func (c Config) withDefaults() Config {
	or := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	or(&c.Ping, 50*time.Millisecond)
	or(&c.DialTimeout, 10*time.Second)
	or(&c.Timeout, 30*time.Second)
	if c.Host == "" {
		c.Host = c.Addr
	}
	return c
}

// Load is a running load. Its methods are safe for concurrent use.
type Load struct {
	cfg      Config
	counts   *recorder
	stopping atomic.Bool
	stop     chan struct{} // closed with stopping, wakes long pauses
	once     sync.Once
	clients  sync.WaitGroup
	release  func() bool // of the context
}

// Start starts the clients. The end of ctx stops them as Stop does; Stop must be called in any case.
func Start(ctx context.Context, cfg Config) *Load {
	l := &Load{cfg: cfg.withDefaults(), counts: newRecorder(time.Now()), stop: make(chan struct{})}
	l.release = context.AfterFunc(ctx, l.ask)
	l.spawn(KeepAlive, cfg.KeepAlive, "GET", "/", "")
	l.spawn(Close, cfg.Close, "GET", "/", "Connection: close\r\n")
	l.spawn(Post, cfg.Post, "POST", "/", "Content-Type: text/plain\r\nContent-Length: 10\r\n")
	l.spawn(Slow, cfg.Slow, "GET", slowPath(cfg.SlowFor), "")
	for range cfg.Websockets {
		l.clients.Go(l.websocket)
	}
	return l
}

// Phase starts a new set of counters under name. What ends from now on is counted there; a request counts where it ends.
func (l *Load) Phase(name string) { l.counts.next(name, time.Now()) }

// Now returns the counts so far.
func (l *Load) Now() Result { return l.counts.result(time.Now()) }

// Stop lets every request in flight end by itself, closes the websockets with a close frame and returns the counts.
func (l *Load) Stop() Result {
	l.ask()
	l.clients.Wait()
	l.release()
	return l.counts.finish(time.Now())
}

func (l *Load) ask() {
	l.once.Do(func() {
		l.stopping.Store(true)
		close(l.stop)
	})
}

// pause waits for d or until the load is to stop.
func (l *Load) pause(d time.Duration) {
	switch {
	case d <= 0 || l.stopping.Load():
	case d < 10*time.Millisecond: // too short to be worth a channel
		time.Sleep(d)
	default:
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.stop:
		}
	}
}
