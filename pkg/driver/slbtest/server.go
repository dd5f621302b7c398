package slbtest

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

// Server is a running stand-in. All methods are safe for concurrent use.
type Server struct {
	o        Options
	actions  map[string]map[string]*action
	plain    net.Listener
	secure   net.Listener
	ca       []byte
	https    []*http.Server
	names    []*nameServer
	serving  sync.WaitGroup
	steering sync.Mutex // of the planes
	closed   chan struct{}
	wake     chan struct{} // of the planes; capacity 1

	mu         sync.Mutex
	estate     Estate
	keys       map[string]Key
	nonces     map[string]time.Time
	buckets    map[string]*bucket
	faults     []*pending
	calls      []*Call
	ids        int
	jobs       []*job
	tokens     map[string]*token
	busy       map[string]string    // resource id -> status, while a job runs on it
	touched    map[string]time.Time // CLB id or zone -> its last write
	before     map[string]stale     // CLB group -> what it was
	known      map[string]string    // where removed servers listen
	health     map[string]*health
	pages      map[string]int // NextToken -> offset
	timers     map[*time.Timer]bool
	moving     int // timers that will change something
	held       bool
	waiting    []func() // what has come while held
	zoneSerial int
	versions   int // of the table
	current    plane.Table
	serial     int // of the current table
	steered    int // the serial that the planes have
	planeErr   error
	stopped    bool
}

// Start runs a stand-in until the test ends. A plane that could not follow
// fails the test.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	s, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// New runs a stand-in until Close. The members of the estate are checked once
// before it returns, and the planes carry traffic.
func New(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("start the Aliyun stand-in: %w", err)
	}
	s := &Server{
		o: o, actions: actions(), closed: make(chan struct{}), wake: make(chan struct{}, 1),
		keys: map[string]Key{}, nonces: map[string]time.Time{}, buckets: map[string]*bucket{}, tokens: map[string]*token{},
		busy: map[string]string{}, touched: map[string]time.Time{}, before: map[string]stale{}, health: map[string]*health{}, known: map[string]string{},
		pages: map[string]int{}, timers: map[*time.Timer]bool{},
	}
	for _, k := range o.Keys {
		s.SetKey(k)
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the Aliyun stand-in: %w", err), s.Close())
	}
	return s, nil
}

func (s *Server) start() error {
	if err := s.listen(); err != nil {
		return err
	}
	if err := s.startDNS(); err != nil {
		return err
	}
	if err := s.Seed(s.o.Estate); err != nil {
		return err
	}
	s.serving.Go(s.probeLoop)
	s.serving.Go(s.planeLoop)
	return nil
}

func (s *Server) listen() error {
	var err error
	if s.plain, err = net.Listen("tcp", s.o.Addr); err != nil {
		return err
	}
	if s.secure, s.ca, err = listenTLS(s.o.TLSAddr); err != nil {
		return err
	}
	for _, ln := range []net.Listener{s.plain, s.secure} {
		server := &http.Server{
			Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
			ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
		}
		s.https = append(s.https, server)
		s.serving.Go(func() { _ = server.Serve(ln) }) // it ends with Close
	}
	return nil
}

// Host is "127.0.0.1:port" of plain HTTP, what an SDK client's Domain takes.
func (s *Server) Host() string { return s.plain.Addr().String() }

// TLSHost is "127.0.0.1:port" of HTTPS. Its certificate is signed by CA.
func (s *Server) TLSHost() string { return s.secure.Addr().String() }

// URL is the endpoint: "http://..." with Options.PlainHTTP, else "https://...".
func (s *Server) URL() string {
	if s.o.PlainHTTP {
		return "http://" + s.Host()
	}
	return "https://" + s.TLSHost()
}

// CA is the certificate to trust for TLSHost, in PEM.
func (s *Server) CA() []byte { return s.ca }

// Region is the region that there is.
func (s *Server) Region() string { return s.o.Region }

// Close ends everything and returns what went wrong with the planes.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return nil
	}
	s.stopped = true
	close(s.closed)
	for t := range s.timers {
		t.Stop()
	}
	s.mu.Unlock()
	for _, server := range s.https {
		server.Close()
	}
	for _, ln := range []net.Listener{s.plain, s.secure} {
		if ln != nil {
			ln.Close()
		}
	}
	for _, ns := range s.names {
		ns.stop()
	}
	s.serving.Wait()
	err := s.planeErr
	for _, p := range s.o.Planes {
		err = errors.Join(err, p.Close())
	}
	return err
}

// nextID needs mu.
func (s *Server) nextID() string {
	s.ids++
	return fmt.Sprintf("00000000-0000-4000-8000-%012X", s.ids)
}
