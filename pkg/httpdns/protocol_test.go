package httpdns_test

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flip-cli/flip/pkg/httpdns"
	"github.com/flip-cli/flip/pkg/httpdns/httpdnstest"
)

func TestARequestIsAsTheServiceDocumentsIt(t *testing.T) {
	for what, c := range map[string]struct {
		o     httpdns.Options
		names []string
		query string
	}{
		"one name":                    {names: []string{name}, query: "ws_domain=www.example.com&ws_ret_type=json"},
		"for a client elsewhere":      {o: httpdns.Options{ClientIP: netip.MustParseAddr("1.1.1.1")}, names: []string{name}, query: "ws_domain=www.example.com&ws_ret_type=json&ws_cli_IP=1.1.1.1"},
		"for a client over IPv6":      {o: httpdns.Options{ClientIP: netip.MustParseAddr("2001:db8::1")}, names: []string{name}, query: "ws_domain=www.example.com&ws_ret_type=json&ws_cli_IP=2001%3Adb8%3A%3A1"},
		"in the plain format":         {o: httpdns.Options{Plain: true}, names: []string{name}, query: "ws_domain=www.example.com"},
		"two names":                   {names: []string{name, "api.example.com"}, query: "ws_domain=www.example.com%3Bapi.example.com&ws_ret_type=json"},
		"two names, raw":              {o: httpdns.Options{RawSemicolon: true}, names: []string{name, "api.example.com"}, query: "ws_domain=www.example.com;api.example.com&ws_ret_type=json"},
		"a name as somebody wrote it": {names: []string{"WWW.Example.com."}, query: "ws_domain=www.example.com&ws_ret_type=json"},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, s := network(t, one)
				s[0].Answer(name, 60, "192.0.2.1")
				s[0].Answer("api.example.com", 60, "192.0.2.2")
				c.o.Clusters, c.o.Dial = clusters(one), n.Dial
				got, err := newClient(t, c.o).Lookup(t.Context(), c.names...)
				if err != nil || len(got) != len(c.names) {
					t.Errorf("answers %v, %v", got, err)
				}
				var queries []string
				for _, r := range s[0].Requests() {
					queries = append(queries, r.RawQuery)
				}
				if diff := cmp.Diff([]string{c.query}, queries); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestNamesThatABatchLeavesOutAreAskedForSingly(t *testing.T) {
	for what, o := range map[string]httpdnstest.Options{
		"the service answers two of a request":         {MostNames: 2},
		"the service understands a raw semicolon only": {Separator: ";"},
	} {
		t.Run(what, func(t *testing.T) {
			n := httpdnstest.NewNetwork()
			defer n.Close()
			s := httpdnstest.New(o)
			n.Serve(one, s)
			names := []string{"a.example.com", "b.example.com", "c.example.com", "d.example.com"}
			for i, name := range names {
				s.Answer(name, 60, netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}).String())
			}
			c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial})
			got, err := c.Lookup(t.Context(), append(names, "unknown.example.com")...)
			if err == nil || !strings.Contains(err.Error(), "unknown.example.com") || len(got) != 4 {
				t.Errorf("%d answers, %v", len(got), err)
			}
			asked := map[string]int{}
			for _, r := range s.Requests()[1:] {
				if len(r.Names) != 1 {
					t.Errorf("a second batch %v", r.Names)
				}
				asked[r.Names[0]]++
			}
			if o.MostNames == 2 {
				if diff := cmp.Diff(map[string]int{"c.example.com": 1, "d.example.com": 1, "unknown.example.com": 1}, asked); diff != "" {
					t.Errorf("asked singly (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestALargeBatchIsCutAndThePlainFormatHasNone(t *testing.T) {
	var names []string
	for i := range 25 {
		names = append(names, strings.Repeat("x", i+1)+".example.com")
	}
	for plain, want := range map[bool]int{false: 3, true: 25} {
		n, s := network(t, one)
		for _, name := range names {
			s[0].Answer(name, 60, "192.0.2.1", "192.0.2.2")
		}
		got, err := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial, Plain: plain}).Lookup(t.Context(), names...)
		if err != nil || len(got) != 25 || len(got[names[3]].IPs) != 2 || got[names[3]].TTL != time.Minute {
			t.Errorf("plain %t: %d answers, %v", plain, len(got), err)
		}
		if requests := len(s[0].Requests()); requests != want {
			t.Errorf("plain %t: %d requests, want %d", plain, requests, want)
		}
	}
}

func TestRetCodeMayBeANumber(t *testing.T) {
	n := httpdnstest.NewNetwork()
	defer n.Close()
	s := httpdnstest.New(httpdnstest.Options{NumberCodes: true})
	n.Serve(one, s)
	s.Answer(name, 60, "192.0.2.1")
	look(t, newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial}), name)
}

