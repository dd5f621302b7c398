package alidns_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/alidns"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

const (
	www     = "www.example.com A"
	a, b, c = "192.0.2.1", "192.0.2.2", "192.0.2.3"
)

// lab is a stand-in with a target on its zone, and everything that was logged.
type lab struct {
	*slbtest.Server
	*alidns.Target
	logs *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// world is what a lab is made with; the zero value is www with a and TTL 600.
type world struct {
	options slbtest.Options
	zone    slbtest.Zone
	edit    func(*alidns.Config)
	through func(http.RoundTripper) http.RoundTripper
}

func rec(value string, change ...func(*slbtest.Record)) slbtest.Record {
	r := slbtest.Record{RR: "www", Type: "A", Value: value, TTL: 600}
	if strings.Contains(value, ":") {
		r.Type = "AAAA"
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func off(r *slbtest.Record)    { r.Disabled = true }
func locked(r *slbtest.Record) { r.Locked = true }
func ttl(n int) func(*slbtest.Record) {
	return func(r *slbtest.Record) { r.TTL = n }
}

func weight(n int) func(*slbtest.Record) {
	return func(r *slbtest.Record) { r.Weight = n }
}

func records(all ...slbtest.Record) slbtest.Zone { return slbtest.Zone{Records: all} }

func newLab(t testing.TB, w world) lab {
	t.Helper()
	z := w.zone
	if z.Records == nil {
		z.Records = []slbtest.Record{rec(a)}
	}
	z.Name = "example.com"
	w.options.PlainHTTP = true
	w.options.Estate.Zones = []slbtest.Zone{z}
	s := slbtest.Start(t, w.options)
	cfg := alidns.Config{Domain: "example.com", Records: []string{www}, NameServers: s.NameServers(), SettleTimeout: 5 * time.Second}
	cfg.Region, cfg.Endpoint = s.Region(), s.URL()
	cfg.AccessKeyID, cfg.AccessKeySecret = slbtest.KeyRef, slbtest.SecretRef
	cfg.Rate, cfg.Timeout = 10000, 5*time.Second
	if w.edit != nil {
		w.edit(&cfg)
	}
	expect.Nil(t, cfg.Validate())
	own := &http.Transport{}
	t.Cleanup(own.CloseIdleConnections)
	var transport http.RoundTripper = own
	if w.through != nil {
		transport = w.through(own)
	}
	l := lab{Server: s, logs: &safeBuffer{}}
	env := slbtest.Env(slbtest.DefaultKey)
	env.Transport, env.Log = transport, slog.New(slog.NewTextHandler(l.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l.Target = slbtest.Open[*alidns.Target](t, alidns.Factory(), cfg, env)
	return l
}

// Close is told apart from the server's and the target's, which the lab calls.
func (l lab) Close() error { return nil }

func list(values ...string) state.Value { return state.List(values) }

func set(id, attribute string, from, to state.Value) state.Change {
	return state.Change{Target: "t", Object: id, Attribute: attribute, From: from, To: to}
}

func values(from, to state.Value) state.Change { return set(www, "values", from, to) }

func isDrift(t testing.TB, err error) {
	t.Helper()
	if _, ok := errors.AsType[*driver.DriftError](err); !ok {
		t.Errorf("want drift, got %v", err)
	}
}

// stored are the records of www, in words: "A 192.0.2.1 600 off".
func (l lab) stored() []string {
	all := []string{}
	for _, r := range l.Records("example.com") {
		if r.RR != "www" {
			continue
		}
		text := fmt.Sprintf("%s %s %d", r.Type, r.Value, r.TTL)
		if r.Disabled {
			text += " off"
		}
		if r.Line != "default" {
			text += " " + r.Line
		}
		if slices.Contains(l.Estate().Zones[0].Weighted, "www "+r.Type+" "+r.Line) && !r.Disabled {
			text += fmt.Sprintf(" x%d", r.Weight)
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all
}

// writes are the calls that changed something, in order.
func (l lab) writes() []string {
	all := []string{}
	for _, call := range l.Writes() {
		if !call.Applied {
			continue
		}
		p := call.Params
		text := call.Action
		for _, k := range []string{"Value", "TTL", "Status", "Weight", "Open"} {
			if p[k] != "" {
				text += " " + p[k]
			}
		}
		all = append(all, text)
	}
	return all
}

func (l lab) attrs(t testing.TB, id string) map[string]state.Value {
	t.Helper()
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	return s.Objects[id].Attrs
}

// answers asks the first name server.
func (l lab) answers(t testing.TB, kind uint16) []string {
	t.Helper()
	m := new(dns.Msg).SetQuestion("www.example.com.", kind)
	r, _, err := (&dns.Client{}).ExchangeContext(t.Context(), m, l.DNS(0))
	expect.Nil(t, err)
	got := []string{}
	for _, rr := range r.Answer {
		got = append(got, dns.Field(rr, 1))
	}
	slices.Sort(got)
	return got
}

// inSync waits until traffic is what the API shows.
func (l lab) inSync(t testing.TB) {
	t.Helper()
	expect.Nil(t, l.Quiet(t.Context()))
}

func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
