package engine

import (
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

// caching is one record set whose old answers are waited for.
type caching struct {
	target, id string
	now        map[string]state.Value
	versions   []journal.Replaced
}

// recordSets are the objects that a rule is about, by target.
func (p *Program) recordSets(rule plan.TTL) []selected {
	var all []selected
	for _, t := range p.Plan.Targets {
		if rule.Target != "" && rule.Target != t.Name {
			continue
		}
		out := selected{target: t.Name}
		for id, o := range p.Pins.Targets[t.Name].Objects {
			named := slices.ContainsFunc(rule.Records, func(r plan.Record) bool { return r.Key() == plan.RecordKey(o.Name) })
			if named && isRecord(p.kindOf(t.Name, id)) && p.setsRecord(t.Name, o.Name) {
				out.ids = append(out.ids, id)
			}
		}
		if len(out.ids) > 0 {
			slices.Sort(out.ids)
			all = append(all, out)
		}
	}
	return all
}

// setsRecord reports whether a step of the plan sets that record of the target.
func (p *Program) setsRecord(target, name string) bool {
	found := false
	p.Plan.Walk(func(s plan.Step) {
		if s.Set == nil || s.Set.Target != target || len(s.Set.Object) == 0 {
			return
		}
		_, own, err := p.objectName(s.Set.Selection)
		found = found || err == nil && plan.RecordKey(own) == plan.RecordKey(name)
	})
	return found
}

// cachings reads the records of a rule and finds every version of theirs that
// this run, or one shortly before it, replaced.
func (f frame) cachings(rule plan.TTL) ([]caching, error) {
	made := slices.Concat(f.past, *f.effects)
	var all []caching
	for _, t := range f.p.recordSets(rule) {
		in := journal.Versions{Target: t.target, IDs: t.ids, Unsure: unsure(made, t)}
		var out journal.Versioned
		if err := f.c.Do(f.path+"."+t.target+".versions", journal.ActivityVersions, in, &out); err != nil {
			return nil, err
		}
		for _, id := range t.ids {
			now, read := out.Objects[id]
			if !read {
				return nil, fail(classUnreadable, "%s: %s cannot be read", t.target, f.p.name(t.target, id))
			}
			if why := out.Hidden[id]; why != "" && len(rule.From) > 0 {
				return nil, fail(classInvalid, "%s cannot be seen by looking it up: %s", f.p.name(t.target, id), why)
			}
			c := caching{t.target, id, now, versionsOf(t.target, id, f.p.Pins.Cached, replacedBy(made), out.Replaced)}
			if err := f.ownStill(c); err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		return nil, fail(classInvalid, "no step sets %s", rule.Records[0].Name)
	}
	return all, nil
}

// ownStill refuses to wait for a record that somebody else wrote meanwhile, be
// it the value from before the run: how long answers of theirs are kept is not
// known, and what the plan does next is meant for what the run had left.
func (f frame) ownStill(c caching) error {
	var changes []state.Change
	made := slices.Concat(f.past, *f.effects)
	was, before := leftBehind(made), firstBefore(made)
	for _, attr := range []string{recordValues, recordTTL} {
		change := state.Change{Target: c.target, Object: c.id, Attribute: attr, From: c.now[attr]}
		if v, known := was[change.Key()]; known && v != c.now[attr] && !inDoubt(made, change.Key()) {
			return f.changedByOthers(change, before[change.Key()], v)
		}
		changes = append(changes, change)
	}
	return f.foreign(changes)
}

// leftBehind is what finished changes made of attributes.
func leftBehind(effects []journal.Effect) map[state.Key]state.Value {
	out := map[state.Key]state.Value{}
	for _, e := range forward(effects) {
		if !e.Done {
			continue
		}
		for _, c := range e.Changes {
			out[c.Key()] = c.To
		}
	}
	return out
}

// inDoubt reports whether a change of k was begun whose end was not seen.
func inDoubt(effects []journal.Effect, k state.Key) bool {
	return slices.ContainsFunc(forward(effects), func(e journal.Effect) bool {
		return !e.Done && slices.ContainsFunc(e.Changes, func(c state.Change) bool { return c.Key() == k })
	})
}

// mayRetire refuses to wait for a value to go that is still given out.
func (f frame) mayRetire(sets []caching, retire []string) error {
	for _, c := range sets {
		for _, v := range retire {
			if among(c.now[recordValues].List(), v) {
				e := fail(classInvalid, "retire: %s is still in %s", v, f.p.name(c.target, c.id))
				e.Hints = []string{"take it out of the set in a step before: set: {target: " + c.target + ", record: " + f.p.name(c.target, c.id) + ", values: [...]}"}
				return e
			}
		}
	}
	return nil
}

// unsure are the changes of records that were begun and whose end was not seen.
func unsure(made []journal.Effect, t selected) []state.Change {
	var out []state.Change
	for _, e := range made {
		if e.Done || e.Target != t.target {
			continue
		}
		for _, c := range e.Changes {
			if slices.Contains(t.ids, c.Object) {
				out = append(out, c)
			}
		}
	}
	return out
}

func replacedBy(effects []journal.Effect) []journal.Replaced {
	var out []journal.Replaced
	for _, e := range effects {
		out = append(out, e.Replaced...)
	}
	return out
}

// versionsOf are those of one record set.
func versionsOf(target, id string, lists ...[]journal.Replaced) []journal.Replaced {
	return slices.DeleteFunc(slices.Concat(lists...), func(r journal.Replaced) bool { return r.Target != target || r.Object != id })
}

// retiredOf are the values of a record set that nobody may have any more. A
// value that another of the sets still serves is not retired.
func retiredOf(c caching, sets []caching, retire []string) []string {
	if len(retire) > 0 {
		return retire
	}
	return slices.DeleteFunc(Retired(c.versions, c.now[recordValues].List()), func(v string) bool {
		return slices.ContainsFunc(sets, func(o caching) bool { return among(o.now[recordValues].List(), v) })
	})
}

// floorOf is the latest of the moments from which each set is safe.
func floorOf(sets []caching, retire []string, slack time.Duration) (floor time.Time, last journal.Replaced, any bool) {
	for _, c := range sets {
		at, v, ok := SafeAt(c.versions, retiredOf(c, nil, retire), slack)
		if ok && (!any || at.After(floor)) {
			floor, last, any = at, v, true
		}
	}
	return floor, last, any
}

// asks are what the views are asked, once for each name.
func (p *Program) asks(sets []caching, retire []string) []journal.Question {
	var out []journal.Question
	for _, c := range sets {
		name := p.Pins.Targets[c.target].Objects[c.id].Name
		ask := journal.Question{Record: name, Not: retiredOf(c, sets, retire)}
		if len(ask.Not) == 0 {
			ask.Set = c.now[recordValues].List()
			ask.TTL, _ = c.now[recordTTL].Int()
		}
		for _, ask := range lookedUp(ask) {
			i := slices.IndexFunc(out, func(o journal.Question) bool { return plan.RecordKey(o.Record) == plan.RecordKey(ask.Record) })
			if i < 0 {
				out = append(out, ask)
				continue
			}
			// Several targets answer for one name: only what none of them
			// serves can be asked about.
			out[i].Not = append(out[i].Not, ask.Not...)
			out[i].Set, out[i].TTL = nil, 0
		}
	}
	return out
}
