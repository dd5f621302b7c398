package adguard_test

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/adguard"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// TestARealOneFulfilsTheContract makes and removes rewrites of names below
// flip-test.invalid in the AdGuard Home that FLIP_ADGUARD_URL, _USER and
// _PASSWORD name. FLIP_ADGUARD_DNS is where it answers look-ups.
func TestARealOneFulfilsTheContract(t *testing.T) {
	url := os.Getenv("FLIP_ADGUARD_URL")
	if url == "" {
		t.Skip("NOT RUN: no real AdGuard Home; set FLIP_ADGUARD_URL, FLIP_ADGUARD_USER and FLIP_ADGUARD_PASSWORD")
	}
	cfg := adguard.Config{
		URL: url, User: "${env:FLIP_ADGUARD_USER}", Password: "${env:FLIP_ADGUARD_PASSWORD}", DNS: os.Getenv("FLIP_ADGUARD_DNS"),
		Timeout: 5 * time.Second, SettleTimeout: 10 * time.Second,
	}
	e := driver.Env{Secrets: secret.NewResolver(&secret.Redactor{})}
	const one, v6 = "www.flip-test.invalid A", "www.flip-test.invalid AAAA"
	begin := map[string]state.Value{one: seq(b, a), v6: seq("2001:db8::1")}
	put := func(t *testing.T, want map[string]state.Value) {
		t.Helper()
		d := open(t, cfg, e)
		defer func() { expect.Nil(t, d.Close()) }()
		s, err := d.Read(t.Context())
		expect.Nil(t, err)
		for id, v := range want {
			if now := s.Get(id, "values"); now != v {
				expect.Nil(t, d.Apply(t.Context(), []state.Change{set(id, "values", now, v)}))
			}
		}
	}
	t.Cleanup(func() { t.Log("rewrites below flip-test.invalid are left; remove them in AdGuard Home") })
	ttl := func() state.Value {
		put(t, begin)
		d := open(t, cfg, e)
		defer func() { expect.Nil(t, d.Close()) }()
		s, err := d.Read(t.Context())
		expect.Nil(t, err)
		return s.Get(one, "ttl")
	}()
	drivertest.Run(t, drivertest.Harness{
		Info: adguard.Info(),
		Open: func(t *testing.T) drivertest.Target {
			put(t, begin)
			broken := cfg
			return drivertest.Target{
				Driver:  open(t, broken, e),
				Outside: func(t *testing.T, c state.Change) { put(t, map[string]state.Value{c.Object: c.To}) },
				Break:   func(t *testing.T) { t.Skip("NOT RUN: nobody stops a real server for this") },
			}
		},
		Settable: slices.Clone([]drivertest.Settable{
			{Objects: []string{one}, Attribute: "values", A: begin[one], B: seq(a, c, b), C: seq("203.0.113.9", b)},
			{Objects: []string{v6}, Attribute: "values", A: begin[v6], B: seq("2001:db8::2", "2001:db8::1"), C: seq("2001:db8::9")},
		}),
		Create: &drivertest.Creation{Kind: "record", Name: "new.flip-test.invalid A", Attrs: map[string]state.Value{
			"values": seq("192.0.2.71", "192.0.2.70"), "ttl": ttl,
		}},
		Unknown: "www.flip-test.invalid TXT",
	})
}
