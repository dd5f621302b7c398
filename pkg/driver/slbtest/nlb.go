package slbtest

import (
	"net/http"
	"strings"
	"time"
)

func nlbActions() map[string]*action {
	all := map[string]*action{
		"GetLoadBalancerAttribute": read((*Server).nlbGetLoadBalancer),
		"ListServerGroups":         read((*Server).nlbListGroups),
		"ListServerGroupServers":   read((*Server).nlbListServers),
		"GetJobStatus":             read((*Server).nlbGetJob),
		"GetListenerHealthStatus":  read((*Server).nlbListenerHealth),
		"ListListeners":            read((*Server).nlbListListeners),
		"GetListenerAttribute":     read((*Server).nlbGetListener),
		"UpdateListenerAttribute":  write((*Server).nlbUpdateListener),
		"UpdateServerGroupServersAttribute": write(func(s *Server, c *call, r serversRequest) (reply, error) {
			body, err := nlbFlavour.update(s, c, r)
			if err == nil {
				body["ServerGroupId"] = r.ServerGroupId
			}
			return body, err
		}),
	}
	for _, a := range all {
		run := a.run
		a.run = func(s *Server, c *call) (reply, error) {
			body, err := run(s, c)
			if err == nil {
				body["Success"], body["HttpStatusCode"], body["Code"], body["Message"] = true, http.StatusOK, "", ""
			}
			return body, err
		}
	}
	return all
}

func (s *Server) nlbGetLoadBalancer(_ *call, r loadBalancerRequest) (reply, error) {
	for _, lb := range s.estate.NLB {
		if lb.ID == r.LoadBalancerId {
			return reply{
				"LoadBalancerId": lb.ID, "LoadBalancerName": lb.Name, "LoadBalancerStatus": lb.Status, "LoadBalancerBusinessStatus": "Normal",
				"RegionId": s.o.Region, "Tags": tagsALB(lb.Tags),
			}, nil
		}
	}
	return nil, refuse(http.StatusNotFound, "ResourceNotFound.loadBalancer", "The load balancer %q is not found.", r.LoadBalancerId)
}

type nlbListGroupsRequest struct {
	ServerGroupIds, ServerGroupNames []string
	NextToken                        string
	MaxResults                       int
}

func (s *Server) nlbListGroups(_ *call, r nlbListGroupsRequest) (reply, error) {
	var found []Group
	for _, g := range s.estate.NLBGroups {
		if among(r.ServerGroupIds, g.ID) && among(r.ServerGroupNames, g.Name) {
			found = append(found, g)
		}
	}
	page, body, err := paged(s, "nlb.ListServerGroups", found, r.NextToken, r.MaxResults)
	if err != nil {
		return nil, err
	}
	body["ServerGroups"] = list(page, func(g Group) reply {
		balancers := []string{}
		for _, lb := range s.estate.NLB {
			for _, l := range lb.Listeners {
				if l.Group == g.ID {
					balancers = append(balancers, lb.ID)
					break
				}
			}
		}
		return reply{
			"ServerGroupId": g.ID, "ServerGroupName": g.Name, "ServerGroupStatus": s.statusOf(g.ID), "ServerGroupType": "Instance",
			"Scheduler": g.Scheduler, "Protocol": g.Protocol, "ServerCount": len(g.Members), "RegionId": s.o.Region, "Tags": tagsALB(g.Tags),
			"ConnectionDrainEnabled": g.Drain.On, "ConnectionDrainTimeout": g.Drain.seconds(),
			"PersistenceEnabled": g.Sticky.On, "PersistenceTimeout": seconds(g.Sticky.Timeout), "RelatedLoadBalancerIds": balancers,
			"HealthCheck": reply{
				"HealthCheckEnabled": !g.Check.Off, "HealthyThreshold": orDefault(g.Check.Healthy, 2),
				"UnhealthyThreshold": orDefault(g.Check.Unhealthy, 2), "HealthCheckUrl": g.Check.Path, "HealthCheckInterval": 2,
			},
		}
	})
	return body, nil
}

type nlbListServersRequest struct {
	ServerGroupId        string
	ServerIds, ServerIps []string
	NextToken            string
	MaxResults           int
}

func (s *Server) nlbListServers(_ *call, r nlbListServersRequest) (reply, error) {
	g, err := nlbFlavour.find(s, r.ServerGroupId)
	if err != nil {
		return nil, err
	}
	var found []Member
	for _, m := range g.Members {
		if among(r.ServerIds, m.ServerID) && among(r.ServerIps, m.ServerIP) {
			found = append(found, m)
		}
	}
	page, body, err := paged(s, "nlb.ListServerGroupServers "+g.ID, found, r.NextToken, r.MaxResults)
	if err != nil {
		return nil, err
	}
	body["Servers"] = list(page, func(m Member) reply { return s.serverReply(*g, m) })
	return body, nil
}

type getJobRequest struct {
	JobId       string `api:"required"`
	ClientToken string
}

