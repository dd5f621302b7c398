// Package nlb moves the traffic of Aliyun's network load balancer: weights of
// the servers of a server group, and the server group of a listener.
//
// NLB answers before anything happened: a write is a job, and flip waits for
// it. It works on connections: weight 0 takes no new ones, open ones stay until
// they end. Nothing of this was tested against the cloud itself, only against a
// stand-in that follows its documentation.
package nlb

import (
	"context"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
)

// The names that plans use.
const (
	Name = "nlb"

	KindServer   = "server"
	KindListener = "listener"

	Weight = pool.Weight
	Group  = "server_group"
)

// batch: 200 servers are allowed in a call; fewer keep a failed one small.
const batch = 40

// Factory returns the driver's factory.
func Factory() driver.Factory { return driver.Define(Info(), open) }

// Info describes the driver.
func Info() driver.Info {
	return driver.Info{
		Name:    Name,
		Summary: "server weights of Aliyun's network load balancer, and the server groups of its listeners",
		Notes:   aliyun.Policy(Name, actions),
		Kinds: []driver.Kind{
			pool.Kind(
				KindServer,
				"A server of the target's server_group, called by its id (i-a1); by id:port when the group has it on several ports. "+
					"A group of a plan may name it by id:port, by its address or by an address range (10.0.0.0/24) too.",
				"the share; 0 takes no new connections, open ones stay until they end",
			),
			{
				Name: KindListener, Selector: []string{KindListener},
				Doc:        "A listener, by its id (lsn-...); the target names it in listeners.",
				Attributes: []driver.Attribute{{Name: Group, Type: driver.TypeText, Doc: "the server group that it sends to"}},
			},
		},
	}
}

// actions are those of the least RAM policy.
var actions = []string{
	"ListServerGroups", "ListServerGroupServers", "ListListeners", "GetListenerAttribute", "GetListenerHealthStatus", "GetJobStatus",
	"UpdateServerGroupServersAttribute", "UpdateListenerAttribute",
}

func open(_ context.Context, cfg Config, env driver.Env) (driver.Driver, error) {
	api, err := aliyun.OpenNLB(cfg.Account, env)
	if err != nil {
		return nil, err
	}
	kind, _ := Info().Member()
	o := pool.Options{
		Driver: Name, Kind: kind, Batch: batch, Tokens: true,
		Flight: pool.Flight(cfg.Account), Health: cfg.HealthFor(), Settle: cfg.SettleFor(), ScopeIDs: pool.Scopes(Name, cfg.Region, append([]string{cfg.ServerGroup}, cfg.Listeners...)...),
	}
	var m pool.Members
	if cfg.ServerGroup != "" {
		m = &pool.Servers{API: api, Group: cfg.ServerGroup, Common: cfg.Common, Look: (&health{api: api}).look}
	}
	var b pool.Bindings
	if len(cfg.Listeners) > 0 {
		b = &listeners{api, cfg}
	}
	return pool.New(o, m, b, api.Close), nil
}
