package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// OnDrift says what happens to a value that somebody else wrote.
type OnDrift string

// What to do about drift on the way back.
const (
	DriftSkip  OnDrift = "skip"  // leave it, go on with the rest
	DriftStop  OnDrift = "stop"  // leave it and everything that is not yet undone
	DriftForce OnDrift = "force" // overwrite it
)

// UndoOptions say how a way back is gone.
type UndoOptions struct {
	Attempt int
	OnDrift OnDrift
	// Quiet is waited before a last sweep, 0 for no sweep: after an unclean
	// death a write of the dead process may still land (three-way comparison
	// then finds it among the run's own values).
	Quiet time.Duration
	// Timeout bounds one restore; 2 minutes by default.
	Timeout time.Duration
	Sweep   bool
	// NoCaches: what caches may hold is not waited for.
	NoCaches bool
	// Done are the restores and commands that an earlier attempt finished.
	Done Undone
}

// UndoReport is how it went.
type UndoReport struct {
	Changed  int // attributes that the run ever meant to change
	Restored int // of them, those that read as before the run
	Drift    []journal.Drift
	Cached   *journal.Cached // what others may go on answering
	// Err stopped the way back before its end.
	Err error
}

// segment is a stretch of changes between two commands; their undo is one
// pass, back to what the stretch began with.
type segment struct {
	before  map[state.Key]state.Value
	command *journal.Command
}

// segments cuts effects into stretches, the last first. A command without an
// undo does not cut.
func segments(effects []journal.Effect) []segment {
	var segs []segment
	cur := segment{before: map[state.Key]state.Value{}}
	for _, e := range slices.Backward(effects) {
		if e.Rollback > 0 {
			continue
		}
		if e.Kind == journal.ActivityRun {
			if e.Command.Undo == nil {
				continue
			}
			segs = append(segs, cur, segment{command: e.Command.Undo})
			cur = segment{before: map[state.Key]state.Value{}}
			continue
		}
		for _, c := range e.Changes {
			cur.before[c.Key()] = c.From
		}
		unborn(cur.before, e)
	}
	segs = append(segs, cur)
	return slices.DeleteFunc(segs, func(s segment) bool { return s.command == nil && len(s.before) == 0 })
}

// forward are the effects that a way back is about.
func forward(effects []journal.Effect) []journal.Effect {
	return slices.DeleteFunc(slices.Clone(effects), func(e journal.Effect) bool { return e.Rollback > 0 || e.Kind == journal.ActivityRestore })
}

// intended are all values that the run ever meant an attribute to have, with
// those that the system shows on the way.
func (p *Program) intended(effects []journal.Effect) map[state.Key][]state.Value {
	ours := map[state.Key][]state.Value{}
	add := func(k state.Key, v state.Value) {
		if !slices.Contains(ours[k], v) {
			ours[k] = append(ours[k], v)
		}
	}
	made := born{}
	for _, e := range forward(effects) {
		made.note(e)
		for _, c := range e.Changes {
			if made[objectKey(c)] && c.From.Present() {
				add(c.Key(), c.From) // what the system gave to what the run made
			}
			add(c.Key(), c.To)
			attr, _ := p.kindOf(c.Target, c.Object).Attribute(c.Attribute)
			if attr.Via != nil {
				for _, v := range append(attr.Via(c.From, c.To), attr.Via(c.To, c.From)...) {
					add(c.Key(), v)
				}
			}
		}
	}
	return ours
}

// undo is the state of one way back.
type undo struct {
	c     Context
	p     *Program
	o     UndoOptions
	path  string
	ours  map[state.Key][]state.Value
	drift map[state.Key]journal.Drift
	// early is drift that raising saw and lowering has not judged yet.
	early  map[state.Key]journal.Drift
	unread bool
	// back is what the segments so far have put back.
	back map[state.Key]state.Value
	// idled are the members that this way back took the traffic from, by
	// target, and that were not drained since.
	idled map[string][]string
	// past are the answers that the way forward replaced, given those that this
	// way back did; until waited nobody holds these any more.
	past, given []journal.Replaced
	waited      time.Time
	doubt       bool // see journal.Restore
	// left is what the way forward made of record sets.
	left map[state.Key]state.Value
	// first is what was before the run, stood what it made of that.
	first, stood map[state.Key]state.Value
}

// Undo puts back what effects changed, in reverse: capacity first, three-way,
// and only that. It runs on a Context that an operator's first stop does not
// end.
func Undo(c Context, p *Program, effects []journal.Effect, o UndoOptions) UndoReport {
	u := &undo{c: c, p: p, o: o, path: "/undo/" + strconv.Itoa(o.Attempt), ours: p.intended(effects), drift: map[state.Key]journal.Drift{}, early: map[state.Key]journal.Drift{}, idled: map[string][]string{}}
	u.past, u.given = remembers(effects)
	u.left = leftBehind(effects)
	u.first, u.stood = firstBefore(effects), stood(effects)
	err := u.all(segments(effects), u.first)
	r := UndoReport{Changed: len(u.first), Cached: u.cached(), Err: err}
	maps.Copy(u.drift, u.early) // of passes that did not come to their end
	keys := slices.SortedFunc(maps.Keys(u.drift), state.Key.Compare)
	for _, k := range keys {
		r.Drift = append(r.Drift, u.drift[k])
	}
	if err == nil {
		r.Restored = r.Changed - len(r.Drift)
	}
	return r
}

// firstBefore is what every attribute was before a run first meant to change it.
func firstBefore(effects []journal.Effect) map[state.Key]state.Value {
	first := map[state.Key]state.Value{}
	for _, e := range slices.Backward(forward(effects)) {
		for _, c := range e.Changes {
			first[c.Key()] = c.From
		}
		unborn(first, e)
	}
	return first
}

