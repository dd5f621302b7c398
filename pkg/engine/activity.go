package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// Executor performs activities on the real world. One executor drives one run.
type Executor struct {
	Program *Program
	Gates   *gate.Registry
	GateEnv gate.Env
	Secrets *secret.Resolver
	Log     *slog.Logger
	// Dir is the run's directory, for command output.
	Dir string
	// Clock is the time that the run lives in; nil is the machine's.
	Clock Clock
	// Look receives observations.
	Look func(key string, d journal.LookData)
	// Lease says whether this process may still change anything, for at least
	// as long as a call may take effect. It is asked before every change.
	Lease func(maxInFlight time.Duration) error
	// Uncertain hears of a call whose outcome is unknown: it may take effect
	// later.
	Uncertain func()
	// Detach: the looks of a wait end after that time, to be made again by
	// whoever resumes the run; 0: never.
	Detach time.Duration
	// holds keep what a system may forget; nil keeps nothing.
	holds  *holds
	recent recent
}

// Do performs one activity. in is the activity's own input type.
func (x *Executor) Do(ctx context.Context, key, activity string, in any) (any, error) {
	if activity == "observe" {
		return x.observe(ctx, in.(journal.Observe))
	}
	known := x.recent.disturb()
	defer x.recent.settle()
	switch in := in.(type) {
	case journal.Observe:
		return nil, x.kill(ctx, in)
	case journal.Apply:
		return x.apply(ctx, key, in, known[in.Target])
	case journal.Restore:
		return x.restore(ctx, key, in)
	case journal.Drain:
		out, err := x.drain(ctx, key, in)
		return out, x.sameLives(ctx, key, err)
	case journal.Command:
		return x.run(ctx, key, in)
	case journal.Call:
		return x.ask(ctx, key, in)
	case gateIn:
		out, err := x.gate(ctx, key, in)
		return out, x.sameLives(ctx, key, err)
	case journal.Versions:
		return x.versions(ctx, in)
	case journal.Views:
		return x.views(ctx, key, in)
	case glance:
		return x.glance(ctx, in), nil
	}
	return nil, fmt.Errorf("engine: no activity %s for %T", activity, in)
}

func (x *Executor) target(name string) (driver.Driver, error) {
	d, ok := x.Program.Targets[name]
	if !ok {
		return nil, fmt.Errorf("no target %q", name)
	}
	return d, nil
}

// path puts target and driver in front of an error, from the outside in.
func (x *Executor) path(verb, target string, err error) error {
	return fmt.Errorf("%s %s: %w", verb, target, driver.Named(x.Program.Infos[target].Name, err))
}

func (x *Executor) observe(ctx context.Context, in journal.Observe) (journal.Observed, error) {
	d, err := x.target(in.Target)
	if err != nil {
		return journal.Observed{}, err
	}
	l, turn := x.recent.get(in.Target)
	if !l.recent(x.clock().Now()) {
		l.at = x.clock().Now()
		if l.state, err = d.Read(ctx); err != nil {
			return journal.Observed{}, x.path("read", in.Target, err)
		}
		if compares(d) {
			x.recent.put(in.Target, l, turn)
		}
	}
	s := l.state
	if err := x.sameLife(in.Target, s); err != nil {
		return journal.Observed{}, err
	}
	out := journal.Observed{Objects: map[string]map[string]state.Value{}, Nodes: s.Nodes}
	for _, id := range in.IDs {
		out.Objects[id] = s.Objects[id].Attrs
	}
	return out, nil
}

// sameLives is asked when a gate, a hold or a drain has come to its end with
// err: what it saw is worth nothing when a node has forgotten the run's values
// meanwhile, and then that is the reason for a no. What cannot be read is left
// to who needs it.
func (x *Executor) sameLives(ctx context.Context, key string, err error) error {
	if ctx.Err() != nil || strings.HasPrefix(key, "/undo/") {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(x.Program.Targets)) {
		if len(x.Program.Pins.Targets[name].Nodes) == 0 {
			continue
		}
		s, rerr := x.Program.Targets[name].Read(ctx)
		if rerr != nil && !isPartial(rerr) {
			continue
		}
		if lerr := x.sameLife(name, s); lerr != nil {
			return lerr
		}
	}
	return err
}

// sameLife refuses to go on with a node that has forgotten its runtime state.
func (x *Executor) sameLife(target string, s state.State) error {
	for node, was := range x.Program.Pins.Targets[target].Nodes {
		now, ok := s.Nodes[node]
		if !ok || now.Same(was) {
			continue
		}
		e := fail(classReload, "%s: node %s was restarted or reloaded since this run began (was %s, now %s): values set at run time may be lost",
			target, node, was.ID, now.ID)
		e.Hints = []string{"look at `flip get` and at who reloaded it, then start a new run"}
		return e
	}
	return nil
}

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
	return x.write(ctx, key, in.Target, in.Changes, in.Phase == "raise", true, known)
}

// write makes changes true: read, compare, guard, apply, read back, settle. An
// unknown outcome is decided by reading, never by repeating blindly.
func (x *Executor) write(ctx context.Context, key, target string, changes []state.Change, raising, strict bool, known look) (journal.Applied, error) {
	d, err := x.target(target)
	if err != nil {
		return journal.Applied{}, err
	}
	ctx = driver.WithProgress(ctx, func(text string) { x.Look(key, journal.LookData{Text: text}) })
	already := 0
	var began []string
	var found []state.State
	const tries = 4
	for try := 1; ; try++ {
		s, seen := x.enough(target, known, changes)
		known = look{} // once
		if !seen {
			s, err = d.Read(ctx)
		}
		if err != nil && (strict || !isPartial(err)) {
			return journal.Applied{}, x.path("read", target, err)
		}
		if strict {
			if err := x.sameLife(target, s); err != nil {
				return journal.Applied{}, err
			}
		}
		found = append(found, s)
		todo, drift := x.pending(changes, s)
		if len(drift) > 0 {
			return journal.Applied{}, x.driftError(target, changes, drift)
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
			return journal.Applied{}, err
		}
		var frozen *journal.FrozenError
		if err := x.mayWrite(d); errors.As(err, &frozen) {
			x.Look(key, journal.LookData{Text: frozen.Error() + "; looking again"})
			continue // what was read may be old
		} else if err != nil {
			return journal.Applied{}, err
		}
		x.holds.release(target, todo)
		err = d.Apply(ctx, todo)
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
			return journal.Applied{}, x.path("apply", target, err)
		}
		x.Look(key, journal.LookData{Text: fmt.Sprintf("try %d of %d: %v", try, tries, err)})
		if err := x.pause(ctx, time.Duration(try)*100*time.Millisecond); err != nil {
			return journal.Applied{}, x.path("apply", target, err)
		}
	}
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
