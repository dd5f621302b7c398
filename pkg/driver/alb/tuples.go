package alb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/hint"
)

// tuples are the members of a target with rule: the server groups that the
// rule forwards to.
type tuples struct {
	api    aliyun.ALB
	health *health
	cfg    Config
}

// rule reads a rule that must exist.
func rule(ctx context.Context, api aliyun.ALB, id string) (aliyun.ALBRule, map[string]int, error) {
	rules, err := api.Rules(ctx, id)
	if err != nil {
		return aliyun.ALBRule{}, nil, err
	}
	r, ok := rules[id]
	if !ok {
		return r, nil, pool.Missing(hint.Wrap(fmt.Errorf("no rule %s", id), "is it an id (rule-...) of this region?"))
	}
	weights, err := r.Weights()
	if errors.Is(err, aliyun.ErrNoForward) {
		err = driver.Permanent(hint.Wrap(fmt.Errorf("%s: %w", id, err), "give it one ForwardGroup action first"))
	}
	return r, weights, err
}

// List reads the rule.
func (t *tuples) List(ctx context.Context) ([]pool.Member, error) {
	r, weights, err := rule(ctx, t.api, t.cfg.Rule)
	if err != nil {
		return nil, err
	}
	var members []pool.Member
	for _, id := range slices.Sorted(maps.Keys(weights)) {
		m := pool.Member{ID: t.cfg.Rule + "/" + id, Name: id, Weight: weights[id], Ref: id, Info: map[string]string{"rule": t.cfg.Rule, "listener": r.Listener}}
		if !available(r) {
			m.Busy = r.Status
		}
		members = append(members, m)
	}
	return members, nil
}

func available(r aliyun.ALBRule) bool {
	return r.Status == "" || strings.EqualFold(r.Status, "available")
}

// Refuse looks at who manages the rule.
func (t *tuples) Refuse(ctx context.Context) error {
	r, _, err := rule(ctx, t.api, t.cfg.Rule)
	if err != nil {
		return err
	}
	return pool.Owned("rule "+r.ID, r.Owner, t.cfg.Force)
}

// RefuseRaise refuses to send traffic to a group that cannot serve.
func (t *tuples) RefuseRaise(ctx context.Context, raised []pool.Member) error {
	for _, m := range raised {
		if err := pool.Serves(ctx, t.api, m.Name); err != nil {
			return err
		}
	}
	return nil
}

// Health asks the rule's listener.
func (t *tuples) Health(ctx context.Context, members []pool.Member) (map[string]aliyun.Check, error) {
	listener := ""
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i], listener = m.Name, cmp.Or(m.Info["listener"], listener)
	}
	by, err := t.health.groups(ctx, listener, ids)
	if err != nil {
		return nil, err
	}
	checks := make(map[string]aliyun.Check, len(members))
	for _, m := range members {
		checks[m.ID] = by[m.Name]
	}
	return checks, nil
}

// Write replaces the rule as it stands at this moment, with other weights.
func (t *tuples) Write(ctx context.Context, members []pool.Member, token string) error {
	r, weights, err := rule(ctx, t.api, t.cfg.Rule)
	if err != nil {
		return err
	}
	for _, m := range members {
		weights[m.Name] = m.Weight
	}
	job, err := t.api.SetRule(ctx, r, weights, token)
	if err != nil {
		return err
	}
	return pool.Await(ctx, job, t.cfg.SettleFor(), t.api.Job)
}

// Settled: the rule is not being configured.
func (t *tuples) Settled(ctx context.Context) error {
	r, _, err := rule(ctx, t.api, t.cfg.Rule)
	if err == nil && !available(r) {
		err = fmt.Errorf("rule %s is %s", r.ID, r.Status)
	}
	return err
}
