package adguard_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/driver/adguard"
	"github.com/flip-cli/flip/pkg/driver/adguard/adguardtest"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/state"
)

const (
	v6    = host + " AAAA"
	alias = "alias.example.com CNAME"
	wild  = "*.apps.example.com A"
)

func TestTheStandInFulfilsTheContract(t *testing.T) {
	for name, o := range map[string]adguardtest.Options{"v0.107.68 and newer": {}, "older than v0.107.68": {Old: true}} {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, drivertest.Harness{
				Info: adguard.Info(),
				Open: func(t *testing.T) drivertest.Target {
					f := adguardtest.Start(t, o)
					f.Set(
						row{Domain: host, Answer: b}, row{Domain: "other.example.com", Answer: "192.0.2.50"}, row{Domain: host, Answer: a},
						row{Domain: host, Answer: "2001:DB8:0::1"}, row{Domain: "alias.example.com", Answer: "one.example.net"},
						row{Domain: "*.apps.example.com", Answer: "192.0.2.60"},
					)
					return drivertest.Target{
						Driver:  open(t, config(f), env(adguardtest.Password)),
						Outside: func(_ *testing.T, c state.Change) { outside(f, c) },
						Break:   func(*testing.T) { f.Down() },
						Hang:    func(*testing.T) { f.Fail(fault{Kind: adguardtest.Hang, Times: 100}) },
					}
				},
				Settable: []drivertest.Settable{
					{Objects: []string{www}, Attribute: "values", A: seq(b, a), B: seq(a, c, b), C: seq("203.0.113.9", b)},
					{Objects: []string{v6}, Attribute: "values", A: seq("2001:db8::1"), B: seq("2001:db8::2", "2001:db8::1"), C: seq("2001:db8::9")},
					{Objects: []string{alias}, Attribute: "values", A: seq("one.example.net"), B: seq("two.example.net"), C: seq("three.example.net")},
					{Objects: []string{wild}, Attribute: "values", A: seq("192.0.2.60"), B: seq("192.0.2.61"), C: seq("192.0.2.62")},
				},
				Create: &drivertest.Creation{Kind: "record", Name: "new.example.com A", Attrs: map[string]state.Value{
					"values": seq("192.0.2.71", "192.0.2.70"), "ttl": state.Int(adguardtest.DefaultTTL),
				}},
				Unknown: "www.example.com TXT",
			})
		})
	}
}

// outside changes rewrites as another operator does.
func outside(f *adguardtest.Fake, c state.Change) {
	domain, kind, _ := strings.Cut(c.Object, " ")
	rows := slices.DeleteFunc(f.Rows(), func(r row) bool {
		v6 := strings.Contains(r.Answer, ":")
		return r.Domain == domain && (kind == "CNAME" || v6 == (kind == "AAAA"))
	})
	for _, v := range c.To.List() {
		rows = append(rows, row{Domain: domain, Answer: v})
	}
	f.Set(rows...)
}
