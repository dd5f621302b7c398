package mem

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

var (
	_ driver.Driver   = (*Target)(nil)
	_ driver.Healther = (*Target)(nil)
	_ driver.Counter  = (*Target)(nil)
	_ driver.Meter    = (*Target)(nil)
	_ driver.Killer   = (*Target)(nil)
	_ driver.Settler  = (*Target)(nil)
	_ driver.Bounded  = (*Target)(nil)
	_ driver.Scoper   = (*Target)(nil)
	_ driver.Locator  = (*Target)(nil)
)

// look asks every member; it fails when one is not known or does not answer.
func look[T any](ctx context.Context, t *Target, ids []string, ask func(member, time.Time) T) (map[string]T, error) {
	answers := make(map[string]T, len(ids))
	err := t.store.do(ctx, false, func(w *world) error {
		now := time.Now()
		for _, id := range ids {
			if err := w.down(id); err != nil {
				return err
			}
			m, ok := w.Members[id]
			if _, live := w.State.Objects[id]; !live || !ok {
				return driver.Permanent(fmt.Errorf("no member %q: %w", id, driver.ErrNotFound))
			}
			answers[id] = ask(m, now)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return answers, nil
}

// Health tells what SetHealth or the options said.
func (t *Target) Health(ctx context.Context, ids []string) (map[string]driver.Health, error) {
	return look(ctx, t, ids, func(m member, _ time.Time) driver.Health {
		return driver.Health{State: m.Health, Detail: m.Detail}
	})
}

// InFlight tells the sessions of members as their Load says.
func (t *Target) InFlight(ctx context.Context, ids []string) (map[string]driver.Flight, error) {
	return look(ctx, t, ids, member.flight)
}

// Traffic tells the answers of members as their Load says, with AddTraffic's.
func (t *Target) Traffic(ctx context.Context, ids []string) (map[string]driver.Traffic, error) {
	return look(ctx, t, ids, member.traffic)
}

// Kill ends the sessions of members. One that still takes traffic has new
// sessions at once.
func (t *Target) Kill(ctx context.Context, ids []string) error {
	return t.members(ctx, ids, func(m member) member {
		m.Killed = !m.Serving
		return m
	})
}

// Settle waits as long as the options say.
func (t *Target) Settle(ctx context.Context, _ []state.Change) error {
	if t.settle <= 0 {
		return ctx.Err()
	}
	driver.Progress(ctx, fmt.Sprintf("consumers see it in %s", t.settle))
	timer := time.NewTimer(t.settle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// MaxInFlight is what the options say; nothing lands late on its own.
func (t *Target) MaxInFlight() time.Duration { return t.maxInFlight }

// Scopes names the file or the objects; a twin's are the real target's.
func (t *Target) Scopes() []string { return slices.Clone(t.scopes) }

// members rewrites the traffic side of members that answer.
func (t *Target) members(ctx context.Context, ids []string, f func(member) member) error {
	return t.store.do(ctx, true, func(w *world) error {
		next := maps.Clone(w.Members)
		for _, id := range ids {
			if err := w.down(id); err != nil {
				return err
			}
			m, ok := next[id]
			if !ok {
				return driver.Permanent(fmt.Errorf("no member %q: %w", id, driver.ErrNotFound))
			}
			next[id] = f(m)
		}
		w.Members = next
		return nil
	})
}
