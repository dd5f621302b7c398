package rfc2136

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/dnstest"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
)

// refusal are an error's text and hints, to look for what a person needs.
func refusal(err error) string { return err.Error() + " | " + strings.Join(hint.Of(err), " | ") }

func TestWhatAServerRefusesIsToldWithWhatToDo(t *testing.T) {
	move := values(www, list("192.0.2.1"), list("192.0.2.2"))
	for _, row := range []struct {
		name   string
		open   func(*testing.T, *dnstest.Server) driver.Driver
		says   []string
		passes bool // may pass: not permanent
	}{
		{"a wrong secret", func(t *testing.T, s *dnstest.Server) driver.Driver {
			return opened(t, config(s, func(c *Config) { c.TSIG.Secret = "b3RoZXI=" }))
		}, []string{"NOTAUTH (BADSIG)", "secret of key flip-key"}, false},
		{"an unknown key", func(t *testing.T, s *dnstest.Server) driver.Driver {
			return opened(t, config(s, func(c *Config) { c.TSIG.Name = "nobody" }))
		}, []string{"NOTAUTH (BADKEY)", "no key nobody"}, false},
		{"a clock that is 15 minutes late", func(t *testing.T, s *dnstest.Server) driver.Driver {
			return late(t, config(s), 15*time.Minute)
		}, []string{"NOTAUTH (BADTIME)", " ahead", "set the clock"}, false},
		{"no signature", func(t *testing.T, s *dnstest.Server) driver.Driver {
			return opened(t, config(s, func(c *Config) { c.TSIG = TSIG{} }))
		}, []string{"was not signed", "update-policy"}, false},
		{"a zone that the server does not have", func(t *testing.T, s *dnstest.Server) driver.Driver {
			return opened(t, config(s, func(c *Config) { c.Zone = "com" }))
		}, []string{"NOTAUTH", "does not hold zone com"}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			eachPrimary(t, []string{"www 60 IN A 192.0.2.1"}, func(t *testing.T, s *dnstest.Server) {
				before := s.Serial(t)
				err := row.open(t, s).Apply(t.Context(), move)
				if err == nil {
					t.Fatal("no error")
				}
				if errors.Is(err, driver.ErrPermanent) == row.passes || errors.Is(err, driver.ErrUnknown) {
					t.Errorf("permanent %v, unknown %v: %v", errors.Is(err, driver.ErrPermanent), errors.Is(err, driver.ErrUnknown), err)
				}
				for _, word := range row.says {
					if !strings.Contains(refusal(err), word) {
						t.Errorf("%q is not in: %s", word, refusal(err))
					}
				}
				if s.Serial(t) != before {
					t.Error("something was written")
				}
			})
		})
	}
}

func TestEveryCodeOfAnUpdateIsToldWithWhatToDo(t *testing.T) {
	p := &primary{zone: "example.com", tsig: TSIG{Name: "flip", Secret: "c2VjcmV0"}}
	for code, want := range map[string]struct {
		says      string
		permanent bool
	}{
		"NOTZONE":  {"not in zone example.com as the server has it", true},
		"REFUSED":  {"key flip may not do this", true},
		"NOTAUTH":  {"does not hold zone example.com", true},
		"NOTIMP":   {"takes no dynamic updates", true},
		"FORMERR":  {"could not read the message", true},
		"SERVFAIL": {"cannot write its journal", false},
		"NXRRSET":  {"made by a wildcard record", false},
		"YXRRSET":  {"A CNAME cannot stand beside", false},
		"YXDOMAIN": {"A CNAME cannot stand beside", false},
	} {
		err := p.explain(&wire.Error{Server: "192.0.2.53:53", Code: code})
		if !strings.Contains(refusal(err), want.says) || !strings.Contains(err.Error(), "192.0.2.53:53 answers "+code) {
			t.Errorf("%s: %s, want %q", code, refusal(err), want.says)
		}
		if errors.Is(err, driver.ErrPermanent) != want.permanent {
			t.Errorf("%s is permanent: want %v", code, want.permanent)
		}
	}
}

func TestAServerThatTakesNoUpdatesSaysSo(t *testing.T) {
	for name, start := range primaries {
		t.Run(name, func(t *testing.T) {
			s := start(t, dnstest.Zone{Records: []string{"www 60 IN A 192.0.2.1"}}, dnstest.ReadOnly())
			err := opened(t, config(s)).Apply(t.Context(), values(www, list("192.0.2.1"), list("192.0.2.2")))
			if !errors.Is(err, driver.ErrPermanent) || !strings.Contains(refusal(err), "action update") {
				t.Errorf("want a refusal that names the policy, got %s", refusal(err))
			}
		})
	}
}

func TestADelegatedNameIsNotOfTheZone(t *testing.T) {
	eachPrimary(t, []string{"sub 60 IN NS ns.elsewhere.test."}, func(t *testing.T, s *dnstest.Server) {
		err := opened(t, config(s)).Apply(t.Context(), values("www.sub.example.com A", list("192.0.2.1"), list("192.0.2.2")))
		if err == nil || !strings.Contains(refusal(err), "delegated") {
			t.Errorf("got %v", err)
		}
	})
}

func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	good := Config{Zone: "example.com", Server: "192.0.2.53", TSIG: TSIG{Name: "flip", Secret: "c2VjcmV0"}, NameServers: []string{"192.0.2.1", "[2001:db8::1]:5353"}, Records: []string{www}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for says, change := range map[string]func(*Config){
		"zone is missing":      func(c *Config) { c.Zone = "" },
		"is not a zone":        func(c *Config) { c.Zone = "*.example.com" },
		"is not a port":        func(c *Config) { c.Server = "192.0.2.53:dns" },
		"belong together":      func(c *Config) { c.TSIG.Secret = "" },
		"hmac-md5 can be":      func(c *Config) { c.TSIG.Algorithm = "hmac-md5" },
		"is not spoken":        func(c *Config) { c.TSIG.Algorithm = "rsa" },
		"is not base64":        func(c *Config) { c.TSIG.Secret = "not base64!" },
		"is listed twice":      func(c *Config) { c.NameServers = []string{"192.0.2.1", "192.0.2.1:53"} },
		"cannot be negative":   func(c *Config) { c.SettleTimeout = -1 },
		"is not in zone":       func(c *Config) { c.Records = []string{"www.elsewhere.test A"} },
		"does not name a reco": func(c *Config) { c.Records = []string{"www.example.com"} },
	} {
		c := good
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(refusal(err), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
}

func TestASecretIsLookedUpAtTheCallAndNeverTold(t *testing.T) {
	s := dnstest.BIND(t, dnstest.Zone{Records: []string{"www 60 IN A 192.0.2.1"}})
	t.Setenv("FLIP_TEST_TSIG", dnstest.TestKey().Secret)
	d := opened(t, config(s, func(c *Config) { c.TSIG.Secret = secret.Ref("${env:FLIP_TEST_TSIG}") }))
	apply(t, d, values(www, list("192.0.2.1"), list("192.0.2.2")))
	t.Setenv("FLIP_TEST_TSIG", "not base64, but secret")
	err := d.Apply(t.Context(), values(www, list("192.0.2.2"), list("192.0.2.3")))
	if err == nil || strings.Contains(err.Error(), "but secret") {
		t.Errorf("got %v", err)
	}
}
