package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
)

// address is where updates go: the configured server, else the zone's MNAME.
func (p *primary) address(ctx context.Context) (string, error) {
	p.mu.Lock()
	known := p.server
	p.mu.Unlock()
	if known != "" {
		return known, nil
	}
	host, err := p.mname(ctx)
	if err != nil {
		return "", hint.Wrap(fmt.Errorf("the primary of zone %s: %w", p.zone, err), "name it: server: 192.0.2.53:53")
	}
	found, err := p.lookup.addresses(ctx, host)
	if err == nil && len(found) == 0 {
		err = errors.New("it has no address")
	}
	if err != nil {
		return "", hint.Wrap(fmt.Errorf("the primary of zone %s: %s: %w", p.zone, host, err), "name it: server: 192.0.2.53:53")
	}
	server := net.JoinHostPort(found[0].Unmap().String(), "53")
	p.mu.Lock()
	p.server = server
	p.mu.Unlock()
	return server, nil
}

// mname asks the machine's resolvers for the zone's SOA record.
func (p *primary) mname(ctx context.Context) (string, error) {
	resolvers, err := p.lookup.resolvers()
	if err != nil {
		return "", err
	}
	var errs []error
	for _, r := range resolvers {
		a, err := wire.Client{Timeout: p.client.Timeout}.Resolve(ctx, r, p.zone, "SOA")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		soa, ok := a.SOA()
		if !ok || soa.Zone != p.zone || soa.Primary == "." {
			errs = append(errs, fmt.Errorf("%s knows no SOA record of it", r))
			continue
		}
		return soa.Primary, nil
	}
	return "", errors.Join(errs...)
}

// nameServers are the configured ones, else the addresses of the zone's NS
// records as the primary has them. A hidden primary is not among them.
func (p *primary) nameServers(ctx context.Context, _ string) ([]string, error) {
	if len(p.others) > 0 {
		return append([]string(nil), p.others...), nil
	}
	c, err := p.signed(ctx)
	if err != nil {
		return nil, err
	}
	server, err := p.address(ctx)
	if err != nil {
		return nil, err
	}
	a, err := c.Ask(ctx, server, p.zone, "NS")
	if err != nil {
		return nil, p.explain(err)
	}
	return recordset.Addresses(ctx, wire.Values(a.Set(p.zone, "NS")), func(ctx context.Context, host string) ([]netip.Addr, error) {
		if !wire.Under(host, p.zone) {
			return p.lookup.addresses(ctx, host)
		}
		return p.own(ctx, c, server, host)
	})
}

// own looks a host of the zone up at the primary.
func (p *primary) own(ctx context.Context, c wire.Client, server, host string) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, typ := range []string{"A", "AAAA"} {
		a, err := c.Ask(ctx, server, host, typ)
		if err != nil {
			return nil, p.explain(err)
		}
		for _, v := range wire.Values(a.Set(host, typ)) {
			if ip, err := netip.ParseAddr(v); err == nil {
				all = append(all, ip)
			}
		}
	}
	return all, nil
}

// negative is how long "no such name" may be kept, as the primary has it.
func (p *primary) negative(ctx context.Context) (time.Duration, error) {
	c, err := p.signed(ctx)
	if err != nil {
		return 0, err
	}
	server, err := p.address(ctx)
	if err != nil {
		return 0, err
	}
	a, err := c.Ask(ctx, server, p.zone, "SOA")
	if err != nil {
		return 0, p.explain(err)
	}
	d, ok := a.Negative()
	if !ok {
		return 0, noAuthority(server, p.zone)
	}
	return d, nil
}