var errDriftStop = errors.New("stopped at the first value that somebody else changed")

func (u *undo) all(segs []segment, first map[state.Key]state.Value) error {
	u.back = map[state.Key]state.Value{}
	for i, s := range segs {
		err := u.segment(i, strconv.Itoa(i), s)
		if err != nil && u.o.Sweep && s.command == nil && !stopped(err) {
			err = u.onceMore(i, s, err)
		}
		if err != nil {
			return err
		}
		maps.Copy(u.back, s.before)
		if u.o.OnDrift == DriftStop && len(u.drift) > 0 {
			return errDriftStop
		}
	}
	if !u.o.Sweep && !u.unread {
		return nil
	}
	if err := u.settle(); err != nil {
		return err
	}
	// The last look at everything decides: what it cannot read or explain is
	// what remains.
	u.drift = map[state.Key]journal.Drift{}
	return u.pass("/sweep", -1, "sweep", first)
}

// settle waits until no write of a dead process can land any more.
func (u *undo) settle() error {
	if !u.o.Sweep || u.o.Quiet == 0 {
		return nil
	}
	return u.c.Sleep(u.path+"/quiet", u.o.Quiet)
}

// onceMore tries a segment again that failed after an unclean death: what is in
// its way may be a late write behind the way back, such as one that took the
// old side out again, so that a guard keeps the new one in.
func (u *undo) onceMore(i int, s segment, failed error) error {
	if err := u.settle(); err != nil {
		return err
	}
	if err := u.pass("/again-"+strconv.Itoa(i), -1, "sweep", u.back); err != nil {
		return errors.Join(failed, err)
	}
	return u.segment(i, strconv.Itoa(i)+"#2", s)
}

func (u *undo) segment(i int, name string, s segment) error {
	name = "/" + name
	if s.command != nil {
		if u.o.Done.Commands[i] {
			return nil
		}
		cmd := *s.command
		if cmd.Hidden {
			return hiddenUndo(cmd)
		}
		if d, err := time.ParseDuration(cmd.Timeout); err == nil {
			var until journal.Until
			if err := u.c.Do(u.path+name+".deadline", "clock", clockIn{d.String()}, &until); err != nil {
				return err
			}
			cmd.Deadline = until.Until
		}
		if err := u.outOfTraffic(name); err != nil {
			return fmt.Errorf("undo of step %q was not run: %w", cmd.Env["FLIP_STEP"], err)
		}
		if err := u.quiet(name); err != nil {
			return err
		}
		if err := u.caches(name); err != nil {
			return fmt.Errorf("undo of step %q was not run: %w", cmd.Env["FLIP_STEP"], err)
		}
		cmd.Log = fmt.Sprintf("logs/undo-%d-%d.log", u.o.Attempt, i)
		cmd.Held = u.standing()
		var exit journal.Exit
		if err := u.c.Do(u.path+name+".run", "run", cmd, &exit); err != nil {
			return fmt.Errorf("undo of step %q: %w", cmd.Env["FLIP_STEP"], err)
		}
		if exit.Code != 0 {
			return fmt.Errorf("undo of step %q: command exited with %d: %s", cmd.Env["FLIP_STEP"], exit.Code, lastLine(exit.Output))
		}
		return nil
	}
	before := maps.Clone(s.before)
	maps.DeleteFunc(before, func(k state.Key, _ state.Value) bool { return u.o.Done.Keys[i][k] })
	return u.stretch(name, i, before)
}

// undoTimeout bounds one restore where UndoOptions are silent: raising waits
// for members to be healthy, a sweep waits for nodes that do not answer.
const undoTimeout = 2 * time.Minute

// pass restores values on every target; an error stops the way back, because
// taking capacity away before it is back elsewhere loses requests.
func (u *undo) pass(name string, segment int, phase string, before map[state.Key]state.Value) error {
	items := map[string][]journal.Before{}
	for _, k := range slices.SortedFunc(maps.Keys(before), state.Key.Compare) {
		items[k.Target] = append(items[k.Target], journal.Before{Object: k.Object, Attribute: k.Attribute, Before: before[k], Ours: u.ours[k], Left: u.leftAt(k)})
	}
	for _, target := range slices.Sorted(maps.Keys(items)) {
		key := u.path + name + "." + target + "." + phase
		var until journal.Until
		if err := u.c.Do(key+".deadline", "clock", clockIn{orElse(u.o.Timeout, undoTimeout).String()}, &until); err != nil {
			return err
		}
		in := journal.Restore{
			Target: target, Segment: segment, Items: items[target], Phase: phase,
			Force: u.o.OnDrift == DriftForce, Until: until.Until, Doubt: u.doubt,
		}
		var out journal.Restored
		if err := u.c.Do(key, "restore", in, &out); err != nil {
			return err
		}
		u.switched(out.Changes)
		if phase == "raise" {
			for _, d := range out.Drift {
				u.early[d.Key] = d
			}
			continue // what it left alone is judged again when lowering
		}
		maps.DeleteFunc(u.early, func(k state.Key, _ journal.Drift) bool { return k.Target == target })
		u.idle(out.Changes)
		u.given = append(u.given, out.Replaced...)
		maps.DeleteFunc(u.drift, func(k state.Key, _ journal.Drift) bool { _, looked := before[k]; return looked && k.Target == target }) // the last look decides
		for _, d := range out.Drift {
			u.drift[d.Key] = d
			u.unread = u.unread || d.Unreadable != ""
		}
	}
	return nil
}
