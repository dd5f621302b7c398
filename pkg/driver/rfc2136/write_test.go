package rfc2136

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/dnstest"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

func serves(t *testing.T, s *dnstest.Server, typ string) string {
	t.Helper()
	r := s.Lookup(t, wwwHost, typ)
	return strings.Join(append(r.Values, time.Duration(r.TTL*int(time.Second)).String()), " ")
}

func TestAnAddressMovesInThreeSteps(t *testing.T) {
	eachPrimary(t, []string{"www 60 IN A 192.0.2.1"}, func(t *testing.T, s *dnstest.Server) {
		d := opened(t, config(s))
		steps := []struct {
			from, to state.Value
			shows    string
		}{
			{list("192.0.2.1"), list("192.0.2.1", "192.0.2.2"), "192.0.2.1 192.0.2.2 1m0s"},
			{list("192.0.2.1", "192.0.2.2"), list("192.0.2.2"), "192.0.2.2 1m0s"},
			{list("192.0.2.2"), list("192.0.2.9"), "192.0.2.9 1m0s"}, // shares nothing: one message
		}
		for _, step := range steps {
			before := s.Serial(t)
			apply(t, d, values(www, step.from, step.to))
			if got := serves(t, s, "A"); got != step.shows {
				t.Errorf("it serves %s, want %s", got, step.shows)
			}
			if rose := s.Serial(t) - before; rose != 1 {
				t.Errorf("the serial rose by %d: resolvers saw something in between", rose)
			}
			if err := settle(t.Context(), t, d, values(www, step.from, step.to)); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestBothKindsOfAddressesMoveInOneMessage(t *testing.T) {
	eachPrimary(t, []string{"www 60 IN A 192.0.2.1", "www 60 IN AAAA 2001:db8::1"}, func(t *testing.T, s *dnstest.Server) {
		proxy := dnstest.NewProxy(t, s)
		d := opened(t, config(s, func(c *Config) { c.Server = proxy.Addr() }))
		want := map[string]map[string]state.Value{both: {"values": list("192.0.2.1", "2001:db8::1"), "ttl": state.Int(60)}}
		if diff := cmp.Diff(want, read(t, d, both)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		move := values(both, list("192.0.2.1", "2001:db8::1"), list("192.0.2.2", "2001:db8::2"))
		apply(t, d, append(move, change(both, "ttl", state.Int(60), state.Int(30))))
		if got := serves(t, s, "A") + ", " + serves(t, s, "AAAA"); got != "192.0.2.2 30s, 2001:db8::2 30s" {
			t.Errorf("it serves %s", got)
		}
		// The two sets by themselves, in one call, are one message too.
		apply(t, d, append(values(www, list("192.0.2.2"), list("192.0.2.3")), values(www6, list("2001:db8::2"), list("2001:db8::3"))...))
		if got := serves(t, s, "A") + ", " + serves(t, s, "AAAA"); got != "192.0.2.3 30s, 2001:db8::3 30s" {
			t.Errorf("it serves %s", got)
		}
		if n := proxy.Updates(); n != 2 {
			t.Errorf("%d messages for two changes", n)
		}
		// One kind may go as long as the other stays.
		apply(t, d, values(both, list("192.0.2.3", "2001:db8::3"), list("192.0.2.3")))
		if got := serves(t, s, "A") + ", " + serves(t, s, "AAAA"); got != "192.0.2.3 30s, 0s" {
			t.Errorf("it serves %s", got)
		}
	})
}

func TestASecondOperatorIsNotOverwritten(t *testing.T) {
	type operator struct {
		name  string
		write func(*testing.T, *dnstest.Server)
		now   state.Value
	}
	for _, o := range []operator{
		{"another address", func(t *testing.T, s *dnstest.Server) { s.Set(t, wwwHost, "A", 60, "203.0.113.9") }, list("203.0.113.9")},
		{"one address more", func(t *testing.T, s *dnstest.Server) { s.Set(t, wwwHost, "A", 60, "192.0.2.1", "203.0.113.9") }, list("192.0.2.1", "203.0.113.9")},
		{"the set removed", func(t *testing.T, s *dnstest.Server) { s.Delete(t, wwwHost, "A") }, state.Absent},
	} {
		t.Run(o.name, func(t *testing.T) {
			eachPrimary(t, []string{"www 60 IN A 192.0.2.1"}, func(t *testing.T, s *dnstest.Server) {
				proxy := dnstest.NewProxy(t, s)
				d := opened(t, config(s, func(c *Config) { c.Server = proxy.Addr() }))
				proxy.BeforeUpdate(func() { o.write(t, s) }) // between the driver's read and its write
				err := d.Apply(t.Context(), values(www, list("192.0.2.1"), list("192.0.2.2")))
				drift, ok := errors.AsType[*driver.DriftError](err)
				if !ok {
					t.Fatalf("want a *DriftError, got %v", err)
				}
				if drift.Now != o.now {
					t.Errorf("the error says %s, live is %s", drift.Now, o.now)
				}
				if got := read(t, d, www)[www]["values"]; got != o.now {
					t.Errorf("live is %s, the operator wrote %s", got, o.now)
				}
				if proxy.Updates() != 1 {
					t.Errorf("%d updates were sent", proxy.Updates())
				}
			})
		})
	}
}

func TestATTLThatSomebodyElseChangedIsDrift(t *testing.T) {
	eachPrimary(t, []string{"www 60 IN A 192.0.2.1"}, func(t *testing.T, s *dnstest.Server) {
		d := opened(t, config(s))
		s.Set(t, wwwHost, "A", 600, "192.0.2.1")
		err := d.Apply(t.Context(), []state.Change{change(www, "ttl", state.Int(60), state.Int(30)), change(www, "values", list("192.0.2.1"), list("192.0.2.2"))})
		if drift, ok := errors.AsType[*driver.DriftError](err); !ok || drift.Now != state.Int(600) {
			t.Errorf("want drift to 600, got %v", err)
		}
		if got := serves(t, s, "A"); got != "192.0.2.1 10m0s" {
			t.Errorf("it serves %s", got)
		}
	})
}

func TestALostAnswerIsDecidedByReading(t *testing.T) {
	eachPrimary(t, []string{"www 60 IN A 192.0.2.1"}, func(t *testing.T, s *dnstest.Server) {
		proxy := dnstest.NewProxy(t, s)
		d := opened(t, config(s, func(c *Config) { c.Server, c.Timeout = proxy.Addr(), 500*time.Millisecond }))
		proxy.Set(dnstest.LoseAnswer)
		if err := d.Apply(t.Context(), values(www, list("192.0.2.1"), list("192.0.2.2"))); err != nil {
			t.Errorf("it took effect and reading shows it, but: %v", err)
		}
		if proxy.Updates() != 1 {
			t.Errorf("%d updates were sent", proxy.Updates())
		}
		proxy.Set(dnstest.LoseRequest)
		err := d.Apply(t.Context(), values(www, list("192.0.2.2"), list("192.0.2.3")))
		if !errors.Is(err, driver.ErrUnknown) || errors.Is(err, driver.ErrPermanent) {
			t.Errorf("nobody knows whether it will take effect, but: %v", err)
		}
		if got := serves(t, s, "A"); got != "192.0.2.2 1m0s" {
			t.Errorf("it serves %s", got)
		}
	})
}

func TestACNAMEStandsAlone(t *testing.T) {
	eachPrimary(t, []string{"www 60 IN A 192.0.2.1", "alias 60 IN CNAME www"}, func(t *testing.T, s *dnstest.Server) {
		d := opened(t, config(s))
		before := s.Serial(t)
		for _, changes := range [][]state.Change{
			{change("alias.example.com A", "values", state.Absent, list("192.0.2.5"))},
			{change("www.example.com CNAME", "values", state.Absent, list("other.example.com"))},
			{change("www.example.com CNAME", "values", state.Absent, list("a.example.com", "b.example.com"))},
		} {
			changes = append(changes, change(changes[0].Object, "ttl", state.Absent, state.Int(60)))
			err := d.Apply(t.Context(), changes)
			if !errors.Is(err, driver.ErrPermanent) || strings.Contains(err.Error(), "TTL") {
				t.Errorf("%v: want a refusal, got %v", changes, err)
			}
		}
		if s.Serial(t) != before {
			t.Error("something was written")
		}
		apply(t, d, values("alias.example.com CNAME", list("www.example.com"), list("other.example.com")))
	})
}

func TestACNAMEThatSomebodyElseMakesMeanwhileIsSeen(t *testing.T) {
	eachPrimary(t, []string{"www 60 IN A 192.0.2.1"}, func(t *testing.T, s *dnstest.Server) {
		proxy := dnstest.NewProxy(t, s)
		d := opened(t, config(s, func(c *Config) { c.Server = proxy.Addr() }))
		proxy.BeforeUpdate(func() { s.Set(t, "new.example.com", "CNAME", 60, "www.example.com.") })
		err := d.Apply(t.Context(), []state.Change{
			change("new.example.com A", "values", state.Absent, list("192.0.2.5")),
			change("new.example.com A", "ttl", state.Absent, state.Int(60)),
		})
		// Without a condition the server would ignore the address and say NOERROR.
		if !errors.Is(err, driver.ErrPermanent) || !strings.Contains(err.Error(), "a CNAME stands alone") {
			t.Errorf("want a refusal, got %v", err)
		}
		if proxy.Updates() != 1 {
			t.Errorf("%d updates were sent", proxy.Updates())
		}
	})
}

func TestAllTypesAreWrittenAsTheyAreRead(t *testing.T) {
	eachPrimary(t, []string{"mail IN A 192.0.2.1", "www IN A 192.0.2.1"}, func(t *testing.T, s *dnstest.Server) {
		d := opened(t, config(s))
		for name, v := range map[string]state.Value{
			"t.example.com TXT": list(`v=spf1 -all`, `with "quotes", \\ and \010`, strings.Repeat("long ", 100)), "t.example.com MX": list("10 mail.example.com"),
			"_x._tcp.example.com SRV": list("10 5 443 www.example.com"), "t.example.com CAA": list(`0 issue "letsencrypt.org"`),
			"h.example.com HTTPS": list(`1 . alpn="h2" ipv4hint="192.0.2.1"`), "p.example.com PTR": list("host.example.com"),
			"sub.example.com NS": list("ns.elsewhere.test"), "*.w.example.com A": list("192.0.2.1"), "c.example.com CNAME": list("www.example.com"),
		} {
			create := []state.Change{change(name, "values", state.Absent, v), change(name, "ttl", state.Absent, state.Int(77))}
			err := d.Apply(t.Context(), create)
			if name == "sub.example.com NS" {
				if err == nil || !strings.Contains(err.Error(), "authority") {
					t.Errorf("a delegation is answered without authority, but: %v", err)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v %q", name, err, hint.Of(err))
				continue
			}
			if err := settle(t.Context(), t, d, create); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			apply(t, d, []state.Change{create[0].Inverse(), create[1].Inverse()})
		}
	})
}

func TestTheNameServersOfTheZoneItselfAreChangedOneByOne(t *testing.T) {
	eachPrimary(t, []string{"ns2 IN A 192.0.2.2", "ns3 IN A 192.0.2.3"}, func(t *testing.T, s *dnstest.Server) {
		d := opened(t, config(s))
		apply(t, d, []state.Change{
			change("example.com NS", "values", list("ns1.example.com"), list("ns2.example.com", "ns3.example.com")),
			change("example.com NS", "ttl", state.Int(300), state.Int(60)),
		})
		got := s.Lookup(t, "example.com", "NS")
		want := dnstest.Reply{Code: "NOERROR", Authoritative: true, Values: []string{"ns2.example.com.", "ns3.example.com."}, TTL: 60}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		err := d.Apply(t.Context(), []state.Change{change("example.com NS", "values", list("ns2.example.com", "ns3.example.com"), state.Absent)})
		if !errors.Is(err, driver.ErrPermanent) {
			t.Errorf("the last name server: %v", err)
		}
	})
}

func TestANameThatAWildcardAnswersIsNotTakenForARecord(t *testing.T) {
	eachPrimary(t, []string{"* 60 IN A 192.0.2.1"}, func(t *testing.T, s *dnstest.Server) {
		before := s.Serial(t)
		err := opened(t, config(s)).Apply(t.Context(), values(www, list("192.0.2.1"), list("192.0.2.2")))
		if !errors.Is(err, driver.ErrPermanent) || !strings.Contains(strings.Join(hint.Of(err), " "), "wildcard") {
			t.Errorf("want a refusal that speaks of the wildcard, got %v %q", err, hint.Of(err))
		}
		if s.Serial(t) != before {
			t.Error("something was written")
		}
	})
}

func TestCachesKeepAnswersAsLongAsTheServerSays(t *testing.T) {
	s := dnstest.BIND(t, dnstest.Zone{TTL: 20, Minimum: 7})
	c, ok := driver.As[driver.Cacher](opened(t, config(s)))
	if !ok {
		t.Fatal("no Cacher")
	}
	for want, attrs := range map[time.Duration]map[string]state.Value{
		7 * time.Second:  nil, // min(SOA TTL 20, minimum 7)
		90 * time.Second: {recordset.TTL: state.Int(90), recordset.Values: list("192.0.2.1")},
	} {
		if got, err := c.CacheTime(t.Context(), www, attrs); err != nil || got != want {
			t.Errorf("%v: %s, %v; want %s", attrs, got, err, want)
		}
	}
}
