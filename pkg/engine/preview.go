package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

// Preview is what a run would do, found by running the interpreter on copies
// of the states that were read.
type Preview struct {
	Steps    []PreviewStep
	Changes  []state.Change // all, in order
	Keys     int            // different attributes that would change
	Shortest time.Duration
	Longest  time.Duration
	// WayBack is how long caches make the way back take at least, from the step
	// from where it takes longest. 0: nobody keeps answers of what changes.
	WayBack time.Duration
	Undos   []string // commands of the way back, in its order
	// Err is why the run would fail, as far as it can be seen now.
	Err error
}

// PreviewStep is one step of a Preview.
type PreviewStep struct {
	ID, Verb, What string
	Depth          int
	Skipped        bool
	Changes        []state.Change
	Serving        map[string][2]int // by target: members serving after the step, of all
	Shortest       time.Duration
	Longest        time.Duration
	// Note is what could be seen only by looking: "now 214".
	Note string
	// Drain says more of a drain, nil of other steps.
	Drain *DrainPreview
	// Refused is what a driver would refuse if the step were done now. Steps
	// before it may still change that.
	Refused string
}

// NewPreview simulates the program from the states that it was bound to. It
// reads sessions in flight and changes nothing.
func NewPreview(ctx context.Context, b *Bound) Preview {
	return rehearse(b, &previewContext{ctx: ctx, p: b.Program, states: maps.Clone(b.States), look: true, world: b.world})
}

// dryRun is a preview of nothing but the changes and the error. Nothing is
// read but by drivers that are asked what they would refuse.
func dryRun(ctx context.Context, b *Bound) Preview {
	return rehearse(b, &previewContext{ctx: ctx, p: b.Program, states: maps.Clone(b.States)})
}

func rehearse(b *Bound, c *previewContext) Preview {
	r := Run(c, b.Program, "preview")
	p := c.out
	p.Err = r.Err
	keys := map[state.Key]bool{}
	for _, ch := range p.Changes {
		keys[ch.Key()] = true
	}
	p.Keys = len(keys)
	for _, s := range segments(r.Effects) {
		if s.command != nil {
			p.Undos = append(p.Undos, commandLine(*s.command))
		}
	}
	for _, s := range p.Steps {
		p.Shortest += s.Shortest
		p.Longest += s.Longest
	}
	return p
}

func commandLine(c journal.Command) string {
	if c.Shell != "" {
		return c.Shell
	}
	return strings.Join(c.Argv, " ")
}

// previewContext is a Context whose world is a copy.
type previewContext struct {
	ctx    context.Context
	p      *Program
	states map[string]state.State
	look   bool // tell also what only people want to know
	world  World
	facts  bool // something was done that may change more than attributes
	out    Preview
	open   []int // indices of the steps that have begun

	began   time.Time        // see now
	held    time.Duration    // the hold that began last
	back    PreviewStep      // what is done outside of steps
	effects []journal.Effect // so far
}

func (c *previewContext) cur() *PreviewStep {
	if len(c.open) == 0 {
		return &c.back
	}
	return &c.out.Steps[c.open[len(c.open)-1]]
}

func (c *previewContext) Do(key, activity string, in, out any) error {
	switch in := in.(type) {
	case journal.Step:
		c.step(in)
	case clockIn:
		c.clock(key, in, out.(*journal.Until))
	case journal.Observe:
		if out == nil {
			return nil
		}
		seen := journal.Observed{Objects: map[string]map[string]state.Value{}}
		for _, id := range in.IDs {
			seen.Objects[id] = c.states[in.Target].Objects[id].Attrs
		}
		assign(out, seen)
	case journal.Apply:
		if err := c.guard(in); err != nil {
			return err
		}
		if err := c.check(in); err != nil {
			return err
		}
		settles := c.settles(in.Target, in.Changes)
		made := journal.Applied{Replaced: c.p.replaced(c.context(), in.Target, c.states[in.Target], in.Changes, c.now().Add(settles))}
		assign(out, made)
		c.effect(journal.Effect{Key: key, Kind: journal.ActivityApply, Target: in.Target, Changes: in.Changes, Replaced: made.Replaced})
		c.states[in.Target] = c.states[in.Target].With(in.Changes)
		c.out.Changes = append(c.out.Changes, in.Changes...)
		c.cur().Changes = append(c.cur().Changes, in.Changes...)
		c.cur().Shortest += settles
		c.cur().Longest += settles
	case journal.Drain:
		assign(out, journal.Drained{Quiet: true})
		c.noteDrain(in)
		c.inFlight(in)
	case journal.Call:
		c.facts = true
	case journal.Command:
		c.facts = true
		assign(out, journal.Exit{Outputs: map[string]string{}})
		c.effect(journal.Effect{Key: key, Kind: journal.ActivityRun, Command: in})
	case gateIn:
		c.facts = true
		c.gates(in)
	case journal.Versions:
		assign(out, c.versions(in))
	case journal.Views:
		assign(out, c.views(in))
	case journal.Restore:
		assign(out, c.restore(in))
	}
	return nil
}

