package dnstest

import (
	"strings"
	"testing"
	"time"
)

// Option changes how a server is set up.
type Option func(*options)

type options struct {
	addr        string // "" picks one
	ip          string
	notify      []string
	notifyDelay time.Duration
	doh         string // "plain", "tls"
	readOnly    bool
	minTTL      int
	serveStale  bool
	lines       []string
}

func settings(t testing.TB, opts []Option) options {
	t.Helper()
	o := options{ip: "127.0.0.1"}
	for _, f := range opts {
		f(&o)
	}
	if o.addr == "" {
		o.addr = FreeAddr(t, o.ip)
	}
	return o
}

// OnIP makes the server listen on that address of the loopback network, on a
// free port: "127.0.0.2". BIND can do 127.0.0.1 only.
func OnIP(ip string) Option { return func(o *options) { o.ip = ip } }

// OnAddr makes the server listen there; see FreeAddr.
func OnAddr(addr string) Option { return func(o *options) { o.addr = addr } }

// Notify makes a primary tell secondaries (host:port) of changes, and lets
// them fetch the zone.
func Notify(addrs ...string) Option {
	return func(o *options) { o.notify = append(o.notify, addrs...) }
}

// NotifyDelay is how long a BIND primary waits before it tells secondaries;
// 0 when it is not given, 5s is BIND's own default.
func NotifyDelay(d time.Duration) Option { return func(o *options) { o.notifyDelay = d } }

// ReadOnly makes a primary refuse every update.
func ReadOnly() Option { return func(o *options) { o.readOnly = true } }

// DoH makes BIND answer over HTTPS too (RFC 8484); see Server.URL and
// Server.CA.
func DoH() Option { return func(o *options) { o.doh = "tls" } }

// DoHPlain is DoH without TLS: HTTP/2 with prior knowledge.
func DoHPlain() Option { return func(o *options) { o.doh = "plain" } }

// MinCacheTTL makes a resolver keep every answer for at least that many
// seconds.
func MinCacheTTL(seconds int) Option { return func(o *options) { o.minTTL = seconds } }

// ServeExpired makes unbound answer with what has expired, TTL 30, while it
// fetches the new answer (RFC 8767).
func ServeExpired() Option { return func(o *options) { o.serveStale = true } }

// Config adds lines to the server's configuration: to the options block of
// BIND, the server section of unbound, the end of the others'.
func Config(lines ...string) Option {
	return func(o *options) { o.lines = append(o.lines, lines...) }
}

func (o options) extra(indent string) string {
	var b strings.Builder
	for _, l := range o.lines {
		b.WriteString(indent + l + "\n")
	}
	return b.String()
}
