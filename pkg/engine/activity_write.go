package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// accepts reports whether a live value allows a change to be made: it is where
// the change begins, or on the way to where it ends.
func (x *Executor) accepts(c state.Change, now state.Value) bool {
	if now == c.From {
		return true
	}
	attr, _ := x.Program.kindOf(c.Target, c.Object).Attribute(c.Attribute)
	return attr.Via != nil && slices.Contains(attr.Via(c.From, c.To), now)
}

// pending compares changes with the live state: what is still to do, and what
// somebody else did.
func (x *Executor) pending(changes []state.Change, s state.State) (todo []state.Change, drift []state.Change) {
	for _, c := range changes {
		now := s.Get(c.Object, c.Attribute)
		switch {
		case now == c.To:
		case x.accepts(c, now):
			c.From = now
			todo = append(todo, c)
		default:
			c.From = now
			drift = append(drift, c)
		}
	}
	return todo, drift
}

func (x *Executor) apply(ctx context.Context, key string, in journal.Apply, known look) (journal.Applied, error) {
	ctx, cancel := x.withDeadline(ctx, in.Deadline)
	defer cancel()
	heirs := in.Heirs
	if in.Phase == "lower" {
		heirs = slices.Concat(heirs, x.owed[in.Target])
	}
	return x.write(ctx, key, in.Target, in.Changes, in.Phase == "raise", true, known, heirs)
}

// write makes changes true: read, compare, guard, apply, read back, settle. An
// unknown outcome is decided by reading, never by repeating blindly.
func (x *Executor) write(ctx context.Context, key, target string, changes []state.Change, raising, strict bool, known look, heirs []string) (journal.Applied, error) {
	d, err := x.target(target)
	if err != nil {
		return journal.Applied{}, err
	}
	yield, err := x.alone(ctx, target, raising)
	if err != nil {
		return journal.Applied{}, err
	}
	defer yield()
	ctx = driver.WithProgress(ctx, func(text string) { x.Look(key, journal.LookData{Text: text}) })
	already := 0
	var began []string
	var found []state.State
	var calls sent
	refuse := func(err error) (journal.Applied, error) {
		return journal.Applied{}, x.unwritten(ctx, d, calls, err)
	}
	const tries = 4
	for try := 1; ; try++ {
		s, seen := x.enough(target, known, changes)
		known = look{} // once
		if !seen {
			s, err = d.Read(ctx)
		}
		if err != nil && (strict || !isPartial(err)) {
			return refuse(x.path("read", target, err))
		}
		if strict {
			if err := x.sameLife(target, s); err != nil {
				return refuse(err)
			}
		}
		found = append(found, s)
		todo, drift := x.pending(changes, s)
		if len(drift) > 0 {
			return refuse(x.driftError(target, changes, drift))
		}
		if try == 1 {
			already = len(changes) - len(todo)
			if raising {
				began = x.begins(target, s, changes)
			}
		}
		if len(todo) == 0 {
			break
		}
		if err := x.guard(ctx, target, s, todo); err != nil {
			return refuse(err)
		}
		if waited, err := x.inherits(ctx, key, target, s, todo, heirs); err != nil {
			return refuse(err)
		} else if waited {
			continue // what was read is old
		}
		var frozen *journal.FrozenError
		if err := x.mayWrite(d); errors.As(err, &frozen) {
			x.Look(key, journal.LookData{Text: frozen.Error() + "; looking again"})
			continue // what was read may be old
		} else if err != nil {
			return refuse(err)
		}
		x.holds.release(target, todo)
		err = d.Apply(ctx, todo)
		calls.note(todo, err)
		if errors.Is(err, driver.ErrUnknown) {
			err = x.landed(ctx, key, d, todo, err)
		}
		if err == nil {
			err = x.readBack(ctx, d, target, todo)
		}
		if err == nil {
			break
		}
		if seen && isDrift(err) {
			continue // read, to tell all that somebody else changed
		}
		if try >= tries || ctx.Err() != nil || errors.Is(err, driver.ErrPermanent) || isDrift(err) {
			return refuse(x.path("apply", target, err))
		}
		x.Look(key, journal.LookData{Text: fmt.Sprintf("try %d of %d: %v", try, tries, err)})
		if err := x.pause(ctx, time.Duration(try)*100*time.Millisecond); err != nil {
			return refuse(x.path("apply", target, err))
		}
	}
	yield()
	if settler, ok := driver.As[driver.Settler](d); ok {
		if err := settler.Settle(ctx, changes); err != nil {
			return journal.Applied{}, x.path("settle", target, err)
		}
	}
	if strict {
		x.holds.keep(target, changes)
	}
	if err := x.healthy(ctx, key, d, target, began); err != nil {
		return journal.Applied{}, err
	}
	replaced := x.Program.replacedSince(ctx, target, found, changes, x.clock().Now())
	return journal.Applied{Nodes: nodesOf(x.Program, target, changes), Already: already, Replaced: replaced}, nil
}

