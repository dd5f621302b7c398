package httpdnstest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Start serves s on a free port of an address of this machine, such as
// 127.0.0.1 or ::1, until the test ends, and returns its host:port.
func Start(tb testing.TB, s *Service, host string) string {
	tb.Helper()
	srv := unstarted(tb, s, host)
	srv.Start()
	return srv.Listener.Addr().String()
}

// StartTLS is Start with a certificate for names; the second result trusts it,
// the third is the same as PEM.
func StartTLS(tb testing.TB, s *Service, host string, names ...string) (string, *x509.CertPool, []byte) {
	tb.Helper()
	cert, leaf := certificate(tb, names)
	srv := unstarted(tb, s, host)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	srv.StartTLS()
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return srv.Listener.Addr().String(), pool, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
}

func unstarted(tb testing.TB, s *Service, host string) *httptest.Server {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		tb.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(s)
	srv.Listener.Close()
	srv.Listener = l
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	tb.Cleanup(func() {
		s.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

// certificate signs itself for names and addresses.
func certificate(tb testing.TB, names []string) (tls.Certificate, *x509.Certificate) {
	tb.Helper()
	must := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "httpdnstest"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
			continue
		}
		tmpl.DNSNames = append(tmpl.DNSNames, name)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	must(err)
	leaf, err := x509.ParseCertificate(der)
	must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, leaf
}

// Network is a network in memory. Its connections have the addresses that were
// dialed, and time in it is that of the test's bubble (testing/synctest).
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	servers   []*http.Server
	dialed    []string
}

// NewNetwork is a network without anybody.
func NewNetwork() *Network { return &Network{listeners: map[string]*listener{}} }

// Serve puts a handler at host:port.
func (n *Network) Serve(address string, h http.Handler) {
	l := &listener{address: address, conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute}
	n.mu.Lock()
	n.listeners[address] = l
	n.servers = append(n.servers, srv)
	n.mu.Unlock()
	go func() { _ = srv.Serve(l) }()
}

// Drop makes an address swallow connections, as a firewall does.
func (n *Network) Drop(address string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners[address] = nil
}

// Dialed are the addresses that were dialed, in order.
func (n *Network) Dialed() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.dialed...)
}

// Dial is an httpdns.DialFunc.
func (n *Network) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dialed = append(n.dialed, address)
	l, there := n.listeners[address]
	port := 40000 + len(n.dialed)
	n.mu.Unlock()
	if !there {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	if l == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	here, far := net.Pipe()
	local := "192.0.2.77"
	if a, err := netip.ParseAddrPort(address); err == nil && a.Addr().Is6() {
		local = "2001:db8::77"
	}
	from := named(net.JoinHostPort(local, strconv.Itoa(port)))
	select {
	case l.conns <- pipe{far, named(address), from}:
		return pipe{here, from, named(address)}, nil
	case <-l.done:
	case <-ctx.Done():
	}
	here.Close()
	far.Close()
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// Close ends all servers.
func (n *Network) Close() {
	n.mu.Lock()
	servers := n.servers
	n.mu.Unlock()
	for _, s := range servers {
		_ = s.Close()
	}
}

type named string

func (a named) Network() string { return "tcp" }
func (a named) String() string  { return string(a) }

type pipe struct {
	net.Conn
	local, remote named
}

func (p pipe) LocalAddr() net.Addr  { return p.local }
func (p pipe) RemoteAddr() net.Addr { return p.remote }

type listener struct {
	address string
	conns   chan net.Conn
	once    sync.Once
	done    chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *listener) Addr() net.Addr { return named(l.address) }
