// Package alb moves the traffic of Aliyun's application load balancer: weights
// of the servers of a server group, weights of the server groups that a
// forwarding rule sends to, and the server group of a listener's default
// action.
//
// ALB answers before anything happened: a write is a job, and flip waits for
// it. A server with weight 0 is not health-checked, so that a parked side can
// only be seen healthy after it got weight; flip gives it weight, waits for its
// checks, and only then takes weight away elsewhere. Weight 0 ends no open
// connection. Nothing of this was tested against the cloud itself, only against
// a stand-in that follows its documentation.
package alb

import (
	"context"
	"slices"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
)

// The names that plans use.
const (
	Name = "alb"

	KindServer   = "server"
	KindListener = "listener"
	KindRule     = "rule"

	Weight  = pool.Weight
	Group   = "server_group"
	Forward = "forward"
)

// batch: 40 servers are allowed in a call, but they travel in the URL, and 40
// of them are longer than many proxies take.
const batch = 20

// Factory returns the driver's factory.
func Factory() driver.Factory { return driver.Define(Info(), open) }

// Info describes the driver.
func Info() driver.Info {
	return driver.Info{
		Name:    Name,
		Summary: "server weights of Aliyun's application load balancer, and what its rules and listeners forward to",
		Notes:   aliyun.Policy(Name, actions),
		Kinds: []driver.Kind{
			pool.Kind(
				KindServer,
				"A server of the target's server_group, called by its id (i-a1); by id:port when the group has it on several ports. "+
					"A group of a plan may name it by id:port, by its address or by an address range (10.0.0.0/24) too. "+
					"In a target with rule: a server group (sgp-...) that the rule forwards to.",
				"the share; 0 takes no new requests, open connections stay until they end",
			),
			{
				Name: KindListener, Selector: []string{KindListener},
				Doc: "A listener, by its id (lsn-...); the target names it in listeners. Its default action takes one server group: " +
					"ALB has no weights there. For weights put a rule in front that matches everything, or set weights of servers.",
				Attributes: []driver.Attribute{{Name: Group, Type: driver.TypeText, Doc: "the server group that the default action forwards to"}},
			},
			{
				Name: KindRule, Selector: []string{KindRule},
				Doc: "A forwarding rule, by its id (rule-...); the target names it in rules. Its other actions and conditions stay as they are.",
				Attributes: []driver.Attribute{{
					Name: Forward, Type: driver.TypeList,
					Doc: "all server groups that it forwards to, with their weights: [sgp-a=100, sgp-b=0]; what rises is healthy before anything falls",
				}},
			},
		},
	}
}

// actions are those of the least RAM policy.
var actions = []string{
	"ListServerGroups", "ListServerGroupServers", "GetListenerHealthStatus", "ListAsynJobs", "ListRules", "GetListenerAttribute",
	"UpdateServerGroupServersAttribute", "UpdateRuleAttribute", "UpdateListenerAttribute",
}

func open(_ context.Context, cfg Config, env driver.Env) (driver.Driver, error) {
	api, err := aliyun.OpenALB(cfg.Account, env)
	if err != nil {
		return nil, err
	}
	kind, _ := Info().Member()
	o := pool.Options{
		Driver: Name, Kind: kind, Batch: batch, Tokens: true,
		Flight: pool.Flight(cfg.Account), Health: cfg.HealthFor(), Settle: cfg.SettleFor(), ScopeIDs: pool.Scopes(Name, cfg.Region, slices.Concat([]string{cfg.ServerGroup, cfg.Rule}, cfg.Listeners, cfg.Rules)...),
	}
	h := &health{api: api}
	var m pool.Members
	switch {
	case cfg.ServerGroup != "":
		m = &pool.Servers{API: api, Group: cfg.ServerGroup, Common: cfg.Common, Look: h.look}
	case cfg.Rule != "":
		m = &tuples{api: api, health: h, cfg: cfg}
		o.Batch = 100 // all groups of a rule travel together anyway
	}
	var b pool.Bindings
	if len(cfg.Listeners)+len(cfg.Rules) > 0 {
		b = &bindings{api: api, health: h, cfg: cfg}
	}
	return pool.New(o, m, b, api.Close), nil
}