// landed waits until a call whose answer was lost shows its effect, or cannot
// have one any more. Without that it could land behind the next change and
// undo it unseen.
func (x *Executor) landed(ctx context.Context, key string, d driver.Driver, changes []state.Change, lost error) error {
	until := x.clock().Now().Add(maxInFlight(d))
	x.Look(key, journal.LookData{Text: "it may still take effect, looking: " + lost.Error(), Until: until})
	for wait := readBackFirst; ; wait = min(2*wait, readBackMax) {
		s, err := d.Read(ctx)
		if (err == nil || isPartial(err)) && !slices.ContainsFunc(changes, func(c state.Change) bool { return !x.shows(s, err, c) }) {
			return nil
		}
		left := until.Sub(x.clock().Now())
		if left <= 0 || x.pause(ctx, min(wait, left)) != nil {
			if x.Uncertain != nil {
				x.Uncertain()
			}
			return lost
		}
	}
}

func (x *Executor) mayWrite(d driver.Driver) error {
	if x.Lease == nil {
		return nil
	}
	return x.Lease(maxInFlight(d))
}

func maxInFlight(d driver.Driver) time.Duration {
	if b, ok := driver.As[driver.Bounded](d); ok {
		return b.MaxInFlight()
	}
	return time.Second
}

func (x *Executor) driftError(target string, changes, drift []state.Change) error {
	var lines []string
	for _, now := range drift {
		i := slices.IndexFunc(changes, func(c state.Change) bool { return c.Key() == now.Key() })
		lines = append(lines, fmt.Sprintf("%s %s: was %s, to be %s, now %s", x.Program.name(target, now.Object), now.Attribute, changes[i].From, changes[i].To, now.From))
		if len(lines) == 5 && len(drift) > 5 {
			lines = append(lines, fmt.Sprintf("and %d more", len(drift)-5))
			break
		}
	}
	e := fail(classDrift, "%s: somebody else changed %s", target, strings.Join(lines, "; "))
	e.Hints = []string{"nothing of this change was written; find out who did it before you run again"}
	return e
}

// shows reports whether what was read has a change made. On a node that did
// not answer nothing is: its objects only look as if they were deleted.
func (x *Executor) shows(s state.State, err error, c state.Change) bool {
	if partial, ok := errors.AsType[*driver.PartialError](err); ok {
		if _, silent := partial.Nodes[x.Program.Pins.Targets[c.Target].Objects[c.Object].Node]; silent {
			return false
		}
	}
	return s.Get(c.Object, c.Attribute) == c.To
}

// backoffs of reading back: quickly at first, since most systems show a change
// at once.
const (
	readBackFirst = 2 * time.Millisecond
	readBackMax   = 250 * time.Millisecond
	readBackLimit = 15 * time.Second
)

// readBack waits until the system shows every change.
func (x *Executor) readBack(ctx context.Context, d driver.Driver, target string, changes []state.Change) error {
	ctx, cancel := x.withTimeout(ctx, readBackLimit)
	defer cancel()
	for wait := readBackFirst; ; wait = min(2*wait, readBackMax) {
		s, err := d.Read(ctx)
		if err == nil || isPartial(err) {
			i := slices.IndexFunc(changes, func(c state.Change) bool { return !x.shows(s, err, c) })
			if i < 0 {
				return nil
			}
			c := changes[i]
			err = fmt.Errorf("read back: %s %s is %s, not %s", x.Program.name(target, c.Object), c.Attribute, s.Get(c.Object, c.Attribute), c.To)
		}
		if perr := x.pause(ctx, wait); perr != nil {
			return err
		}
	}
}

// nodesOf counts the nodes on which changes were made.
func nodesOf(p *Program, target string, changes []state.Change) int {
	nodes := map[string]bool{}
	for _, c := range changes {
		nodes[p.Pins.Targets[target].Objects[c.Object].Node] = true
	}
	return len(nodes)
}

func isPartial(err error) bool {
	var p *driver.PartialError
	return errors.As(err, &p)
}

func isDrift(err error) bool {
	var d *driver.DriftError
	return errors.As(err, &d)
}
