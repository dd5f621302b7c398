package alb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// bindings are the listeners and rules that the target names.
type bindings struct {
	api    aliyun.ALB
	health *health
	cfg    Config
}

// IDs are those that the plan names.
func (b *bindings) IDs() map[string]state.Object {
	ids := map[string]state.Object{}
	for _, l := range b.cfg.Listeners {
		ids["listener/"+l] = state.Object{Kind: KindListener, Name: l}
	}
	for _, r := range b.cfg.Rules {
		ids["rule/"+r] = state.Object{Kind: KindRule, Name: r}
	}
	return ids
}

// Read asks for each listener, and once for all rules.
func (b *bindings) Read(ctx context.Context) (map[string]pool.Bound, error) {
	bound := map[string]pool.Bound{}
	for _, id := range b.cfg.Listeners {
		l, err := b.api.Listener(ctx, id)
		if err != nil {
			return nil, err
		}
		bound["listener/"+id] = pool.Bound{ID: "listener/" + id, Kind: KindListener, Name: id, Attr: Group, Value: state.Text(l.Group), Ref: l}
	}
	if len(b.cfg.Rules) == 0 {
		return bound, nil
	}
	rules, err := b.api.Rules(ctx, b.cfg.Rules...)
	if err != nil {
		return nil, err
	}
	for _, id := range b.cfg.Rules {
		r, ok := rules[id]
		if !ok {
			return nil, pool.Missing(fmt.Errorf("no rule %s", id))
		}
		weights, err := r.Weights()
		if err != nil {
			return nil, driver.Permanent(fmt.Errorf("%s: %w", id, err))
		}
		bound["rule/"+id] = pool.Bound{
			ID: "rule/" + id, Kind: KindRule, Name: id, Attr: Forward, Value: forwardOf(weights), Ref: r,
			Info: map[string]string{"listener": r.Listener},
		}
	}
	return bound, nil
}

// forwardOf is the value of the attribute: [sgp-a=100, sgp-b=0].
func forwardOf(weights map[string]int) state.Value {
	var items []string
	for id, w := range weights {
		items = append(items, id+"="+strconv.Itoa(w))
	}
	return state.List(items)
}

func parseForward(v state.Value) (map[string]int, error) {
	weights := map[string]int{}
	for _, item := range v.List() {
		id, digits, ok := strings.Cut(item, "=")
		w, err := strconv.Atoi(digits)
		if !ok || err != nil || !pool.IsID(id) || w < pool.MinWeight || w > pool.MaxWeight {
			return nil, fmt.Errorf("%q is not SERVER_GROUP=WEIGHT with a weight of %d..%d", item, pool.MinWeight, pool.MaxWeight)
		}
		if _, twice := weights[id]; twice {
			return nil, fmt.Errorf("%s is there twice", id)
		}
		weights[id] = w
	}
	return weights, nil
}

// Refuse looks at what would be sent to.
func (b *bindings) Refuse(ctx context.Context, was pool.Bound, to state.Value) error {
	if l, ok := was.Ref.(aliyun.Listener); ok {
		if strings.ContainsAny(to.Text(), "=,[ ") {
			return driver.Permanent(hint.Wrap(fmt.Errorf("%q: the default action of a listener takes one server group and no weights", to.Text()), onDefault))
		}
		if err := pool.Owned("listener "+l.ID, l.Owner, b.cfg.Force); err != nil {
			return err
		}
		if l.Group == "" {
			return driver.Permanent(hint.Wrap(fmt.Errorf("the default action of %s does not forward to one server group", l.ID), "flip could not put it back; change it by hand first"))
		}
		return pool.Serves(ctx, b.api, to.Text())
	}
	r := was.Ref.(aliyun.ALBRule)
	if err := pool.Owned("rule "+r.ID, r.Owner, b.cfg.Force); err != nil {
		return err
	}
	want, err := parseForward(to)
	if err != nil {
		return driver.Permanent(err)
	}
	left := slices.DeleteFunc(slices.Sorted(maps.Keys(want)), func(id string) bool { return want[id] == 0 })
	if len(left) == 0 {
		return driver.Permanent(hint.Wrap(fmt.Errorf("no server group of %s would have a weight", r.ID), "give one of them a weight above 0"))
	}
	for _, id := range left {
		if err := pool.Serves(ctx, b.api, id); err != nil {
			return err
		}
	}
	return nil
}

