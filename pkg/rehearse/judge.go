package rehearse

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// Way is what was tried from a point.
type Way string

// The ways.
const (
	Forward Way = "forward" // resume, to the plan's end
	Back    Way = "back"    // roll back, to what was before
	Failing Way = "failing" // an activity fails, the run goes back by itself
	Again   Way = "again"   // killed on the way back, which is then gone anew
)

// Diff is one value that is not what it should be.
type Diff struct {
	state.Key
	Name     string      `json:"name"`
	Before   state.Value `json:"before"`
	Expected state.Value `json:"expected"`
	Now      state.Value `json:"now"`
}

// verdict is what came of one try.
type verdict struct {
	why    string // empty is proven
	detail string // of this point alone
	diffs  []Diff
	notes  []string
	// met is the number after that of a point of the undisturbed run that this
	// one came to; what follows from there is judged there. 0 is none.
	met int
}

// trial is one try: a world in which a run is taken up and driven.
type trial struct {
	r     *rehearsal
	world *world
	log   *memory
	end   journal.End
	err   error
	met   int
}

// take takes up the run of a point with a fault, in a world of its own.
func (r *rehearsal) take(p point, n int, f Fault) (*trial, error) {
	w, err := p.world.fork(r.rng(n, f))
	if err != nil {
		return nil, err
	}
	t := &trial{r: r, world: w, log: &memory{records: slices.Clip(p.records)}}
	dying := p.written && p.record.Type == journal.TypeIntent && len(p.flying) > 0
	switch {
	case f == Drift:
		c := p.foreign
		if err := w.twins[c.Target].Set(c.Object, c.Attribute, c.To); err != nil {
			return nil, err
		}
	case f == LateWrite && dying:
		for _, c := range p.flying {
			w.late(c.target, c.changes)
		}
	case f == Partial && dying:
		c := p.flying[0]
		w.twins[c.target].land(c.changes[:(len(c.changes)+1)/2])
	default:
		for _, twin := range w.twins {
			twin.fault = f
		}
	}
	if p.doing != nil {
		w.commands = append(w.commands, *p.doing)
	}
	return t, nil
}

func (t *trial) drive(ctx context.Context, way Way) {
	run, o := t.world.runner(t.log), options("")
	if way == Forward {
		var stop context.CancelCauseFunc
		o.Hard, stop = context.WithCancelCause(ctx)
		defer stop(nil)
		t.log.seen = func(r journal.Record, written bool) {
			if written && t.meets(ctx, r) {
				stop(engine.ErrHardStop)
			}
		}
		t.end, t.err = run.Resume(ctx, runID, o)
	} else {
		t.end, t.err = run.Rollback(ctx, runID, "rehearsed", o)
	}
	t.world.clock.settle()
}

// meets reports whether the run has come to where the undisturbed one was: the
// same step of the plan is done, every value is the same, and nothing of the
// fault is left. From there the two cannot differ, and the other one is
// followed.
func (t *trial) meets(ctx context.Context, r journal.Record) bool {
	n, ok := t.r.milestones[r.Key]
	if !ok || r.Type != journal.TypeStep || len(t.world.clock.events) > 0 {
		return false
	}
	if s, err := journal.Decode[journal.Step](r); err != nil || s.Status != "done" {
		return false
	}
	for _, twin := range t.world.twins {
		if twin.fault != None {
			return false
		}
	}
	want := t.r.clean.points[n].states
	if v := t.compare(ctx, want, nil); v.why != "" || len(v.diffs) > 0 {
		return false
	}
	t.met = n + 1
	return true
}

// back judges a way back: everything as it was before, every command undone.
func (t *trial) back(ctx context.Context, foreign *state.Change) verdict {
	if t.err != nil && !errors.Is(t.err, engine.ErrNothingToDo) {
		return verdict{why: t.err.Error()}
	}
	v := t.compare(ctx, t.r.before, foreign)
	v.notes = t.meant()
	switch missing := t.notUndone(); {
	case foreign == nil && t.world.broken != "":
		v.why, v.detail = stillCached, t.world.broken
	case foreign != nil && !t.reported(foreign.Key()):
		v.why, v.detail = "another operator wrote a value of the run's, and it did not call that drift", t.r.changeText(*foreign)
	case foreign != nil && t.said("guard"):
		v.diffs = nil // the operator took capacity away: a guard stopped the way back, and the run says both
	case foreign != nil && t.ended(journal.OutcomeIncomplete) && strings.Contains(t.end.Reason, engine.MayStillServe):
		v.diffs = nil // the operator keeps a member in traffic: its undo must not be run, and the run says so
	case len(v.diffs) > 0 && t.ended(journal.OutcomeIncomplete):
		v.why, v.detail = "the way back stopped", t.end.Reason
	case len(v.diffs) > 0:
		v.why = "flip says " + string(t.end.Outcome) + ", but " + values(len(v.diffs), "not as before")
	case t.ended(journal.OutcomeIncomplete) && foreign == nil:
		v.why, v.detail = "flip says "+string(t.end.Outcome), t.end.Reason
	case missing != "":
		v.why = missing
	}
	return v
}

