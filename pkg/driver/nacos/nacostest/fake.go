// Package nacostest runs Nacos servers for tests.
//
// The Fake in it is a stand-in that was built from the source of Nacos 1.4.8,
// 2.x and 3.x: the same paths, the same answers, the same rules about what a
// write resets, forgets and silently accepts. It refuses what it does not
// know. It is not the official server; docs/drivers/nacos.md says which of the
// two each claim was seen on.
package nacostest

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
)

// Options describe a cluster of stand-ins.
type Options struct {
	Version            string        // "1.4.8", "2.2.3", "3.0.3"; 2.2.3 when empty
	Nodes              int           // 1 when 0
	Namespace          string        // public when empty
	Username, Password string        // logins are wanted when they are set
	TokenTTL           time.Duration // 5h when 0
	Keep               time.Duration // of an overlay whose owner is gone; 1m when 0
	Clean              time.Duration // how often the cleaner looks for those; 5s when 0, but not less often than Keep
	PushDelay          time.Duration // 20ms when 0; 500ms on real servers
	TLS                *tls.Config   // of HTTP and gRPC, when they listen
}

// Instance is a registration, and what the cluster makes of it.
type Instance struct {
	Address   string // ip:port
	Cluster   string // DEFAULT when empty
	Weight    float64
	Disabled  bool
	Unhealthy bool
	// Persistent instances have no owner.
	Persistent bool
	Metadata   map[string]string
}

// Fake is a cluster whose nodes share one registry.
type Fake struct {
	o     Options
	nodes []*fakeNode
	began time.Time

	mu       sync.Mutex
	services map[string]*fakeService // by group@@name
	tokens   map[string]time.Time    // until when they are good
	logins   int
	requests []string
	faults   []*Fault
	closed   chan struct{}
	stamp    uint64
}

// fakeNode is one server.
type fakeNode struct {
	fake  *Fake
	index int
	host  string // host:port
	grpc  string

	// Guarded by fake.mu.
	down   bool
	forgot bool // it started anew and knows no ephemeral instance
	peers  map[string]*peer

	http    *http.Server
	push    *grpc.Server
	serving sync.WaitGroup
}

// NewFake makes a cluster that is reached through Transport only: nothing
// listens, so that tests can run on a fake clock.
func NewFake(o Options) *Fake {
	if o.Version == "" {
		o.Version = "2.2.3"
	}
	if o.Namespace == "" {
		o.Namespace = "public"
	}
	o.Nodes = max(o.Nodes, 1)
	if o.TokenTTL == 0 {
		o.TokenTTL = 5 * time.Hour
	}
	if o.Keep == 0 {
		o.Keep = time.Minute
	}
	if o.Clean == 0 {
		o.Clean = min(5*time.Second, o.Keep)
	}
	if o.PushDelay == 0 {
		o.PushDelay = 20 * time.Millisecond
	}
	f := &Fake{o: o, began: time.Now(), services: map[string]*fakeService{}, tokens: map[string]time.Time{}, closed: make(chan struct{})}
	for i := range o.Nodes {
		f.nodes = append(f.nodes, &fakeNode{fake: f, index: i, host: fmt.Sprintf("10.0.0.%d:8848", i+1), peers: map[string]*peer{}})
	}
	return f
}

// RunFake makes a cluster that listens on free ports of 127.0.0.1 until stop:
// HTTP, and gRPC 1000 above it unless the version is 1.x.
func RunFake(o Options) (f *Fake, stop func(), err error) {
	f = NewFake(o)
	for _, n := range f.nodes {
		if err := n.listen(); err != nil {
			f.close()
			return nil, nil, err
		}
	}
	return f, f.close, nil
}

// StartFake is RunFake for a test.
func StartFake(t testing.TB, o Options) *Fake {
	t.Helper()
	f, stop, err := RunFake(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return f
}

// listen takes a port whose neighbour is free too.
func (n *fakeNode) listen() error {
	var err error
	for range 50 {
		var l, g net.Listener
		if l, err = net.Listen("tcp", orElse(n.listening(), "127.0.0.1:0")); err != nil {
			continue
		}
		host, text, _ := net.SplitHostPort(l.Addr().String())
		port, _ := strconv.Atoi(text)
		if g, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port+1000))); err != nil {
			_ = l.Close()
			continue
		}
		n.host, n.grpc = l.Addr().String(), g.Addr().String()
		n.serve(l, g)
		return nil
	}
	return fmt.Errorf("no two free ports: %w", err)
}

// listening is the address of a node that listened before.
func (n *fakeNode) listening() string {
	if n.grpc == "" {
		return ""
	}
	return n.host
}

func (n *fakeNode) serve(l, g net.Listener) {
	if n.fake.o.TLS != nil {
		l = tls.NewListener(l, n.fake.o.TLS)
	}
	n.http = &http.Server{Handler: http.HandlerFunc(n.serveHTTP), ReadHeaderTimeout: time.Minute}
	n.serving.Go(func() { _ = n.http.Serve(l) })
	if n.fake.family() == 1 {
		_ = g.Close()
		return
	}
	n.push = n.newGRPC()
	n.serving.Go(func() { _ = n.push.Serve(g) })
}

func (n *fakeNode) stop() {
	if n.http != nil {
		_ = n.http.Close()
	}
	if n.push != nil {
		n.push.Stop()
	}
	n.serving.Wait()
	n.http, n.push = nil, nil
}

func (f *Fake) close() {
	close(f.closed)
	for _, n := range f.nodes {
		n.stop()
	}
}

// Servers are the URLs of the nodes.
func (f *Fake) Servers() []string {
	var urls []string
	scheme := "http://"
	if f.o.TLS != nil {
		scheme = "https://"
	}
	for _, n := range f.nodes {
		urls = append(urls, scheme+n.host)
	}
	return urls
}

// Handler is the HTTP API of a node, to put behind another listener.
func (f *Fake) Handler(node int) http.Handler { return http.HandlerFunc(f.nodes[node].serveHTTP) }

// family is 1, 2 or 3.
func (f *Fake) family() int { return int(f.o.Version[0] - '0') }

// Requests are all requests so far: method, path and parameters in order.
func (f *Fake) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// Writes are the requests that are not GET, without logins.
func (f *Fake) Writes() []string {
	return slices.DeleteFunc(f.Requests(), func(r string) bool {
		return strings.HasPrefix(r, "GET ") || strings.Contains(r, "login")
	})
}

// Logins counts them.
func (f *Fake) Logins() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logins
}

// ExpireTokens makes every token that was given out invalid.
func (f *Fake) ExpireTokens() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.tokens)
}

// Down makes a node refuse connections.
func (f *Fake) Down(node int) {
	n := f.nodes[node]
	f.mu.Lock()
	n.down = true
	f.mu.Unlock()
	n.stop()
}

// Restart brings a node up again as a new process: without connections, and
// without any ephemeral instance until Remember.
func (f *Fake) Restart(node int) error {
	n := f.nodes[node]
	n.stop()
	f.mu.Lock()
	n.down, n.forgot, n.peers = false, true, map[string]*peer{}
	f.mu.Unlock()
	if n.grpc == "" {
		return nil
	}
	return n.listen()
}

// Remember lets the owners register at a node that was restarted.
func (f *Fake) Remember(node int) {
	f.mu.Lock()
	f.nodes[node].forgot = false
	f.mu.Unlock()
	f.changedAll()
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
