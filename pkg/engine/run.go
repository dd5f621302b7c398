package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

// frame is where the interpreter stands: one for each container, so that
// parallel branches share nothing.
type frame struct {
	c        Context
	p        *Program
	runID    string
	path     string
	member   *Member
	deadline time.Time // of the enclosing steps; zero is none
	effects  *[]journal.Effect
	past     []journal.Effect // of the steps around a branch, when it began
	outputs  map[string]map[string]string
	// committed: from here on there is no automatic way back.
	committed *bool
	// heirs are the members, by target, that carry what a change takes away.
	heirs map[string][]string
}

// Result is how the interpreter came to its end.
type Result struct {
	// Err is nil when every step is done.
	Err error
	// Step is the id of the step that Err comes from.
	Step string
	// Path is its structural path.
	Path string
	// Pause: the plan asked to stop here instead of going back.
	Pause bool
	// Effects are what has to be undone, in the order of their making.
	Effects []journal.Effect
}

// stepError carries the failing step's id and what the plan wants done.
type stepError struct {
	err  error
	step string
	path string
	act  string // rollback, pause, continue
}

func (e *stepError) Error() string { return fmt.Sprintf("step %q: %v", e.step, e.err) }
func (e *stepError) Unwrap() error { return e.err }

// Run interprets the program's steps. It does not undo; see Undo.
func Run(c Context, p *Program, runID string) Result {
	var effects []journal.Effect
	committed := false
	f := frame{c: c, p: p, runID: runID, path: "/steps", effects: &effects, outputs: map[string]map[string]string{}, committed: &committed}
	err := f.steps(p.Plan.Steps)
	r := Result{Err: err, Effects: effects}
	if se, ok := errors.AsType[*stepError](err); ok {
		r.Step, r.Path = se.step, se.path
		r.Pause = se.act == "pause" || committed
	}
	return r
}

func (f frame) steps(steps []plan.Step) error {
	for _, s := range steps {
		if f.c.Stopping(f.path + "/" + s.ID) {
			return ErrInterrupted
		}
		if err := f.step(s); err != nil {
			return err
		}
	}
	return nil
}

// step runs one step with everything that can stand around a verb.
func (f frame) step(s plan.Step) error {
	f.path += "/" + s.ID
	if s.When != nil {
		ok, err := s.When.Bool(f.scope(1))
		if err != nil && f.foresees() && strings.Contains(s.When.Source, "steps.") {
			ok, err = true, nil // it shows when the step before has run
		}
		if err != nil {
			return f.failed(s, fail(classInvalid, "when: %v", err))
		}
		if !ok {
			return f.note(s, "skipped", "when is false")
		}
	}
	if err := f.note(s, "begin", f.describe(s)); err != nil {
		return err
	}
	if s.Timeout > 0 && boundsAll(s) {
		d, err := f.clock("deadline", s.Timeout)
		if err != nil {
			return err
		}
		f.deadline = earlier(f.deadline, d)
	}
	text, err := f.attempts(s)
	if err == nil && len(s.Gates) > 0 && s.Ramp == nil && (s.Wait == nil || s.Wait.TTL != nil) {
		_, err = f.gates("post", s.Gates, s.Timeout)
	}
	if err != nil {
		return f.failed(s, err)
	}
	if s.Commit {
		*f.committed = true
	}
	return f.c.Do(f.path+".done", "step", journal.Step{ID: s.ID, Verb: s.Verb(), Status: "done", Text: text, Commit: s.Commit}, nil)
}

// attempts tries the verb as often as the plan allows. Only the last failure
// counts; drift, a guard or a gate that said no is never retried.
func (f frame) attempts(s plan.Step) (string, error) {
	tries := max(1, s.Retry.Attempts)
	base := f.path
	backoff := s.Retry.Backoff
	for i := 1; ; i++ {
		if i > 1 {
			f.path = base + "#" + strconv.Itoa(i)
		}
		text, err := f.verb(s, i)
		if err == nil || stopped(err) || i >= tries || !retryable(err) {
			return text, err
		}
		if err := f.c.Sleep(f.path+".backoff", backoff); err != nil {
			return "", err
		}
		backoff = min(2*backoff, max(s.Retry.Max, s.Retry.Backoff))
	}
}

func retryable(err error) bool {
	if _, ok := errors.AsType[*stepError](err); ok {
		return false // a step inside had retries of its own
	}
	switch classOf(err) {
	case classDrift, classGuard, classReload, classInvalid, classDenied, classCeiling:
		return false
	}
	return true
}

