package slbtest

import (
	"net/http"
	"strings"
	"time"
)

func (s *Server) albFindListener(id string) (*ALB, *ALBListener, error) {
	for i := range s.estate.ALB {
		for j := range s.estate.ALB[i].Listeners {
			if l := &s.estate.ALB[i].Listeners[j]; l.ID == id {
				return &s.estate.ALB[i], l, nil
			}
		}
	}
	return nil, nil, refuse(http.StatusNotFound, "ResourceNotFound.Listener", "The listener %q is not found.", id)
}

func (s *Server) albListenerReply(lb ALB, l ALBListener) reply {
	status := l.Status
	if s.busy[l.ID] != "" {
		status = s.busy[l.ID]
	}
	return reply{
		"ListenerId": l.ID, "LoadBalancerId": lb.ID, "ListenerPort": l.Port, "ListenerProtocol": l.Protocol, "ListenerStatus": status,
		"IdleTimeout": orDefault(seconds(l.IdleTimeout), 15), "RequestTimeout": orDefault(seconds(l.RequestTimeout), 60),
		"ServiceManagedEnabled": l.Managed, "ServiceManagedMode": managedMode(l.Managed), "Tags": []reply{},
		"DefaultActions": []reply{{"Type": "ForwardGroup", "ForwardGroupConfig": reply{"ServerGroupTuples": []reply{{"ServerGroupId": l.Group}}}}},
	}
}

type listenerIDRequest struct {
	ListenerId string `api:"required"`
}

func (s *Server) albGetListener(_ *call, r listenerIDRequest) (reply, error) {
	lb, l, err := s.albFindListener(r.ListenerId)
	if err != nil {
		return nil, err
	}
	return s.albListenerReply(*lb, *l), nil
}

type listListenersRequest struct {
	LoadBalancerIds, ListenerIds []string
	ListenerProtocol             string
	NextToken                    string
	MaxResults                   int
}

func (s *Server) albListListeners(_ *call, r listListenersRequest) (reply, error) {
	found := []reply{}
	for _, lb := range s.estate.ALB {
		for _, l := range lb.Listeners {
			if among(r.LoadBalancerIds, lb.ID) && among(r.ListenerIds, l.ID) && (r.ListenerProtocol == "" || strings.EqualFold(r.ListenerProtocol, l.Protocol)) {
				found = append(found, s.albListenerReply(lb, l))
			}
		}
	}
	page, body, err := paged(s, "alb.ListListeners", found, r.NextToken, r.MaxResults)
	if err != nil {
		return nil, err
	}
	body["Listeners"] = page
	return body, nil
}

// albUpdateListenerRequest has no Weight in its tuples: the default action
// cannot be weighted, and one that is sent is an unknown parameter.
type albUpdateListenerRequest struct {
	ListenerId     string `api:"required"`
	DefaultActions []struct {
		Type               string `api:"required"`
		ForwardGroupConfig *struct {
			ServerGroupTuples []struct {
				ServerGroupId string `api:"required"`
			}
		}
	}
	IdleTimeout, RequestTimeout *int
	ClientToken                 string
	DryRun                      bool
}

func (s *Server) albUpdateListener(c *call, r albUpdateListenerRequest) (reply, error) {
	return s.once(c, r.ClientToken, func() (reply, error) {
		_, l, err := s.albFindListener(r.ListenerId)
		if err != nil {
			return nil, err
		}
		group := l.Group
		if len(r.DefaultActions) > 0 {
			a := r.DefaultActions[0]
			if len(r.DefaultActions) > 1 || a.Type != "ForwardGroup" || a.ForwardGroupConfig == nil || len(a.ForwardGroupConfig.ServerGroupTuples) != 1 {
				return nil, invalid("The default action must be one ForwardGroup to one server group.")
			}
			group = a.ForwardGroupConfig.ServerGroupTuples[0].ServerGroupId
			if _, err := albFlavour.find(s, group); err != nil {
				return nil, err
			}
		}
		if err := within("IdleTimeout", r.IdleTimeout, 60); err != nil {
			return nil, err
		}
		if err := within("RequestTimeout", r.RequestTimeout, 180); err != nil {
			return nil, err
		}
		if err := s.albListenerFree(*l); err != nil {
			return nil, err
		}
		if r.DryRun {
			return nil, fail(errDryRun)
		}
		return s.submit(c, "listener", l.ID, nil, func(int) {
			_, l, err := s.albFindListener(r.ListenerId)
			if err != nil {
				return // it is gone
			}
			l.Group = group
			if r.IdleTimeout != nil {
				l.IdleTimeout = time.Duration(*r.IdleTimeout) * time.Second
			}
			if r.RequestTimeout != nil {
				l.RequestTimeout = time.Duration(*r.RequestTimeout) * time.Second
			}
		}), nil
	})
}

