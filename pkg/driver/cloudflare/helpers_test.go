package cloudflare_test

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/cloudflare"
	"github.com/flip-cli/flip/pkg/driver/cloudflare/cloudflaretest"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

const (
	www  = "www.example.com A"
	a, b = "192.0.2.1", "192.0.2.2"
)

func open(t testing.TB, cfg cloudflare.Config, env driver.Env) *cloudflare.Target {
	t.Helper()
	d, err := cloudflare.Factory().Open(t.Context(), func(into any) error {
		*into.(*cloudflare.Config) = cfg
		return nil
	}, env)
	if err != nil {
		t.Fatal(err)
	}
	return d.(*cloudflare.Target)
}

func config(f *cloudflaretest.Fake, records ...string) cloudflare.Config {
	c := cloudflare.Config{
		Zone: cloudflaretest.Zone, Token: "${env:CF_API_TOKEN}", BaseURL: f.URL(), Records: records,
		Timeout: 5 * time.Second, SettleTimeout: 5 * time.Second,
	}
	if dns := f.DNSAddress(); dns != "" {
		c.NameServers = []string{dns}
	}
	return c
}

func env(token string) driver.Env {
	r := secret.NewResolver(&secret.Redactor{})
	r.Getenv = func(name string) (string, bool) { return token, name == "CF_API_TOKEN" }
	return driver.Env{Secrets: r}
}

// lab is a zone whose www is A with TTL 120, and a target on it.
type lab struct {
	*cloudflaretest.Fake
	*cloudflare.Target
}

func newLab(t *testing.T, o cloudflaretest.Options, edit func(*cloudflare.Config)) lab {
	t.Helper()
	f := cloudflaretest.Start(t, o)
	f.Put(cloudflaretest.Record{Name: "www.example.com", Type: "A", Content: a, TTL: 120})
	cfg := config(f, www)
	if edit != nil {
		edit(&cfg)
	}
	d := open(t, cfg, env(cloudflaretest.Token))
	t.Cleanup(func() { _ = d.Close() })
	return lab{f, d}
}

func list(values ...string) state.Value { return state.List(values) }

func set(id, attribute string, from, to state.Value) state.Change {
	return state.Change{Target: "t", Object: id, Attribute: attribute, From: from, To: to}
}

func values(from, to state.Value) []state.Change { return []state.Change{set(www, "values", from, to)} }

// batches are the bodies of what was written.
func (l lab) batches() []string {
	var all []string
	for _, c := range l.Calls() {
		if c.Method == "POST" {
			all = append(all, c.Body)
		}
	}
	return all
}

// ofWWW are the records of www, by content.
func (l lab) ofWWW() []cloudflaretest.Record {
	all := slices.DeleteFunc(l.Records(), func(r cloudflaretest.Record) bool { return r.Name != "www.example.com" })
	slices.SortFunc(all, func(a, b cloudflaretest.Record) int { return strings.Compare(a.Content, b.Content) })
	return all
}

// loggedLab is a lab whose driver logs everything.
func loggedLab(t *testing.T, into *strings.Builder) (lab, func() string) {
	t.Helper()
	f := cloudflaretest.Start(t, cloudflaretest.Options{})
	f.Put(cloudflaretest.Record{Name: "www.example.com", Type: "A", Content: a, TTL: 120})
	var mu sync.Mutex
	e := env(cloudflaretest.Token)
	e.Log = slog.New(slog.NewTextHandler(&guarded{&mu, into}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d := open(t, config(f, www), e)
	t.Cleanup(func() { _ = d.Close() })
	return lab{f, d}, func() string {
		mu.Lock()
		defer mu.Unlock()
		return into.String()
	}
}

type guarded struct {
	mu   *sync.Mutex
	into io.Writer
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.into.Write(p)
}

func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
