package alb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
)

// health asks the listeners about server groups. ALB names only servers that
// are not normal.
type health struct {
	api aliyun.ALB

	mu    sync.Mutex
	rules map[string]string // listeners of rules
	at    time.Time
}

// fresh is how long the listener of a rule is taken for true.
const fresh = 5 * time.Minute

// look asks every listener that uses the group, directly or by a rule.
func (h *health) look(ctx context.Context, g aliyun.ServerGroup) ([]aliyun.GroupHealth, error) {
	listeners := map[string]bool{}
	for _, id := range g.Listeners {
		listeners[id] = true
	}
	if len(g.Rules) > 0 {
		of, err := h.listenersOf(ctx, g.Rules)
		if err != nil {
			return nil, err
		}
		for _, id := range g.Rules {
			if l := of[id]; l != "" {
				listeners[l] = true
			}
		}
	}
	var all []aliyun.GroupHealth
	for _, id := range slices.Sorted(maps.Keys(listeners)) {
		one, err := h.api.Health(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

func (h *health) listenersOf(ctx context.Context, rules []string) (map[string]string, error) {
	h.mu.Lock()
	known, at := h.rules, h.at
	h.mu.Unlock()
	if time.Since(at) < fresh && !slices.ContainsFunc(rules, func(id string) bool { _, ok := known[id]; return !ok }) {
		return known, nil
	}
	found, err := h.api.Rules(ctx, rules...)
	if err != nil {
		return nil, err
	}
	known = map[string]string{}
	for _, id := range rules {
		known[id] = found[id].Listener
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rules, h.at = known, time.Now()
	return known, nil
}

// group is the health of a whole server group: one good server with a weight
// makes it good. said is what the listeners say.
func (h *health) group(ctx context.Context, g aliyun.ServerGroup, said []aliyun.GroupHealth) (aliyun.Check, error) {
	servers, err := h.api.Servers(ctx, g.ID)
	if err != nil {
		return aliyun.Check{}, err
	}
	found := map[aliyun.CheckState]aliyun.Check{}
	for _, s := range servers {
		if s.Weight == 0 {
			continue
		}
		c := aliyun.Check{State: aliyun.Unchecked, Detail: "health checks are off"}
		if g.Checked {
			c = aliyun.CheckIn(said, g.ID, s)
		}
		c.Detail = fmt.Sprintf("%s: %s", s.ServerID, c.Detail)
		found[c.State] = c
	}
	for _, s := range []aliyun.CheckState{aliyun.Good, aliyun.Pending, aliyun.Unchecked, aliyun.Bad} {
		if c, ok := found[s]; ok {
			return c, nil
		}
	}
	return aliyun.Check{State: aliyun.Bad, Detail: "none of its servers has a weight"}, nil
}

// groups is the health of several groups behind one listener.
func (h *health) groups(ctx context.Context, listener string, ids []string) (map[string]aliyun.Check, error) {
	known, err := h.api.Groups(ctx, ids...)
	if err != nil {
		return nil, err
	}
	said, err := h.api.Health(ctx, listener)
	if err != nil {
		return nil, err
	}
	checks := map[string]aliyun.Check{}
	for _, id := range ids {
		g, ok := known[id]
		if !ok {
			checks[id] = aliyun.Check{State: aliyun.Bad, Detail: "it does not exist"}
			continue
		}
		if checks[id], err = h.group(ctx, g, said); err != nil {
			return nil, err
		}
	}
	return checks, nil
}
