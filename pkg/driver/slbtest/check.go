package slbtest

import (
	"fmt"
	"slices"
)

// check finds what contradicts itself.
func (e Estate) check() error {
	seen := map[string]bool{}
	unique := func(kind, id string) error {
		if id == "" || seen[id] {
			return fmt.Errorf("%s %q: the id must be there and unique", kind, id)
		}
		seen[id] = true
		return nil
	}
	group := func(kind string, g Group) error {
		if err := unique(kind, g.ID); err != nil {
			return err
		}
		return checkMembers(g.ID, g.Members)
	}
	for _, lb := range e.CLB {
		if err := unique("clb", lb.ID); err != nil {
			return err
		}
		if err := checkMembers(lb.ID, lb.Default); err != nil {
			return err
		}
		for _, g := range lb.Groups {
			if err := group("vserver group", g); err != nil {
				return err
			}
		}
		for _, g := range lb.MasterSlave {
			if err := unique("master/slave group", g.ID); err != nil {
				return err
			}
		}
		if err := lb.checkListeners(unique); err != nil {
			return err
		}
	}
	for _, g := range e.ALBGroups {
		if err := group("alb server group", g); err != nil {
			return err
		}
	}
	for _, g := range e.NLBGroups {
		if err := group("nlb server group", g); err != nil {
			return err
		}
	}
	return e.checkListeners(unique)
}

func (lb CLB) checkListeners(unique func(kind, id string) error) error {
	for _, l := range lb.Listeners {
		id := clbListenerID(lb.ID, l)
		if err := unique("clb listener", id); err != nil {
			return err
		}
		if !slices.Contains([]string{"http", "https", "tcp", "udp"}, l.Protocol) {
			return fmt.Errorf("clb listener %s: protocol %q is none of http, https, tcp and udp", id, l.Protocol)
		}
		if l.Group != "" && byID(lb.Groups, l.Group) == nil {
			return fmt.Errorf("clb listener %s: there is no group %q", id, l.Group)
		}
		if l.MasterSlave != "" && lb.masterSlave(l.MasterSlave) == nil {
			return fmt.Errorf("clb listener %s: there is no master/slave group %q", id, l.MasterSlave)
		}
		for _, r := range l.Rules {
			if err := unique("clb rule", r.ID); err != nil {
				return err
			}
			if byID(lb.Groups, r.Group) == nil {
				return fmt.Errorf("clb rule %s: there is no group %q", r.ID, r.Group)
			}
		}
	}
	return nil
}

func (e Estate) checkListeners(unique func(kind, id string) error) error {
	for _, lb := range e.ALB {
		if err := unique("alb", lb.ID); err != nil {
			return err
		}
		for _, l := range lb.Listeners {
			if err := unique("alb listener", l.ID); err != nil {
				return err
			}
			if byID(e.ALBGroups, l.Group) == nil {
				return fmt.Errorf("alb listener %s: there is no group %q", l.ID, l.Group)
			}
			for _, r := range l.Rules {
				if err := unique("alb rule", r.ID); err != nil {
					return err
				}
				if err := e.checkActions(r.Actions, false); err != nil {
					return fmt.Errorf("alb rule %s: %w", r.ID, err)
				}
			}
		}
	}
	for _, lb := range e.NLB {
		if err := unique("nlb", lb.ID); err != nil {
			return err
		}
		for _, l := range lb.Listeners {
			if err := unique("nlb listener", l.ID); err != nil {
				return err
			}
			if byID(e.NLBGroups, l.Group) == nil {
				return fmt.Errorf("nlb listener %s: there is no group %q", l.ID, l.Group)
			}
		}
	}
	for _, z := range e.Zones {
		if err := unique("zone", z.Name); err != nil {
			return err
		}
		for _, r := range z.Records {
			if err := unique("record", r.ID); err != nil {
				return err
			}
			if err := z.valid(r); err != nil {
				return fmt.Errorf("zone %s: record %s %s: %w", z.Name, r.RR, r.Type, err)
			}
		}
	}
	return nil
}

func checkMembers(group string, members []Member) error {
	seen := map[string]bool{}
	for _, m := range members {
		key := m.Key() + " " + m.ServerIP
		if m.ServerID == "" || seen[key] {
			return fmt.Errorf("group %s: member %s: the server id must be there, and with its port unique", group, m.Key())
		}
		seen[key] = true
		if m.Weight < 0 || m.Weight > 100 {
			return fmt.Errorf("group %s: member %s: weight %d is not in 0..100", group, m.Key(), m.Weight)
		}
		if m.Address == "" && m.ServerIP == "" {
			return fmt.Errorf("group %s: member %s: it needs an address", group, m.Key())
		}
	}
	return nil
}

// checkActions is also what UpdateRuleAttribute asks for (ALBv2).
func (e Estate) checkActions(actions []Action, rejectZero bool) error {
	orders, final := map[int]bool{}, 0
	for _, a := range actions {
		if orders[a.Order] {
			return invalid("Two actions have the Order %d.", a.Order)
		}
		orders[a.Order] = true
		switch a.Type {
		case "ForwardGroup":
			final++
			if err := e.checkTuples(a.ForwardGroupConfig, rejectZero); err != nil {
				return err
			}
		case "FixedResponse", "Redirect":
			final++
		case "InsertHeader", "RemoveHeader", "Rewrite", "TrafficLimit":
		default:
			return invalid("The action type %q is not one that the stand-in knows.", a.Type)
		}
		if !a.whole() {
			return invalid("The action %s needs its own config, and no other.", a.Type)
		}
	}
	if final != 1 {
		return invalid("A rule needs exactly one of ForwardGroup, FixedResponse and Redirect, not %d.", final)
	}
	return nil
}

func (a Action) whole() bool {
	configs := map[string]bool{
		"ForwardGroup": a.ForwardGroupConfig != nil, "InsertHeader": a.InsertHeaderConfig != nil, "RemoveHeader": a.RemoveHeaderConfig != nil,
		"FixedResponse": a.FixedResponseConfig != nil, "Redirect": a.RedirectConfig != nil, "Rewrite": a.RewriteConfig != nil,
		"TrafficLimit": a.TrafficLimitConfig != nil,
	}
	n := 0
	for _, there := range configs {
		if there {
			n++
		}
	}
	return configs[a.Type] && n == 1
}

func (e Estate) checkTuples(c *ForwardGroupConfig, rejectZero bool) error {
	if c == nil || len(c.ServerGroupTuples) == 0 {
		return missing("ServerGroupTuples")
	}
	seen := map[string]bool{}
	for _, t := range c.ServerGroupTuples {
		switch {
		case byID(e.ALBGroups, t.ServerGroupId) == nil:
			return refuse(404, "ResourceNotFound.ServerGroup", "The server group %q is not found.", t.ServerGroupId)
		case seen[t.ServerGroupId]:
			return invalid("The server group %q is there twice.", t.ServerGroupId)
		case t.Weight == nil && len(c.ServerGroupTuples) > 1:
			return missing("ServerGroupTuples.Weight")
		case t.Weight != nil && (*t.Weight < 0 || *t.Weight > 100):
			return invalid("The weight %d of a server group is not in 0..100.", *t.Weight)
		case t.Weight != nil && *t.Weight == 0 && rejectZero:
			return invalid("The weight 0 of a server group is not allowed for this account.")
		}
		seen[t.ServerGroupId] = true
	}
	return nil
}
