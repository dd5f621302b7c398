package pool

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/hint"
)

// GroupAPI is what ALB and NLB have in common.
type GroupAPI interface {
	Groups(ctx context.Context, ids ...string) (map[string]aliyun.ServerGroup, error)
	Servers(ctx context.Context, group string) ([]aliyun.Server, error)
	SetWeights(ctx context.Context, group string, servers []aliyun.Server, token string) (job string, err error)
	MaySetWeights(ctx context.Context, group string, servers []aliyun.Server) error
	Job(ctx context.Context, id string) (aliyun.Job, error)
}

// Servers are the members of a target that is a server group of ALB or NLB.
type Servers struct {
	API    GroupAPI
	Group  string
	Common Common
	// Look asks what uses the group about health.
	Look func(ctx context.Context, g aliyun.ServerGroup) ([]aliyun.GroupHealth, error)
}

// One reads the group, which must exist.
func One(ctx context.Context, api GroupAPI, id string) (aliyun.ServerGroup, error) {
	groups, err := api.Groups(ctx, id)
	if err != nil {
		return aliyun.ServerGroup{}, err
	}
	g, ok := groups[id]
	if !ok {
		return g, Missing(hint.Wrap(fmt.Errorf("no server group %s", id), "is it an id (sgp-...) of this region?"))
	}
	return g, nil
}

// Serves refuses a group that has no server with a weight.
func Serves(ctx context.Context, api GroupAPI, id string) error {
	if _, err := One(ctx, api, id); err != nil {
		return err
	}
	servers, err := api.Servers(ctx, id)
	if err != nil {
		return err
	}
	return Weighted("server group "+id, servers)
}

// Weighted refuses a group of servers without any weight.
func Weighted(what string, servers []aliyun.Server) error {
	if slices.ContainsFunc(servers, func(s aliyun.Server) bool { return s.Weight > 0 }) {
		return nil
	}
	return driver.Permanent(hint.Wrap(fmt.Errorf("%s has no server with a weight", what), "give its servers weight first"))
}

// List reads the servers, all pages. An empty list may be that of a group that
// does not exist.
func (s *Servers) List(ctx context.Context) ([]Member, error) {
	servers, err := s.API.Servers(ctx, s.Group)
	if err != nil {
		return nil, err
	}
	if len(servers) == 0 {
		if _, err := One(ctx, s.API, s.Group); err != nil {
			return nil, err
		}
	}
	return OfServers(s.Group, servers, s.Common.Hosts), nil
}

// Refuse looks at who manages the group and how it schedules.
func (s *Servers) Refuse(ctx context.Context) error {
	g, err := One(ctx, s.API, s.Group)
	if err != nil {
		return err
	}
	if err := Owned("server group "+g.ID, g.Owner, s.Common.Force); err != nil {
		return err
	}
	if strings.EqualFold(g.Scheduler, "rr") {
		return driver.Permanent(hint.Wrap(fmt.Errorf("server group %s has the scheduler %s: it ignores weights", g.ID, g.Scheduler),
			"set its scheduler to Wrr or Wlc"))
	}
	return nil
}

// Owned refuses what a controller manages.
func Owned(what, owner string, force bool) error {
	if owner == "" || force {
		return nil
	}
	return driver.Permanent(hint.Wrap(fmt.Errorf("%s is managed by %s, which would undo what flip sets", what, owner),
		"change it there; or let that controller ignore weights and set force: true on the target"))
}

// Health joins what every listener and rule says that uses the group.
func (s *Servers) Health(ctx context.Context, members []Member) (map[string]aliyun.Check, error) {
	g, err := One(ctx, s.API, s.Group)
	if err != nil {
		return nil, err
	}
	checks := make(map[string]aliyun.Check, len(members))
	if !g.Checked {
		for _, m := range members {
			checks[m.ID] = aliyun.Check{State: aliyun.Unchecked, Detail: "health checks are off"}
		}
		return checks, nil
	}
	all, err := s.Look(ctx, g)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		entry := m.Ref.(aliyun.Server)
		entry.Weight = aliyun.Number(m.Weight)
		checks[m.ID] = aliyun.CheckIn(all, s.Group, entry)
	}
	return checks, nil
}

func refs(members []Member) []aliyun.Server {
	servers := make([]aliyun.Server, len(members))
	for i, m := range members {
		servers[i] = m.Ref.(aliyun.Server)
		servers[i].Weight = aliyun.Number(m.Weight)
	}
	return servers
}

// Write begins the change and waits for its job.
func (s *Servers) Write(ctx context.Context, members []Member, token string) error {
	job, err := s.API.SetWeights(ctx, s.Group, refs(members), token)
	if err != nil {
		return err
	}
	return Await(ctx, job, s.Common.SettleFor(), s.API.Job)
}

// MayWrite asks for a dry run of a write that would change nothing.
func (s *Servers) MayWrite(ctx context.Context, members []Member) error {
	return s.API.MaySetWeights(ctx, s.Group, refs(members))
}

// Settled: the group is not being configured.
func (s *Servers) Settled(ctx context.Context) error {
	g, err := One(ctx, s.API, s.Group)
	if err != nil {
		return err
	}
	if !strings.EqualFold(g.Status, "available") {
		return fmt.Errorf("server group %s is %s", g.ID, g.Status)
	}
	return nil
}

// Flight is how long a request to ALB or NLB may take effect: its answer's
// timeout and the job that it began. How long jobs take is not documented.
func Flight(a aliyun.Account) time.Duration { return a.CallTimeout() + 20*time.Second }
