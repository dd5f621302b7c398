package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// restore puts values of one target back, by the three-way rule. In phase
// "raise" it does what adds capacity, in "lower" the rest; "sweep" does both
// and waits for nodes that do not answer.
func (x *Executor) restore(ctx context.Context, key string, in journal.Restore) (journal.Restored, error) {
	ctx, cancel := x.withDeadline(ctx, in.Until)
	defer cancel()
	d, err := x.target(in.Target)
	if err != nil {
		return journal.Restored{}, err
	}
	if _, comes := driver.As[driver.Comer](d); comes {
		s, _, err := x.readForUndo(ctx, in.Target, d)
		if err != nil {
			return journal.Restored{}, err
		}
		x.arrived(ctx, key, in.Target, d, existed(in), s)
	}
	x.holds.release(in.Target, meant(in)) // or it would be made again behind the way back
	var total journal.Restored
	for looks := 1; ; looks++ {
		prior := total
		phases := []string{in.Phase}
		if in.Phase == "sweep" {
			phases = []string{"raise", "lower"}
		}
		var out journal.Restored
		for _, phase := range phases {
			if out, err = x.putBack(ctx, key, d, in, phase); err != nil {
				return total, err
			}
			total.Changes = append(total.Changes, out.Changes...)
			total.Replaced = append(total.Replaced, out.Replaced...)
			total.Already, total.Drift, total.Nodes = out.Already, out.Drift, max(total.Nodes, out.Nodes)
		}
		if looks > 1 && ctx.Err() != nil && len(total.Changes) == len(prior.Changes) {
			return prior, nil // a look that the deadline cut off says nothing
		}
		if in.Phase != "sweep" || !anyUnreadable(out.Drift) {
			return total, nil
		}
		x.Look(key, journal.LookData{Text: "waiting for " + out.Drift[0].Object + ": " + out.Drift[0].Unreadable, Until: in.Until})
		if err := x.pause(ctx, time.Second); err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				return total, nil
			}
			return total, err
		}
	}
}

// meant are the attributes that a restore is about.
func meant(in journal.Restore) []state.Change {
	changes := make([]state.Change, len(in.Items))
	for i, item := range in.Items {
		changes[i] = state.Change{Target: in.Target, Object: item.Object, Attribute: item.Attribute}
	}
	return changes
}

// existed are the objects that were there before the run.
func existed(in journal.Restore) []string {
	var ids []string
	for _, item := range in.Items {
		if item.Before.Present() && !slices.Contains(ids, item.Object) {
			ids = append(ids, item.Object)
		}
	}
	return ids
}

func anyUnreadable(drift []journal.Drift) bool {
	for _, d := range drift {
		if d.Unreadable != "" {
			return true
		}
	}
	return false
}

// readForUndo reads whatever can be read: one node that is down must not keep
// the others from being put back.
func (x *Executor) readForUndo(ctx context.Context, target string, d driver.Driver) (state.State, map[string]error, error) {
	for try := 1; ; try++ {
		s, err := d.Read(ctx)
		var partial *driver.PartialError
		switch {
		case err == nil:
			return s, nil, nil
		case errors.As(err, &partial):
			return s, partial.Nodes, nil
		case try == 3 || ctx.Err() != nil:
			return s, map[string]error{"": err}, nil
		}
		if err := x.pause(ctx, time.Duration(try)*200*time.Millisecond); err != nil {
			return s, nil, x.path("read", target, err)
		}
	}
}

