package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// authoritative asks every address of the name servers, without recursion.
type authoritative struct {
	base
	target  string
	servers func(ctx context.Context, target, name string) ([]string, error)
}

// Look asks the name servers that there are now.
func (v *authoritative) Look(ctx context.Context, q Question) []Answer {
	timed, cancel := context.WithTimeout(ctx, v.limit)
	defer cancel()
	servers, err := v.servers(timed, v.target, q.Name)
	switch {
	case err != nil:
		return v.nobody(ctx, "name servers of "+v.target, fmt.Errorf("which servers these are: %w", err))
	case len(servers) == 0:
		return v.nobody(ctx, "name servers of "+v.target, errors.New("there are none"))
	case len(servers) > mostVantages:
		return v.nobody(ctx, "name servers of "+v.target, fmt.Errorf("there are more than %d", mostVantages))
	}
	var all []vantage
	for _, server := range servers {
		all = append(all, vantage{name: server, ask: func(ctx context.Context) (Answer, error) {
			a, err := ask{Question: q}.exchange(ctx, server)
			if err == nil && !a.Authoritative {
				err = errors.New("it answers without authority")
			}
			return a, err
		}})
	}
	return v.look(ctx, all)
}

// recursive asks resolvers, each as often as there are samples: behind one
// address there may be many caches.
type recursive struct {
	base
	servers []string
	samples int
	subnet  netip.Prefix
}

// Look asks every server.
func (v *recursive) Look(ctx context.Context, q Question) []Answer {
	var all []vantage
	for _, server := range v.servers {
		for n := range v.samples {
			all = append(all, vantage{name: server, client: prefixText(v.subnet), sample: n + 1, ask: func(ctx context.Context) (Answer, error) {
				return ask{Question: q, recurse: true, subnet: v.subnet}.exchange(ctx, server)
			}})
		}
	}
	return v.look(ctx, all)
}

func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}
