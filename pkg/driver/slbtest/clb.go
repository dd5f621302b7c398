package slbtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

func clbActions() map[string]*action {
	all := map[string]*action{
		"DescribeLoadBalancers":                   read((*Server).describeLoadBalancers),
		"DescribeLoadBalancerAttribute":           read((*Server).describeLoadBalancerAttribute),
		"DescribeVServerGroups":                   read((*Server).describeVServerGroups),
		"DescribeVServerGroupAttribute":           read((*Server).describeVServerGroupAttribute),
		"DescribeLoadBalancerListeners":           read((*Server).describeListeners),
		"DescribeMasterSlaveServerGroups":         read((*Server).describeMasterSlaveServerGroups),
		"DescribeMasterSlaveServerGroupAttribute": read((*Server).describeMasterSlaveServerGroupAttribute),
		"DescribeHealthStatus":                    read((*Server).describeHealthStatus),
		"DescribeRules":                           read((*Server).describeRules),
		"DescribeRuleAttribute":                   read((*Server).describeRuleAttribute),
		"SetVServerGroupAttribute":                write((*Server).setVServerGroupAttribute),
		"AddVServerGroupBackendServers":           write((*Server).addVServerGroupBackendServers),
		"RemoveVServerGroupBackendServers":        write((*Server).removeVServerGroupBackendServers),
		"SetBackendServers":                       write((*Server).setBackendServers),
		"SetRule":                                 write((*Server).setRule),
	}
	for _, protocol := range []string{"HTTP", "HTTPS", "TCP", "UDP"} {
		small := strings.ToLower(protocol)
		all["DescribeLoadBalancer"+protocol+"ListenerAttribute"] = read(func(s *Server, c *call, r listenerRequest) (reply, error) {
			return s.describeListener(small, r)
		})
		all["SetLoadBalancer"+protocol+"ListenerAttribute"] = write(func(s *Server, c *call, r setListenerRequest) (reply, error) {
			return s.setListener(small, r)
		})
	}
	return all
}

// clbListenerID names a CLB's listener in the data plane: "lb-1/http:80".
func clbListenerID(lb string, l CLBListener) string {
	return fmt.Sprintf("%s/%s:%d", lb, l.Protocol, l.Port)
}

// serving is the group of a listener's requests that no rule takes.
func (lb CLB) serving(l CLBListener) Group {
	if g := byID(lb.Groups, l.Group); g != nil {
		return *g
	}
	if g := lb.masterSlave(l.MasterSlave); g != nil {
		master, slave := g.Master, g.Slave
		master.Weight, slave.Weight = 100, 0
		return Group{ID: g.ID, Members: []Member{master, slave}}
	}
	return Group{ID: lb.ID, Members: lb.Default}
}

// behind are all groups that a listener checks.
func (lb CLB) behind(l CLBListener) []Group {
	groups := []Group{lb.serving(l)}
	for _, r := range l.Rules {
		if g := byID(lb.Groups, r.Group); g != nil && !slices.ContainsFunc(groups, func(o Group) bool { return o.ID == g.ID }) {
			groups = append(groups, *g)
		}
	}
	return groups
}

func (lb CLB) masterSlave(id string) *MasterSlaveGroup {
	for i := range lb.MasterSlave {
		if lb.MasterSlave[i].ID == id {
			return &lb.MasterSlave[i]
		}
	}
	return nil
}

// The finders need mu.

func (s *Server) findCLB(id string) (*CLB, error) {
	for i := range s.estate.CLB {
		if s.estate.CLB[i].ID == id {
			return &s.estate.CLB[i], nil
		}
	}
	return nil, refuse(http.StatusNotFound, "InvalidLoadBalancerId.NotFound", "The specified LoadBalancerId %q does not exist.", id)
}

// findVServerGroup answers as the real one does: a missing group is an
// InvalidParameter (Terraform provider).
func (s *Server) findVServerGroup(id string) (*CLB, *Group, error) {
	for i := range s.estate.CLB {
		if g := byID(s.estate.CLB[i].Groups, id); g != nil {
			return &s.estate.CLB[i], g, nil
		}
	}
	return nil, nil, invalid("The specified VServerGroupId %q does not exist.", id)
}

func (s *Server) findListener(lb *CLB, protocol string, port int) (*CLBListener, error) {
	for i := range lb.Listeners {
		if l := &lb.Listeners[i]; l.Port == port && (protocol == "" || l.Protocol == protocol) {
			return l, nil
		}
	}
	return nil, refuse(http.StatusBadRequest, "ListenerNotFound", "The specified resource does not exist: %s listener %d.", protocol, port) // no source for the code
}

func (s *Server) findRule(id string) (*CLB, *CLBListener, *CLBRule, error) {
	for i := range s.estate.CLB {
		for j := range s.estate.CLB[i].Listeners {
			l := &s.estate.CLB[i].Listeners[j]
			for k := range l.Rules {
				if l.Rules[k].ID == id {
					return &s.estate.CLB[i], l, &l.Rules[k], nil
				}
			}
		}
	}
	return nil, nil, nil, refuse(http.StatusNotFound, "InvalidRuleId.NotFound", "The specified RuleId %q does not exist.", id)
}

// stale is what reads still show after a write.
type stale struct {
	members []Member
	until   time.Time
}

// begin refuses a write that overlaps another one on the same CLB.
func (s *Server) begin(lb, group string) error {
	if time.Since(s.touched[lb+" "+group]) < s.o.Timing.Overlap && group != "" {
		return fail(errGroupBusyCLB)
	}
	if time.Since(s.touched[lb]) < s.o.Timing.Overlap {
		return fail(errServiceConfig)
	}
	return nil
}

// end puts a write into effect.
func (s *Server) end(lb, group string, before []Member) {
	now := time.Now()
	s.touched[lb], s.touched[lb+" "+group] = now, now
	if s.o.Timing.ReadLag > 0 {
		s.before[group] = stale{before, now.Add(s.o.Timing.ReadLag)}
	}
	s.changed()
}

// shown are the members of a group as a read shows them.
func (s *Server) shown(group string, members []Member) []Member {
	if old, ok := s.before[group]; ok && time.Now().Before(old.until) {
		return old.members
	}
	return members
}

func managedMode(managed bool) string {
	if managed {
		return "Managed"
	}
	return "Unmanaged"
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// list is never null in JSON.
func list[T, U any](items []T, fn func(T) U) []U {
	out := make([]U, 0, len(items))
	for _, item := range items {
		out = append(out, fn(item))
	}
	return out
}

func tagsCLB(tags map[string]string) reply {
	out := []reply{}
	for _, k := range sortedKeys(tags) {
		out = append(out, reply{"TagKey": k, "TagValue": tags[k]})
	}
	return reply{"Tag": out}
}
