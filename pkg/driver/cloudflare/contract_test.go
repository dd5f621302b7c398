package cloudflare_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/driver/cloudflare"
	"github.com/flip-cli/flip/pkg/driver/cloudflare/cloudflaretest"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/state"
)

const (
	v6   = "www.example.com AAAA"
	edge = "edge.example.com A"
	both = "api.example.com A+AAAA"
)

func TestTheStandInFulfilsTheContract(t *testing.T) {
	for name, o := range map[string]cloudflaretest.Options{
		"in one page":               {DNS: true},
		"in pages of one record":    {DNS: true, PerPage: 1},
		"with answers that lag 0.3": {DNS: true, Propagation: 300 * 1e6},
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, drivertest.Harness{
				Info: cloudflare.Info(),
				Open: func(t *testing.T) drivertest.Target {
					f := cloudflaretest.Start(t, o)
					f.Put(
						cloudflaretest.Record{Name: "www.example.com", Type: "A", Content: a, TTL: 120, Comment: "old", Tags: []string{"team:web"}},
						cloudflaretest.Record{Name: "www.example.com", Type: "AAAA", Content: "2001:db8::1", TTL: 120},
						cloudflaretest.Record{Name: "www.example.com", Type: "TXT", Content: `"beside"`, TTL: 1},
						cloudflaretest.Record{Name: "edge.example.com", Type: "A", Content: "192.0.2.9", TTL: 1, Proxied: true},
						cloudflaretest.Record{Name: "alias.example.com", Type: "CNAME", Content: "one.example.net", TTL: 60},
						cloudflaretest.Record{Name: "api.example.com", Type: "A", Content: "192.0.2.7", TTL: 60},
						cloudflaretest.Record{Name: "api.example.com", Type: "AAAA", Content: "2001:db8::7", TTL: 60},
					)
					var blocked bool
					return drivertest.Target{
						Driver:  open(t, config(f, www, v6, edge, "alias.example.com CNAME", both), env(cloudflaretest.Token)),
						Outside: func(t *testing.T, c state.Change) { outside(t, f, c) },
						Break:   func(*testing.T) { f.Down() },
						Hang: func(*testing.T) {
							if !blocked {
								f.Fail(cloudflaretest.Fault{Kind: cloudflaretest.Hang, Times: 100})
							}
							blocked = true
						},
					}
				},
				Settable: []drivertest.Settable{
					{Objects: []string{www}, Attribute: "values", A: list(a), B: list(a, b), C: list("203.0.113.9")},
					{Objects: []string{www, v6}, Attribute: "ttl", A: "120", B: "60", C: "3600"},
					{Objects: []string{v6}, Attribute: "values", A: list("2001:db8::1"), B: list("2001:db8::2"), C: list("2001:db8::9")},
					{Objects: []string{"alias.example.com CNAME"}, Attribute: "values", A: list("one.example.net"), B: list("two.example.net"), C: list("x.example.net")},
					{Objects: []string{edge}, Attribute: "proxied", A: "true", B: "false"},
					{Objects: []string{both}, Attribute: "values", A: list("192.0.2.7", "2001:db8::7"), B: list("192.0.2.8", "2001:db8::8")},
				},
				Create: &drivertest.Creation{Kind: "record", Name: "new.example.com A", Attrs: map[string]state.Value{
					"values": list("192.0.2.20", "192.0.2.21"), "ttl": "60", "proxied": "false",
				}},
				Unknown: "www.example.org A",
			})
		})
	}
}

// outside changes records as another operator does on the dashboard.
func outside(t *testing.T, f *cloudflaretest.Fake, c state.Change) {
	t.Helper()
	name, kind, _ := strings.Cut(c.Object, " ")
	all := slices.DeleteFunc(f.Records(), func(r cloudflaretest.Record) bool { return r.Name != name || r.Type != kind })
	switch c.Attribute {
	case "ttl":
		ttl, _ := c.To.Int()
		f.Edit(name, kind, func(r *cloudflaretest.Record) { r.TTL = ttl })
	case "values":
		f.Remove(name, kind)
		for _, v := range c.To.List() {
			f.Put(cloudflaretest.Record{Name: name, Type: kind, Content: v, TTL: all[0].TTL, Proxied: all[0].Proxied})
		}
	default:
		t.Fatalf("nobody changes %s from outside", c.Attribute)
	}
}
