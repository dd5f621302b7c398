package engine_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fleet are members that can be asked over HTTP. They live in memory, so that
// the tests' time is virtual.
type fleet struct {
	mu      sync.Mutex
	answers map[string]http.HandlerFunc // by address
	calls   []string                    // "POST a1:80/drain"
}

// fleetOf makes members that answer, and lets the lab reach them.
func fleetOf(t *testing.T, l *lab, answers map[string]http.HandlerFunc) *fleet {
	t.Helper()
	f := &fleet{answers: answers}
	var serving sync.WaitGroup
	l.net = &http.Transport{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		f.mu.Lock()
		answer := f.answers[address]
		f.mu.Unlock()
		if answer == nil {
			return nil, fmt.Errorf("connect %s: connection refused", address)
		}
		ours, theirs := net.Pipe()
		once := &oneConn{conn: theirs, done: make(chan struct{})}
		s := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			f.calls = append(f.calls, r.Method+" "+address+r.URL.Path)
			f.mu.Unlock()
			answer(w, r)
		}), ConnState: func(_ net.Conn, st http.ConnState) {
			if st == http.StateClosed {
				once.Close()
			}
		}}
		serving.Go(func() { _ = s.Serve(once) })
		return ours, nil
	}}
	t.Cleanup(serving.Wait)
	return f
}

// asked are the calls so far that are no GET.
func (f *fleet) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.calls), func(c string) bool { return strings.HasPrefix(c, "GET ") })
}

func (f *fleet) looks(address string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if strings.HasPrefix(c, "GET "+address+"/") {
			n++
		}
	}
	return n
}

// oneConn is a listener for a single connection.
type oneConn struct {
	conn net.Conn
	mu   sync.Mutex
	over bool
	done chan struct{}
}

func (o *oneConn) Accept() (net.Conn, error) {
	o.mu.Lock()
	c := o.conn
	o.conn = nil
	o.mu.Unlock()
	if c != nil {
		return c, nil
	}
	<-o.done
	return nil, net.ErrClosed
}

func (o *oneConn) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.over {
		o.over = true
		close(o.done)
	}
	return nil
}

func (o *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// open answers with what is open on a member, which falls with every look.
func open(counts ...int) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, `{"in_flight": %d}`, counts[0])
		if len(counts) > 1 {
			counts = counts[1:]
		}
	}
}

// serve is a server on the real network; its URL.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}
