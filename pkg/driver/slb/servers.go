package slb

import (
	"context"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
)

// servers are the members: entries of the vserver group or of the default
// group.
type servers struct{ *facts }

// id is the group as objects and errors name it.
func (s *servers) id() string {
	if s.cfg.DefaultGroup {
		return s.cfg.LoadBalancer
	}
	return s.cfg.VServerGroup
}

// List reads the entries in one call.
func (s *servers) List(ctx context.Context) ([]pool.Member, error) {
	entries, _, err := s.entries(ctx)
	if err != nil {
		return nil, err
	}
	return pool.OfServers(s.id(), entries, s.cfg.Hosts), nil
}

func (s *servers) entries(ctx context.Context) (entries []aliyun.Server, owner string, err error) {
	if s.cfg.DefaultGroup {
		b, err := s.api.Balancer(ctx, s.cfg.LoadBalancer)
		return b.Servers, b.Owner, err
	}
	g, err := s.group(ctx)
	return g.Servers, g.Owner, err
}

// Refuse looks at who manages the group and how its listeners schedule.
func (s *servers) Refuse(ctx context.Context) error {
	_, owner, err := s.entries(ctx)
	if err != nil {
		return err
	}
	return s.refuse(ctx, s.id(), owner)
}

// Health joins what every listener says that sends to the group.
func (s *servers) Health(ctx context.Context, members []pool.Member) (map[string]aliyun.Check, error) {
	uses, err := s.used(ctx, s.cfg.VServerGroup, fresh)
	if err != nil {
		return nil, err
	}
	ports := checked(uses)
	var all []aliyun.SLBHealth
	if len(ports) > 0 {
		lb, err := s.balancer(ctx)
		if err != nil {
			return nil, err
		}
		if all, err = s.api.Health(ctx, lb); err != nil {
			return nil, err
		}
	}
	checks := make(map[string]aliyun.Check, len(members))
	for _, m := range members {
		entry := m.Ref.(aliyun.Server)
		entry.Weight = aliyun.Number(m.Weight)
		checks[m.ID] = aliyun.CheckOf(all, ports, entry)
	}
	return checks, nil
}

// checked are the ports of listeners that check health.
func checked(uses []use) []int {
	var ports []int
	for _, u := range uses {
		if !u.unchecked {
			ports = append(ports, u.port)
		}
	}
	return ports
}

// Write sets weights, never anything else: the entries are not replaced.
func (s *servers) Write(ctx context.Context, members []pool.Member, _ string) error {
	entries := make([]aliyun.Server, len(members))
	for i, m := range members {
		entries[i] = m.Ref.(aliyun.Server)
		entries[i].Weight = aliyun.Number(m.Weight)
	}
	if s.cfg.DefaultGroup {
		return s.api.SetDefaultWeights(ctx, s.cfg.LoadBalancer, entries)
	}
	return s.api.SetGroupWeights(ctx, s.cfg.VServerGroup, entries)
}

// Settled: this API is synchronous; that its answers may run ahead is met by
// looking twice.
func (s *servers) Settled(ctx context.Context) error { return ctx.Err() }
