package engine

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

// selected are the objects of one target that a verb is about.
type selected struct {
	target string
	kind   string
	ids    []string
}

// selection resolves what a verb is about, by the pins of the run.
func (f frame) selection(s plan.Selection) ([]selected, error) {
	if s.Target != "" {
		return f.p.inTarget(s)
	}
	var g Group
	if s.Group == "" {
		if f.member == nil {
			return nil, fail(classInvalid, "no group, target or member is named")
		}
		g = Group{Name: f.member.Name, Members: []Member{*f.member}}
	} else {
		var err error
		if g, err = f.p.group(s.Group); err != nil {
			return nil, fail(classInvalid, "%v", err)
		}
	}
	targets := s.On
	if len(targets) == 0 {
		targets = g.targets()
	}
	var all []selected
	for _, t := range targets {
		if ids := g.ids(t); len(ids) > 0 {
			k, _ := f.p.Infos[t].Member()
			all = append(all, selected{t, k.Name, ids})
		}
	}
	if len(all) == 0 {
		return nil, fail(classInvalid, "group %s has no member on %s", g.Name, strings.Join(targets, ", "))
	}
	return all, nil
}

// pre is what a verb found before it changed anything, by target.
type pre map[string]map[string]map[string]state.Value

func (f frame) observe(sel []selected) (pre, error) {
	before := pre{}
	for _, s := range merged(sel) {
		var seen journal.Observed
		in := journal.Observe{Target: s.target, IDs: s.ids}
		if err := f.c.Do(f.path+"."+s.target+".observe", "observe", in, &seen); err != nil {
			return nil, err
		}
		if before[s.target] == nil {
			before[s.target] = map[string]map[string]state.Value{}
		}
		maps.Copy(before[s.target], seen.Objects)
	}
	return before, nil
}

// merged has each target once.
func merged(sel []selected) []selected {
	var out []selected
	for _, s := range sel {
		i := slices.IndexFunc(out, func(o selected) bool { return o.target == s.target })
		if i < 0 {
			out = append(out, s)
			continue
		}
		out[i].ids = slices.Concat(out[i].ids, s.ids)
	}
	return out
}

// change makes changes on several targets: everywhere first what adds
// capacity, then what takes it away. The undo entry is pushed before the act.
func (f frame) change(name, label string, before pre, changes []state.Change) error {
	if err := f.foreign(changes); err != nil {
		return err
	}
	raise, lower := f.p.phases(before, changes)
	for _, phase := range []struct {
		name    string
		changes []state.Change
	}{{"raise", raise}, {"lower", lower}} {
		for _, part := range byTarget(phase.changes) {
			key := f.path + name + "." + part[0].Target + "." + phase.name
			deadline, err := f.clock(name+"."+part[0].Target+"."+phase.name+".deadline", f.applyTimeout())
			if err != nil {
				return err
			}
			in := journal.Apply{Target: part[0].Target, Changes: part, Creates: before.creates(part), Label: label, Phase: phase.name, Deadline: earlier(f.deadline, deadline)}
			if phase.name == "lower" {
				in.Heirs = f.heirs[in.Target]
			}
			*f.effects = append(*f.effects, journal.Effect{Key: key, Kind: journal.ActivityApply, Target: in.Target, Changes: part, Creates: in.Creates})
			var out journal.Applied
			if err := f.c.Do(key, "apply", in, &out); err != nil {
				return err
			}
			made := &(*f.effects)[len(*f.effects)-1]
			made.Done, made.Replaced = true, out.Replaced
		}
	}
	return nil
}

// foreign refuses to write over a value that somebody else wrote since an
// earlier step did.
func (f frame) foreign(changes []state.Change) error {
	made := slices.Concat(f.past, *f.effects)
	ours, first := f.p.intended(made), firstBefore(made)
	for _, c := range changes {
		before, known := first[c.Key()]
		if !known || state.Judge(before, ours[c.Key()], c.From) != state.Drift {
			continue
		}
		return f.changedByOthers(c, before, ours[c.Key()][len(ours[c.Key()])-1])
	}
	return nil
}

func (f frame) changedByOthers(c state.Change, before, left state.Value) error {
	if !c.From.Present() && before.Present() {
		return notThere(c.Target, f.p.name(c.Target, c.Object)+": its "+c.Attribute+" was "+before.String()+", this run left it "+left.String())
	}
	e := fail(classDrift, "%s: somebody else changed %s %s: was %s, this run left it %s, now %s",
		c.Target, f.p.name(c.Target, c.Object), c.Attribute, before, left, c.From)
	e.Hints = []string{"nothing of this change was written; find out who did it before you run again"}
	return e
}

