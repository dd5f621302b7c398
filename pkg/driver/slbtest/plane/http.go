package plane

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
)

// serveHTTP serves until close, and waits for what was being served.
func (f *front) serveHTTP() {
	server := &http.Server{Handler: http.HandlerFunc(f.forward), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	f.mu.Lock()
	f.server = server
	closed := f.closed
	f.mu.Unlock()
	if !closed {
		_ = server.Serve(f.ln) // it ends when the listener is closed
	}
	server.Close()
	f.serving.Wait()
}

// forward sends a request to a member. Without a member the answer is 503, as
// from ALB; an unreachable one is 502 and one cut by a drain 500.
func (f *front) forward(w http.ResponseWriter, r *http.Request) {
	if !f.enter() {
		panic(http.ErrAbortHandler)
	}
	defer f.serving.Done()
	to := f.pick(r.Host, r.URL.Path)
	switch {
	case !to.ok:
		http.Error(w, "no server", http.StatusServiceUnavailable)
		return
	case to.route.Status != 0:
		w.WriteHeader(to.route.Status)
		_, _ = io.WriteString(w, to.route.Body) // the client may be gone
		return
	}
	var used atomic.Pointer[conn]
	defer func() {
		if broken := recover(); broken != nil { // the answer stopped in its middle
			f.failed(to.ID)
			panic(broken)
		}
	}()
	transport := &http.Transport{
		DisableKeepAlives:  true, // a kept connection would make the transport retry
		DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := f.dial(ctx, to.Member)
			if err != nil {
				return nil, err // not a nil *conn in an interface
			}
			used.Store(c)
			return c, nil
		},
	}
	defer transport.CloseIdleConnections()
	proxy := httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", to.Address, p.In.Host
			p.SetXForwarded()
			for k, v := range to.route.Headers {
				p.Out.Header.Set(k, v)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, _ error) {
			if r.Context().Err() != nil { // the client went away: nobody's failure
				return
			}
			f.failed(to.ID)
			if c := used.Load(); c != nil && c.cut.Load() {
				http.Error(w, "cut by connection draining", http.StatusInternalServerError)
				return
			}
			http.Error(w, "the server did not answer", http.StatusBadGateway)
		},
	}
	proxy.ServeHTTP(w, r)
}

// enter begins a request unless the listener is closed.
func (f *front) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.serving.Add(1)
	return true
}
