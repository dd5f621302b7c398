package resolve_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/resolve"
)

// checked decodes a view's block as a plan does and says what is wrong.
func checked(t *testing.T, block string) string {
	t.Helper()
	p, err := plan.Load([]byte("flip: 1\nname: n\ntargets: {zone: {driver: d}}\nviews: {v: "+block+"}\nsteps: [{id: a, wait: 1s}]\n"), plan.Options{File: "p.yaml"})
	if err != nil {
		return err.Error()
	}
	n, _ := p.Views.Get("v")
	if err := resolve.Check(func(out any) error { return n.Decode(out, plan.Scope{}) }); err != nil {
		return err.Error()
	}
	return ""
}

func TestViewsOfAPlanAreAccepted(t *testing.T) {
	for _, block := range []string{
		`{authoritative: zone}`, `{dns: "10.0.0.2"}`, `{dns: ["10.0.0.2:5353", "2001:db8::1", "[2001:db8::1]:53"], samples: 5, subnet: 203.0.113.0/24}`,
		`{doh: https://resolver.example/dns-query}`, `{doh: "https://resolver.example/dns-query{?dns}", format: wire, connect: "10.0.0.2:443", tls: {ca: ca.pem}}`,
		`{doh: https://resolver.example/resolve, format: json, subnet: 203.0.113.7}`, `{doh: "${env:DOH_URL}"}`,
		`{httpdns: {clusters: ["203.0.113.1", "203.0.113.2"], clients: ["1.1.1.1"]}}`,
		`{httpdns: {clusters: [httpdns.example], server_name: edge.example.net, sni: false, path: /d, format: plain, tls: {insecure: true}}}`,
		`{system: true}`, `{system: true, timeout: 2s}`,
	} {
		if wrong := checked(t, block); wrong != "" {
			t.Errorf("%s: %s", block, wrong)
		}
	}
}

func TestWhatIsWrongWithAViewIsSaid(t *testing.T) {
	for block, want := range map[string]string{
		`{authoritative: zones}`:                                              `p.yaml:4:28: unknown target "zones"; did you mean "zone"?`,
		`{timeout: 5s}`:                                                       "p.yaml:4:9: view v does not say from where it looks",
		`{dsn: "10.0.0.2"}`:                                                   `p.yaml:4:13: view v has no kind "dsn"; did you mean "dns"?`,
		`{dns: "10.0.0.2", system: true}`:                                     "p.yaml:4:30: view v looks from one kind of place: dns or system",
		`isp`:                                                                 `p.yaml:4:12: a view is a map with its kind, not "isp"`,
		`{dns: "10.0.0.2", sample: 5}`:                                        `p.yaml:4:30: unknown key "sample" in the view; did you mean "samples"?`,
		`{dns: "10.0.0.2", samples: five}`:                                    `p.yaml:4:39: samples must be a whole number, not "five"`,
		`{dns: ["resolver.example"]}`:                                         `dns: "resolver.example" is not the address of a server`,
		`{dns: []}`:                                                           "the view does not say from where it looks",
		`{dns: "10.0.0.2", samples: 101}`:                                     "samples is between 1 and 100",
		`{dns: "10.0.0.2", subnet: here}`:                                     `subnet: "here" is not a network`,
		`{dns: "10.0.0.2", format: json}`:                                     "format has no meaning for a view of kind dns",
		`{system: true, samples: 2}`:                                          "samples has no meaning for a view of kind system",
		`{system: false}`:                                                     "the view does not say from where it looks",
		`{doh: resolver.example}`:                                             "doh is not an http or https URL",
		`{doh: "https://r.example/", format: xml}`:                            `format: "xml" is neither wire nor json`,
		`{doh: "https://r.example/", connect: r}`:                             `connect: "r" is not host:port`,
		`{doh: "https://r.example/", tls: {cert: c}}`:                         "tls: cert and key belong together",
		`{httpdns: {clients: ["1.1.1.1"]}}`:                                   `"clusters" is missing`,
		`{httpdns: {clusters: []}}`:                                           "httpdns: clusters is empty",
		`{httpdns: {clusters: ["ftp://a"]}}`:                                  "neither http nor https",
		`{httpdns: {clusters: ["a"], clients: ["1.1.1"]}}`:                    "IPv4 address too short",
		`{httpdns: {clusters: ["a"], format: wire}}`:                          `format: "wire" is neither json nor plain`,
		`{httpdns: {clusters: ["a"], path: d}}`:                               `path: "d" does not begin with /`,
		`{httpdns: {clusters: ["http://a"], server_name: b}}`:                 "has a server name but no https",
		`{httpdns: {clusters: ["a"], server_name: b, tls: {server_name: c}}}`: "server_name is given twice",
	} {
		if wrong := checked(t, block); !strings.Contains(wrong, want) {
			t.Errorf("%s: %q, want %q in it", block, wrong, want)
		}
	}
}

func TestAPlaceIsWrittenAsOneWord(t *testing.T) {
	for word, want := range map[string]resolve.Config{
		"system":                                {System: true},
		"dns:10.0.0.2":                          {DNS: []string{"10.0.0.2"}},
		"dns:[2001:db8::1]:5353":                {DNS: []string{"[2001:db8::1]:5353"}},
		"doh:https://resolver.example/q":        {DoH: "https://resolver.example/q"},
		"doh+json:https://resolver.example/q":   {DoH: "https://resolver.example/q", Format: "json"},
		"httpdns:203.0.113.1":                   {HTTPDNS: &resolve.HTTPDNS{Clusters: []string{"203.0.113.1"}}},
		"httpdns:203.0.113.1@1.1.1.1+2.2.2.2":   {HTTPDNS: &resolve.HTTPDNS{Clusters: []string{"203.0.113.1"}, Clients: []netip.Addr{netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("2.2.2.2")}}},
		"httpdns:https://edge.example.net:8443": {HTTPDNS: &resolve.HTTPDNS{Clusters: []string{"https://edge.example.net:8443"}}},
	} {
		got, known, err := resolve.ParseSpec(word)
		if err != nil || !known {
			t.Errorf("%s: %t, %v", word, known, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", word, diff)
		}
	}
	for _, word := range []string{"dns:", "dns:resolver", "doh:", "doh:resolver", "httpdns:", "httpdns:203.0.113.1@here"} {
		if c, known, err := resolve.ParseSpec(word); err == nil || !known {
			t.Errorf("%s is %+v", word, c)
		}
	}
	if _, known, err := resolve.ParseSpec("isp"); known || err != nil {
		t.Errorf("a view's name is taken for a place: %v", err)
	}
	clients := []netip.Addr{netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("2.2.2.2")}
	for word, want := range map[string]int{"httpdns:203.0.113.1@9.9.9.9": 2, "dns:10.0.0.2": 0} {
		c, _, _ := resolve.ParseSpec(word)
		c = c.ForClients(clients)
		if c.HTTPDNS != nil && len(c.HTTPDNS.Clients) != want || c.Subnet != "" {
			t.Errorf("%s for two clients is %+v", word, c)
		}
		if c.HTTPDNS == nil {
			if one := c.ForClients(clients[:1]); one.Subnet != "1.1.1.1" {
				t.Errorf("%s for one client is %+v", word, one)
			}
		}
	}
}
