package aliyun

import (
	"context"
	"strconv"
	"strings"
)

// SLBListener is a listener.
type SLBListener struct {
	Port        int
	Protocol    string // http, https, tcp, udp
	Group       string // the vserver group; empty uses the default group
	MasterSlave string // the master/slave group
	Scheduler   string
	Forwards    bool // an HTTP listener that only redirects
	Unchecked   bool
}

// Name is how plans call it: 80/http.
func (l SLBListener) Name() string { return strconv.Itoa(l.Port) + "/" + l.Protocol }

type slbListenerConfig struct {
	ListenerForward          string `json:"ListenerForward"`
	HealthCheck              string `json:"HealthCheck"`
	HealthCheckSwitch        string `json:"HealthCheckSwitch"`
	MasterSlaveServerGroupID string `json:"MasterSlaveServerGroupId"`
}

// Listeners reads all listeners of a load balancer.
func (c SLB) Listeners(ctx context.Context, lb string) ([]SLBListener, error) {
	type one struct {
		ListenerPort        Number            `json:"ListenerPort"`
		ListenerProtocol    string            `json:"ListenerProtocol"`
		VServerGroupID      string            `json:"VServerGroupId"`
		Scheduler           string            `json:"Scheduler"`
		HTTPListenerConfig  slbListenerConfig `json:"HTTPListenerConfig"`
		HTTPSListenerConfig slbListenerConfig `json:"HTTPSListenerConfig"`
		TCPListenerConfig   slbListenerConfig `json:"TCPListenerConfig"`
		UDPListenerConfig   slbListenerConfig `json:"UDPListenerConfig"`
	}
	var all []SLBListener
	err := pages(func(token string) (string, error) {
		var out struct {
			NextToken string
			Listeners []one
		}
		p := Params{"LoadBalancerId.1": lb, "MaxResults": "100", "NextToken": token}
		err := c.Do(ctx, Request{Action: "DescribeLoadBalancerListeners", Resource: lb, Params: p}, &out)
		for _, l := range out.Listeners {
			protocol := strings.ToLower(l.ListenerProtocol)
			cfg := map[string]slbListenerConfig{"http": l.HTTPListenerConfig, "https": l.HTTPSListenerConfig, "tcp": l.TCPListenerConfig, "udp": l.UDPListenerConfig}[protocol]
			all = append(all, SLBListener{
				Port: int(l.ListenerPort), Protocol: protocol, Group: l.VServerGroupID, MasterSlave: cfg.MasterSlaveServerGroupID,
				Scheduler: l.Scheduler, Forwards: strings.EqualFold(cfg.ListenerForward, "on"),
				Unchecked: strings.EqualFold(cfg.HealthCheck, "off") || strings.EqualFold(cfg.HealthCheckSwitch, "off"),
			})
		}
		return out.NextToken, err
	})
	return all, err
}

// Groups reads the names of a load balancer's vserver groups and the rules
// that use them, by group.
func (c SLB) Groups(ctx context.Context, lb string) (rules map[string][]string, err error) {
	var out struct {
		VServerGroups struct {
			VServerGroup []struct {
				VServerGroupID    string `json:"VServerGroupId"`
				AssociatedObjects struct {
					Rules struct {
						Rule []struct {
							RuleID string `json:"RuleId"`
						}
					}
				}
			}
		}
	}
	p := Params{"LoadBalancerId": lb, "IncludeListener": "true", "IncludeRule": "true"}
	err = c.Do(ctx, Request{Action: "DescribeVServerGroups", Resource: lb, Params: p}, &out)
	rules = map[string][]string{}
	for _, g := range out.VServerGroups.VServerGroup {
		rules[g.VServerGroupID] = []string{}
		for _, r := range g.AssociatedObjects.Rules.Rule {
			rules[g.VServerGroupID] = append(rules[g.VServerGroupID], r.RuleID)
		}
	}
	return rules, err
}

// SLBRule is a forwarding rule of an HTTP or HTTPS listener.
type SLBRule struct {
	LoadBalancer string
	Port         int
	Group        string
	Scheduler    string // empty: the listener's
	HealthCheck  string // on, off; empty: the listener's
	Owner        string
}

// Unchecked reports whether nobody checks the servers of a rule of l.
func (r SLBRule) Unchecked(l SLBListener) bool {
	if r.HealthCheck == "" {
		return l.Unchecked
	}
	return strings.EqualFold(r.HealthCheck, "off")
}

// Rule reads a rule.
func (c SLB) Rule(ctx context.Context, id string) (SLBRule, error) {
	var out struct {
		LoadBalancerID     string `json:"LoadBalancerId"`
		ListenerPort       Number `json:"ListenerPort"`
		VServerGroupID     string `json:"VServerGroupId"`
		Scheduler          string `json:"Scheduler"`
		HealthCheck        string `json:"HealthCheck"`
		ListenerSync       string `json:"ListenerSync"`
		ServiceManagedMode string `json:"ServiceManagedMode"`
	}
	err := c.Do(ctx, Request{Action: "DescribeRuleAttribute", Resource: id, Params: Params{"RuleId": id}}, &out)
	r := SLBRule{out.LoadBalancerID, int(out.ListenerPort), out.VServerGroupID, out.Scheduler, out.HealthCheck, Owner(out.ServiceManagedMode, nil)}
	if strings.EqualFold(out.ListenerSync, "on") {
		r.Scheduler, r.HealthCheck = "", ""
	}
	return r, err
}

// SwitchListener points a listener at another vserver group.
func (c SLB) SwitchListener(ctx context.Context, lb string, l SLBListener, group string) error {
	p := Params{"LoadBalancerId": lb, "ListenerPort": strconv.Itoa(l.Port), "VServerGroup": "on", "VServerGroupId": group}
	action := "SetLoadBalancer" + strings.ToUpper(l.Protocol) + "ListenerAttribute"
	return c.Do(ctx, Request{Action: action, Resource: lb + " " + l.Name(), Params: p, Write: true}, nil)
}

// SwitchRule points a rule at another vserver group.
func (c SLB) SwitchRule(ctx context.Context, rule, group string) error {
	p := Params{"RuleId": rule, "VServerGroupId": group}
	return c.Do(ctx, Request{Action: "SetRule", Resource: rule, Params: p, Write: true}, nil)
}
