package slbtest

import (
	"net/http"
	"slices"
)

func albActions() map[string]*action {
	return map[string]*action{
		"GetLoadBalancerAttribute": read((*Server).albGetLoadBalancer),
		"ListServerGroups":         read((*Server).albListGroups),
		"ListServerGroupServers":   read((*Server).albListServers),
		"ListAsynJobs":             read((*Server).listAsynJobs),
		"GetListenerHealthStatus":  read((*Server).albListenerHealth),
		"GetListenerAttribute":     read((*Server).albGetListener),
		"ListListeners":            read((*Server).albListListeners),
		"ListRules":                read((*Server).albListRules),
		"UpdateListenerAttribute":  write((*Server).albUpdateListener),
		"UpdateRuleAttribute":      write((*Server).albUpdateRule),

		"UpdateServerGroupServersAttribute": write(albFlavour.update),
		"AddServersToServerGroup":           write(albFlavour.add),
		"RemoveServersFromServerGroup":      write(albFlavour.remove),
	}
}

func (s *Server) albGetLoadBalancer(_ *call, r loadBalancerRequest) (reply, error) {
	for _, lb := range s.estate.ALB {
		if lb.ID == r.LoadBalancerId {
			return reply{
				"LoadBalancerId": lb.ID, "LoadBalancerName": lb.Name, "LoadBalancerStatus": lb.Status, "LoadBalancerEdition": lb.Edition,
				"LoadBalancerBussinessStatus": "Normal", "RegionId": s.o.Region, "DNSName": lb.ID + "." + s.o.Region + ".alb.invalid",
				"ServiceManagedEnabled": lb.Managed, "ServiceManagedMode": managedMode(lb.Managed), "Tags": tagsALB(lb.Tags),
				"AddressType": "Intranet", "LoadBalancerOperationLocks": []reply{}, "ZoneMappings": []reply{},
			}, nil
		}
	}
	return nil, refuse(http.StatusNotFound, "ResourceNotFound.LoadBalancer", "The load balancer %q is not found.", r.LoadBalancerId)
}

func tagsALB(tags map[string]string) []reply {
	out := []reply{}
	for _, k := range sortedKeys(tags) {
		out = append(out, reply{"Key": k, "Value": tags[k]})
	}
	return out
}

type albListGroupsRequest struct {
	ServerGroupIds, ServerGroupNames []string
	ShowRelationEnabled              bool
	NextToken                        string
	MaxResults                       int
}

func (s *Server) albListGroups(_ *call, r albListGroupsRequest) (reply, error) {
	var found []Group
	for _, g := range s.estate.ALBGroups {
		if among(r.ServerGroupIds, g.ID) && among(r.ServerGroupNames, g.Name) {
			found = append(found, g)
		}
	}
	page, body, err := paged(s, "alb.ListServerGroups", found, r.NextToken, r.MaxResults)
	if err != nil {
		return nil, err
	}
	body["ServerGroups"] = list(page, func(g Group) reply {
		one := reply{
			"ServerGroupId": g.ID, "ServerGroupName": g.Name, "ServerGroupStatus": s.statusOf(g.ID), "ServerGroupType": "Instance",
			"Scheduler": g.Scheduler, "Protocol": g.Protocol, "ServerCount": len(g.Members), "Tags": tagsALB(g.Tags),
			"ServiceManagedEnabled": g.Managed, "ServiceManagedMode": managedMode(g.Managed),
			"HealthCheckConfig": reply{
				"HealthCheckEnabled": !g.Check.Off, "HealthCheckPath": g.Check.Path, "HealthyThreshold": orDefault(g.Check.Healthy, 2),
				"UnhealthyThreshold": orDefault(g.Check.Unhealthy, 2), "HealthCheckInterval": 2,
			},
			"ConnectionDrainConfig": reply{"ConnectionDrainEnabled": g.Drain.On, "ConnectionDrainTimeout": g.Drain.seconds()},
			"StickySessionConfig": reply{
				"StickySessionEnabled": g.Sticky.On, "StickySessionType": g.Sticky.Type, "CookieTimeout": seconds(g.Sticky.Timeout), "Cookie": g.Sticky.Cookie,
			},
			"SlowStartConfig": reply{"SlowStartEnabled": g.SlowStart > 0, "SlowStartDuration": seconds(g.SlowStart)},
		}
		if r.ShowRelationEnabled {
			one["RelatedLoadBalancerIds"], one["RelatedListenerIds"], one["RelatedRuleIds"] = s.related(g.ID)
		}
		return one
	})
	return body, nil
}

// related are the load balancers, listeners and rules that use a group.
func (s *Server) related(group string) (balancers, listeners, rules []string) {
	balancers, listeners, rules = []string{}, []string{}, []string{}
	for _, lb := range s.estate.ALB {
		used := false
		for _, l := range lb.Listeners {
			if l.Group == group {
				listeners, used = append(listeners, l.ID), true
			}
			for _, rule := range l.Rules {
				if slices.Contains(rule.groups(), group) {
					rules, used = append(rules, rule.ID), true
				}
			}
		}
		if used {
			balancers = append(balancers, lb.ID)
		}
	}
	return balancers, listeners, rules
}

func (r ALBRule) groups() []string {
	var groups []string
	for _, a := range r.Actions {
		if a.ForwardGroupConfig != nil {
			for _, t := range a.ForwardGroupConfig.ServerGroupTuples {
				groups = append(groups, t.ServerGroupId)
			}
		}
	}
	return groups
}

type albListServersRequest struct {
	ServerGroupId      string
	ServerId, ServerIp string
	ServerIds          []string
	NextToken          string
	MaxResults         int
}

func (s *Server) albListServers(_ *call, r albListServersRequest) (reply, error) {
	g, err := albFlavour.find(s, r.ServerGroupId)
	if err != nil {
		return nil, err
	}
	var found []Member
	for _, m := range g.Members {
		if among(r.ServerIds, m.ServerID) && (r.ServerId == "" || r.ServerId == m.ServerID) && (r.ServerIp == "" || r.ServerIp == m.ServerIP) {
			found = append(found, m)
		}
	}
	page, body, err := paged(s, "alb.ListServerGroupServers "+g.ID, found, r.NextToken, r.MaxResults)
	if err != nil {
		return nil, err
	}
	body["Servers"] = list(page, func(m Member) reply { return s.serverReply(*g, m) })
	return body, nil
}
