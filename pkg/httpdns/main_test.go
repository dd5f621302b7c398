package httpdns_test

import (
	"context"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/flip-cli/flip/pkg/httpdns"
	"github.com/flip-cli/flip/pkg/httpdns/httpdnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	name = "www.example.com"
	one  = "203.0.113.1:80"
	two  = "203.0.113.2:80"
)

// newClient is a client that is closed when the test ends. It has no local DNS
// unless the options give one.
func newClient(tb testing.TB, o httpdns.Options) *httpdns.Client {
	tb.Helper()
	if o.Local == nil {
		o.NoLocal = true
	}
	c, err := httpdns.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// clusters are access points in a network in memory.
func clusters(urls ...string) []httpdns.Cluster {
	all := make([]httpdns.Cluster, len(urls))
	for i, u := range urls {
		all[i].URL = u
	}
	return all
}

// network serves a service at each address.
func network(tb testing.TB, at ...string) (*httpdnstest.Network, []*httpdnstest.Service) {
	tb.Helper()
	n := httpdnstest.NewNetwork()
	tb.Cleanup(n.Close)
	var all []*httpdnstest.Service
	for _, a := range at {
		s := httpdnstest.New(httpdnstest.Options{})
		n.Serve(a, s)
		tb.Cleanup(s.Close)
		all = append(all, s)
	}
	return n, all
}

func look(tb testing.TB, c *httpdns.Client, name string) httpdns.Answer {
	tb.Helper()
	got, err := c.Lookup(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return got[name]
}

func local(ips ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) { return addrs(ips...), nil }
}

func addrs(texts ...string) []netip.Addr {
	all := make([]netip.Addr, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParseAddr(text)
	}
	return all
}

func ips(a httpdns.Answer) []string {
	all := []string{}
	for _, ip := range a.IPs {
		all = append(all, ip.String())
	}
	return all
}
