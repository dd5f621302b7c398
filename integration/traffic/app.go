package traffic

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// AppConfig describes one backend.
type AppConfig struct {
	// Name and Version are sent in the X-Srv and X-Version headers and in the body.
	Name, Version string
	// Listen is the address; default a free port on 127.0.0.1.
	Listen string
	// WarmUp is how long after its start /health answers 503 and the rest 500.
	WarmUp time.Duration
	// ErrorRate is the share, 0 to 1, of answers of / and /slow that are 500: a bad release.
	ErrorRate float64
	// Registry, when its URL is set, makes the app a gateway before a service.
	Registry Registry
}

// App is a backend inside this process:
//
//	GET|POST /          reads the body, answers "NAME VERSION"
//	         /slow?ms=N the same after N ms
//	GET      /health    200, or 503 during the warm-up
//	GET      /ws        websocket that echoes messages
//	POST     /drain     ends every websocket with close frame 1001 (going away, RFC 6455 7.4.1)
//	POST     /errors?rate=0.3  sets ErrorRate
//	GET      /stats     {"hits": N, "websockets": N, "in_flight": N}, the last with the websockets
type App struct {
	cfg      AppConfig
	listener *trackingListener
	server   *http.Server
	forward  *forwarder // nil unless it is a gateway
	warm     time.Time  // the end of the warm-up
	hits     atomic.Int64
	flight   atomic.Int64  // clients' requests now, websockets too
	served   chan struct{} // closed when the accept loop ended

	mu      sync.Mutex
	dead    bool
	active  int        // handlers that run
	idle    *sync.Cond // of mu: active became 0
	rate    float64
	asked   int64 // requests that ErrorRate was applied to, since it was set
	sockets map[*websocket.Conn]struct{}
}

// StartApp listens and serves until Kill or Shutdown.
func StartApp(cfg AppConfig) (*App, error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("app %s: %w", cfg.Name, err)
	}
	a := &App{
		cfg:      cfg,
		listener: &trackingListener{Listener: listener, open: map[*trackedConn]struct{}{}},
		warm:     time.Now().Add(cfg.WarmUp),
		served:   make(chan struct{}),
		rate:     cfg.ErrorRate,
		sockets:  map[*websocket.Conn]struct{}{},
	}
	if cfg.Registry.URL != "" {
		if a.forward, err = newForwarder(cfg.Registry); err != nil {
			_ = listener.Close()
			return nil, fmt.Errorf("app %s: %w", cfg.Name, err)
		}
	}
	a.idle = sync.NewCond(&a.mu)
	a.server = &http.Server{Handler: a.handler(), ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(a.served)
		_ = a.server.Serve(a.listener) // ends with Kill or Shutdown
	}()
	return a, nil
}

// Addr is "127.0.0.1:port".
func (a *App) Addr() string { return a.listener.Addr().String() }

// Hits counts the requests that reached / and /slow.
func (a *App) Hits() int64 { return a.hits.Load() }

// SetErrorRate changes AppConfig.ErrorRate from the next request on.
func (a *App) SetErrorRate(rate float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rate, a.asked = rate, 0
}

// Kill ends the app the way a dead process does: the port refuses and every connection is reset. It returns when all
// handlers have ended.
func (a *App) Kill() {
	a.listener.reset()
	_ = a.server.Close()
	<-a.served
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dead = true
	for a.active > 0 {
		a.idle.Wait()
	}
	if a.forward != nil {
		a.forward.close()
		a.forward = nil
	}
}

// Shutdown refuses new connections, waits for requests in flight until ctx ends and closes the websockets with a frame.
// What is left is killed, and that is an error.
func (a *App) Shutdown(ctx context.Context) error {
	err := a.server.Shutdown(ctx) // does not wait for websockets; afterwards there are no new ones
	a.Drain()
	a.Kill()
	if err != nil {
		return fmt.Errorf("app %s: requests were cut: %w", a.cfg.Name, err)
	}
	return nil
}

func (a *App) handler() http.Handler {
	mux := http.NewServeMux()
	if a.forward != nil {
		mux.Handle("/", a.forward)
	} else {
		mux.HandleFunc("/", a.answer)
		mux.HandleFunc("/slow", a.slow)
	}
	mux.HandleFunc("GET /health", a.health)
	mux.HandleFunc("GET /ws", a.echo)
	mux.HandleFunc("GET /stats", a.stats)
	mux.HandleFunc("POST /drain", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, a.Drain()) })
	mux.HandleFunc("POST /errors", a.errors)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.enter()
		defer a.leave()
		switch r.URL.Path {
		case "/health", "/stats", "/drain", "/errors":
		default:
			a.flight.Add(1)
			defer a.flight.Add(-1)
		}
		w.Header().Set("X-Srv", a.cfg.Name)
		w.Header().Set("X-Version", a.cfg.Version)
		mux.ServeHTTP(w, r)
	})
}

// enter ends the request at once when the app was killed before its handler began.
func (a *App) enter() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dead {
		panic(http.ErrAbortHandler)
	}
	a.active++
}

func (a *App) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.active--; a.active == 0 {
		a.idle.Broadcast()
	}
}

func (a *App) answer(w http.ResponseWriter, r *http.Request) {
	a.hits.Add(1)
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, "body: "+err.Error(), http.StatusBadRequest)
		return
	}
	if time.Now().Before(a.warm) || a.fails() {
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, a.cfg.Name+" "+a.cfg.Version+"\n")
}

// fails spreads the errors evenly: of n requests exactly n times the rate fail, rounded down.
func (a *App) fails() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := int64(float64(a.asked) * a.rate)
	a.asked++
	return int64(float64(a.asked)*a.rate) > before
}

func (a *App) slow(w http.ResponseWriter, r *http.Request) {
	ms, err := strconv.Atoi(r.URL.Query().Get("ms"))
	if err != nil || ms < 0 {
		http.Error(w, "ms: want a number of milliseconds", http.StatusBadRequest)
		return
	}
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
		a.answer(w, r)
	case <-r.Context().Done(): // the client or the connection is gone
	}
}

func (a *App) health(w http.ResponseWriter, _ *http.Request) {
	if time.Now().Before(a.warm) {
		http.Error(w, "warming", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}

func (a *App) errors(w http.ResponseWriter, r *http.Request) {
	rate, err := strconv.ParseFloat(r.URL.Query().Get("rate"), 64)
	if err != nil || !(rate >= 0 && rate <= 1) { // also refuses NaN
		http.Error(w, "rate: want a number from 0 to 1", http.StatusBadRequest)
		return
	}
	a.SetErrorRate(rate)
}

func (a *App) stats(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	open := len(a.sockets)
	a.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]int64{"hits": a.Hits(), "websockets": int64(open), "in_flight": a.flight.Load()})
}
