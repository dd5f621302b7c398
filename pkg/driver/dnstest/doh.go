package dnstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"testing"
	"time"
)

// dohPath is where BIND answers over HTTP.
const dohPath = "/dns-query"

func (s *Server) dohBlocks(t testing.TB, dir string, o options) string {
	t.Helper()
	switch o.doh {
	case "":
		return ""
	case "plain":
		return fmt.Sprintf("http local { endpoints { %q; }; };", dohPath)
	}
	cert, private := certificate(t, dir, o)
	s.ca = cert
	return fmt.Sprintf("http local { endpoints { %q; }; };\ntls local { cert-file %q; key-file %q; };", dohPath, cert, private)
}

func (s *Server) dohListen(t testing.TB, o options) string {
	t.Helper()
	if o.doh == "" {
		return ""
	}
	host, _ := hostPort(t, o.addr)
	addr := FreeAddr(t, host)
	_, port := hostPort(t, addr)
	tls, scheme := "local", "https"
	if o.doh == "plain" {
		tls, scheme = "none", "http"
	}
	s.url = scheme + "://" + addr + dohPath
	return fmt.Sprintf("listen-on port %s tls %s http local { %s; };", port, tls, host)
}

// certificate makes a certificate of the server's address that signs itself.
func certificate(t testing.TB, dir string, o options) (certFile, keyFile string) {
	t.Helper()
	host, _ := hostPort(t, o.addr)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dnstest"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.ParseIP(host)}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certFile = write(t, dir, "doh.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	keyFile = write(t, dir, "doh.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	return certFile, keyFile
}
