// Package rfc2136 changes record sets with dynamic updates (RFC 2136) signed
// with TSIG (RFC 8945): BIND, Knot DNS, PowerDNS and others take them.
//
// A set is replaced in one message, with its old values as a prerequisite:
// the server makes the change only while nobody else has changed the set, and
// makes all of it or nothing. Prerequisites do not compare TTLs, and success
// codes lie (a CNAME beside an A is NOERROR and ignored), so that every write
// is preceded and followed by reading from the primary.
package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
)

// Name is the driver's name in plans.
const Name = "rfc2136"

// Factory returns the driver's factory.
func Factory() driver.Factory { return driver.Define(Info(), open) }

// Info describes the driver.
func Info() driver.Info {
	return driver.Info{
		Name:    Name,
		Summary: "record sets of a zone on a server that takes dynamic updates: BIND, Knot DNS, PowerDNS",
		Kinds:   []driver.Kind{recordset.Kind()},
	}
}

// notifyDelay is how long BIND waits before it tells secondaries of a change
// (notify-delay, 5s by default).
const notifyDelay = 5 * time.Second

func open(_ context.Context, cfg Config, env driver.Env) (driver.Driver, error) {
	p, err := newPrimary(cfg, env.Secrets)
	if err != nil {
		return nil, err
	}
	t, err := recordset.New(recordset.Options{
		Driver: Name, Zone: p.zone, Provider: p, Records: cfg.Records,
		Timeout: 4 * cfg.timeout(), MaxInFlight: cfg.timeout(),
		Client: wire.Client{Timeout: cfg.timeout()}, NameServers: p.nameServers, Negative: p.negative,
		SettleTimeout: cfg.SettleTimeout, Expect: notifyDelay, Log: env.Log,
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// primary is the server that takes the updates of a zone.
type primary struct {
	zone    string
	tsig    TSIG
	secrets *secret.Resolver
	client  wire.Client // without key
	others  []string    // name_servers
	lookup  lookup

	mu     sync.Mutex
	server string // host:port, "" until it is found
}

// lookup is how hosts and the primary are found when nobody names them.
type lookup struct {
	resolvers func() ([]string, error)
	addresses func(ctx context.Context, host string) ([]netip.Addr, error)
}

func newPrimary(cfg Config, secrets *secret.Resolver) (*primary, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	zone, err := recordset.ParseZone(cfg.Zone)
	if err != nil {
		return nil, err
	}
	servers, err := recordset.CheckServers(cfg.NameServers)
	if err != nil {
		return nil, err
	}
	p := &primary{
		zone: zone, tsig: cfg.TSIG, secrets: secrets, others: servers,
		client: wire.Client{Timeout: cfg.timeout(), TCP: true},
		lookup: lookup{
			resolvers: func() ([]string, error) { return wire.SystemServers("/etc/resolv.conf") },
			addresses: recordset.SystemAddresses,
		},
	}
	if cfg.Server != "" {
		p.server, err = wire.WithPort(cfg.Server)
	}
	return p, err
}

// signed is the client with the key. The secret is looked up for each call.
func (p *primary) signed(ctx context.Context) (wire.Client, error) {
	c := p.client
	if p.tsig.Name == "" {
		return c, nil
	}
	text := string(p.tsig.Secret)
	if secret.IsRef(text) {
		if p.secrets == nil {
			return c, errors.New("tsig: secret: nobody resolves references here")
		}
		var err error
		if text, err = p.secrets.Resolve(ctx, p.tsig.Secret); err != nil {
			return c, fmt.Errorf("tsig: secret: %w", err)
		}
	}
	if err := wire.CheckSecret(text); err != nil {
		return c, driver.Permanent(fmt.Errorf("tsig: %w", err))
	}
	name, err := wire.Host(p.tsig.Name)
	c.Key = wire.Key{Name: name, Algorithm: p.tsig.algorithm(), Secret: text}
	return c, err
}

// Get asks the primary for each set, over TCP and signed.
func (p *primary) Get(ctx context.Context, names []recordset.Name) (map[recordset.Name]recordset.Set, error) {
	c, err := p.signed(ctx)
	if err != nil {
		return nil, err
	}
	server, err := p.address(ctx)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, p.reachable(ctx, c, server)
	}
	sets := map[recordset.Name]recordset.Set{}
	for _, n := range names {
		a, err := c.Ask(ctx, server, n.Host, n.Type)
		if err != nil {
			return nil, p.explain(err)
		}
		if sets[n], err = setOf(a, n); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

func (p *primary) reachable(ctx context.Context, c wire.Client, server string) error {
	a, err := c.Ask(ctx, server, p.zone, "SOA")
	if err != nil {
		return p.explain(err)
	}
	if len(a.Set(p.zone, "SOA")) == 0 || !a.Authoritative {
		return noAuthority(server, p.zone)
	}
	return nil
}

func noAuthority(server, name string) error {
	return hint.Wrap(fmt.Errorf("%s does not answer for %s with authority", server, name),
		"server is the primary of the zone; a part that is delegated to other servers is a zone of its own")
}

func setOf(a wire.Answer, n recordset.Name) (recordset.Set, error) {
	if !a.Authoritative {
		return recordset.Set{}, noAuthority(a.Server, n.Host)
	}
	records := a.Set(n.Host, n.Type)
	s := recordset.Set{Values: wire.Values(records), Raw: records}
	for _, r := range records {
		s.TTL = max(s.TTL, r.TTL) // they should be one (RFC 2181, 5.2)
	}
	if n.Type != "CNAME" && len(a.Set(n.Host, "CNAME")) > 0 {
		s.Beside = []string{"CNAME"}
	}
	return s, nil
}

// Limits are those of the protocol.
func (p *primary) Limits(context.Context) (recordset.Limits, error) {
	return recordset.Limits{}, nil
}
