// Package slb moves the traffic of Aliyun's classic load balancer (SLB, now
// CLB): weights of the servers of a vserver group or of the default group, and
// the vserver group that a listener or a forwarding rule points at.
//
// Weight 0 sends no new connections; open ones stay until they end, and no
// drain timer runs for them. Nothing of this was tested against the cloud
// itself, only against a stand-in that follows its documentation.
package slb

import (
	"context"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
)

// The names that plans use.
const (
	Name = "slb"

	KindServer   = "server"
	KindListener = "listener"
	KindRule     = "rule"

	Weight = pool.Weight
	Group  = "vserver_group"
)

// batch is how many servers SetVServerGroupAttribute takes.
const batch = 20

// Factory returns the driver's factory.
func Factory() driver.Factory { return driver.Define(Info(), open) }

// Info describes the driver.
func Info() driver.Info {
	return driver.Info{
		Name:    Name,
		Summary: "server weights of Aliyun's classic load balancer (SLB, CLB), and the groups of its listeners and rules",
		Notes:   aliyun.Policy(Name, actions),
		Kinds: []driver.Kind{
			pool.Kind(
				KindServer,
				"A server of the group, called by its id (i-a1); by id:port when the group has it on several ports. "+
					"A group of a plan may name it by id:port, by its address (10.0.0.5, 10.0.0.5:8080) or by an address range (10.0.0.0/24) too.",
				"the server's share; 0 takes no new connections, open ones stay until they end",
			),
			{
				Name: KindListener, Selector: []string{KindListener},
				Doc:        "A listener of the load balancer, written 80/http; the target names it in listeners.",
				Attributes: []driver.Attribute{{Name: Group, Type: driver.TypeText, Doc: "the vserver group that it sends to"}},
			},
			{
				Name: KindRule, Selector: []string{KindRule},
				Doc:        "A forwarding rule of an HTTP or HTTPS listener, by its id; the target names it in rules.",
				Attributes: []driver.Attribute{{Name: Group, Type: driver.TypeText, Doc: "the vserver group that it sends to"}},
			},
		},
	}
}

// actions are those of the least RAM policy.
var actions = []string{
	"DescribeVServerGroupAttribute", "DescribeMasterSlaveServerGroupAttribute", "DescribeVServerGroups", "DescribeLoadBalancerAttribute",
	"DescribeLoadBalancerListeners", "DescribeRuleAttribute", "DescribeHealthStatus",
	"SetVServerGroupAttribute", "SetBackendServers",
	"SetLoadBalancerHTTPListenerAttribute", "SetLoadBalancerHTTPSListenerAttribute",
	"SetLoadBalancerTCPListenerAttribute", "SetLoadBalancerUDPListenerAttribute", "SetRule",
}

func open(_ context.Context, cfg Config, env driver.Env) (driver.Driver, error) {
	api, err := aliyun.OpenSLB(cfg.Account, env)
	if err != nil {
		return nil, err
	}
	kind, _ := Info().Member()
	facts := &facts{api: api, cfg: cfg, lb: cfg.LoadBalancer}
	o := pool.Options{
		Driver: Name, Kind: kind, Batch: batch, Again: time.Second,
		Flight: cfg.CallTimeout(), Health: cfg.HealthFor(), Settle: cfg.SettleFor(), ScopeIDs: pool.Scopes(Name, cfg.Region, cfg.parts()...),
	}
	var m pool.Members
	if cfg.VServerGroup != "" || cfg.DefaultGroup {
		m = &servers{facts}
	}
	var b pool.Bindings
	if len(cfg.Listeners)+len(cfg.Rules) > 0 {
		b = &switches{facts}
	}
	return pool.New(o, m, b, api.Close), nil
}

// parts are the ids of what the target changes.
func (c Config) parts() []string {
	ids := []string{c.VServerGroup}
	if c.DefaultGroup {
		ids = append(ids, c.LoadBalancer+"/default")
	}
	for _, l := range c.Listeners {
		ids = append(ids, c.LoadBalancer+"/listener/"+strings.ToLower(l))
	}
	return append(ids, c.Rules...)
}
