package httpdns_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/httpdns"
	"github.com/flip-cli/flip/pkg/httpdns/httpdnstest"
)

func TestAClusterThatDoesNotHelpIsPassedOver(t *testing.T) {
	for what, c := range map[string]struct {
		fault httpdnstest.Fault
		takes time.Duration
		why   string
	}{
		"it does not answer for 5 s":           {httpdnstest.Fault{Hang: true}, 5 * time.Second, "no answer within 5s"},
		"it closes the connection":             {httpdnstest.Fault{Cut: true}, 0, "EOF"},
		"it answers with a status":             {httpdnstest.Fault{Status: 503}, 0, "status 503"},
		"it redirects":                         {httpdnstest.Fault{Status: 302}, 0, "status 302"},
		"it answers 200 and nothing":           {httpdnstest.Fault{Empty: true}, 0, "not the JSON of HTTPDNS"},
		"it answers a login page":              {httpdnstest.Fault{Body: "<html>"}, 0, "not the JSON of HTTPDNS"},
		"it says a parameter is wrong":         {httpdnstest.Fault{Body: `{"msg":"bad domain","data":{},"retCode":"1"}`}, 0, "retCode 1 (bad domain)"},
		"it says so with a number":             {httpdnstest.Fault{Body: `{"msg":"bad","data":null,"retCode":1}`}, 0, "retCode 1 (bad)"},
		"it says success without the name":     {httpdnstest.Fault{Body: `{"msg":"Success","data":{},"retCode":"0"}`}, 0, "answered without an address"},
		"it says success with an empty list":   {httpdnstest.Fault{Body: `{"msg":"Success","data":{"www.example.com":{"ips":[],"ttl":60}},"retCode":"0"}`}, 0, "answered without an address"},
		"its data is a list":                   {httpdnstest.Fault{Body: `{"msg":"Success","data":[],"retCode":"0"}`}, 0, "answered without an address"},
		"it answers with what is no address":   {httpdnstest.Fault{Body: `{"data":{"www.example.com":{"ips":["blocked","0.0.0.0"],"ttl":60}},"retCode":"0"}`}, 0, "answered without an address"},
		"it says no retCode":                   {httpdnstest.Fault{Body: `{"data":{"www.example.com":{"ips":["192.0.2.9"],"ttl":60}}}`}, 0, "no retCode"},
		"its answer is longer than 64 KiB":     {httpdnstest.Fault{Body: `{"retCode":"0"` + strings.Repeat(" ", 64<<10) + `}`}, 0, "longer than 64 KiB"},
		"it answers for another name entirely": {httpdnstest.Fault{Body: `{"data":{"other.example.com":{"ips":["192.0.2.9"],"ttl":60}},"retCode":"0"}`}, 0, "answered without an address"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, s := network(t, one, two)
				s[0].Answer(name, 600, "192.0.2.1")
				s[1].Answer(name, 600, "192.0.2.2")
				s[0].Spoil(c.fault)
				client := newClient(t, httpdns.Options{Clusters: clusters(one, two), Dial: n.Dial, NoCache: true})
				start := time.Now()
				a := look(t, client, name)
				if diff := cmp.Diff([]string{"192.0.2.2"}, ips(a)); diff != "" {
					t.Errorf("the next cluster answers (-want +got):\n%s", diff)
				}
				if a.Service != "http://203.0.113.2:80/v1/httpdns/clouddns" || a.ServiceIP != netip.MustParseAddr("203.0.113.2") {
					t.Errorf("the answer is said to be from %s at %s", a.Service, a.ServiceIP)
				}
				if got := time.Since(start); got != c.takes {
					t.Errorf("it took %s, want %s", got, c.takes)
				}

				s[0].Mend()
				s[0].Spoil(c.fault)
				alone := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial})
				_, err := alone.Lookup(t.Context(), name)
				if err == nil || !strings.Contains(err.Error(), "203.0.113.1:80: ") || !strings.Contains(err.Error(), c.why) {
					t.Errorf("without another cluster the error is %v, want %q in it", err, c.why)
				}
			})
		})
	}
}

