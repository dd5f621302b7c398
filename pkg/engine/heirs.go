package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// Heirs are the members that are to carry what a change takes from others.
// Raising them waits for their health, but between that and the taking away
// lie gates, deaths, pauses and other operators. So it is looked again right
// before anything is taken.

// inherits refuses changes that take traffic away while an heir that takes
// traffic is down, or while nobody else would be left. It reports whether it
// had to wait: what was read before is old then.
func (x *Executor) inherits(ctx context.Context, key, target string, s state.State, todo []state.Change, heirs []string) (waited bool, err error) {
	if len(heirs) == 0 {
		return false, nil
	}
	down, err := x.downMembers(ctx, target, s)
	if err != nil {
		return false, x.path("health", target, err)
	}
	now, after := x.Program.serving(target, s, nil), x.Program.serving(target, s.With(todo), nil)
	if len(now) > 0 && len(after) == 0 {
		e := fail(classGuard, "%s: no member would serve any more: %s would take no traffic, and %s would lose it", target, list(x.Program.names(target, heirs)), list(now))
		e.Hints = []string{"somebody took them out; bring one of them in first"}
		return false, e
	}
	var serve []string
	for _, id := range heirs {
		if down[id] && x.Program.capacity(target, id, s.Objects[id].Attrs) > 0 {
			serve = append(serve, id)
		}
	}
	return len(serve) > 0, x.healthy(ctx, key, x.Program.Targets[target], target, serve)
}

// restored are the members that items bring back into traffic and that the run
// had taken out of it.
func (p *Program) restored(in journal.Restore) []string {
	var ids []string
	for _, item := range in.Items {
		if !capacityDependsOn(item.Attribute) || !p.kindOf(in.Target, item.Object).Member {
			continue
		}
		gave := slices.ContainsFunc(item.Ours, func(v state.Value) bool { return !p.allows(in.Target, item.Object, item.Attribute, v) })
		if gave && p.allows(in.Target, item.Object, item.Attribute, item.Before) && (len(ids) == 0 || ids[len(ids)-1] != item.Object) {
			ids = append(ids, item.Object)
		}
	}
	return ids
}

// allows reports whether an object may take traffic with a value. Of its other
// attributes nothing is known: they may all allow it.
func (p *Program) allows(target, id, attribute string, v state.Value) bool {
	if !v.Present() {
		return false
	}
	attrs := map[string]state.Value{"weight": state.Int(1), "enabled": state.Bool(true)}
	attrs[attribute] = v
	return p.capacity(target, id, attrs) > 0
}

// owed are the members that a run gave traffic without seeing them healthy: its
// process died over that, or the step failed over that and is done anew.
func owed(p *Program, st journal.Status) map[string][]string {
	ids := map[string][]string{}
	for _, e := range forward(st.Effects) {
		if _, ended := st.Results[e.Key]; e.Done || ended {
			continue
		}
		for _, c := range e.Changes {
			gives := capacityDependsOn(c.Attribute) && p.allows(c.Target, c.Object, c.Attribute, c.To)
			if gives && !p.allows(c.Target, c.Object, c.Attribute, c.From) && !slices.Contains(ids[c.Target], c.Object) {
				ids[c.Target] = append(ids[c.Target], c.Object)
			}
		}
	}
	return ids
}

// takings let one change at a time take traffic from a target: a guard that two
// branches have asked at the same time has allowed both.
type takings struct {
	mu      sync.Mutex
	targets map[string]chan struct{}
}

// begin waits for the turn; what it returns ends it, and may be called twice.
func (t *takings) begin(ctx context.Context, target string) (func(), error) {
	t.mu.Lock()
	if t.targets == nil {
		t.targets = map[string]chan struct{}{}
	}
	c := t.targets[target]
	if c == nil {
		c = make(chan struct{}, 1)
		t.targets[target] = c
	}
	t.mu.Unlock()
	select {
	case c <- struct{}{}:
		return sync.OnceFunc(func() { <-c }), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for another change of %s: %w", target, context.Cause(ctx))
	}
}

// alone is the turn of a change that takes traffic from a target with a guard.
func (x *Executor) alone(ctx context.Context, target string, raising bool) (func(), error) {
	if raising || GuardOf(x.Program.Plan, target) == 0 {
		return func() {}, nil
	}
	return x.takings.begin(ctx, target)
}