func TestOneMachineSeesWhatClientsOfOtherRegionsGet(t *testing.T) {
	n, s := network(t, one)
	s[0].AnswerFor("1.0.0.0/8", name, 60, "192.0.2.1")
	s[0].AnswerFor("223.104.0.0/16", name, 60, "192.0.2.2")
	got := map[string][]string{}
	for _, client := range []string{"1.1.1.1", "223.104.212.138"} {
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial, ClientIP: netip.MustParseAddr(client)})
		a := look(t, c, name)
		got[a.ClientIP.String()] = ips(a)
	}
	if diff := cmp.Diff(map[string][]string{"1.1.1.1": {"192.0.2.1"}, "223.104.212.138": {"192.0.2.2"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheFamilyOfTheConnectionIsThatOfTheAnswer(t *testing.T) {
	n, s := network(t, one, "[2001:db8::1]:80")
	for _, s := range s {
		s.Answer(name, 60, "192.0.2.1", "2001:db8:1::1")
	}
	for cluster, want := range map[string][]string{one: {"192.0.2.1"}, "2001:db8::1": {"2001:db8:1::1"}} {
		if diff := cmp.Diff(want, ips(look(t, newClient(t, httpdns.Options{Clusters: clusters(cluster), Dial: n.Dial}), name))); diff != "" {
			t.Errorf("over %s (-want +got):\n%s", cluster, diff)
		}
	}
}

func TestHTTPSToAnAddressChecksTheNameInTheCertificate(t *testing.T) {
	const edge = "edge.example.net"
	s := httpdnstest.New(httpdnstest.Options{})
	s.Answer(name, 0, "192.0.2.1")
	addr, roots, _ := httpdnstest.StartTLS(t, s, "127.0.0.1", edge, "127.0.0.1")
	base := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	for what, c := range map[string]struct {
		cluster httpdns.Cluster
		sni     string
		wrong   string
	}{
		"the name is sent":                   {httpdns.Cluster{URL: addr, ServerName: edge, TLS: base}, edge, ""},
		"the name is not sent, but checked":  {httpdns.Cluster{URL: "https://" + addr, ServerName: edge, NoSNI: true, TLS: base}, "", ""},
		"the address is in the certificate":  {httpdns.Cluster{URL: "https://" + addr, TLS: base}, "", ""},
		"another name":                       {httpdns.Cluster{URL: addr, ServerName: "other.example.net", TLS: base}, "", "not other.example.net"},
		"another name that is not sent":      {httpdns.Cluster{URL: addr, ServerName: "other.example.net", NoSNI: true, TLS: base}, "", "not other.example.net"},
		"an authority that nobody trusts":    {httpdns.Cluster{URL: addr, ServerName: edge}, "", "unknown authority"},
		"such an authority, without a name":  {httpdns.Cluster{URL: addr, ServerName: edge, NoSNI: true}, "", "unknown authority"},
		"the plan accepts anything":          {httpdns.Cluster{URL: addr, ServerName: edge, TLS: &tls.Config{InsecureSkipVerify: true}}, edge, ""},
		"the plan accepts anything, no name": {httpdns.Cluster{URL: addr, ServerName: edge, NoSNI: true, TLS: &tls.Config{InsecureSkipVerify: true}}, "", ""},
	} {
		t.Run(what, func(t *testing.T) {
			before := len(s.Requests())
			_, err := newClient(t, httpdns.Options{Clusters: []httpdns.Cluster{c.cluster}}).Lookup(t.Context(), name)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || len(s.Requests()) != before {
					t.Errorf("it ends with %v, want %q and no request", err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r := s.Requests()[before]; r.SNI != c.sni {
				t.Errorf("the handshake names %q, want %q", r.SNI, c.sni)
			}
		})
	}
}

func TestHTTPSByDomain(t *testing.T) {
	s := httpdnstest.New(httpdnstest.Options{})
	s.Answer(name, 60, "192.0.2.1")
	addr, roots, _ := httpdnstest.StartTLS(t, s, "127.0.0.1", "localhost")
	_, port, _ := net.SplitHostPort(addr)
	cluster := httpdns.Cluster{URL: "https://localhost:" + port, Network: "tcp4", TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	a := look(t, newClient(t, httpdns.Options{Clusters: []httpdns.Cluster{cluster}}), name)
	if !a.ServiceIP.IsLoopback() || s.Requests()[0].Host != "localhost:"+port {
		t.Errorf("asked %s as %s", a.ServiceIP, s.Requests()[0].Host)
	}
}

func TestAConnectionTriesEveryAddressAndKeepsTheHost(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Host)) }))
	defer app.Close()
	_, port, _ := net.SplitHostPort(app.Listener.Addr().String())
	s := httpdnstest.New(httpdnstest.Options{})
	s.Answer(name, 60, "127.0.0.99", "127.0.0.1") // nobody listens at the first
	var mu sync.Mutex
	var events []httpdns.Event
	c := newClient(t, httpdns.Options{Clusters: clusters(httpdnstest.Start(t, s, "127.0.0.1")), OnLookup: func(e httpdns.Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	}})
	transport := &http.Transport{DialContext: c.DialContext}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("http://" + name + ":" + port)
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 100)
	n, _ := resp.Body.Read(body)
	resp.Body.Close()
	if got := string(body[:n]); got != name+":"+port {
		t.Errorf("the server was asked for %q", got)
	}
	want := []httpdns.Event{{
		Name: name, ServiceIP: addrs("127.0.0.1")[0], IPs: addrs("127.0.0.99", "127.0.0.1"), Used: addrs("127.0.0.1")[0],
		ClientIP: addrs("127.0.0.1")[0], Source: httpdns.FromCluster, TTL: time.Minute,
	}}
	if diff := cmp.Diff(want, events, cmpopts.IgnoreFields(httpdns.Event{}, "Took", "Service"), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("what is logged (-want +got):\n%s", diff)
	}
}

