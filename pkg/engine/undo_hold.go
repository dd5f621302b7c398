package engine

import (
	"context"
	"slices"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// While a command is undone its members restart, and a system that forgets
// what was set (driver.Holder) would let them take traffic before anybody
// looked at their health. So what still stands of the run is held, by whichever
// process goes the way back, until it is put back.

// standing are the values that the run has set, and not put back yet, on
// targets that have to be held, in the order of the keys.
func (u *undo) standing() []state.Change {
	var held []state.Change
	for k, now := range u.stood {
		if v, back := u.back[k]; back {
			now = v
		}
		if _, holder := driver.As[driver.Holder](u.p.Targets[k.Target]); holder && now != u.first[k] {
			held = append(held, state.Change{Target: k.Target, Object: k.Object, Attribute: k.Attribute, From: u.first[k], To: now})
		}
	}
	slices.SortFunc(held, func(a, b state.Change) int { return a.Key().Compare(b.Key()) })
	return held
}

// stood is what the run made of every attribute that it is known to have
// changed.
func stood(effects []journal.Effect) map[state.Key]state.Value {
	last := map[state.Key]state.Value{}
	for _, e := range forward(effects) {
		for _, c := range e.Changes {
			if e.Done {
				last[c.Key()] = c.To
			}
		}
	}
	return last
}

// holdOn holds changes that still read so, or whose object is away; what
// somebody else set meanwhile is theirs, and what cannot be read may be.
func (x *Executor) holdOn(ctx context.Context, changes []state.Change) {
	for _, part := range byTarget(changes) {
		target := part[0].Target
		s, dead, err := x.readForUndo(ctx, target, x.Program.Targets[target])
		if err != nil || len(dead) > 0 {
			continue
		}
		x.holds.keep(target, slices.DeleteFunc(slices.Clone(part), func(c state.Change) bool {
			o, there := s.Objects[c.Object]
			return there && o.Attrs[c.Attribute] != c.To
		}))
	}
}
