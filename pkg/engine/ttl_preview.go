package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// now is the time that a run would live in: it passes where the preview counts
// it as the shortest.
func (c *previewContext) now() time.Time {
	if c.began.IsZero() {
		c.began = time.Now().UTC().Round(0)
	}
	at := c.began.Add(c.back.Shortest)
	for _, s := range c.out.Steps {
		at = at.Add(s.Shortest)
	}
	return at
}

func (c *previewContext) context() context.Context {
	if c.ctx == nil {
		return context.Background()
	}
	return c.ctx
}

// settles is how long consumers take to see changes.
func (c *previewContext) settles(target string, changes []state.Change) time.Duration {
	if e, ok := driver.As[driver.Expecter](c.p.Targets[target]); ok {
		return e.Expect(changes)
	}
	return 0
}

// WaitUntil counts the time that is left.
func (c *previewContext) WaitUntil(_, message string, until time.Time, _ any) error {
	d := max(0, until.Sub(c.now()))
	c.cur().Shortest += d
	c.cur().Longest += d
	if d > 0 {
		c.cur().Note = message
	}
	return nil
}

// versions answers from the copies.
func (c *previewContext) versions(in journal.Versions) journal.Versioned {
	out := journal.Versioned{Objects: map[string]map[string]state.Value{}}
	for _, id := range in.IDs {
		out.Objects[id] = c.states[in.Target].Objects[id].Attrs
	}
	out.Replaced = c.p.replaced(c.context(), in.Target, c.states[in.Target], in.Unsure, c.now())
	out.Hidden = hidden(c.context(), c.p.Targets[in.Target], in.IDs)
	return out
}

// views counts the time that the views may take at most; when nothing is in the
// way they pass at once.
func (c *previewContext) views(in journal.Views) journal.Seen {
	every, _ := time.ParseDuration(in.Every)
	need := time.Duration(in.Passes-1) * every
	c.cur().Shortest += need
	c.cur().Longest += max(need, in.Until.Sub(c.now()))
	return journal.Seen{Pass: true}
}

// restore puts values of the copies back.
func (c *previewContext) restore(in journal.Restore) journal.Restored {
	var changes []state.Change
	for _, item := range in.Items {
		now := c.states[in.Target].Get(item.Object, item.Attribute)
		if state.Judge(item.Before, item.Ours, now) == state.Ours {
			changes = append(changes, state.Change{Target: in.Target, Object: item.Object, Attribute: item.Attribute, From: now, To: item.Before})
		}
	}
	state.Sort(changes)
	raise, lower := c.p.phases(attrsOf(in.Target, c.states[in.Target]), changes)
	todo := raise
	if in.Phase == "lower" {
		todo = slices.Concat(raise, lower)
	}
	out := journal.Restored{Changes: todo, Already: len(in.Items) - len(changes)}
	if len(todo) > 0 {
		c.cur().Shortest += c.settles(in.Target, todo)
	}
	out.Replaced = c.p.replaced(c.context(), in.Target, c.states[in.Target], todo, c.now())
	c.states[in.Target] = c.states[in.Target].With(todo)
	return out
}

// effect notes what a step does, for the way back from there.
func (c *previewContext) effect(e journal.Effect) {
	e.Done = true
	c.effects = append(c.effects, e)
}

// wayBack goes back on a copy and returns how long caches make that take. Only
// plans that change record sets have to wait.
func (c *previewContext) wayBack() time.Duration {
	if len(replacedBy(c.effects)) == 0 {
		return 0
	}
	copied := &previewContext{ctx: c.ctx, p: c.p, states: maps.Clone(c.states), began: c.now()}
	Undo(copied, c.p, c.effects, UndoOptions{Attempt: 1, OnDrift: DriftSkip})
	return copied.back.Shortest
}

// StillCached is what caches may hold when a run is rolled back now, and for
// how long: the values that its record sets have beyond those that they had.
// It is made from the run's records alone.
func StillCached(st journal.Status, now time.Time) (values []string, d time.Duration) {
	last := map[state.Key]journal.Replaced{} // without an attribute: of a record set
	versions := replacedBy(st.Effects)
	for _, v := range versions {
		last[state.Key{Target: v.Target, Object: v.Object}] = v
	}
	for _, k := range slices.SortedFunc(maps.Keys(last), state.Key.Compare) {
		v := last[k]
		before, known := st.FirstBefore(state.Key{Target: k.Target, Object: k.Object, Attribute: recordValues})
		gone := slices.DeleteFunc(slices.Clone(v.Next), func(held string) bool { return among(before.List(), held) })
		if !known || len(gone) == 0 {
			continue
		}
		v.At = now
		v.Values = v.Next
		if ttl := st.Ours(state.Key{Target: k.Target, Object: k.Object, Attribute: recordTTL}); len(ttl) > 0 {
			v.Keep, _ = ttl[len(ttl)-1].Int()
		}
		at, _, _ := SafeAt(append(versionsOf(k.Target, k.Object, versions), v), gone, DefaultSlack)
		values, d = append(values, gone...), max(d, at.Sub(now))
	}
	return values, d
}