// notThere is the error about an object that was there and is not.
func notThere(target, what string) error {
	e := fail(classDrift, "%s: gone is %s", target, what)
	e.Hints = []string{"nothing of this change was written; bring it back (start the process that registers it), or look who removed it"}
	return e
}

func (f frame) applyTimeout() time.Duration {
	if d := f.p.Plan.Defaults.Timeout; d > 0 {
		return d
	}
	return 10 * time.Minute
}

// phases splits changes by what they do to each object's capacity. Objects
// that carry no traffic, and changes that leave the capacity as it is, go
// first: they prepare.
func (p *Program) phases(before pre, changes []state.Change) (raise, lower []state.Change) {
	next := map[string]state.Value{}
	for i := 0; i < len(changes); {
		j := i
		for j < len(changes) && changes[j].Target == changes[i].Target && changes[j].Object == changes[i].Object {
			j++
		}
		c := changes[i]
		old := before[c.Target][c.Object]
		clear(next)
		maps.Copy(next, old)
		for _, c := range changes[i:j] {
			next[c.Attribute] = c.To
			if c.To == state.Absent {
				delete(next, c.Attribute)
			}
		}
		if p.capacity(c.Target, c.Object, next) < p.capacity(c.Target, c.Object, old) {
			lower = append(lower, changes[i:j]...)
		} else {
			raise = append(raise, changes[i:j]...)
		}
		i = j
	}
	return raise, lower
}

func byTarget(changes []state.Change) [][]state.Change {
	var parts [][]state.Change
	for i := 0; i < len(changes); {
		j := i
		for j < len(changes) && changes[j].Target == changes[i].Target {
			j++
		}
		parts = append(parts, changes[i:j])
		i = j
	}
	return parts
}

func (f frame) set(s plan.Step) (string, error) {
	sel, err := f.selection(s.Set.Selection)
	if err != nil {
		return "", err
	}
	want := map[string]map[string]state.Value{} // by target
	for _, t := range sel {
		if want[t.target], err = f.values(t, s.Set.Attrs); err != nil {
			return "", err
		}
	}
	before, err := f.observe(sel)
	if err != nil {
		return "", err
	}
	var changes []state.Change
	for _, t := range sel {
		for _, id := range t.ids {
			changes = append(changes, changesOf(t.target, id, before[t.target][id], want[t.target])...)
		}
	}
	if len(changes) == 0 {
		return "already so", nil
	}
	state.Sort(changes)
	return count(len(changes), "change"), f.change("", "", before, changes)
}

// changesOf leads one object from what it is to what is wanted. "present:
// false" takes every attribute away, so that its undo can bring them back.
func changesOf(target, id string, old, want map[string]state.Value) []state.Change {
	var changes []state.Change
	for attr, to := range want {
		if !existence(attr) || to.Bool() {
			continue
		}
		for attr, v := range old {
			changes = append(changes, state.Change{Target: target, Object: id, Attribute: attr, From: v})
		}
		return changes
	}
	for attr, to := range want {
		if from := old[attr]; from != to {
			changes = append(changes, state.Change{Target: target, Object: id, Attribute: attr, From: from, To: to})
		}
	}
	return changes
}

// values evaluates a set's attributes for one target and checks them.
func (f frame) values(t selected, attrs []plan.Attr) (map[string]state.Value, error) {
	k, _ := f.p.Infos[t.target].Kind(t.kind)
	want := map[string]state.Value{}
	for _, a := range attrs {
		raw, err := evaluate(a.Value, f.scope(1))
		if err != nil && f.foresees() && strings.Contains(textOf(a.Value), "steps.") {
			continue // what it will be shows when the step before has run
		}
		if err != nil {
			return nil, fail(classInvalid, "%s: %v", a.Name, err)
		}
		attr, ok := k.Attribute(a.Name)
		if !ok {
			return nil, fail(classInvalid, "%s has no attribute %s", k.Name, a.Name)
		}
		v, err := attr.Convert(raw)
		if err != nil {
			return nil, fail(classInvalid, "%v", err)
		}
		want[a.Name] = v
	}
	return want, nil
}

func orElse[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
