package slb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// switches are the listeners and rules whose group flip may change.
type switches struct{ *facts }

func listenerID(name string) string { return "listener/" + strings.ReplaceAll(name, "/", ":") }
func ruleID(id string) string       { return "rule/" + id }

// IDs are those that the plan names.
func (s *switches) IDs() map[string]state.Object {
	ids := map[string]state.Object{}
	for _, l := range s.cfg.Listeners {
		ids[listenerID(l)] = state.Object{Kind: KindListener, Name: l}
	}
	for _, r := range s.cfg.Rules {
		ids[ruleID(r)] = state.Object{Kind: KindRule, Name: r}
	}
	return ids
}

// Read asks once for all listeners, and once for each rule.
func (s *switches) Read(ctx context.Context) (map[string]pool.Bound, error) {
	bound := map[string]pool.Bound{}
	if len(s.cfg.Listeners) > 0 {
		listeners, err := s.api.Listeners(ctx, s.cfg.LoadBalancer)
		if err != nil {
			return nil, err
		}
		for _, name := range s.cfg.Listeners {
			i := slices.IndexFunc(listeners, func(l aliyun.SLBListener) bool { return l.Name() == name })
			if i < 0 {
				return nil, s.noListener(name, listeners)
			}
			l := listeners[i]
			bound[listenerID(name)] = pool.Bound{
				ID: listenerID(name), Kind: KindListener, Name: name, Attr: Group, Value: state.Text(l.Group), Ref: l,
				Info: map[string]string{"load_balancer": s.cfg.LoadBalancer, "scheduler": l.Scheduler},
			}
		}
	}
	for _, id := range s.cfg.Rules {
		r, err := s.api.Rule(ctx, id)
		if err != nil {
			return nil, err
		}
		if r.LoadBalancer != "" && r.LoadBalancer != s.cfg.LoadBalancer {
			return nil, driver.Permanent(fmt.Errorf("rule %s belongs to %s, not to load_balancer %s", id, r.LoadBalancer, s.cfg.LoadBalancer))
		}
		bound[ruleID(id)] = pool.Bound{
			ID: ruleID(id), Kind: KindRule, Name: id, Attr: Group, Value: state.Text(r.Group), Ref: r,
			Info: map[string]string{"load_balancer": s.cfg.LoadBalancer, "listener": fmt.Sprint(r.Port)},
		}
	}
	return bound, nil
}

func (s *switches) noListener(name string, all []aliyun.SLBListener) error {
	var names []string
	for _, l := range all {
		names = append(names, l.Name())
	}
	return pool.Missing(hint.Wrap(fmt.Errorf("load balancer %s has no listener %s", s.cfg.LoadBalancer, name), "listeners: %s", strings.Join(names, ", ")))
}

// Refuse looks at the listener or rule, and at the group that it would get.
func (s *switches) Refuse(ctx context.Context, b pool.Bound, to state.Value) error {
	owner := ""
	switch ref := b.Ref.(type) {
	case aliyun.SLBListener:
		if ref.Forwards {
			return driver.Permanent(hint.Wrap(fmt.Errorf("listener %s only redirects (ListenerForward is on): it takes no group", b.Name), "switch the listener that it redirects to"))
		}
		if ref.MasterSlave != "" {
			return driver.Permanent(hint.Wrap(fmt.Errorf("listener %s sends to the master/slave group %s", b.Name, ref.MasterSlave), "flip could not point it back there; move it to a vserver group by hand first"))
		}
		if ref.Group == "" {
			return driver.Permanent(hint.Wrap(fmt.Errorf("listener %s sends to the default group", b.Name), "flip could not point it back there; move it to a vserver group by hand first, or set weights with default_group: true"))
		}
	case aliyun.SLBRule:
		owner = ref.Owner
	}
	lb, err := s.api.Balancer(ctx, s.cfg.LoadBalancer)
	if err != nil {
		return err
	}
	if owner == "" {
		owner = lb.Owner
	}
	if err := pool.Owned(b.Kind+" "+b.Name, owner, s.cfg.Force); err != nil {
		return err
	}
	return s.refuseGroup(ctx, to.Text())
}

// refuseGroup: the group must be one of this load balancer and able to serve.
func (s *switches) refuseGroup(ctx context.Context, id string) error {
	groups, err := s.api.Groups(ctx, s.cfg.LoadBalancer)
	if err != nil {
		return err
	}
	if _, ok := groups[id]; !ok {
		return driver.Permanent(hint.Wrap(fmt.Errorf("%w %q at load balancer %s", errNoGroup, id, s.cfg.LoadBalancer), "groups: %s", strings.Join(slices.Sorted(maps.Keys(groups)), ", ")))
	}
	g, err := s.api.Group(ctx, id)
	if err != nil {
		return err
	}
	return pool.Weighted("group "+id, g.Servers)
}

// Write points it at the group. The API changes nothing else of it.
func (s *switches) Write(ctx context.Context, b pool.Bound, to state.Value, _ string) error {
	if l, ok := b.Ref.(aliyun.SLBListener); ok {
		return s.api.SwitchListener(ctx, s.cfg.LoadBalancer, l, to.Text())
	}
	return s.api.SwitchRule(ctx, b.Name, to.Text())
}

// Settled: of the group that it points at a weighted server is healthy, or
// nobody checks.
func (s *switches) Settled(ctx context.Context, b pool.Bound) error {
	port, unchecked := 0, false
	switch ref := b.Ref.(type) {
	case aliyun.SLBListener:
		port, unchecked = ref.Port, ref.Unchecked
	case aliyun.SLBRule:
		listeners, err := s.api.Listeners(ctx, s.cfg.LoadBalancer)
		if err != nil {
			return err
		}
		port, unchecked = ref.Port, ref.Unchecked(listenerOf(ref, listeners))
	}
	if unchecked {
		return nil
	}
	g, err := s.api.Group(ctx, b.Value.Text())
	if err != nil {
		return err
	}
	all, err := s.api.Health(ctx, s.cfg.LoadBalancer)
	if err != nil {
		return err
	}
	detail := "no server has a weight"
	for _, e := range g.Servers {
		if e.Weight == 0 {
			continue
		}
		check := aliyun.CheckOf(all, []int{port}, e)
		if check.State == aliyun.Good {
			return nil
		}
		detail = e.ServerID + " is " + check.Detail
	}
	return fmt.Errorf("no server of %s is healthy yet: %s", b.Value.Text(), detail)
}
