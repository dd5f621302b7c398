package slbtest

import (
	"net/http"
	"strconv"
	"time"
)

type listenerRequest struct {
	LoadBalancerId string `api:"required"`
	ListenerPort   int    `api:"required"`
}

func (s *Server) describeListener(protocol string, r listenerRequest) (reply, error) {
	lb, err := s.findCLB(r.LoadBalancerId)
	if err != nil {
		return nil, err
	}
	l, err := s.findListener(lb, protocol, r.ListenerPort)
	if err != nil {
		return nil, err
	}
	body := reply{
		"LoadBalancerId": lb.ID, "ListenerPort": l.Port, "Status": l.Status, "Scheduler": l.Scheduler, "VServerGroupId": l.Group,
		"BackendServerPort": l.BackendPort, "ServiceManagedMode": managedMode(lb.Managed), "HealthCheck": onOff(!l.Check.Off),
		"HealthyThreshold": max(l.Check.Healthy, 2), "UnhealthyThreshold": max(l.Check.Unhealthy, 2), "HealthCheckInterval": 2,
		"HealthCheckURI": l.Check.Path,
	}
	if protocol == "tcp" || protocol == "udp" {
		body["MasterSlaveServerGroupId"] = l.MasterSlave
		body["ConnectionDrain"], body["ConnectionDrainTimeout"] = onOff(l.Drain.On), l.Drain.seconds()
		body["PersistenceTimeout"] = seconds(l.Persistence)
		return body, nil
	}
	body["ListenerForward"] = onOff(l.Forward)
	body["StickySession"], body["StickySessionType"] = onOff(l.Sticky.On), l.Sticky.Type
	body["CookieTimeout"], body["Cookie"] = seconds(l.Sticky.Timeout), l.Sticky.Cookie
	body["IdleTimeout"], body["RequestTimeout"] = orDefault(seconds(l.IdleTimeout), 15), orDefault(seconds(l.RequestTimeout), 60)
	body["Rules"] = reply{"Rule": list(l.Rules, ruleReply)}
	return body, nil
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// setListenerRequest has what a switch of groups needs, and the drain.
type setListenerRequest struct {
	LoadBalancerId                      string `api:"required"`
	ListenerPort                        int    `api:"required"`
	VServerGroup, VServerGroupId        *string
	MasterSlaveServerGroup              *string
	MasterSlaveServerGroupId            *string
	Scheduler                           *string
	ConnectionDrain                     *string
	ConnectionDrainTimeout, IdleTimeout *int
	PersistenceTimeout, RequestTimeout  *int
	StickySession, StickySessionType    *string
	Cookie                              *string
	CookieTimeout                       *int
}

func (s *Server) setListener(protocol string, r setListenerRequest) (reply, error) {
	lb, err := s.findCLB(r.LoadBalancerId)
	if err != nil {
		return nil, err
	}
	l, err := s.findListener(lb, protocol, r.ListenerPort)
	if err != nil {
		return nil, err
	}
	if l.Forward {
		return nil, refuse(http.StatusBadRequest, "Operation.NotAllowed", "The listener redirects: ListenerForward is on.")
	}
	next := *l
	if err := lb.switchGroup(&next, r); err != nil {
		return nil, err
	}
	if err := next.options(r); err != nil {
		return nil, err
	}
	if err := s.begin(lb.ID, ""); err != nil {
		return nil, err
	}
	*l = next
	s.end(lb.ID, "", nil)
	return reply{}, nil
}

// switchGroup is "VServerGroup=on, VServerGroupId=rsp-b".
func (lb CLB) switchGroup(l *CLBListener, r setListenerRequest) error {
	layer4 := l.Protocol == "tcp" || l.Protocol == "udp"
	for _, c := range []struct {
		name     string
		flag, id *string
		into     *string
		there    func(string) bool
		allowed  bool
	}{
		{"VServerGroup", r.VServerGroup, r.VServerGroupId, &l.Group, func(id string) bool { return byID(lb.Groups, id) != nil }, true},
		{"MasterSlaveServerGroup", r.MasterSlaveServerGroup, r.MasterSlaveServerGroupId, &l.MasterSlave, func(id string) bool { return lb.masterSlave(id) != nil }, layer4},
	} {
		switch {
		case c.flag == nil && c.id == nil:
		case !c.allowed:
			return invalid("%s is for TCP and UDP listeners.", c.name)
		case c.flag == nil:
			return missing(c.name)
		case *c.flag == "off" && c.id == nil:
			*c.into = ""
		case *c.flag != "on" || c.id == nil:
			return invalid("%s must be on with an id, or off without one.", c.name)
		case !c.there(*c.id):
			return invalid("The specified %sId %q does not exist.", c.name, *c.id)
		default:
			*c.into = *c.id
		}
	}
	if l.Group != "" && l.MasterSlave != "" {
		return invalid("A listener has one server group.")
	}
	return nil
}

// options are the other attributes, with the ranges of SLBv4.
func (l *CLBListener) options(r setListenerRequest) error {
	layer4 := l.Protocol == "tcp" || l.Protocol == "udp"
	if !layer4 && (r.ConnectionDrain != nil || r.ConnectionDrainTimeout != nil || r.PersistenceTimeout != nil) {
		return invalid("ConnectionDrain and PersistenceTimeout are for TCP and UDP listeners.")
	}
	if layer4 && (r.StickySession != nil || r.StickySessionType != nil || r.Cookie != nil || r.CookieTimeout != nil || r.IdleTimeout != nil || r.RequestTimeout != nil) {
		return invalid("Cookies and HTTP timeouts are for HTTP and HTTPS listeners.")
	}
	for _, n := range []struct {
		name      string
		value     *int
		low, high int
		into      *time.Duration
	}{
		{"ConnectionDrainTimeout", r.ConnectionDrainTimeout, 10, 900, &l.Drain.Timeout},
		{"PersistenceTimeout", r.PersistenceTimeout, 0, 3600, &l.Persistence},
		{"IdleTimeout", r.IdleTimeout, 1, 60, &l.IdleTimeout},
		{"RequestTimeout", r.RequestTimeout, 1, 180, &l.RequestTimeout},
		{"CookieTimeout", r.CookieTimeout, 1, 86400, &l.Sticky.Timeout},
	} {
		if n.value == nil {
			continue
		}
		if *n.value < n.low || *n.value > n.high {
			return invalid("%s %d is not in %d..%d.", n.name, *n.value, n.low, n.high)
		}
		*n.into = time.Duration(*n.value) * time.Second
	}
	for _, t := range []struct {
		name  string
		value *string
		may   []string
		into  func(string)
	}{
		{"Scheduler", r.Scheduler, []string{"wrr", "rr", "wlc", "sch", "tch", "qch"}, func(v string) { l.Scheduler = v }},
		{"ConnectionDrain", r.ConnectionDrain, []string{"on", "off"}, func(v string) { l.Drain.On = v == "on" }},
		{"StickySession", r.StickySession, []string{"on", "off"}, func(v string) { l.Sticky.On = v == "on" }},
		{"StickySessionType", r.StickySessionType, []string{"insert", "server"}, func(v string) { l.Sticky.Type = v }},
		{"Cookie", r.Cookie, nil, func(v string) { l.Sticky.Cookie = v }},
	} {
		if err := oneOf(t.name, t.value, t.may, t.into); err != nil {
			return err
		}
	}
	return nil
}

func oneOf(name string, value *string, may []string, into func(string)) error {
	if value == nil {
		return nil
	}
	for _, m := range may {
		if m == *value {
			into(m)
			return nil
		}
	}
	if may == nil {
		into(*value)
		return nil
	}
	return invalid("%s must be one of %v, not %q.", name, may, *value)
}

func ruleReply(r CLBRule) reply {
	return reply{"RuleId": r.ID, "RuleName": r.Name, "Domain": r.Domain, "Url": r.URL, "VServerGroupId": r.Group, "ListenerSync": "on"}
}

type describeRulesRequest struct {
	LoadBalancerId   string `api:"required"`
	ListenerPort     int    `api:"required"`
	ListenerProtocol string
}

func (s *Server) describeRules(_ *call, r describeRulesRequest) (reply, error) {
	lb, err := s.findCLB(r.LoadBalancerId)
	if err != nil {
		return nil, err
	}
	l, err := s.findListener(lb, r.ListenerProtocol, r.ListenerPort)
	if err != nil {
		return nil, err
	}
	return reply{"Rules": reply{"Rule": list(l.Rules, ruleReply)}}, nil
}

type ruleRequest struct {
	RuleId string `api:"required"`
}

func (s *Server) describeRuleAttribute(_ *call, r ruleRequest) (reply, error) {
	lb, l, rule, err := s.findRule(r.RuleId)
	if err != nil {
		return nil, err
	}
	body := ruleReply(*rule)
	body["LoadBalancerId"], body["ListenerPort"], body["Scheduler"] = lb.ID, strconv.Itoa(l.Port), l.Scheduler
	return body, nil
}

type setRuleRequest struct {
	RuleId                   string `api:"required"`
	VServerGroupId, RuleName *string
}

func (s *Server) setRule(_ *call, r setRuleRequest) (reply, error) {
	lb, _, rule, err := s.findRule(r.RuleId)
	if err != nil {
		return nil, err
	}
	if r.VServerGroupId != nil && byID(lb.Groups, *r.VServerGroupId) == nil {
		return nil, invalid("The specified VServerGroupId %q does not exist.", *r.VServerGroupId)
	}
	if r.VServerGroupId == nil && r.RuleName == nil {
		return nil, missing("VServerGroupId")
	}
	if err := s.begin(lb.ID, ""); err != nil {
		return nil, err
	}
	if r.VServerGroupId != nil {
		rule.Group = *r.VServerGroupId
	}
	if r.RuleName != nil {
		rule.Name = *r.RuleName
	}
	s.end(lb.ID, "", nil)
	return reply{}, nil
}
