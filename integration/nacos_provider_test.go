package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

// provider is an application that serves and registers itself at Nacos over a
// connection of its own. When it stops, its port refuses, its connections are
// cut and its registration is gone.
type provider struct {
	join     func(context.Context, nacostest.Instance) (*nacostest.Owner, error)
	instance nacostest.Instance
	away     time.Duration // between stopping and registering again
	warm     time.Duration // after a restart: answers nothing but 503, and is not healthy

	mu       sync.Mutex
	version  string
	server   *http.Server
	owner    *nacostest.Owner
	serving  sync.WaitGroup
	ready    time.Time   // the end of the warm-up
	early    []time.Time // calls that came before it
	joined   time.Time
	inflight int
	restarts int
}

// launch takes a port below those that systems give to clients, so that it is
// still free after a restart.
func (p *provider) launch(ctx context.Context) error {
	for range 200 {
		p.instance.Address = net.JoinHostPort("127.0.0.1", fmt.Sprint(20000+rand.IntN(12000)))
		l, err := net.Listen("tcp", p.instance.Address)
		if err == nil {
			return p.start(ctx, l, "v1")
		}
	}
	return errors.New("no free port")
}

func (p *provider) start(ctx context.Context, l net.Listener, version string) error {
	server := &http.Server{Handler: http.HandlerFunc(p.answer), ReadHeaderTimeout: time.Minute}
	p.mu.Lock()
	p.server, p.version = server, version
	p.mu.Unlock()
	p.serving.Go(func() { _ = server.Serve(l) }) // until stop
	owner, err := p.join(ctx, p.instance)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owner, p.joined = owner, time.Now()
	return nil
}

func (p *provider) stop() {
	p.mu.Lock()
	server, owner := p.server, p.owner
	p.server, p.owner = nil, nil
	p.mu.Unlock()
	if server != nil {
		_ = server.Close()
	}
	if owner != nil {
		owner.Leave()
	}
	p.serving.Wait()
}

// restart is what a deploy does, "previous" too.
func (p *provider) restart(ctx context.Context, version string) error {
	p.stop()
	select {
	case <-time.After(p.away):
	case <-ctx.Done():
		return ctx.Err()
	}
	l, err := net.Listen("tcp", p.instance.Address)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.restarts++
	p.ready = time.Now().Add(p.warm)
	p.mu.Unlock()
	return p.start(ctx, l, version)
}

// answer takes 5 to 25 ms, so that somebody is always waiting for one.
func (p *provider) answer(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	cold, inflight, version := time.Now().Before(p.ready), p.inflight, p.version
	call := r.URL.Path == "/"
	if call {
		p.inflight++
		defer func() {
			p.mu.Lock()
			p.inflight--
			p.mu.Unlock()
		}()
	}
	if call && cold {
		p.early = append(p.early, time.Now())
	}
	p.mu.Unlock()
	w.Header().Set("X-Version", version)
	switch {
	case r.URL.Path == "/inflight":
		fmt.Fprintf(w, `{"inflight":%d}`, inflight)
	case cold:
		w.WriteHeader(http.StatusServiceUnavailable)
	case call:
		<-time.After(time.Duration(5+rand.IntN(20)) * time.Millisecond)
		_, _ = io.WriteString(w, version+"\n")
	}
}

// cold reports whether it still warms up.
func (p *provider) cold() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.ready)
}

// tooEarly counts the calls that came before it was healthy, and says how long
// after its registration the last one came.
func (p *provider) tooEarly() (calls int, last time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.early); n > 0 {
		return n, p.early[n-1].Sub(p.joined)
	}
	return 0, 0
}

// restarted is how often, and what it runs now.
func (p *provider) restarted() (int, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.restarts, p.version
}
