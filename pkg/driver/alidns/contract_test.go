package alidns_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/alidns"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

const (
	www6 = "www.example.com AAAA"
	cut  = "cut.example.com A"
	both = "api.example.com A+AAAA"
	name = "alias.example.com CNAME"
	mail = "example.com MX"
)

func contractZone() slbtest.Zone {
	at := func(rr string, r slbtest.Record) slbtest.Record { r.RR = rr; return r }
	return records(
		rec(a), rec("2001:db8::1"), rec("192.0.2.77", func(r *slbtest.Record) { r.Line = "telecom" }),
		at("cut", rec("192.0.2.80", weight(1))), at("cut", rec("192.0.2.81", weight(1))),
		at("api", rec("192.0.2.7")), at("api", rec("2001:db8::7")),
		slbtest.Record{RR: "alias", Type: "CNAME", Value: "one.example.net", TTL: 600},
		slbtest.Record{RR: "@", Type: "MX", Value: "mail.example.com", Priority: 10, TTL: 600},
		slbtest.Record{RR: "@", Type: "TXT", Value: "beside", TTL: 600},
	)
}

func TestTheStandInFulfilsTheContract(t *testing.T) {
	for title, o := range map[string]slbtest.Options{
		"with one name server":          {},
		"with three that lag":           {NameServers: 3, Timing: slbtest.Timing{DNS: 100 * time.Millisecond}},
		"from a zone that may be busy ": {Timing: slbtest.Timing{ZoneOverlap: time.Millisecond}},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			drivertest.Run(t, drivertest.Harness{
				Info: alidns.Info(),
				Open: func(t *testing.T) drivertest.Target {
					down := &breaker{}
					l := newLab(t, world{options: o, zone: contractZone(), through: down.on, edit: func(c *alidns.Config) {
						c.Records = []string{www, www6, cut, both, name, mail}
					}})
					return drivertest.Target{
						Driver:  l.Target,
						Outside: func(t *testing.T, change state.Change) { l.outside(t, change) },
						Break:   func(*testing.T) { down.broken.Store(true) },
						Hang:    func(*testing.T) { l.Inject(slbtest.Fault{Kind: slbtest.Slow, After: time.Minute}) },
					}
				},
				Settable: []drivertest.Settable{
					{Objects: []string{www}, Attribute: "values", A: list(a), B: list(a, b), C: list("203.0.113.9")},
					{Objects: []string{www, www6}, Attribute: "ttl", A: "600", B: "1200", C: "3600"},
					{Objects: []string{www6}, Attribute: "values", A: list("2001:db8::1"), B: list("2001:db8::2"), C: list("2001:db8::9")},
					{Objects: []string{name}, Attribute: "values", A: list("one.example.net"), B: list("two.example.net"), C: list("x.example.net")},
					{Objects: []string{mail}, Attribute: "values", A: list("10 mail.example.com"), B: list("10 mail.example.com", "20 mx.example.com"), C: list("5 x.example.com")},
					{Objects: []string{cut}, Attribute: "weights", A: list(), B: list("192.0.2.80=80", "192.0.2.81=20"), C: list("192.0.2.80=50", "192.0.2.81=50")},
					{Objects: []string{both}, Attribute: "values", A: list("192.0.2.7", "2001:db8::7"), B: list("192.0.2.8", "2001:db8::8")},
				},
				Create: &drivertest.Creation{Kind: "record", Name: "new.example.com A", Attrs: map[string]state.Value{
					"values": list("192.0.2.20", "192.0.2.21"), "ttl": "600", "disabled": list(), "weights": list(),
				}},
				Unknown: "www.example.org A",
			})
		})
	}
}

// breaker is a connection that can be gone.
type breaker struct{ broken atomic.Bool }

func (b *breaker) on(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if b.broken.Load() {
			return nil, errors.New("connection refused")
		}
		return next.RoundTrip(r)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// outside changes records as somebody at the console does.
func (l lab) outside(t *testing.T, c state.Change) {
	t.Helper()
	host, kind, _ := strings.Cut(c.Object, " ")
	rr := strings.TrimSuffix(host, ".example.com")
	if host == "example.com" {
		rr = "@"
	}
	ours := func(r slbtest.Record) bool { return r.RR == rr && r.Type == kind && r.Line == "default" }
	l.Edit(func(e *slbtest.Estate) {
		z := &e.Zones[0]
		switch c.Attribute {
		case "ttl":
			n, _ := c.To.Int()
			for i := range z.Records {
				if ours(z.Records[i]) {
					z.Records[i].TTL = n
				}
			}
		case "values":
			z.Records = slices.DeleteFunc(z.Records, ours)
			for _, v := range c.To.List() {
				r := slbtest.Record{RR: rr, Type: kind, Value: v, TTL: 600}
				if kind == "MX" {
					r.Priority, r.Value = 5, "x.example.com"
				}
				z.Records = append(z.Records, r)
			}
		case "weights":
			z.Weighted = append(z.Weighted, rr+" "+kind+" default")
			for i := range z.Records {
				if ours(z.Records[i]) {
					z.Records[i].Weight = 50
				}
			}
		default:
			t.Fatalf("nobody changes %s from outside", c.Attribute)
		}
	})
}