// nlbGetJob says "processing" in lower case (NLBv4). "Failed" has no source.
func (s *Server) nlbGetJob(_ *call, r getJobRequest) (reply, error) {
	for _, j := range s.jobs {
		if j.product == "nlb" && j.id == r.JobId {
			if j.status == processing {
				return reply{"Status": strings.ToLower(j.status)}, nil
			}
			return reply{"Status": j.status}, nil
		}
	}
	return nil, refuse(http.StatusNotFound, "ResourceNotFound.job", "The job %q is not found.", r.JobId)
}

func (s *Server) nlbFindListener(id string) (*NLB, *NLBListener, error) {
	for i := range s.estate.NLB {
		for j := range s.estate.NLB[i].Listeners {
			if l := &s.estate.NLB[i].Listeners[j]; l.ID == id {
				return &s.estate.NLB[i], l, nil
			}
		}
	}
	return nil, nil, refuse(http.StatusNotFound, "ResourceNotFound.listener", "The listener %q is not found.", id)
}

func (s *Server) nlbListenerReply(lb NLB, l NLBListener) reply {
	status := l.Status
	if s.busy[l.ID] != "" {
		status = s.busy[l.ID]
	}
	return reply{
		"ListenerId": l.ID, "LoadBalancerId": lb.ID, "ListenerPort": l.Port, "ListenerProtocol": l.Protocol, "ListenerStatus": status,
		"ServerGroupId": l.Group, "IdleTimeout": orDefault(seconds(l.IdleTimeout), 900), "RegionId": s.o.Region, "Tags": []reply{},
	}
}

type nlbGetListenerRequest struct {
	ListenerId, ClientToken string
	DryRun                  bool
}

func (s *Server) nlbGetListener(_ *call, r nlbGetListenerRequest) (reply, error) {
	lb, l, err := s.nlbFindListener(r.ListenerId)
	if err != nil {
		return nil, err
	}
	return s.nlbListenerReply(*lb, *l), nil
}

func (s *Server) nlbListListeners(_ *call, r listListenersRequest) (reply, error) {
	found := []reply{}
	for _, lb := range s.estate.NLB {
		for _, l := range lb.Listeners {
			if among(r.LoadBalancerIds, lb.ID) && among(r.ListenerIds, l.ID) && (r.ListenerProtocol == "" || strings.EqualFold(r.ListenerProtocol, l.Protocol)) {
				found = append(found, s.nlbListenerReply(lb, l))
			}
		}
	}
	page, body, err := paged(s, "nlb.ListListeners", found, r.NextToken, r.MaxResults)
	if err != nil {
		return nil, err
	}
	body["Listeners"] = page
	return body, nil
}

type nlbUpdateListenerRequest struct {
	ListenerId    string `api:"required"`
	ServerGroupId *string
	IdleTimeout   *int
	ClientToken   string
	DryRun        bool
}

func (s *Server) nlbUpdateListener(c *call, r nlbUpdateListenerRequest) (reply, error) {
	return s.once(c, r.ClientToken, func() (reply, error) {
		_, l, err := s.nlbFindListener(r.ListenerId)
		if err != nil {
			return nil, err
		}
		if r.ServerGroupId != nil {
			if _, err := nlbFlavour.find(s, *r.ServerGroupId); err != nil {
				return nil, err
			}
		}
		if err := within("IdleTimeout", r.IdleTimeout, 900); err != nil {
			return nil, err
		}
		if s.busy[l.ID] != "" {
			return nil, fail(errLocked)
		}
		if r.DryRun {
			return nil, fail(errDryRun)
		}
		return s.submit(c, "listener", l.ID, nil, func(int) {
			_, l, err := s.nlbFindListener(r.ListenerId)
			if err != nil {
				return // it is gone
			}
			if r.ServerGroupId != nil {
				l.Group = *r.ServerGroupId
			}
			if r.IdleTimeout != nil {
				l.IdleTimeout = time.Duration(*r.IdleTimeout) * time.Second
			}
		}), nil
	})
}

type nlbHealthRequest struct {
	ListenerId string `api:"required"`
	NextToken  string
	MaxResults int
}

// nlbListenerHealth knows no Unused: members without weight are checked too
// (no source). The answer's HeathCheckEnabled is spelled as in the SDK.
func (s *Server) nlbListenerHealth(_ *call, r nlbHealthRequest) (reply, error) {
	_, l, err := s.nlbFindListener(r.ListenerId)
	if err != nil {
		return nil, err
	}
	g, err := nlbFlavour.find(s, l.Group)
	if err != nil {
		return nil, err
	}
	bad := []reply{}
	for _, m := range g.Members {
		if status, reason := s.nonNormal(*g, m); status != "" {
			bad = append(bad, nonNormalReply(m, status, reason))
		}
	}
	one := []reply{{
		"ListenerId": l.ID, "ListenerPort": l.Port, "ListenerProtocol": l.Protocol,
		"ServerGroupInfos": []reply{{"ServerGroupId": g.ID, "HeathCheckEnabled": !g.Check.Off, "NonNormalServers": bad}},
	}}
	page, body, err := paged(s, "nlb.GetListenerHealthStatus "+l.ID, one, r.NextToken, r.MaxResults)
	if err != nil {
		return nil, err
	}
	body["ListenerHealthStatus"] = page
	return body, nil
}
