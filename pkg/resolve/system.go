package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// system asks the resolver of this machine as programs on it do. It tells no
// TTL and does not tell a missing name from a missing record.
type system struct {
	base
	resolver *net.Resolver
}

// Look asks once.
func (v *system) Look(ctx context.Context, q Question) []Answer {
	return v.look(ctx, []vantage{{name: "this machine", ask: func(ctx context.Context) (Answer, error) {
		values, err := v.values(ctx, q)
		if e, ok := errors.AsType[*net.DNSError](err); ok {
			if !e.IsNotFound {
				if e.IsTimeout {
					return Answer{}, context.DeadlineExceeded
				}
				return Answer{}, errors.New(e.Err)
			}
			values, err = nil, nil
		}
		a := Answer{Values: values}
		if len(values) == 0 {
			a.Empty = Nothing
		}
		a.sort()
		return a, err
	}}})
}

// values asks without a final dot, as programs do: the hosts file knows names
// only so.
func (v *system) values(ctx context.Context, q Question) ([]string, error) {
	name := q.Name
	switch q.Type {
	case "A":
		ips, err := v.resolver.LookupNetIP(ctx, "ip4", name)
		return addressTexts(ips), err
	case "AAAA":
		ips, err := v.resolver.LookupNetIP(ctx, "ip6", name)
		return addressTexts(ips), err
	case "CNAME":
		to, err := v.resolver.LookupCNAME(ctx, name)
		if err != nil || plain(to) == q.Name {
			return nil, err // it returns the name itself where there is no alias
		}
		return []string{plain(to)}, nil
	case "TXT":
		return v.resolver.LookupTXT(ctx, name)
	case "NS":
		list, err := v.resolver.LookupNS(ctx, name)
		return texts(list, func(r *net.NS) string { return plain(r.Host) }), err
	case "MX":
		list, err := v.resolver.LookupMX(ctx, name)
		return texts(list, func(r *net.MX) string { return fmt.Sprintf("%d %s", r.Pref, plain(r.Host)) }), err
	case "SRV":
		_, list, err := v.resolver.LookupSRV(ctx, "", "", name)
		return texts(list, func(r *net.SRV) string {
			return fmt.Sprintf("%d %d %d %s", r.Priority, r.Weight, r.Port, plain(r.Target))
		}), err
	}
	return nil, fmt.Errorf("this machine's resolver is not asked for %s records", q.Type)
}

func addressTexts(ips []netip.Addr) []string {
	return texts(ips, func(ip netip.Addr) string { return ip.Unmap().String() })
}

func texts[T any](list []T, text func(T) string) []string {
	var all []string
	for _, item := range list {
		all = append(all, text(item))
	}
	return all
}

// sort brings the values into their order, each once.
func (a *Answer) sort() {
	slices.Sort(a.Values)
	a.Values = slices.Compact(a.Values)
}
