package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/httpdns"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// Config is a view's block in a plan: exactly one of the first five keys, and
// what goes with it.
type Config struct {
	Authoritative string     `yaml:"authoritative"` // a target with records: every address of its name servers is asked, without recursion
	DNS           []string   `yaml:"dns"`           // addresses of recursive servers, with a port where it is not 53
	DoH           secret.Ref `yaml:"doh"`           // URL of a server for DNS over HTTPS
	HTTPDNS       *HTTPDNS   `yaml:"httpdns"`       // an HTTPDNS service, for clients of any network
	System        bool       `yaml:"system"`        // the resolver of this machine, with its hosts file

	Samples int           `yaml:"samples"` // of dns and doh: how often each server is asked in one look, on its own connection each time; 1 when left out
	Subnet  string        `yaml:"subnet"`  // of dns and doh: answer as for clients of that network (EDNS client subnet)
	Format  string        `yaml:"format"`  // of doh: wire (RFC 8484), or json as some public resolvers speak it; wire when left out
	Connect string        `yaml:"connect"` // of doh: host:port to connect to instead of the URL's; Host and TLS name stay
	TLS     trust.TLS     `yaml:"tls"`     // of doh
	Timeout time.Duration `yaml:"timeout"` // of one answer; 5s when left out
}

// HTTPDNS is the block of an HTTPDNS view.
type HTTPDNS struct {
	Clusters   []string     `yaml:"clusters,required"` // addresses, names or URLs of the service, in order of preference; IPv4 ones are asked for A, IPv6 ones for AAAA
	Clients    []netip.Addr `yaml:"clients"`           // addresses of clients to ask for, one answer each; this machine when left out
	ServerName string       `yaml:"server_name"`       // name in the service's certificate; makes the clusters https
	SNI        *bool        `yaml:"sni"`               // false: check that name without sending it
	Path       string       `yaml:"path"`              // /v1/httpdns/clouddns when left out
	Format     string       `yaml:"format"`            // json or plain; json when left out
	TLS        trust.TLS    `yaml:"tls"`               // ca, insecure, cert and key for https clusters
}

// Kinds are the keys of which a view has exactly one.
func Kinds() []string { return []string{"authoritative", "dns", "doh", "httpdns", "system"} }

// Env is what views are lent.
type Env struct {
	Secrets *secret.Resolver // for doh; nil: URLs hold none
	Log     *slog.Logger
	// NameServers returns the addresses (host:port) that answer for a name of
	// a target of the plan with authority.
	NameServers func(ctx context.Context, target, name string) ([]string, error)
	// System is the machine's resolver; nil is net.DefaultResolver.
	System *net.Resolver
}

// Check decodes and validates a view's block; nothing is opened.
func Check(decode func(any) error) error {
	var c Config
	if err := decode(&c); err != nil {
		return err
	}
	return c.Validate()
}

// Open makes the view of that name. It asks nothing yet and holds nothing open.
func Open(name string, decode func(any) error, env Env) (View, error) {
	var c Config
	if err := decode(&c); err != nil {
		return nil, err
	}
	return New(name, c, env)
}

// New makes a view from its configuration.
func New(name string, c Config, env Env) (View, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c.Samples = max(c.Samples, 1)
	c.Timeout = cmp.Or(c.Timeout, DefaultTimeout)
	subnet, _ := c.subnet()
	base := base{name, c.Timeout}
	switch {
	case c.Authoritative != "":
		if env.NameServers == nil {
			return nil, fmt.Errorf("the name servers of target %s are not known here", c.Authoritative)
		}
		return &authoritative{base, c.Authoritative, env.NameServers}, nil
	case len(c.DNS) > 0:
		servers, _ := c.servers()
		return &recursive{base, servers, c.Samples, subnet}, nil
	case c.DoH != "":
		return &doh{base, c, subnet, env.Secrets}, nil
	case c.HTTPDNS != nil:
		base.limit *= time.Duration(len(c.HTTPDNS.Clusters)) // each may be waited for
		return &overHTTP{base, *c.HTTPDNS, c.Timeout}, nil
	}
	return &system{base, cmp.Or(env.System, net.DefaultResolver)}, nil
}

// Validate says what is wrong with c.
func (c *Config) Validate() error {
	kind, err := c.kind()
	if err != nil {
		return err
	}
	for key, use := range map[string]struct {
		given bool
		of    []string
	}{
		"samples": {c.Samples != 0, []string{"dns", "doh"}}, "subnet": {c.Subnet != "", []string{"dns", "doh"}},
		"format": {c.Format != "", []string{"doh"}}, "connect": {c.Connect != "", []string{"doh"}},
		"tls": {c.TLS != trust.TLS{}, []string{"doh"}},
	} {
		if use.given && !slices.Contains(use.of, kind) {
			return hint.Wrap(fmt.Errorf("%s has no meaning for a view of kind %s", key, kind), "it belongs to %s", strings.Join(use.of, " and "))
		}
	}
	if c.Timeout < 0 || c.Samples < 0 || c.Samples > 100 {
		return hint.Wrap(errors.New("timeout cannot be negative, and samples is between 1 and 100"), "leave them out for the defaults")
	}
	if _, err := c.subnet(); err != nil {
		return err
	}
	switch kind {
	case "dns":
		servers, err := c.servers()
		if err == nil && len(servers)*max(c.Samples, 1) > mostVantages {
			err = fmt.Errorf("dns: more than %d answers in one look", mostVantages)
		}
		return err
	case "doh":
		return c.validateDoH()
	case "httpdns":
		return c.HTTPDNS.validate()
	}
	return nil
}