// failed decides what a failing step means for the steps around it.
func (f frame) failed(s plan.Step, err error) error {
	if stopped(err) {
		return err
	}
	if inner, ok := errors.AsType[*stepError](err); ok {
		if s.OnFail == "pause" {
			inner.act = "pause" // the container's word holds for what is in it
		}
		if s.OnFail == "continue" {
			return f.note(s, "done", "failed inside, the plan goes on: "+inner.err.Error())
		}
		_ = f.note(s, "failed", inner.Error())
		return err
	}
	if s.OnFail == "continue" && classOf(err) != classCeiling {
		return f.note(s, "failed", err.Error()+" (the plan goes on)")
	}
	if nerr := f.note(s, "failed", err.Error()); nerr != nil {
		return nerr
	}
	act := s.OnFail
	if act == "" {
		act = "rollback"
	}
	if classOf(err) == classCeiling {
		act = "pause" // on_max says so
	}
	return &stepError{err, s.ID, f.path, act}
}

func (f frame) note(s plan.Step, status, text string) error {
	return f.c.Do(f.path+"."+status, "step", journal.Step{ID: s.ID, Verb: s.Verb(), Status: status, Text: text}, nil)
}

// verb runs a step's one verb and says how it went, for people.
func (f frame) verb(s plan.Step, attempt int) (string, error) {
	switch {
	case s.Set != nil:
		return f.set(s)
	case s.Ramp != nil:
		return f.ramp(s)
	case s.Drain != nil:
		return f.drain(s)
	case s.Wait != nil:
		return f.wait(s)
	case s.Run != nil:
		return f.run(s, attempt)
	case s.Approve != nil:
		return f.approve(s)
	case s.Steps != nil:
		return "", f.steps(s.Steps)
	case s.Parallel != nil:
		return "", f.parallel(s.Parallel.Steps, s.Parallel.Limit)
	case s.Each != nil:
		return f.each(*s.Each)
	}
	return f.gates("gate", s.Gate, s.Timeout)
}

// branch is a frame for one of several branches: it collects for itself.
func (f frame) branch(c Context, path string) (frame, *[]journal.Effect) {
	effects := new([]journal.Effect)
	f.past = slices.Concat(f.past, *f.effects)
	f.c, f.path, f.effects = c, path, effects
	f.outputs = maps.Clone(f.outputs)
	committed := false
	f.committed = &committed
	return f, effects
}

// join takes over what the branches did, in the order of the plan.
func (f frame) join(branches []frame) {
	for _, b := range branches {
		if b.effects == nil {
			continue // never began
		}
		*f.effects = append(*f.effects, *b.effects...)
		maps.Copy(f.outputs, b.outputs)
		*f.committed = *f.committed || *b.committed
	}
}

func (f frame) parallel(steps []plan.Step, limit int) error {
	branches := make([]frame, len(steps))
	err := f.c.Parallel(f.path, len(steps), limit, func(c Context, i int) error {
		branches[i], _ = f.branch(c, f.path)
		return branches[i].steps(steps[i : i+1])
	})
	f.join(branches)
	return err
}

func (f frame) each(e plan.Each) (string, error) {
	g, err := f.p.group(e.Group)
	if err != nil {
		return "", fail(classInvalid, "%v", err)
	}
	members := g.on(e.On)
	branches := make([]frame, len(members))
	err = f.c.Parallel(f.path, len(members), max(1, e.Limit), func(c Context, i int) error {
		b, _ := f.branch(c, f.path+"["+members[i].Name+"]")
		b.member = &members[i]
		branches[i] = b
		return b.steps(e.Do)
	})
	f.join(branches)
	return fmt.Sprintf("%d members", len(members)), err
}

// on limits a group to some of its targets.
func (g Group) on(targets []string) []Member {
	if len(targets) == 0 {
		return g.Members
	}
	var members []Member
	for _, m := range g.Members {
		objects := map[string][]string{}
		for _, t := range targets {
			if ids, ok := m.Objects[t]; ok {
				objects[t] = ids
			}
		}
		if len(objects) > 0 {
			m.Objects = objects
			members = append(members, m)
		}
	}
	return members
}

func (f frame) scope(attempt int) plan.Scope {
	return f.p.scope(f.member, f.outputs, f.runID, attempt)
}

// clock fixes a moment in the future, once.
func (f frame) clock(name string, after time.Duration) (time.Time, error) {
	var until journal.Until
	if err := f.c.Do(f.path+"."+name, "clock", clockIn{after.String()}, &until); err != nil {
		return time.Time{}, err
	}
	return until.Until, nil
}

type clockIn struct {
	After string `json:"after"`
}

// until is the deadline of an activity: of the steps around it or its own.
func (f frame) until(name string, own time.Duration) (time.Time, error) {
	d, err := f.clock(name+".deadline", own)
	return earlier(f.deadline, d), err
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

// boundsAll reports whether a step's timeout is one deadline for everything in
// it. The other verbs hand it to their one activity.
func boundsAll(s plan.Step) bool {
	switch s.Verb() {
	case "set", "ramp", "wait", "steps", "parallel", "each":
		return true
	}
	return false
}

// timeout is a step's own, or the plan's default.
func (f frame) timeout(s plan.Step) time.Duration {
	if s.Timeout > 0 {
		return s.Timeout
	}
	if f.p.Plan.Defaults.Timeout > 0 {
		return f.p.Plan.Defaults.Timeout
	}
	return 10 * time.Minute
}
