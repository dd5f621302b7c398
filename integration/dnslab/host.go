// Package dnslab is what stands around a move of names in tests: servers at the
// old and the new address, clients that look names up and use the answers, and
// a DNS service that counts who still asks it.
package dnslab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// Host is the HTTP server of one address. It answers every path with its name
// and writes an access log.
type Host struct {
	name, addr, log string

	mu      sync.Mutex
	running *http.Server
	ended   chan struct{}
}

// NewHost is a server that does not run yet. log is its access log.
func NewHost(name, addr, log string) *Host { return &Host{name: name, addr: addr, log: log} }

// Addr is where it answers, host:port.
func (h *Host) Addr() string { return h.addr }

// Running reports whether it answers.
func (h *Host) Running() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.running != nil
}

// Start has it answer, and returns when it does. A second time is harmless.
func (h *Host) Start(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running != nil {
		return nil
	}
	l, err := retry(func() (net.Listener, error) { return new(net.ListenConfig).Listen(ctx, "tcp", h.addr) })
	if err != nil {
		return err
	}
	log, err := os.OpenFile(h.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	s := &http.Server{Handler: h.answer(log), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	h.running, h.ended = s, ended
	go func() {
		defer close(ended)
		_ = s.Serve(l) // ends with Close
		_ = log.Close()
	}()
	return nil
}

// retry opens a port that was just closed: a program that was begun in the same
// moment holds a copy of it until it runs.
func retry[T any](open func() (T, error)) (T, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(5 * time.Second); ; {
		l, err := open()
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || time.Now().After(end) {
			return l, err
		}
		<-tick.C
	}
}

func (h *Host) answer(log *os.File) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(log, "%s %q 200\n", r.RemoteAddr, r.Method+" "+r.URL.Path)
		fmt.Fprintln(w, h.name)
	})
}

// Stop ends it at once, with nothing graceful about it: connections are reset,
// new ones are refused. It returns when it is gone. A second time is harmless.
func (h *Host) Stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running == nil {
		return
	}
	_ = h.running.Close() // nobody is left to be told
	<-h.ended
	h.running = nil
}

// Port is a port that is free on all those addresses of the loopback network.
func Port(ctx context.Context, ips ...string) (int, error) {
	for range 50 {
		if port, err := freeOnAll(ctx, ips); err == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port is free on all of %v", ips)
}

func freeOnAll(ctx context.Context, ips []string) (int, error) {
	port := 0
	for _, ip := range ips {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf("%s:%d", ip, port))
		if err != nil {
			return 0, err
		}
		defer l.Close()
		port = l.Addr().(*net.TCPAddr).Port
	}
	return port, nil
}