// Write makes the change. Of a rule all that rises is written first, and seen
// healthy, before anything falls.
func (b *bindings) Write(ctx context.Context, was pool.Bound, to state.Value, token string) error {
	if l, ok := was.Ref.(aliyun.Listener); ok {
		job, err := b.api.SwitchListener(ctx, l.ID, to.Text(), token)
		if err != nil {
			return err
		}
		return pool.Await(ctx, job, b.cfg.SettleFor(), b.api.Job)
	}
	want, err := parseForward(to)
	if err != nil {
		return driver.Permanent(err)
	}
	r, now, err := rule(ctx, b.api, was.Name)
	if err != nil {
		return err
	}
	both, raised := maps.Clone(now), []string{}
	for id, w := range want {
		if w > now[id] {
			both[id] = w
			if now[id] == 0 {
				raised = append(raised, id)
			}
		}
	}
	if !maps.Equal(both, now) {
		if err := b.set(ctx, r, both, token+"-up"); err != nil {
			return err
		}
	}
	if maps.Equal(both, want) {
		return nil
	}
	if err := b.healthy(ctx, r.Listener, raised); err != nil {
		return fmt.Errorf("no weight was lowered: %w", err)
	}
	if r, _, err = rule(ctx, b.api, was.Name); err != nil {
		return err
	}
	return b.set(ctx, r, want, token)
}

func (b *bindings) set(ctx context.Context, r aliyun.ALBRule, weights map[string]int, token string) error {
	job, err := b.api.SetRule(ctx, r, weights, token)
	if err != nil {
		return err
	}
	return pool.Await(ctx, job, b.cfg.SettleFor(), b.api.Job)
}

// healthy waits for groups that just got weight.
func (b *bindings) healthy(ctx context.Context, listener string, groups []string) error {
	if len(groups) == 0 {
		return nil
	}
	return pool.Until(ctx, b.cfg.HealthFor(), "health_timeout", func(ctx context.Context) error {
		checks, err := b.health.groups(ctx, listener, groups)
		if err != nil {
			return err
		}
		for _, id := range groups {
			if c := checks[id]; c.State == aliyun.Pending || c.State == aliyun.Bad {
				return fmt.Errorf("%s is not healthy: %s", id, c.Detail)
			}
		}
		return nil
	})
}

// Settled: nothing is being configured, and what traffic goes to is healthy.
func (b *bindings) Settled(ctx context.Context, now pool.Bound) error {
	if l, ok := now.Ref.(aliyun.Listener); ok {
		if l.Status != "" && !strings.EqualFold(l.Status, "running") {
			return fmt.Errorf("listener %s is %s", l.ID, l.Status)
		}
		return b.reaches(ctx, l.ID, []string{l.Group})
	}
	r := now.Ref.(aliyun.ALBRule)
	if !available(r) {
		return fmt.Errorf("rule %s is %s", r.ID, r.Status)
	}
	weights, err := parseForward(now.Value)
	if err != nil {
		return err
	}
	return b.reaches(ctx, r.Listener, slices.DeleteFunc(slices.Sorted(maps.Keys(weights)), func(id string) bool { return weights[id] == 0 }))
}

// reaches: one of the groups is healthy, or nobody checks it.
func (b *bindings) reaches(ctx context.Context, listener string, groups []string) error {
	checks, err := b.health.groups(ctx, listener, groups)
	if err != nil {
		return err
	}
	detail := ""
	for _, id := range groups {
		c := checks[id]
		if c.State == aliyun.Good || c.State == aliyun.Unchecked {
			return nil
		}
		detail = id + ": " + c.Detail
	}
	return fmt.Errorf("no server group is healthy yet: %s", detail)
}