func within(name string, value *int, most int) error {
	if value != nil && (*value < 1 || *value > most) {
		return invalid("%s %d is not in 1..%d.", name, *value, most)
	}
	return nil
}

// albListenerFree refuses a write while the listener or one of its rules is
// being configured.
func (s *Server) albListenerFree(l ALBListener) error {
	if s.busy[l.ID] != "" {
		return fail(errListenerBusy)
	}
	for _, rule := range l.Rules {
		if s.busy[rule.ID] != "" {
			return fail(errListenerConf)
		}
	}
	return nil
}

type listenerHealthRequest struct {
	ListenerId  string `api:"required"`
	IncludeRule bool
	NextToken   string
	MaxResults  int
}

func (s *Server) albListenerHealth(_ *call, r listenerHealthRequest) (reply, error) {
	_, l, err := s.albFindListener(r.ListenerId)
	if err != nil {
		return nil, err
	}
	rules := []reply{}
	for _, rule := range l.Rules {
		if r.IncludeRule {
			rules = append(rules, reply{"RuleId": rule.ID, "ServerGroupInfos": list(rule.groups(), s.albGroupHealth)})
		}
	}
	page, body, err := paged(s, "alb.GetListenerHealthStatus "+l.ID, rules, r.NextToken, r.MaxResults)
	if err != nil {
		return nil, err
	}
	delete(body, "TotalCount")
	delete(body, "MaxResults")
	body["RuleHealthStatus"] = page
	body["ListenerHealthStatus"] = []reply{{
		"ListenerId": l.ID, "ListenerPort": l.Port, "ListenerProtocol": l.Protocol, "ServerGroupInfos": []reply{s.albGroupHealth(l.Group)},
	}}
	return body, nil
}

// albGroupHealth lists only who is not normal.
func (s *Server) albGroupHealth(id string) reply {
	g := byID(s.estate.ALBGroups, id)
	if g == nil {
		return reply{"ServerGroupId": id, "NonNormalServers": []reply{}}
	}
	bad := []reply{}
	for _, m := range g.Members {
		status, reason := s.nonNormal(*g, m)
		if m.Weight == 0 {
			status, reason = "Unused", "TARGET_NOT_IN_USE" // no source for the reason
		}
		if status != "" {
			bad = append(bad, nonNormalReply(m, status, reason))
		}
	}
	return reply{"ServerGroupId": g.ID, "HealthCheckEnabled": onOff(!g.Check.Off), "ActionType": "ForwardGroup", "NonNormalServers": bad}
}

// nonNormal is "" for a member that is healthy.
func (s *Server) nonNormal(g Group, m Member) (status, reason string) {
	h := s.health[healthKey("", memberID(g.ID, m))]
	switch {
	case g.Check.Off:
		return "Unavailable", "HEALTH_CHECK_DISABLED" // no source for the reason
	case h == nil, h.state == initial:
		return "Initial", "INITIAL_HEALTH_CHECKING" // no source for the reason
	case h.state == unhealthy && h.probe.path == "":
		return "Unhealthy", "CONNECT_TIMEOUT"
	case h.state == unhealthy:
		return "Unhealthy", "RESPONSE_MISMATCH"
	}
	return "", ""
}

func nonNormalReply(m Member, status, reason string) reply {
	return reply{"ServerId": m.ServerID, "ServerIp": m.ServerIP, "Port": m.Port, "Status": status, "Reason": reply{"ReasonCode": reason}}
}