// putBack looks, judges and writes. A value that changes between the look and
// the write (a late write, another operator) is judged again.
func (x *Executor) putBack(ctx context.Context, key string, d driver.Driver, in journal.Restore, phase string) (journal.Restored, error) {
	var tried []state.Change
	for try := 1; ; try++ {
		out, err := x.restoreOnce(ctx, key, d, in, phase)
		if err != nil {
			if again := isDrift(err) || classOf(err) == classDrift; !again || try == 4 {
				return out, err
			}
			tried = append(tried, out.Changes...)
			continue
		}
		for _, c := range tried { // those that were made before the write was cut short
			about := func(o state.Change) bool { return o.Key() == c.Key() }
			left := func(o journal.Drift) bool { return o.Key == c.Key() }
			if !slices.ContainsFunc(out.Changes, about) && !slices.ContainsFunc(out.Drift, left) {
				out.Changes = append(out.Changes, c)
				out.Replaced = append(out.Replaced, x.Program.replaced(ctx, in.Target, state.State{}, []state.Change{c}, x.clock().Now())...)
			}
		}
		return out, nil
	}
}

// restoreOnce returns what it tried to change together with an error.
func (x *Executor) restoreOnce(ctx context.Context, key string, d driver.Driver, in journal.Restore, phase string) (journal.Restored, error) {
	s, dead, err := x.readForUndo(ctx, in.Target, d)
	if err != nil {
		return journal.Restored{}, err
	}
	out := journal.Restored{}
	var changes []state.Change
	var already []journal.Before
	var taken []state.Change // by somebody else, from what the run had left
	for _, item := range in.Items {
		k := state.Key{Target: in.Target, Object: item.Object, Attribute: item.Attribute}
		if why, ok := x.unreadable(in.Target, item.Object, dead); ok {
			out.Drift = append(out.Drift, journal.Drift{Key: k, Before: item.Before, Ours: item.Ours, Unreadable: why})
			continue
		}
		now := s.Get(item.Object, item.Attribute)
		if item.Left.Present() && now != item.Left {
			taken = append(taken, state.Change{Target: in.Target, Object: item.Object, Attribute: item.Attribute, From: item.Left, To: now})
		}
		verdict := state.Judge(item.Before, item.Ours, now)
		if verdict == state.Drift && in.Force {
			verdict = state.Ours
		}
		switch verdict {
		case state.Restored:
			out.Already++
			already = append(already, item)
		case state.Ours:
			changes = append(changes, state.Change{Target: in.Target, Object: item.Object, Attribute: item.Attribute, From: now, To: item.Before})
		case state.Drift:
			out.Drift = append(out.Drift, journal.Drift{Key: k, Before: item.Before, Ours: item.Ours, Now: now})
		}
	}
	changes = leaveWhole(in, changes, &out)
	// Later than the truth is safe: it was just now.
	out.Replaced = x.Program.replaced(ctx, in.Target, s, taken, x.clock().Now())
	if in.Doubt {
		out.Replaced = x.Program.replaced(ctx, in.Target, s, doubtful(in.Target, already), x.clock().Now())
	}
	state.Sort(changes)
	raise, lower := x.Program.phases(attrsOf(in.Target, s), changes)
	todo := lower
	if phase == "raise" {
		todo = raise
	} else if phase == "lower" && len(raise) > 0 {
		// Something raised itself meanwhile (a late write): all is put back.
		todo = slices.Concat(raise, lower)
	}
	if len(todo) == 0 {
		return out, nil
	}
	var heirs []string
	if phase != "raise" && in.Phase != "sweep" {
		heirs = x.Program.restored(in)
	}
	applied, err := x.write(ctx, key, in.Target, todo, phase == "raise", false, look{}, heirs)
	out.Changes, out.Nodes = todo, applied.Nodes
	out.Replaced = append(out.Replaced, applied.Replaced...)
	return out, err
}

func attrsOf(target string, s state.State) pre {
	objects := make(map[string]map[string]state.Value, len(s.Objects))
	for id, o := range s.Objects {
		objects[id] = o.Attrs
	}
	return pre{target: objects}
}

// unreadable says why an object's value cannot be known now.
func (x *Executor) unreadable(target, id string, dead map[string]error) (string, bool) {
	if err, all := dead[""]; all {
		return err.Error(), true
	}
	if err, ok := dead[x.Program.Pins.Targets[target].Objects[id].Node]; ok {
		return err.Error(), true
	}
	return "", false
}