func TestAnAnswerOfWhichNoAddressCanBeReachedIsNotUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, s := network(t, one, "192.0.2.3:80")
		s[0].Answer(name, 600, "192.0.2.1", "192.0.2.2")
		n.Drop("192.0.2.1:80")
		c := newClient(t, httpdns.Options{Clusters: clusters(one), Dial: n.Dial})
		start := time.Now()
		if conn, err := c.DialContext(t.Context(), "tcp", name+":80"); err == nil {
			t.Errorf("connected to %s", conn.RemoteAddr())
		}
		if got := time.Since(start); got != 5*time.Second {
			t.Errorf("it took %s, want 5 s for the address that swallows", got)
		}
		s[0].Answer(name, 600, "192.0.2.3")
		conn, err := c.DialContext(t.Context(), "tcp", name+":80")
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		if _, err := c.DialContext(t.Context(), "tcp6", name+":80"); err == nil || !strings.Contains(err.Error(), "no address for tcp6") {
			t.Errorf("over IPv6: %v", err)
		}
		if _, err := c.DialContext(t.Context(), "tcp", "192.0.2.3"); err == nil {
			t.Error("an address without a port is dialed")
		}
	})
}

func TestTheFourFactsAreInTheLog(t *testing.T) {
	var log strings.Builder
	n, s := network(t, one, "192.0.2.2:80")
	s[0].Answer(name, 60, "192.0.2.1", "192.0.2.2")
	c := newClient(t, httpdns.Options{
		Clusters: clusters(one), Dial: n.Dial, ClientIP: addrs("1.1.1.1")[0],
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	})
	conn, err := c.DialContext(t.Context(), "tcp", name+":80")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	for _, fact := range []string{"service_ip=203.0.113.1", `ips="[192.0.2.1 192.0.2.2]"`, "used_ip=192.0.2.2", "client_ip=1.1.1.1"} {
		if !slices.Contains(strings.Fields(strings.ReplaceAll(log.String(), "[192.0.2.1 192", "[192.0.2.1_192")), strings.ReplaceAll(fact, "[192.0.2.1 192", "[192.0.2.1_192")) {
			t.Errorf("%s is not in %s", fact, log.String())
		}
	}
}