func (c *previewContext) step(s journal.Step) {
	switch s.Status {
	case "begin", "skipped":
		c.out.Steps = append(c.out.Steps, PreviewStep{ID: s.ID, Verb: s.Verb, What: s.Text, Depth: len(c.open), Skipped: s.Status == "skipped"})
		if s.Status == "begin" {
			c.out.Steps[len(c.out.Steps)-1].Drain = c.drainPreview(s.ID)
			c.open = append(c.open, len(c.out.Steps)-1)
			return
		}
	default:
		if c.look {
			c.cur().Serving = c.serving()
		}
		c.open = c.open[:len(c.open)-1]
		if c.look && len(c.open) == 0 {
			c.out.WayBack = max(c.out.WayBack, c.wayBack())
		}
	}
}

func (c *previewContext) serving() map[string][2]int {
	all := map[string][2]int{}
	for target, s := range c.states {
		names := map[string]bool{}
		for _, id := range c.p.memberIDs(target) {
			names[c.p.Pins.Targets[target].Objects[id].Name] = true
		}
		if len(names) > 0 {
			all[target] = [2]int{len(c.p.serving(target, s, nil)), len(names)}
		}
	}
	return all
}

// clock counts a hold in full and everything else as the longest case only.
func (c *previewContext) clock(key string, in clockIn, out *journal.Until) {
	d, _ := time.ParseDuration(in.After)
	out.Until = c.now().Add(d)
	switch {
	case strings.HasSuffix(key, ".until"):
		c.held = d
		c.cur().Shortest += d
		c.cur().Longest += d
	case strings.HasSuffix(key, ".fits"):
	case !strings.HasSuffix(key, "raise.deadline") && !strings.HasSuffix(key, "lower.deadline") && key != "":
		c.cur().Longest += d
	}
}

func (c *previewContext) guard(in journal.Apply) error {
	s := c.states[in.Target]
	for _, g := range c.p.Plan.Guards {
		if g.Target != in.Target {
			continue
		}
		now, after := c.p.serving(in.Target, s, nil), c.p.serving(in.Target, s.With(in.Changes), nil)
		if len(after) < g.MinServing && len(after) < len(now) {
			return fail(classGuard, "guard: %s would serve with %d of at least %d members", in.Target, len(after), g.MinServing)
		}
	}
	return nil
}

func (c *previewContext) inFlight(in journal.Drain) {
	if in.Count != "" {
		c.countNow(in)
		return
	}
	counter, ok := driver.As[driver.Counter](c.p.Targets[in.Target])
	if !ok || !c.look {
		return
	}
	flights, err := counter.InFlight(c.ctx, in.IDs)
	if err != nil {
		return
	}
	now := 0
	for _, f := range flights {
		now += f.Now
	}
	c.cur().Note = fmt.Sprintf("now %d", now)
}

func (c *previewContext) Sleep(_ string, d time.Duration) error {
	c.cur().Shortest += d
	c.cur().Longest += d
	return nil
}

func (c *previewContext) Await(_, _ string, deadline time.Duration) (json.RawMessage, error) {
	c.cur().Longest += deadline
	return journal.Encode(journal.Signal{Approved: true, By: "preview"}), nil
}

func (c *previewContext) Parallel(_ string, n, _ int, fn func(Context, int) error) error {
	for i := range n {
		if err := fn(c, i); err != nil {
			return err
		}
	}
	return nil
}

func (c *previewContext) Stopping(string) bool { return false }

// Ramps returns the weights that each object of a step goes through, in the
// order of the objects: for a ramp's line "100 -> 95 -> 75".
func (s PreviewStep) Ramps() []Trail {
	var trails []Trail
	at := map[state.Key]int{}
	for _, ch := range s.Changes {
		i, known := at[ch.Key()]
		if !known {
			at[ch.Key()] = len(trails)
			trails = append(trails, Trail{ch.Key(), []state.Value{ch.From, ch.To}})
			continue
		}
		trails[i].Values = append(trails[i].Values, ch.To)
	}
	return trails
}

// Trail is every value that one attribute goes through.
type Trail struct {
	Key    state.Key
	Values []state.Value
}

// Name is what people call an object.
func (p *Program) Name(target, id string) string { return p.name(target, id) }

// GuardOf returns the least number of members that a guard of the plan keeps
// serving on a target; 0 when there is none.
func GuardOf(p plan.Plan, target string) int {
	least := 0
	for _, g := range p.Guards {
		if g.Target == target {
			least = max(least, g.MinServing)
		}
	}
	return least
}
