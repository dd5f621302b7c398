package engine

import (
	"slices"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// born are the objects that a run made, as keys without an attribute.
type born map[state.Key]bool

func (b born) note(e journal.Effect) {
	for _, id := range e.Creates {
		b[state.Key{Target: e.Target, Object: id}] = true
	}
}

func objectKey(c state.Change) state.Key { return state.Key{Target: c.Target, Object: c.Object} }

// unborn makes absent what before holds of the objects that e made: before it
// they had nothing, not even what a system gives by itself and a later step
// changed. With the object all of that goes.
func unborn(before map[state.Key]state.Value, e journal.Effect) {
	for k := range before {
		if k.Target == e.Target && slices.Contains(e.Creates, k.Object) {
			before[k] = state.Absent
		}
	}
}

// creates are the objects of changes that did not exist before.
func (before pre) creates(changes []state.Change) []string {
	var ids []string
	for _, c := range changes {
		attrs, looked := before[c.Target][c.Object]
		if looked && len(attrs) == 0 && c.To.Present() && !slices.Contains(ids, c.Object) {
			ids = append(ids, c.Object)
		}
	}
	return ids
}

// leaveWhole leaves all of an object alone that was to go and of which somebody
// else wrote a part: it is theirs now, and half of it cannot go.
func leaveWhole(in journal.Restore, changes []state.Change, out *journal.Restored) []state.Change {
	stays := func(object string) bool {
		goes := !slices.ContainsFunc(in.Items, func(i journal.Before) bool { return i.Object == object && i.Before.Present() })
		return goes && slices.ContainsFunc(out.Drift, func(d journal.Drift) bool { return d.Object == object && d.Unreadable == "" })
	}
	var left []state.Change
	for _, c := range changes {
		if !stays(c.Object) {
			left = append(left, c)
			continue
		}
		i := slices.IndexFunc(in.Items, func(i journal.Before) bool { return i.Object == c.Object && i.Attribute == c.Attribute })
		out.Drift = append(out.Drift, journal.Drift{Key: c.Key(), Before: c.To, Ours: in.Items[i].Ours, Now: c.From})
	}
	return left
}
