package pool

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/hint"
)

// refuse reports the first reason against the whole work, before any of it is
// done. Errors that it makes itself are permanent.
func (t *Target) refuse(ctx context.Context, w work) error {
	for _, b := range w.bind {
		if err := t.bindings.Refuse(ctx, b.Bound, b.to); err != nil {
			return fmt.Errorf("nothing was written: %s %s: %w", b.Kind, b.Name, err)
		}
	}
	if len(w.raise) == 0 && len(w.lower) == 0 {
		return nil
	}
	if err := t.members.Refuse(ctx); err != nil {
		return fmt.Errorf("nothing was written: %w", err)
	}
	if r, ok := t.members.(interface {
		RefuseRaise(ctx context.Context, raised []Member) error
	}); ok && len(w.raise) > 0 {
		if err := r.RefuseRaise(ctx, w.raise); err != nil {
			return fmt.Errorf("nothing was written: %w", err)
		}
	}
	if len(w.lower) > 0 && len(weighted(w.after())) == 0 {
		return fmt.Errorf("nothing was written: %w", nobody(w.lower))
	}
	return nil
}

// nobody is the refusal of the last weight.
func nobody(lower []Member) error {
	return driver.Permanent(hint.Wrap(fmt.Errorf("no member with a weight would be left: %s would be the last", names(lower)),
		"raise another member first; a load balancer whose weights are all 0 answers nobody, or anybody"))
}

func weighted(members []Member) []Member {
	return slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return m.Weight == 0 })
}

// safe returns when weights may fall: the members that were raised are healthy,
// and of those that keep a weight one is. It looks at the load balancer, not
// at the plan.
func (t *Target) safe(ctx context.Context, w work) error {
	if len(w.raise) > 0 {
		if err := t.healthy(ctx, w.raise); err != nil {
			return fmt.Errorf("no weight was lowered: %w", err)
		}
	}
	limit, cancel := context.WithTimeout(ctx, t.Options.Health)
	defer cancel()
	for n := 0; ; n++ {
		wait, err := t.remains(limit, w)
		switch {
		case err != nil && limit.Err() != nil && ctx.Err() == nil:
			return fmt.Errorf("no weight was lowered: no answer about health within %s: %w", t.Options.Health, err)
		case err != nil:
			return err
		case wait == "":
			return nil
		}
		driver.Progress(ctx, "health of who stays: "+wait)
		if aliyun.Pause(limit, between(n)) != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("waiting for health: %w; last seen: %s", ctx.Err(), wait)
			}
			return driver.Permanent(fmt.Errorf("no weight was lowered: nobody who stays is healthy after %s: %s", t.Options.Health, wait))
		}
	}
}

// remains looks once at who would be left. What rose counts with the weight
// that is shown now, whatever flip wrote: somebody may have taken it back. It
// returns what is to be waited for, or nothing.
func (t *Target) remains(ctx context.Context, w work) (string, error) {
	members, err := t.list(ctx)
	if err != nil {
		return "", err
	}
	left := weighted(given(members, w.lower))
	if len(left) == 0 {
		return "", nobody(w.lower)
	}
	now := index(members)
	for i := range left {
		left[i].Weight = now[left[i].ID].Weight
	}
	checks, err := t.members.Health(ctx, left)
	if err != nil {
		return "", err
	}
	var pending, bad []string
	for _, m := range left {
		switch c := checks[m.ID]; c.State {
		case aliyun.Good:
			return "", nil
		case aliyun.Pending:
			pending = append(pending, m.Name+" is "+c.Detail)
		case aliyun.Bad:
			bad = append(bad, m.Name+" is "+c.Detail)
		case aliyun.Unchecked:
		}
	}
	switch {
	case len(pending) > 0:
		return some(pending), nil
	case len(bad) == len(left):
		return "", driver.Permanent(hint.Wrap(fmt.Errorf("no weight was lowered: no healthy member with a weight would be left: %s", some(bad)),
			"see why their health checks fail; the others keep their weight until one is healthy"))
	}
	driver.Progress(ctx, "no health check looks at who stays: not verified")
	return "", nil
}

// healthy waits until every one of the members passes its health checks, or
// nobody checks it.
func (t *Target) healthy(ctx context.Context, wanted []Member) error {
	return Until(ctx, t.Options.Health, "health_timeout", func(ctx context.Context) error {
		sick, err := t.sick(ctx, wanted)
		if err == nil && sick != "" {
			err = fmt.Errorf("not healthy: %s", sick)
		}
		return err
	})
}

// sick names the wanted members that are not healthy yet.
func (t *Target) sick(ctx context.Context, wanted []Member) (string, error) {
	members, err := t.list(ctx)
	if err != nil {
		return "", err
	}
	by := index(members)
	var now []Member
	var bad []string
	for _, m := range wanted {
		live, ok := by[m.ID]
		switch {
		case !ok:
			return "", t.unknown(m.ID, members)
		case live.Weight != m.Weight:
			bad = append(bad, fmt.Sprintf("%s has weight %d, not %d", m.Name, live.Weight, m.Weight))
		}
		now = append(now, live)
	}
	checks, err := t.members.Health(ctx, now)
	if err != nil {
		return "", err
	}
	for _, m := range now {
		if c := checks[m.ID]; c.State == aliyun.Pending || c.State == aliyun.Bad {
			bad = append(bad, m.Name+" is "+c.Detail)
		}
	}
	return strings.TrimPrefix(some(bad), "none"), nil
}

func names(members []Member) string {
	all := make([]string, len(members))
	for i, m := range members {
		all[i] = m.Name
	}
	return some(all)
}