func TestTheChainEndsAtTheLocalDNSWithFiveSecondsEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := httpdnstest.NewNetwork()
		n.Drop(one)
		n.Drop(two)
		hangs := func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		start := time.Now()
		a := look(t, newClient(t, httpdns.Options{Clusters: clusters(one, two), Dial: n.Dial, Local: local("198.51.100.1")}), name)
		if diff := cmp.Diff([]any{[]string{"198.51.100.1"}, httpdns.FromLocal, "", 10 * time.Second}, []any{ips(a), a.Source, a.Service, time.Since(start)}); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		_, err := newClient(t, httpdns.Options{Clusters: clusters(one, two), Dial: n.Dial, Local: hangs}).Lookup(t.Context(), name)
		lost, ok := errors.AsType[*httpdns.NameError](err)
		if !ok || lost.Name != name || len(lost.Why) != 3 || len(hint.Of(err)) == 0 {
			t.Errorf("the error is %v", err)
		}
		want := "httpdns: look up www.example.com: 203.0.113.1:80: no answer within 5s; 203.0.113.2:80: no answer within 5s; local DNS: no answer within 5s"
		if diff := cmp.Diff([]any{want, 25 * time.Second}, []any{err.Error(), time.Since(start)}); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestALocalAnswerIsKeptForAShortTimeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one)
		s[0].Answer(name, 600, "192.0.2.1")
		s[0].Spoil(httpdnstest.Fault{Status: 502})
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial, Local: local("198.51.100.1")})
		start := time.Now()
		look(t, c, name)
		at(start, 20*time.Second)
		if got := ips(look(t, c, name)); got[0] != "198.51.100.1" {
			t.Errorf("at 20 s: %v", got)
		}
		at(start, 23*time.Second) // 75 % of 30 s: the cluster is well again
		if got := ips(look(t, c, name)); got[0] != "192.0.2.1" {
			t.Errorf("at 23 s: %v", got)
		}
	})
}

func TestWhatIsNoNameIsRefusedAndAnAddressNeedsNoLookUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one)
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial})
		for _, bad := range []string{"", ".", "a..b", "a b", "a;b", "a&ws_cli_IP=1.1.1.1", "bücher.example", strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 130) + "a"} {
			if got, err := c.Lookup(t.Context(), bad); err == nil {
				t.Errorf("%q gives %v", bad, got)
			}
		}
		if a := look(t, c, "192.0.2.7"); a.Source != httpdns.FromLiteral || ips(a)[0] != "192.0.2.7" {
			t.Errorf("an address gives %v", a)
		}
		if got := len(s[0].Requests()); got != 0 {
			t.Errorf("%d requests, want none", got)
		}
	})
}

func TestOptionsThatCannotBeMeantAreRefused(t *testing.T) {
	ok := clusters("203.0.113.1")
	for what, o := range map[string]httpdns.Options{
		"no cluster":                     {},
		"a negative timeout":             {Clusters: ok, Timeout: -1},
		"a negative batch":               {Clusters: ok, Batch: -1},
		"a refresh beyond the TTL":       {Clusters: ok, RefreshAt: 75},
		"another scheme":                 {Clusters: clusters("ftp://203.0.113.1")},
		"a cluster without a host":       {Clusters: clusters("http://")},
		"a cluster with a query":         {Clusters: clusters("http://203.0.113.1/?ws_domain=x")},
		"a server name without https":    {Clusters: []httpdns.Cluster{{URL: "http://203.0.113.1", ServerName: "edge.example.net"}}},
		"a network that there is not":    {Clusters: []httpdns.Cluster{{URL: "203.0.113.1", Network: "udp"}}},
		"an address that cannot be read": {Clusters: clusters("http://[::1")},
	} {
		if c, err := httpdns.New(o); err == nil {
			c.Close()
			t.Errorf("%s is accepted", what)
		}
	}
}
