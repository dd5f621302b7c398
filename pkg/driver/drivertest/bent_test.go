package drivertest_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/state"
)

// bent is a sound driver with one thing bent out of shape.
type bent struct {
	*mem.Target
	read   func(context.Context) (state.State, error)
	apply  func(context.Context, []state.Change) error
	scopes func() []string
	locate func(kind, name string) (map[string]state.Object, error)
	flight func(context.Context, []string) (map[string]driver.Flight, error)
	health func(context.Context, []string) (map[string]driver.Health, error)
	settle func(context.Context, []state.Change) error
	hung   *atomic.Bool
	deaf   bool // does not look at its context
}

func (b *bent) Read(ctx context.Context) (state.State, error) {
	ctx, err := b.answer(ctx)
	if err != nil {
		return state.State{}, err
	}
	return b.read(ctx)
}

func (b *bent) Apply(ctx context.Context, changes []state.Change) error {
	ctx, err := b.answer(ctx)
	if err != nil {
		return err
	}
	return b.apply(ctx, changes)
}

// answer waits for ever when the target hangs.
func (b *bent) answer(ctx context.Context) (context.Context, error) {
	if b.deaf {
		ctx = context.WithoutCancel(ctx)
	}
	if b.hung.Load() {
		<-ctx.Done()
	}
	return ctx, ctx.Err()
}

func (b *bent) Scopes() []string { return b.scopes() }
func (b *bent) Settle(ctx context.Context, changes []state.Change) error {
	return b.settle(ctx, changes)
}

func (b *bent) Locate(kind, name string) (map[string]state.Object, error) {
	return b.locate(kind, name)
}

func (b *bent) InFlight(ctx context.Context, ids []string) (map[string]driver.Flight, error) {
	return b.flight(ctx, ids)
}

func (b *bent) Health(ctx context.Context, ids []string) (map[string]driver.Health, error) {
	return b.health(ctx, ids)
}

func straight(m *mem.Target) *bent {
	return &bent{
		Target: m, read: m.Read, apply: m.Apply, scopes: m.Scopes, locate: m.Locate,
		flight: m.InFlight, health: m.Health, settle: m.Settle, hung: new(atomic.Bool),
	}
}

func reading(m *mem.Target, change func(state.Object) state.Object) func(context.Context) (state.State, error) {
	return func(ctx context.Context) (state.State, error) {
		s, err := m.Read(ctx)
		for id, o := range s.Objects {
			s.Objects[id] = change(o)
		}
		return s, err
	}
}

func without(changes []state.Change, attribute string) []state.Change {
	return slices.DeleteFunc(slices.Clone(changes), func(c state.Change) bool { return c.Attribute == attribute })
}

func appending(m *mem.Target) func(context.Context, []state.Change) error {
	return func(ctx context.Context, changes []state.Change) error {
		s, err := m.Read(ctx)
		if err != nil {
			return err
		}
		changes = slices.Clone(changes)
		for i, c := range changes {
			if c.Attribute != mem.Values || !c.To.Present() || !c.From.Present() {
				continue
			}
			now := s.Get(c.Object, c.Attribute)
			if now == c.From {
				changes[i].To = state.List(append(now.List(), c.To.List()...))
			}
			if now != c.From && now == state.List(append(c.From.List(), c.To.List()...)) {
				changes[i].From, changes[i].To = now, now
			}
		}
		return m.Apply(ctx, changes)
	}
}

func blind(m *mem.Target) func(context.Context, []state.Change) error {
	return func(ctx context.Context, changes []state.Change) error {
		s, err := m.Read(ctx)
		if err != nil {
			return err
		}
		changes = slices.Clone(changes)
		for i, c := range changes {
			changes[i].From = s.Get(c.Object, c.Attribute)
		}
		return m.Apply(ctx, changes)
	}
}

func oneByOne(m *mem.Target) func(context.Context, []state.Change) error {
	return func(ctx context.Context, changes []state.Change) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range changes {
			if err := m.Apply(ctx, changes[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
}

func strict(m *mem.Target) func(context.Context, []state.Change) error {
	return func(ctx context.Context, changes []state.Change) error {
		s, err := m.Read(ctx)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if s.Get(c.Object, c.Attribute) == c.To {
				return errors.New("nothing to do")
			}
		}
		return m.Apply(ctx, changes)
	}
}

// readModifyWrite sends the whole object as it was read a moment before.
func readModifyWrite(m *mem.Target) func(context.Context, []state.Change) error {
	var mu sync.Mutex
	return func(ctx context.Context, changes []state.Change) error {
		s, err := m.Read(ctx)
		if err != nil {
			return err
		}
		<-time.After(5 * time.Millisecond) // long enough for the others to write
		mu.Lock()
		defer mu.Unlock()
		if err := m.Apply(ctx, changes); err != nil {
			return err
		}
		touched := map[string]map[string]state.Value{}
		for _, c := range changes {
			if touched[c.Object] == nil {
				touched[c.Object] = maps.Clone(s.Objects[c.Object].Attrs)
			}
			delete(touched[c.Object], c.Attribute)
		}
		for id, attrs := range touched {
			for a, v := range attrs {
				if err := m.Set(id, a, v); err != nil {
					return err
				}
			}
		}
		return nil
	}
}
