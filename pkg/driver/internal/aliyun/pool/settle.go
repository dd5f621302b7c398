package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// checksTake is about how long a health check takes to pass: three checks two
// seconds apart, as the vendor advises.
const checksTake = 6 * time.Second

// Expect is how long Settle takes when nothing is in the way.
func (t *Target) Expect(changes []state.Change) time.Duration {
	if len(changes) == 0 {
		return 0
	}
	if slices.ContainsFunc(changes, begins) {
		return t.Again + checksTake
	}
	return t.Again
}

// begins: the change gives traffic to a member that had none.
func begins(c state.Change) bool {
	to, ok := c.To.Int()
	return ok && to > 0 && c.Attribute == Weight && c.From == state.Int(0)
}

// Settle returns when the load balancer is done with the changes: it is
// changing nothing, shows every value (twice, where its answers are known to
// run ahead), and members that just got traffic pass their health checks.
func (t *Target) Settle(ctx context.Context, changes []state.Change) error {
	if len(changes) == 0 {
		return ctx.Err()
	}
	if err := Until(ctx, t.Options.Settle, "settle_timeout", func(ctx context.Context) error { return t.stands(ctx, changes) }); err != nil {
		return t.failed(err)
	}
	if t.Again > 0 {
		if err := aliyun.Pause(ctx, t.Again); err != nil {
			return t.failed(err)
		}
		if err := Until(ctx, t.Options.Settle, "settle_timeout", func(ctx context.Context) error { return t.stands(ctx, changes) }); err != nil {
			return t.failed(fmt.Errorf("looking a second time: %w", err))
		}
	}
	return t.failed(t.serve(ctx, changes))
}

// Until looks until there is nothing to say, at most limit long. key is what a
// plan would raise for more patience.
func Until(ctx context.Context, limit time.Duration, key string, look func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for n := 0; ; n++ {
		err := look(limited)
		if err == nil {
			return nil
		}
		if errors.Is(err, driver.ErrPermanent) || aliyun.ClassOf(err) == aliyun.Auth {
			return err
		}
		if last == nil || limited.Err() == nil {
			last = err // not the one that the deadline made
		}
		if aliyun.Pause(limited, between(n)) != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("%w; last seen: %w", ctx.Err(), last)
			}
			return hint.Wrap(fmt.Errorf("after %s: %w", limit, last), "nothing was taken for granted; look at the load balancer, or raise %s", key)
		}
		driver.Progress(ctx, "the load balancer: "+last.Error())
	}
}

// stands looks once whether all changes are shown and nothing is in the making.
func (t *Target) stands(ctx context.Context, changes []state.Change) error {
	w, bound, err := t.look(ctx, changes)
	if err != nil {
		return err
	}
	by := index(w.members)
	ofMembers := false
	for _, c := range changes {
		if b, ok := bound[c.Object]; ok {
			if b.Value != c.To {
				return fmt.Errorf("%s of %s %s is %s, not %s", b.Attr, b.Kind, b.Name, b.Value, c.To)
			}
			continue
		}
		m, ok := by[c.Object]
		if !ok {
			return t.unknown(c.Object, w.members)
		}
		if now := state.Int(m.Weight); now != c.To {
			return fmt.Errorf("weight of %s is %s, not %s", m.Name, now, c.To)
		}
		if m.Busy != "" {
			return fmt.Errorf("%s is %s", m.Name, m.Busy)
		}
		ofMembers = true
	}
	if ofMembers {
		return t.members.Settled(ctx)
	}
	return nil
}

// serve waits for the health of what was given traffic.
func (t *Target) serve(ctx context.Context, changes []state.Change) error {
	var raised []Member
	ids := map[string]state.Object{}
	if t.bindings != nil {
		ids = t.bindings.IDs()
	}
	for _, c := range changes {
		_, isBound := ids[c.Object]
		switch {
		case isBound:
			if err := Until(ctx, t.Options.Health, "health_timeout", func(ctx context.Context) error { return t.reaches(ctx, c) }); err != nil {
				return err
			}
		case begins(c):
			weight, _ := c.To.Int()
			_, name, _ := strings.Cut(c.Object, "/")
			raised = append(raised, Member{ID: c.Object, Name: name, Weight: weight})
		}
	}
	if len(raised) == 0 {
		return nil
	}
	return t.healthy(ctx, raised)
}

// reaches asks whether what a listener or rule points at now is healthy.
func (t *Target) reaches(ctx context.Context, c state.Change) error {
	bound, err := t.bindings.Read(ctx)
	if err != nil {
		return err
	}
	return t.bindings.Settled(ctx, bound[c.Object])
}
