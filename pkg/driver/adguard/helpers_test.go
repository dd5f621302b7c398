package adguard_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/adguard"
	"github.com/flip-cli/flip/pkg/driver/adguard/adguardtest"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

const (
	host = "www.example.com"
	www  = host + " A"
	a    = "192.0.2.1"
	b    = "192.0.2.2"
	c    = "192.0.2.3"
)

type (
	fault = adguardtest.Fault
	row   = adguardtest.Row
)

func open(t testing.TB, cfg adguard.Config, env driver.Env) *adguard.Target {
	t.Helper()
	d, err := adguard.Factory().Open(t.Context(), func(into any) error {
		*into.(*adguard.Config) = cfg
		return nil
	}, env)
	if err != nil {
		t.Fatal(err)
	}
	return d.(*adguard.Target)
}

func config(f *adguardtest.Fake) adguard.Config {
	return adguard.Config{
		URL: f.URL(), User: "flip", Password: "${env:ADGUARD_PASSWORD}", DNS: f.DNSAddress(),
		Timeout: 2 * time.Second, SettleTimeout: 5 * time.Second,
	}
}

func env(password string) driver.Env {
	r := secret.NewResolver(&secret.Redactor{})
	r.Getenv = func(name string) (string, bool) { return password, name == "ADGUARD_PASSWORD" }
	return driver.Env{Secrets: r}
}

// lab is an AdGuard Home with rewrites of www to answers, and a target on it.
type lab struct {
	*adguardtest.Fake
	*adguard.Target
	logged func() string
}

func newLab(t *testing.T, o adguardtest.Options, edit func(*adguard.Config), answers ...string) lab {
	t.Helper()
	f := adguardtest.Start(t, o)
	f.Set(rowsOf(answers...)...)
	cfg := config(f)
	if edit != nil {
		edit(&cfg)
	}
	var mu sync.Mutex
	var log strings.Builder
	e := env(adguardtest.Password)
	e.Log = slog.New(slog.NewTextHandler(&guarded{&mu, &log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d := open(t, cfg, e)
	t.Cleanup(func() { _ = d.Close() })
	return lab{f, d, func() string {
		mu.Lock()
		defer mu.Unlock()
		return log.String()
	}}
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

func rowsOf(answers ...string) []row {
	var rows []row
	for _, v := range answers {
		rows = append(rows, row{Domain: host, Answer: v})
	}
	return rows
}

func seq(values ...string) state.Value { return state.Sequence(values) }

func set(id, attribute string, from, to state.Value) state.Change {
	return state.Change{Target: "t", Object: id, Attribute: attribute, From: from, To: to}
}

func values(from, to state.Value) []state.Change { return []state.Change{set(www, "values", from, to)} }

func isDrift(t *testing.T, err error, now state.Value) {
	t.Helper()
	drift, ok := errors.AsType[*driver.DriftError](err)
	if !ok || drift.Now != now {
		t.Errorf("want the drift to %s, got %v", now, err)
	}
}

func (l lab) see(t *testing.T) state.State {
	t.Helper()
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	return s
}

// retired are rows that flip put aside and did not remove.
func (l lab) retired() []row {
	return slices.DeleteFunc(l.Rows(), func(r row) bool { return !strings.HasPrefix(r.Domain, "_flip") })
}

func canceled(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
