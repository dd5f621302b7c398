package rfc2136

import (
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/driver/dnstest"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/state"
)

func TestRealServersKeepTheContract(t *testing.T) {
	for name, start := range primaries {
		t.Run(name, func(t *testing.T) { drivertest.Run(t, harness(start(t, dnstest.Zone{}))) })
	}
}

func harness(s *dnstest.Server) drivertest.Harness {
	const mail = "mail.example.com AAAA"
	return drivertest.Harness{
		Info: Info(),
		Open: func(t *testing.T) drivertest.Target {
			s.Set(t, wwwHost, "A", 3600, "192.0.2.1")
			s.Set(t, "mail.example.com", "AAAA", 300, "2001:db8::1")
			s.Delete(t, "new.example.com", "A")
			proxy := dnstest.NewProxy(t, s)
			return drivertest.Target{
				Driver: opened(t, config(s, func(c *Config) {
					c.Server, c.Records = proxy.Addr(), []string{www, mail}
				})),
				Outside: func(t *testing.T, c state.Change) { outside(t, s, c) },
				Break:   func(*testing.T) { proxy.Refuse() },
				Hang:    func(*testing.T) { proxy.Set(dnstest.Silent) },
			}
		},
		Settable: []drivertest.Settable{
			{Objects: []string{www}, Attribute: recordset.Values, A: list("192.0.2.1"), B: list("192.0.2.2", "192.0.2.1"), C: list("203.0.113.9")},
			{Objects: []string{www}, Attribute: recordset.TTL, A: state.Int(3600), B: state.Int(60), C: state.Int(61)},
			{Objects: []string{mail}, Attribute: recordset.Values, A: list("2001:db8::1"), B: list("2001:db8::2"), C: list("2001:db8::3")},
		},
		Create: &drivertest.Creation{Kind: recordset.KindRecord, Name: "new.example.com A", Attrs: map[string]state.Value{
			recordset.Values: list("192.0.2.1", "192.0.2.7"), recordset.TTL: state.Int(60),
		}},
		Unknown: "www.elsewhere.test A",
	}
}

// outside writes past flip what the change says, and leaves the rest.
func outside(t *testing.T, s *dnstest.Server, c state.Change) {
	t.Helper()
	host, typ, _ := strings.Cut(c.Object, " ")
	now := s.Lookup(t, host, typ)
	if seconds, ok := c.To.Int(); ok && c.Attribute == recordset.TTL {
		now.TTL = seconds
	} else {
		now.Values = c.To.List()
	}
	s.Set(t, host, typ, now.TTL, now.Values...)
}
