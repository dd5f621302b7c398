package dnstest_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/dnstest"
)

const www = "www.example.com"

func zone() dnstest.Zone { return dnstest.Zone{Records: []string{"www 60 IN A 192.0.2.1"}} }

var primaries = map[string]func(testing.TB, dnstest.Zone, ...dnstest.Option) *dnstest.Server{
	"BIND": dnstest.BIND, "Knot": dnstest.Knot,
}

func TestAPrimaryServesItsZoneAndTakesUpdates(t *testing.T) {
	for name, primary := range primaries {
		t.Run(name, func(t *testing.T) {
			s := primary(t, zone())
			want := dnstest.Reply{Code: "NOERROR", Authoritative: true, Values: []string{"192.0.2.1"}, TTL: 60}
			if diff := cmp.Diff(want, s.Lookup(t, www, "A")); diff != "" {
				t.Errorf("answer at first (-want +got):\n%s", diff)
			}
			before := s.Serial(t)
			s.Set(t, www, "A", 30, "192.0.2.3", "192.0.2.2")
			want = dnstest.Reply{Code: "NOERROR", Authoritative: true, Values: []string{"192.0.2.2", "192.0.2.3"}, TTL: 30}
			if diff := cmp.Diff(want, s.Lookup(t, www, "A")); diff != "" {
				t.Errorf("answer after Set (-want +got):\n%s", diff)
			}
			if s.Serial(t) == before {
				t.Error("the serial did not rise")
			}
			s.Delete(t, www, "A")
			if got := s.Lookup(t, www, "A"); got.Code != "NXDOMAIN" {
				t.Errorf("after Delete: %+v", got)
			}
		})
	}
}

func TestASecondaryFollowsItsPrimary(t *testing.T) {
	for name, start := range map[string]func(*testing.T, string) *dnstest.Server{
		"BIND": func(t *testing.T, addr string) *dnstest.Server { return dnstest.BIND(t, zone(), dnstest.Notify(addr)) },
		"Knot": func(t *testing.T, addr string) *dnstest.Server { return dnstest.Knot(t, zone(), dnstest.Notify(addr)) },
	} {
		t.Run(name, func(t *testing.T) {
			addr := dnstest.FreeAddr(t, "127.0.0.1")
			primary := start(t, addr)
			secondary := dnstest.BINDSecondary(t, primary, dnstest.OnAddr(addr))
			primary.Set(t, www, "A", 60, "192.0.2.9")
			secondary.WaitFor(t, www, "A", "192.0.2.9")
		})
	}
}

func TestResolversKeepAnswers(t *testing.T) {
	for name, start := range map[string]func(testing.TB, *dnstest.Server, ...dnstest.Option) *dnstest.Server{
		"unbound": dnstest.Unbound, "dnsmasq": dnstest.Dnsmasq,
	} {
		t.Run(name, func(t *testing.T) {
			auth := dnstest.BIND(t, dnstest.Zone{Records: []string{"www 2 IN A 192.0.2.1"}})
			resolver := start(t, auth, dnstest.MinCacheTTL(6))
			resolver.WaitFor(t, www, "A", "192.0.2.1")
			auth.Set(t, www, "A", 2, "192.0.2.2")
			if got := resolver.Lookup(t, www, "A").Values; !cmp.Equal(got, []string{"192.0.2.1"}) {
				t.Errorf("the resolver forgot at once: %v", got)
			}
			asked := time.Now()
			resolver.WaitFor(t, www, "A", "192.0.2.2")
			if kept := time.Since(asked); kept < 3*time.Second {
				t.Errorf("a TTL of 2 that is stretched to 6 was kept for %s", kept)
			}
		})
	}
}

func TestAFrozenServerAnswersWhenItIsThawed(t *testing.T) {
	s := dnstest.BIND(t, zone())
	s.Freeze(t)
	s.Thaw(t)
	s.WaitFor(t, www, "A", "192.0.2.1")
	s.Stop()
	s.Stop() // twice is once
}
