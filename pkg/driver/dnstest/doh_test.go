package dnstest_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/miekg/dns"

	"github.com/flip-cli/flip/pkg/driver/dnstest"
)

func TestBINDAnswersOverHTTPS(t *testing.T) {
	for name, option := range map[string]dnstest.Option{"TLS": dnstest.DoH(), "plain HTTP/2": dnstest.DoHPlain()} {
		t.Run(name, func(t *testing.T) {
			s := dnstest.BIND(t, zone(), option)
			client := &http.Client{Transport: transport(t, s)}
			defer client.CloseIdleConnections()
			m := new(dns.Msg).SetQuestion(www+".", dns.TypeA)
			m.Id = 0
			b, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			get, err := client.Get(s.URL() + "?dns=" + base64.RawURLEncoding.EncodeToString(b))
			if err != nil {
				t.Fatal(err)
			}
			wantAddress(t, get)
			post, err := client.Post(s.URL(), "application/dns-message", bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			wantAddress(t, post)
		})
	}
}

func transport(t *testing.T, s *dnstest.Server) *http.Transport {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	if s.CA() == "" {
		tr.Protocols.SetUnencryptedHTTP2(true)
		return tr
	}
	tr.Protocols.SetHTTP2(true)
	pem, err := os.ReadFile(s.CA())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	tr.TLSClientConfig = &tls.Config{RootCAs: pool}
	return tr
}

func wantAddress(t *testing.T, r *http.Response) {
	t.Helper()
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil || r.StatusCode != http.StatusOK || len(m.Answer) != 1 || m.Answer[0].Header().Ttl != 60 {
		t.Errorf("%s: %v, %v; cache-control %q", r.Status, m, err, r.Header.Get("Cache-Control"))
	}
}