func (c *Config) kind() (string, error) {
	var kinds []string
	for i, given := range []bool{c.Authoritative != "", len(c.DNS) > 0, c.DoH != "", c.HTTPDNS != nil, c.System} {
		if given {
			kinds = append(kinds, Kinds()[i])
		}
	}
	if len(kinds) == 1 {
		return kinds[0], nil
	}
	if len(kinds) == 0 {
		return "", hint.Wrap(errors.New("the view does not say from where it looks"), "give one of %s", strings.Join(Kinds(), ", "))
	}
	return "", hint.Wrap(fmt.Errorf("a view looks from one kind of place, this one has %s", strings.Join(kinds, " and ")), "make two views")
}

// servers are the recursive servers as host:port.
func (c *Config) servers() ([]string, error) {
	var all []string
	for _, text := range c.DNS {
		server, err := serverAddress(text)
		if err != nil {
			return nil, fmt.Errorf("dns: %w", err)
		}
		all = append(all, server)
	}
	return all, nil
}

// serverAddress adds the port 53 where there is none.
func serverAddress(text string) (string, error) {
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return net.JoinHostPort(a.String(), "53"), nil
	}
	if p, err := netip.ParseAddrPort(text); err == nil && p.Port() > 0 {
		return p.String(), nil
	}
	return "", hint.Wrap(fmt.Errorf("%q is not the address of a server", text), `like "10.0.0.2", "10.0.0.2:5353" or "[2001:db8::1]:53"; a name would have to be looked up first`)
}

func (c *Config) subnet() (netip.Prefix, error) {
	if c.Subnet == "" {
		return netip.Prefix{}, nil
	}
	if a, err := netip.ParseAddr(c.Subnet); err == nil {
		return a.Prefix(a.BitLen())
	}
	p, err := netip.ParsePrefix(c.Subnet)
	if err != nil {
		return p, hint.Wrap(fmt.Errorf("subnet: %q is not a network", c.Subnet), `like "203.0.113.0/24"`)
	}
	return p.Masked(), nil
}

func (c *Config) validateDoH() error {
	if c.Format != "" && c.Format != "wire" && c.Format != "json" {
		return fmt.Errorf("format: %q is neither wire nor json", c.Format)
	}
	if c.Connect != "" {
		if host, port, err := net.SplitHostPort(c.Connect); err != nil || host == "" || port == "" {
			return hint.Wrap(fmt.Errorf("connect: %q is not host:port", c.Connect), `like "10.0.0.2:443"`)
		}
	}
	if err := c.TLS.Validate(); err != nil {
		return err
	}
	if secret.IsRef(string(c.DoH)) {
		return nil
	}
	_, err := dohURL(string(c.DoH))
	return err
}

// dohURL reads the URL of a server; the {?dns} of a template (RFC 8484, 3) may
// stay. Errors do not repeat it: it may hold a secret.
func dohURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "{?dns}"))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Fragment != "" {
		return nil, hint.Wrap(errors.New("doh is not an http or https URL"), `like "https://resolver.example/dns-query"`)
	}
	return u, nil
}

func (h *HTTPDNS) validate() error {
	switch {
	case len(h.Clusters) == 0:
		return hint.Wrap(errors.New("httpdns: clusters is empty"), `like clusters: ["203.0.113.1", "203.0.113.2"]`)
	case h.Format != "" && h.Format != "json" && h.Format != "plain":
		return fmt.Errorf("httpdns: format: %q is neither json nor plain", h.Format)
	case h.Path != "" && !strings.HasPrefix(h.Path, "/"):
		return fmt.Errorf("httpdns: path: %q does not begin with /", h.Path)
	case h.ServerName != "" && h.TLS.ServerName != "":
		return errors.New("httpdns: server_name is given twice")
	case slices.ContainsFunc(h.Clients, func(a netip.Addr) bool { return !a.IsValid() }):
		return errors.New("httpdns: a client has no address")
	case len(h.Clients) > mostVantages:
		return fmt.Errorf("httpdns: more than %d clients", mostVantages)
	}
	if err := h.TLS.Validate(); err != nil {
		return err
	}
	for _, text := range h.Clusters {
		if err := h.cluster(text).Validate(); err != nil {
			return err
		}
	}
	return nil
}

// cluster is one of Clusters with the path and what TLS has to check.
func (h *HTTPDNS) cluster(text string) httpdns.Cluster {
	return httpdns.Cluster{URL: text, Path: h.Path, ServerName: cmp.Or(h.ServerName, h.TLS.ServerName), NoSNI: h.SNI != nil && !*h.SNI}
}
