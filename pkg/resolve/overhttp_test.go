package resolve_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/httpdns/httpdnstest"
	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/resolve/resolvetest"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

func TestOverHTTPSTheAgeIsTakenOffAndTheSubnetIsSent(t *testing.T) {
	s := resolvetest.New()
	s.Set("www.example.com A", 60, "192.0.2.1")
	for _, format := range []string{"wire", "json"} {
		s.Behave(resolvetest.Habit{Age: "25"})
		v := open(t, resolve.Config{DoH: secret.Ref(doh(t, s) + "{?dns}"), Format: format, Subnet: "203.0.113.0/24", Samples: 2}, resolve.Env{})
		want := resolve.Answer{Values: []string{"192.0.2.1"}, Client: "203.0.113.0/24", HasTTL: true, MinTTL: seconds(35), MaxTTL: seconds(35), Authoritative: format == "wire"}
		sees(t, v, www, want, want)
		s.Behave(resolvetest.Habit{Age: "90"})
		if got := v.Look(t.Context(), www)[0]; got.MaxTTL != 0 {
			t.Errorf("%s: an answer older than its TTL has %s left", format, got.MaxTTL)
		}
	}
	for _, q := range s.Queries() {
		if q.Subnet != "203.0.113.0/24" {
			t.Errorf("asked %+v, want the subnet", q)
		}
	}
	for _, q := range s.Queries()[:4] { // the stand-in gives JSON an id of its own
		if q.ID != 0 {
			t.Errorf("asked %+v, want id 0, so that caches can help", q)
		}
	}
}

func TestTheSecretInAURLIsShownNowhere(t *testing.T) {
	redactor := &secret.Redactor{}
	r := secret.NewResolver(redactor)
	s := resolvetest.New()
	url := doh(t, s)
	r.Getenv = func(string) (string, bool) { return "the-long-token", true }
	v := open(t, resolve.Config{DoH: secret.Ref(url + "/${env:TOKEN}")}, resolve.Env{Secrets: r})
	s.Behave(resolvetest.Habit{Status: 404})
	got := v.Look(t.Context(), www)[0]
	if text := got.Vantage + got.Unknown; strings.Contains(text, "the-long-token") || !strings.Contains(text, "${env:TOKEN}") {
		t.Errorf("it shows %s", text)
	}
}

func TestHTTPDNSIsAskedForEveryClient(t *testing.T) {
	s := httpdnstest.New(httpdnstest.Options{})
	s.AnswerFor("1.0.0.0/8", www.Name, 300, "192.0.2.1")
	s.AnswerFor("223.104.0.0/16", www.Name, 60, "192.0.2.2")
	addr, _, pem := httpdnstest.StartTLS(t, s, "127.0.0.1", "edge.example.net")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	clients := []netip.Addr{netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("223.104.212.138"), netip.MustParseAddr("8.8.8.8")}
	v := open(t, resolve.Config{HTTPDNS: &resolve.HTTPDNS{
		Clusters: []string{"127.0.0.1:1", addr}, Clients: clients, ServerName: "edge.example.net", TLS: trust.TLS{CA: ca},
	}}, resolve.Env{})
	got := v.Look(t.Context(), www)
	if !strings.Contains(got[2].Unknown, "answered without an address") {
		t.Errorf("a client that the service has nothing for: %+v", got[2])
	}
	for i, want := range []resolve.Answer{
		{Vantage: "client 1.1.1.1", Server: "127.0.0.1", Client: "1.1.1.1", Values: []string{"192.0.2.1"}, HasTTL: true, MinTTL: seconds(300), MaxTTL: seconds(300), FullTTL: true},
		{Vantage: "client 223.104.212.138", Server: "127.0.0.1", Client: "223.104.212.138", Values: []string{"192.0.2.2"}, HasTTL: true, MinTTL: seconds(60), MaxTTL: seconds(60), FullTTL: true},
	} {
		want.View, want.Sample, want.At, want.Latency = "v", 1, got[i].At, got[i].Latency
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	six := v.Look(t.Context(), resolve.Question{Name: www.Name, Type: "AAAA"})[0]
	if !strings.Contains(six.Unknown, "no cluster is reached over IPv6") {
		t.Errorf("AAAA: %+v", six)
	}
	if txt := v.Look(t.Context(), resolve.Question{Name: www.Name, Type: "TXT"})[0]; !strings.Contains(txt.Unknown, "addresses only") {
		t.Errorf("TXT: %+v", txt)
	}
}

func TestAnAddressOfTheOtherFamilyIsNoAnswer(t *testing.T) {
	ips := `"2001:db8::1","192.0.2.1"` // over IPv4, against the service's document
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"msg":"Success","data":{"www.example.com":{"ips":[` + ips + `],"ttl":60}},"retCode":"0"}`))
	}))
	defer srv.Close()
	v := open(t, resolve.Config{HTTPDNS: &resolve.HTTPDNS{Clusters: []string{srv.URL}}}, resolve.Env{})
	if got := v.Look(t.Context(), www)[0]; !slices.Equal(got.Values, []string{"192.0.2.1"}) {
		t.Errorf("it sees %+v", got)
	}
	ips = `"2001:db8::1"`
	if got := v.Look(t.Context(), www)[0]; !strings.Contains(got.Unknown, "the other family only") || len(got.Values) > 0 {
		t.Errorf("it sees %+v", got)
	}
}
