package rfc2136

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/dnstest"
)

func addresses(known map[string]string) func(context.Context, string) ([]netip.Addr, error) {
	return func(_ context.Context, host string) ([]netip.Addr, error) {
		if ip, ok := known[host]; ok {
			return []netip.Addr{netip.MustParseAddr(ip)}, nil
		}
		return nil, errors.New("no such host")
	}
}

func TestThePrimaryIsFoundByTheSOARecord(t *testing.T) {
	s := dnstest.BIND(t, dnstest.Zone{})
	p, err := newPrimary(Config{Zone: "example.com"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.lookup = lookup{func() ([]string, error) { return []string{"127.0.0.1:1", s.Addr()}, nil }, addresses(map[string]string{"ns1.example.com": "192.0.2.53"})}
	if got, err := p.address(t.Context()); got != "192.0.2.53:53" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	lost, err := newPrimary(Config{Zone: "example.org"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	lost.lookup = lookup{func() ([]string, error) { return []string{s.Addr()}, nil }, addresses(nil)}
	if _, err := lost.address(t.Context()); err == nil || !strings.Contains(refusal(err), "name it: server") {
		t.Errorf("got %v", err)
	}
}

func TestNameServersAreAllAddressesOfTheNSRecords(t *testing.T) {
	s := dnstest.BIND(t, dnstest.Zone{Records: []string{"@ IN NS ns2", "ns2 IN A 127.0.0.2", "ns2 IN AAAA 2001:db8::2", "@ IN NS ns.elsewhere.test."}})
	p, err := newPrimary(config(s, func(c *Config) { c.NameServers = nil }), nil)
	if err != nil {
		t.Fatal(err)
	}
	p.lookup.addresses = addresses(map[string]string{"ns.elsewhere.test": "192.0.2.9"})
	got, err := p.nameServers(t.Context(), wwwHost)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"127.0.0.1:53", "127.0.0.2:53", "192.0.2.9:53", "[2001:db8::2]:53"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p.lookup.addresses = addresses(nil)
	if _, err := p.nameServers(t.Context(), wwwHost); err == nil || !strings.Contains(err.Error(), "ns.elsewhere.test") {
		t.Errorf("a name server that nobody can ask was left out: %v", err)
	}
}

func TestConfiguredNameServersAreTheOnlyOnes(t *testing.T) {
	a, ok := driver.As[driver.Authority](opened(t, Config{Zone: "example.com", Server: "127.0.0.1:1", NameServers: []string{"192.0.2.2", "192.0.2.1:5353"}}))
	if !ok {
		t.Fatal("no Authority")
	}
	got, err := a.NameServers(t.Context(), wwwHost)
	if diff := cmp.Diff([]string{"192.0.2.1:5353", "192.0.2.2:53"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
