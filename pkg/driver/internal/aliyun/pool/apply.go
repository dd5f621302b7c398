package pool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// work is what is to be done: members with the weights that they are to have.
type work struct {
	members []Member // all, as they are
	raise   []Member
	lower   []Member
	bind    []binding
}

type binding struct {
	Bound
	to state.Value
}

func (w work) empty() bool { return len(w.raise) == 0 && len(w.lower) == 0 && len(w.bind) == 0 }

// after is every member with the weight that it has when the work is done.
func (w work) after() []Member { return given(w.members, slices.Concat(w.raise, w.lower)) }

// given is every member, with the weights of those that change.
func given(members, changed []Member) []Member {
	next := index(changed)
	all := slices.Clone(members)
	for i, m := range all {
		if n, changed := next[m.ID]; changed {
			all[i].Weight = n.Weight
		}
	}
	return all
}

// Apply writes only after every value was compared and nothing has to be
// refused. All weights that rise are written first; what falls waits until the
// raised members are healthy, and is refused when no healthy member with a
// weight would be left, by what the load balancer shows at that moment.
func (t *Target) Apply(ctx context.Context, changes []state.Change) error {
	if len(changes) == 0 {
		return nil
	}
	select {
	case t.writing <- struct{}{}:
		defer func() { <-t.writing }()
	case <-ctx.Done():
		return t.failed(ctx.Err())
	}
	if err := t.apply(ctx, changes); err != nil {
		return t.failed(err)
	}
	return nil
}

func (t *Target) apply(ctx context.Context, changes []state.Change) error {
	w, err := t.plan(ctx, changes, nil)
	if err != nil || w.empty() {
		return err
	}
	if err := t.refuse(ctx, w); err != nil {
		return err
	}
	if err := t.batches(ctx, w.raise); err != nil {
		return err
	}
	for _, b := range w.bind {
		if err := t.bind(ctx, b); err != nil {
			return err
		}
	}
	if len(w.lower) == 0 {
		return nil
	}
	if err := t.safe(ctx, w); err != nil {
		return err
	}
	return t.batches(ctx, w.lower)
}

// plan compares every change with what is live and sorts what is to be done.
// now, when it is not nil, is taken for what is live.
func (t *Target) plan(ctx context.Context, changes []state.Change, now *state.State) (work, error) {
	w, bound, err := t.look(ctx, changes)
	if err != nil {
		return w, err
	}
	if now != nil {
		w.members, bound = imagined(*now, w.members, bound)
	}
	by := index(w.members)
	for _, c := range changes {
		if b, ok := bound[c.Object]; ok {
			if todo, err := compare(c, b.Value, b.Attr); err != nil {
				return w, err
			} else if todo {
				w.bind = append(w.bind, binding{b, c.To})
			}
			continue
		}
		m, ok := by[c.Object]
		if !ok {
			return w, t.unknown(c.Object, w.members)
		}
		todo, err := compare(c, state.Int(m.Weight), Weight)
		if err != nil {
			return w, err
		}
		if !todo {
			continue
		}
		if m, err = t.weighted(m, c.To); err != nil {
			return w, err
		}
		if m.Weight > by[c.Object].Weight {
			w.raise = append(w.raise, m)
		} else {
			w.lower = append(w.lower, m)
		}
	}
	return w, nil
}

// look reads the members and bindings, those that the changes are about at
// least.
func (t *Target) look(ctx context.Context, changes []state.Change) (w work, bound map[string]Bound, err error) {
	ids := map[string]state.Object{}
	if t.bindings != nil {
		ids = t.bindings.IDs()
	}
	isBound := func(c state.Change) bool { _, ok := ids[c.Object]; return ok }
	if slices.ContainsFunc(changes, isBound) {
		if bound, err = t.bindings.Read(ctx); err != nil {
			return w, nil, fmt.Errorf("nothing was written: %w", err)
		}
	}
	if slices.ContainsFunc(changes, func(c state.Change) bool { return !isBound(c) }) {
		if w.members, err = t.list(ctx); err != nil {
			return w, nil, fmt.Errorf("nothing was written: %w", err)
		}
	}
	return w, bound, nil
}

// compare reports whether a change is still to be made.
func compare(c state.Change, live state.Value, attr string) (bool, error) {
	switch {
	case c.Attribute != attr:
		return false, driver.Permanent(fmt.Errorf("%s has no attribute %q, only %s", c.Object, c.Attribute, attr))
	case live == c.To:
		return false, nil
	case live != c.From:
		return false, &driver.DriftError{Change: c, Now: live}
	case !c.To.Present():
		return false, driver.Permanent(hint.Wrap(fmt.Errorf("%s: it cannot be removed", c.Object), "set %s; adding and removing members is not flip's", attr))
	}
	return true, nil
}

func (t *Target) weighted(m Member, to state.Value) (Member, error) {
	a, _ := t.Kind.Attribute(Weight)
	if err := a.Check(to); err != nil {
		return m, driver.Permanent(fmt.Errorf("%s: %w", m.Name, err))
	}
	m.Weight, _ = to.Int()
	return m, nil
}

// bind switches one listener or rule.
func (t *Target) bind(ctx context.Context, b binding) error {
	return t.sure(ctx, func(token string) error {
		return t.bindings.Write(ctx, b.Bound, b.to, token)
	}, func(ctx context.Context) (bool, error) {
		bound, err := t.bindings.Read(ctx)
		return bound[b.ID].Value == b.to, err
	})
}

// batches writes members a few at a time, in order.
func (t *Target) batches(ctx context.Context, members []Member) error {
	done := 0
	for part := range slices.Chunk(members, t.Batch) {
		if len(members) > t.Batch {
			driver.Progress(ctx, fmt.Sprintf("weights of %d of %d members are set", done, len(members)))
		}
		if err := t.batch(ctx, part); err != nil {
			if done > 0 {
				return fmt.Errorf("after %d of %d members: %w", done, len(members), err)
			}
			return err
		}
		done += len(part)
	}
	return nil
}

func (t *Target) batch(ctx context.Context, part []Member) error {
	return t.sure(ctx, func(token string) error {
		return t.members.Write(ctx, part, token)
	}, func(ctx context.Context) (bool, error) {
		members, err := t.list(ctx)
		return shows(members, part), err
	})
}

// shows reports whether all of the wanted weights stand.
func shows(members, wanted []Member) bool {
	by := index(members)
	return !slices.ContainsFunc(wanted, func(m Member) bool { now, ok := by[m.ID]; return !ok || now.Weight != m.Weight })
}

// repeats of a write whose fate is unknown, where its token makes them
// harmless.
const repeats = 3

// sure makes a write whose answer may get lost. Where a write has a token it is
// sent again with the same one, which cannot happen twice. Elsewhere flip looks,
// and leaves it to its caller when the effect does not show. A token ends with
// its write: used again later, after somebody undid the write, it would get the
// old answer and change nothing.
func (t *Target) sure(ctx context.Context, write func(token string) error, landed func(context.Context) (bool, error)) error {
	token := "flip-" + rand.Text()
	for try := 1; ; try++ {
		err := write(token)
		if aliyun.ClassOf(err) != aliyun.Ambiguous && !errors.Is(err, errJob) {
			return err
		}
		if ctx.Err() != nil {
			return err
		}
		driver.Progress(ctx, "an answer was lost, looking: "+err.Error())
		if yes, lerr := landed(ctx); lerr == nil && yes {
			return nil
		}
		if !t.Tokens || try == repeats {
			return err
		}
		if perr := aliyun.Pause(ctx, between(try+2)); perr != nil {
			return err
		}
	}
}
