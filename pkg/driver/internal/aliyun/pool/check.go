package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Check says what Apply would refuse. Weights are those of now; health is what
// the load balancer shows.
func (t *Target) Check(ctx context.Context, now state.State, changes []state.Change) error {
	if len(changes) == 0 {
		return nil
	}
	err := t.check(ctx, now, changes)
	if err == nil || errors.Is(err, driver.ErrPermanent) {
		return driver.Named(t.Driver, err)
	}
	err = t.failed(err)
	if errors.Is(err, driver.ErrPermanent) {
		return err
	}
	return driver.Uncertain(err)
}

func (t *Target) check(ctx context.Context, now state.State, changes []state.Change) error {
	w, err := t.plan(ctx, changes, &now)
	if err != nil || w.empty() {
		return err
	}
	if err := t.refuse(ctx, w); err != nil {
		return err
	}
	if len(w.lower) == 0 {
		return nil
	}
	return t.foresee(ctx, w)
}

// foresee refuses only what health says for sure: every member that would keep
// a weight fails its checks now.
func (t *Target) foresee(ctx context.Context, w work) error {
	left := weighted(w.after())
	live, err := t.list(ctx)
	if err != nil {
		return err
	}
	by := index(live)
	for i := range left {
		left[i].Weight = by[left[i].ID].Weight
	}
	checks, err := t.members.Health(ctx, left)
	if err != nil {
		return err
	}
	var bad []string
	for _, m := range left {
		if c := checks[m.ID]; c.State == aliyun.Bad {
			bad = append(bad, m.Name+" is "+c.Detail)
		}
	}
	if len(bad) < len(left) {
		return nil
	}
	return driver.Permanent(hint.Wrap(fmt.Errorf("no healthy member with a weight would be left: %s", some(bad)), "see why their health checks fail"))
}

// imagined puts the values of s into what is live.
func imagined(s state.State, members []Member, bound map[string]Bound) ([]Member, map[string]Bound) {
	members = slices.Clone(members)
	for i, m := range members {
		if w, ok := s.Get(m.ID, Weight).Int(); ok {
			members[i].Weight = w
		}
	}
	for id, b := range bound {
		if v := s.Get(id, b.Attr); v.Present() {
			b.Value = v
			bound[id] = b
		}
	}
	return members, bound
}

// Permit says whether flip may change the target: its own reasons against it,
// whether it may see health, and where the API can be asked, whether it would
// take a write. The classic load balancer cannot be asked.
func (t *Target) Permit(ctx context.Context) error {
	if t.members == nil {
		_, err := t.bound(ctx)
		return t.failed(err)
	}
	if err := t.members.Refuse(ctx); err != nil {
		return t.failed(err)
	}
	members, err := t.list(ctx)
	if err != nil || len(members) == 0 {
		return t.failed(err)
	}
	if _, err := t.members.Health(ctx, members[:1]); aliyun.ClassOf(err) == aliyun.Auth {
		return t.failed(fmt.Errorf("flip may not see whether members are healthy: %w", err))
	}
	asker, ok := t.members.(interface {
		MayWrite(ctx context.Context, members []Member) error
	})
	if !ok {
		return nil
	}
	err = asker.MayWrite(ctx, members[:1])
	if c := aliyun.ClassOf(err); c == aliyun.Auth || c == aliyun.Invalid {
		return t.failed(fmt.Errorf("flip may look but not change anything: %w", err))
	}
	return nil
}
