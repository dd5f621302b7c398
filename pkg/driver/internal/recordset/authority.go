package recordset

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// NameServers are all addresses that answer for name with authority.
func (t *Target) NameServers(ctx context.Context, name string) ([]string, error) {
	find := t.o.NameServers
	if find == nil {
		find = func(ctx context.Context, _ string) ([]string, error) { return SystemNameServers(ctx, t.o.Zone) }
	}
	ctx, cancel := context.WithTimeout(ctx, t.o.Timeout)
	defer cancel()
	servers, err := find(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("name servers of %s: %w", t.o.Zone, err)
	}
	if len(servers) == 0 {
		return nil, hint.Wrap(fmt.Errorf("zone %s has no name server that is known", t.o.Zone), "name them: name_servers: [192.0.2.1, 192.0.2.2]")
	}
	slices.Sort(servers)
	return slices.Compact(servers), nil
}

// SystemNameServers finds the addresses of a zone's name servers through the
// resolver of this machine.
func SystemNameServers(ctx context.Context, zone string) ([]string, error) {
	found, err := net.DefaultResolver.LookupNS(ctx, zone)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, ns := range found {
		hosts = append(hosts, ns.Host)
	}
	return Addresses(ctx, hosts, SystemAddresses)
}

// SystemAddresses looks a host up with the resolver of this machine.
func SystemAddresses(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// Addresses returns every address of hosts with the port of DNS. A host
// without an address is an error: a server that nobody asked has shown nothing.
func Addresses(ctx context.Context, hosts []string, lookup func(context.Context, string) ([]netip.Addr, error)) ([]string, error) {
	var all []string
	for _, h := range hosts {
		found, err := lookup(ctx, h)
		if err == nil && len(found) == 0 {
			err = errors.New("it has no address")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h, err)
		}
		for _, a := range found {
			all = append(all, netip.AddrPortFrom(a.Unmap(), 53).String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// CheckServers is for a configuration: name_servers as host:port.
func CheckServers(servers []string) ([]string, error) {
	var all []string
	for _, s := range servers {
		server, err := wire.WithPort(s)
		if err != nil {
			return nil, err
		}
		if slices.Contains(all, server) {
			return nil, fmt.Errorf("%s is listed twice", server)
		}
		all = append(all, server)
	}
	return all, nil
}

// CacheTime is the TTL of a set, and without attributes how long resolvers
// keep "there is none".
func (t *Target) CacheTime(ctx context.Context, id string, attrs map[string]state.Value) (time.Duration, error) {
	n, err := inZone(t.o.Zone, id)
	if err != nil {
		return 0, t.wrap(err)
	}
	if seconds, ok := attrs[TTL].Int(); ok {
		return time.Duration(seconds) * time.Second, nil
	}
	if len(attrs) > 0 {
		return 0, t.wrap(fmt.Errorf("%s: nothing is known of its TTL", n))
	}
	ctx, cancel := context.WithTimeout(ctx, t.o.Timeout)
	defer cancel()
	if t.o.Negative != nil {
		d, err := t.o.Negative(ctx)
		return d, t.wrap(err)
	}
	d, err := t.negative(ctx)
	return d, t.wrap(err)
}

// negative asks the name servers for the SOA until one answers.
func (t *Target) negative(ctx context.Context) (time.Duration, error) {
	servers, err := t.NameServers(ctx, t.o.Zone)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, s := range servers {
		a, err := t.o.Client.Ask(ctx, s, t.o.Zone, "SOA")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if d, ok := a.Negative(); ok {
			return d, nil
		}
		errs = append(errs, fmt.Errorf("%s has no SOA record of %s", s, t.o.Zone))
	}
	return 0, errors.Join(errs...)
}

// Resolvable says whether what is set on a record set can be seen by looking
// its name up.
func (t *Target) Resolvable(ctx context.Context, id string) error {
	n, err := t.name(id)
	if err != nil {
		return t.wrap(err)
	}
	if _, ok := t.o.Provider.(Hider); !ok {
		return nil
	}
	sets, err := t.get(ctx, []Name{n})
	if err != nil {
		return t.wrap(err)
	}
	for _, p := range n.Parts() {
		if err := t.hidden(p, sets[p]); err != nil {
			return t.wrap(err)
		}
	}
	return nil
}
