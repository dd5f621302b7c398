package rfc2136

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/dnstest"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

const (
	wwwHost = "www.example.com"
	www     = "www.example.com A"
	www6    = "www.example.com AAAA"
	both    = "www.example.com A+AAAA"
)

// primaries are the servers that every promise is held against.
var primaries = map[string]func(testing.TB, dnstest.Zone, ...dnstest.Option) *dnstest.Server{
	"BIND": dnstest.BIND, "Knot": dnstest.Knot,
}

func eachPrimary(t *testing.T, records []string, f func(*testing.T, *dnstest.Server)) {
	t.Helper()
	for name, start := range primaries {
		t.Run(name, func(t *testing.T) { f(t, start(t, dnstest.Zone{Records: records})) })
	}
}

// config is that of a target on a server, which is its only name server.
func config(s *dnstest.Server, change ...func(*Config)) Config {
	k := dnstest.TestKey()
	c := Config{
		Zone: s.Zone(), Server: s.Addr(), NameServers: []string{s.Addr()},
		TSIG:    TSIG{Name: k.Name, Secret: secret.Ref(k.Secret)},
		Timeout: 2 * time.Second, SettleTimeout: 10 * time.Second,
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func opened(t *testing.T, c Config) driver.Driver {
	t.Helper()
	decode := func(out any) error { *out.(*Config) = c; return nil }
	d, err := Factory().Open(t.Context(), decode, driver.Env{Log: slog.New(slog.DiscardHandler), Secrets: secret.NewResolver(&secret.Redactor{})})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// late is the driver with a clock that is wrong.
func late(t *testing.T, c Config, by time.Duration) driver.Driver {
	t.Helper()
	p, err := newPrimary(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.client.Now = func() time.Time { return time.Now().Add(-by) }
	d, err := recordset.New(recordset.Options{Driver: Name, Zone: p.zone, Provider: p, Client: wire.Client{}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func list(values ...string) state.Value { return state.List(values) }

func change(object, attribute string, from, to state.Value) state.Change {
	return state.Change{Target: "zone", Object: object, Attribute: attribute, From: from, To: to}
}

// values changes the values of a set.
func values(object string, from, to state.Value) []state.Change {
	return []state.Change{change(object, recordset.Values, from, to)}
}

func read(t *testing.T, d driver.Driver, names ...string) map[string]map[string]state.Value {
	t.Helper()
	l, ok := driver.As[driver.Locator](d)
	if !ok {
		t.Fatal("no Locator")
	}
	for _, n := range names {
		if _, err := l.Locate(recordset.KindRecord, n); err != nil {
			t.Fatal(err)
		}
	}
	s, err := d.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	attrs := map[string]map[string]state.Value{}
	for id, o := range s.Objects {
		attrs[id] = o.Attrs
	}
	return attrs
}

func apply(t *testing.T, d driver.Driver, changes []state.Change) {
	t.Helper()
	if err := d.Apply(t.Context(), changes); err != nil {
		t.Fatalf("apply: %v", err)
	}
}

func settle(ctx context.Context, t *testing.T, d driver.Driver, changes []state.Change) error {
	t.Helper()
	s, ok := driver.As[driver.Settler](d)
	if !ok {
		t.Fatal("no Settler")
	}
	return s.Settle(ctx, changes)
}

func changeTTL(from, to int) []state.Change {
	return []state.Change{change(www, recordset.TTL, state.Int(from), state.Int(to))}
}
