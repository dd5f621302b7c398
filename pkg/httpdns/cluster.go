package httpdns

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// Path is where the service is, below the address of a cluster.
const Path = "/v1/httpdns/clouddns"

// Cluster is one access point of the service.
type Cluster struct {
	// URL is an address ("203.0.113.1", "[2001:db8::1]:8080"), a name, or a URL
	// with http or https and maybe a path. Without a
	// scheme it is https when ServerName is set, else http.
	URL string
	// Path is used where the URL has none; empty is the constant Path.
	Path string
	// ServerName is the name in the certificate where that is not the URL's
	// host: the service is asked at an address, its certificate holds a name.
	ServerName string
	// NoSNI does not send the name in the handshake; it is checked all the
	// same.
	NoSNI bool
	// TLS is the base of the TLS configuration, such as roots. May be nil.
	TLS *tls.Config
	// Network is tcp, tcp4 or tcp6, for a cluster with a name: the service
	// answers with addresses of the family that it is asked over. Empty is tcp.
	Network string
}

// Validate says what is wrong with c.
func (c Cluster) Validate() error {
	_, err := newCluster(c, nil)
	return err
}

// Addr is the address of a cluster that is one, not a name.
func (c Cluster) Addr() (netip.Addr, bool) {
	u, err := c.parse()
	if err != nil {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return a.Unmap(), err == nil
}

// parse reads the URL.
func (c Cluster) parse() (*url.URL, error) {
	text := c.URL
	if a, err := netip.ParseAddr(text); err == nil && a.Is6() {
		text = "[" + text + "]"
	}
	if !strings.Contains(text, "://") {
		scheme := "http"
		if c.ServerName != "" {
			scheme = "https"
		}
		text = scheme + "://" + text
	}
	const example = `like "203.0.113.1", "https://httpdns.example.net" or "http://[2001:db8::1]:8080"`
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, hint.Wrap(fmt.Errorf("httpdns: cluster %q is no address", c.URL), example)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, hint.Wrap(fmt.Errorf("httpdns: cluster %q: the scheme is neither http nor https", c.URL), example)
	case u.Hostname() == "":
		return nil, hint.Wrap(fmt.Errorf("httpdns: cluster %q has no host", c.URL), example)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, hint.Wrap(fmt.Errorf("httpdns: cluster %q holds more than scheme, host, port and path", c.URL), example)
	case u.Scheme == "http" && (c.ServerName != "" || c.NoSNI):
		return nil, hint.Wrap(fmt.Errorf("httpdns: cluster %q has a server name but no https", c.URL), "write https://%s", u.Host)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = cmp.Or(c.Path, Path)
	}
	return u, nil
}

// cluster is a Cluster that can be asked.
type cluster struct {
	url    url.URL
	client *http.Client
}

func newCluster(spec Cluster, dial DialFunc) (*cluster, error) {
	u, err := spec.parse()
	if err != nil {
		return nil, err
	}
	network := spec.Network
	switch network {
	case "", "tcp", "tcp4", "tcp6":
	default:
		return nil, hint.Wrap(fmt.Errorf("httpdns: cluster %q: unknown network %q", spec.URL, network), "tcp, tcp4 or tcp6")
	}
	t := &http.Transport{
		TLSClientConfig:   spec.config(u.Hostname()),
		ForceAttemptHTTP2: true,
		MaxIdleConns:      2,
		IdleConnTimeout:   time.Minute,
		DialContext: func(ctx context.Context, asked, address string) (net.Conn, error) {
			if network != "" {
				asked = network
			}
			return dial(ctx, asked, address)
		},
	}
	c := &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &cluster{*u, c}, nil
}

// config checks the certificate against the server name wherever the
// connection goes to.
func (c Cluster) config(host string) *tls.Config {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS != nil {
		conf = c.TLS.Clone()
	}
	name := c.ServerName
	if name == "" {
		name = conf.ServerName
	}
	if name == "" {
		name = host
	}
	conf.ServerName = name
	if !c.NoSNI {
		return conf
	}
	// Without a ServerName crypto/tls sends none and checks nothing: the check
	// is made here.
	skip, roots, before := conf.InsecureSkipVerify, conf.RootCAs, conf.VerifyConnection
	conf.ServerName = ""
	conf.InsecureSkipVerify = true //nolint:gosec // VerifyConnection checks
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		if before != nil {
			if err := before(s); err != nil {
				return err
			}
		}
		if skip {
			return nil
		}
		return verify(s, name, roots)
	}
	return conf
}

func verify(s tls.ConnectionState, name string, roots *x509.CertPool) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("tls: no certificate")
	}
	o := x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: x509.NewCertPool()}
	for _, cert := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(cert)
	}
	_, err := s.PeerCertificates[0].Verify(o)
	return err
}
