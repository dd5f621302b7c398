package slbtest

import "net/http"

func (s *Server) albFindRule(id string) (*ALB, *ALBListener, *ALBRule, error) {
	for i := range s.estate.ALB {
		for j := range s.estate.ALB[i].Listeners {
			l := &s.estate.ALB[i].Listeners[j]
			for k := range l.Rules {
				if l.Rules[k].ID == id {
					return &s.estate.ALB[i], l, &l.Rules[k], nil
				}
			}
		}
	}
	return nil, nil, nil, refuse(http.StatusNotFound, "ResourceNotFound.Rule", "The rule %q is not found.", id)
}

type albListRulesRequest struct {
	RuleIds, ListenerIds, LoadBalancerIds []string
	ListenerId                            string
	Direction                             string
	NextToken                             string
	MaxResults                            int
}

func (s *Server) albListRules(_ *call, r albListRulesRequest) (reply, error) {
	if r.Direction != "" && r.Direction != "Request" {
		return nil, invalid("The Direction %q is not one that the stand-in knows.", r.Direction)
	}
	found := []reply{}
	for _, lb := range s.estate.ALB {
		for _, l := range lb.Listeners {
			for _, rule := range l.Rules {
				if among(r.RuleIds, rule.ID) && among(r.ListenerIds, l.ID) && among(r.LoadBalancerIds, lb.ID) && (r.ListenerId == "" || r.ListenerId == l.ID) {
					found = append(found, s.albRuleReply(lb, l, rule))
				}
			}
		}
	}
	page, body, err := paged(s, "alb.ListRules", found, r.NextToken, r.MaxResults)
	if err != nil {
		return nil, err
	}
	body["Rules"] = page
	return body, nil
}

func (s *Server) albRuleReply(lb ALB, l ALBListener, r ALBRule) reply {
	return reply{
		"RuleId": r.ID, "RuleName": r.Name, "Priority": r.Priority, "ListenerId": l.ID, "LoadBalancerId": lb.ID, "Direction": "Request",
		"RuleStatus": s.statusOf(r.ID), "ServiceManagedEnabled": r.Managed, "ServiceManagedMode": managedMode(r.Managed),
		"RuleActions": clone(orEmpty(r.Actions)), "RuleConditions": clone(orEmpty(r.Conditions)), "Tags": []reply{},
	}
}

func orEmpty[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

type albUpdateRuleRequest struct {
	RuleId         string `api:"required"`
	RuleName       *string
	Priority       *int
	RuleActions    []Action
	RuleConditions []Condition
	ClientToken    string
	DryRun         bool
}

// albUpdateRule replaces the whole list of actions, and of conditions, when
// one is given.
func (s *Server) albUpdateRule(c *call, r albUpdateRuleRequest) (reply, error) {
	return s.once(c, r.ClientToken, func() (reply, error) {
		_, l, rule, err := s.albFindRule(r.RuleId)
		if err != nil {
			return nil, err
		}
		if r.RuleActions != nil {
			if err := s.estate.checkActions(r.RuleActions, s.o.RejectZeroTuple); err != nil {
				return nil, err
			}
		}
		if r.Priority != nil && (*r.Priority < 1 || *r.Priority > 20000) {
			return nil, invalid("The Priority %d is not in 1..20000.", *r.Priority)
		}
		if s.busy[rule.ID] != "" {
			return nil, fail(errRuleBusy)
		}
		if err := s.albListenerFree(*l); err != nil {
			return nil, fail(errListenerConf)
		}
		if r.DryRun {
			return nil, fail(errDryRun)
		}
		return s.submit(c, "rule", rule.ID, nil, func(int) {
			_, _, rule, err := s.albFindRule(r.RuleId)
			if err != nil {
				return // it is gone
			}
			if r.RuleActions != nil {
				rule.Actions = r.RuleActions
			}
			if r.RuleConditions != nil {
				rule.Conditions = r.RuleConditions
			}
			if r.RuleName != nil {
				rule.Name = *r.RuleName
			}
			if r.Priority != nil {
				rule.Priority = *r.Priority
			}
		}), nil
	})
}