// stillCached is why a way is not proven that is too quick for caches.
const stillCached = "a server loses its traffic while caches may still answer with it"

func (t *trial) ended(o journal.Outcome) bool { return t.end.Outcome == o }

func values(n int, what string) string {
	if n == 1 {
		return "1 value is " + what
	}
	return fmt.Sprintf("%d values are %s", n, what)
}

// forward judges a way forward: the plan's end. With an operator's value in the
// way the run may also stop, but must say so.
func (t *trial) forward(ctx context.Context, begun bool, foreign *state.Change) verdict {
	switch {
	case foreign == nil && t.world.broken != "":
		return verdict{why: stillCached, detail: t.world.broken}
	case t.met > 0:
		return verdict{met: t.met}
	case errors.Is(t.err, engine.ErrNothingToDo) && !begun:
		return t.named(t.compare(ctx, t.r.before, nil), "it had not begun, but %s")
	case t.err != nil && !errors.Is(t.err, engine.ErrNothingToDo):
		return verdict{why: t.err.Error()}
	case t.err != nil || t.ended(t.r.clean.end.Outcome):
		if foreign != nil && t.reported(foreign.Key()) {
			return verdict{}
		}
		v := t.compare(ctx, t.r.clean.states, foreign)
		if foreign != nil && len(v.diffs) > 0 {
			v.why, v.detail = "another operator wrote a value of the run's, and it wrote over that without a word", t.r.changeText(*foreign)
			return v
		}
		return t.named(v, "flip says "+string(t.r.clean.end.Outcome)+", but %s")
	case foreign != nil && t.reported(foreign.Key()):
		return verdict{} // the way back is judged where it is gone
	}
	return verdict{why: fmt.Sprintf("the run did not go on to the plan's end; it ended %s", t.end.Outcome), detail: t.end.Reason}
}

func (t *trial) named(v verdict, format string) verdict {
	if len(v.diffs) > 0 {
		v.why = fmt.Sprintf(format, values(len(v.diffs), "not as the plan leaves them"))
	}
	return v
}

// compare finds the values that differ; of an operator's, that it still
// stands.
func (t *trial) compare(ctx context.Context, want map[string]state.State, foreign *state.Change) verdict {
	now, err := t.world.states(ctx)
	if err != nil {
		return verdict{why: err.Error()}
	}
	if foreign != nil {
		want = maps.Clone(want)
		want[foreign.Target] = want[foreign.Target].With([]state.Change{*foreign})
	}
	var v verdict
	for _, target := range slices.Sorted(maps.Keys(want)) {
		for _, k := range keysOf(target, want[target], now[target]) {
			v.diffs = append(v.diffs, Diff{
				Key: k, Name: t.r.base.Name(target, k.Object), Before: t.r.before[target].Get(k.Object, k.Attribute),
				Expected: want[target].Get(k.Object, k.Attribute), Now: now[target].Get(k.Object, k.Attribute),
			})
		}
	}
	return v
}

// keysOf are the attributes of either state that differ, in order.
func keysOf(target string, a, b state.State) []state.Key {
	seen := map[state.Key]bool{}
	for _, side := range [][2]state.State{{a, b}, {b, a}} {
		for id, o := range side[0].Objects {
			for attr, v := range o.Attrs {
				if side[1].Get(id, attr) != v {
					seen[state.Key{Target: target, Object: id, Attribute: attr}] = true
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(seen), state.Key.Compare)
}

// reported tells whether the run itself called the value drift.
func (t *trial) reported(k state.Key) bool {
	if slices.ContainsFunc(t.end.Drift, func(d journal.Drift) bool { return d.Key == k }) {
		return true
	}
	return t.said("drift")
}

// said tells whether an activity failed for that reason.
func (t *trial) said(class string) bool {
	return slices.ContainsFunc(t.log.records, func(r journal.Record) bool { return r.Error != nil && r.Error.Class == class })
}

// notUndone names the first command that was run and not undone, and that the
// plan does not say to leave.
func (t *trial) notUndone() string {
	for i, c := range t.world.commands {
		if c.back {
			continue
		}
		if c.undo == "" {
			if !t.r.noUndo[c.step] {
				return fmt.Sprintf("not undone by flip: step %s has no undo", c.step)
			}
			continue
		}
		undone := slices.ContainsFunc(t.world.commands[i:], func(u command) bool { return u.back && u.text == c.undo })
		if !undone {
			return fmt.Sprintf("the undo of step %s was not run", c.step)
		}
	}
	return ""
}

// meant are the commands that stay done because the plan says so.
func (t *trial) meant() []string {
	var notes []string
	for _, c := range t.world.commands {
		if !c.back && c.undo == "" && t.r.noUndo[c.step] {
			notes = append(notes, fmt.Sprintf("step %s stays done, as its undo: none says", c.step))
		}
	}
	return notes
}

func (r *rehearsal) changeText(c state.Change) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s = %s", r.base.Name(c.Target, c.Object), c.Attribute, c.To))
}
