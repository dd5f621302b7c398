package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

// gateIn is the input of the activities gate and hold.
type gateIn struct {
	// Refs name gates of the plan; one that is written inside a step is
	// "<path of the step>!<number>".
	Refs     []string                     `json:"refs"`
	Member   *Member                      `json:"member,omitempty"`
	Outputs  map[string]map[string]string `json:"outputs,omitempty"`
	Until    time.Time                    `json:"until,omitzero"`    // watch until then
	Deadline time.Time                    `json:"deadline,omitzero"` // of the steps around
}

// refs names the gates of one use.
func refs(path string, gates []plan.GateRef) []string {
	names := make([]string, len(gates))
	for i, g := range gates {
		names[i] = g.Name
		if g.Inline != nil {
			names[i] = inlineRef(g)
		}
	}
	return names
}

// inlineRef is unique in a plan: no two gates stand at one place.
func inlineRef(g plan.GateRef) string {
	return "!" + strconv.Itoa(g.Inline.Pos.Line) + ":" + strconv.Itoa(g.Inline.Pos.Column)
}

// gateOf finds a gate by its reference.
func (p *Program) gateOf(ref string) (plan.Gate, error) {
	if !strings.HasPrefix(ref, "!") {
		for _, g := range p.Plan.Gates {
			if g.Name == ref {
				return g, nil
			}
		}
		return plan.Gate{}, fmt.Errorf("no gate %q", ref)
	}
	var found *plan.Gate
	walkGates(p.Plan.Steps, func(g plan.GateRef) {
		if g.Inline != nil && inlineRef(g) == ref {
			found = g.Inline
		}
	})
	if found == nil {
		return plan.Gate{}, fmt.Errorf("no gate at %s", ref)
	}
	return *found, nil
}

// walkGates visits every use of a gate in steps.
func walkGates(steps []plan.Step, visit func(plan.GateRef)) {
	for _, s := range steps {
		for _, g := range s.Gate {
			visit(g)
		}
		for _, g := range s.Gates {
			visit(g)
		}
		if s.Drain != nil && s.Drain.Metric != nil {
			visit(*s.Drain.Metric)
		}
		walkGates(children(s), visit)
	}
}

// children are the steps inside a container.
func children(s plan.Step) []plan.Step {
	switch {
	case s.Parallel != nil:
		return s.Parallel.Steps
	case s.Each != nil:
		return s.Each.Do
	}
	return s.Steps
}

// gate waits for gates, or watches them while something holds.
func (x *Executor) gate(ctx context.Context, key string, in gateIn) (journal.Verdict, error) {
	ctx, cancel := x.withDeadline(ctx, in.Deadline)
	defer cancel()
	var named []gate.Named
	defer func() { gate.Close(named) }()
	passes, members := 1, map[string]bool{}
	for _, ref := range in.Refs {
		g, err := x.Program.gateOf(ref)
		if err != nil {
			return journal.Verdict{}, err
		}
		built, err := x.buildGate(g, in)
		if err != nil {
			return journal.Verdict{}, err
		}
		passes = max(passes, g.Passes)
		for _, n := range built {
			members[n.Member] = true
		}
		named = append(named, built...)
	}
	observe := func(l gate.Look) {
		d := journal.LookData{Gate: l.Gate, Member: l.Member, Text: l.Result.Detail}
		if l.Err != nil {
			d.Text = "could not look: " + l.Err.Error()
		} else if !l.Result.Undecided {
			d.Pass = &l.Result.Pass
		}
		x.Look(key, d)
	}
	if in.Until.IsZero() {
		if err := gate.Wait(ctx, named, observe); err != nil {
			return journal.Verdict{}, gateError(ctx, err, named)
		}
		text := fmt.Sprintf("%d of %d passes", passes, passes)
		delete(members, "")
		if len(members) > 0 {
			text += " on " + count(len(members), "member")
		}
		return journal.Verdict{Text: text}, nil
	}
	x.Look(key, journal.LookData{Text: "hold", Until: in.Until})
	if err := gate.Watch(ctx, named, in.Until, observe); err != nil {
		return journal.Verdict{}, gateError(ctx, err, named)
	}
	return journal.Verdict{Text: "held"}, nil
}

// gateError keeps an operator's stop apart from a gate's no.
func gateError(ctx context.Context, err error, gates []gate.Named) error {
	if cause := context.Cause(ctx); cause != nil && stopped(cause) {
		return cause
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		var names []string // not the references: those of gates in a step are places
		for _, g := range gates {
			if !slices.Contains(names, g.Name) {
				names = append(names, g.Name)
			}
		}
		return fail(classTimeout, "the step's time is over while gate %s was looked at", strings.Join(names, ", "))
	}
	j := toJournal(err)
	j.Class = classGate
	return j
}

// buildGate makes the gate, one for each member where it is about each.
func (x *Executor) buildGate(g plan.Gate, in gateIn) ([]gate.Named, error) {
	kind, ok := x.Gates.Lookup(g.Kind)
	if !ok {
		return nil, fmt.Errorf("gate %s: no kind %q", g.Name, g.Kind)
	}
	members := []*Member{in.Member}
	if g.Each != "" && g.Each != "member" {
		group, err := x.Program.group(g.Each)
		if err != nil {
			return nil, fmt.Errorf("gate %s: %w", g.Name, err)
		}
		members = nil
		for i := range group.Members {
			members = append(members, &group.Members[i])
		}
	}
	policy := policyOf(g)
	var named []gate.Named
	for _, m := range members {
		scope := x.Program.scope(m, in.Outputs, "", 1)
		built, err := kind.Build(func(out any) error { return g.Config.Decode(out, scope) }, x.gateEnv())
		if err != nil {
			return nil, fmt.Errorf("gate %s: %w", g.Name, err)
		}
		n := gate.Named{Name: g.Name, Gate: built, Policy: policy}
		if m != nil {
			n.Member = m.Name
		}
		named = append(named, n)
	}
	return named, nil
}

func policyOf(g plan.Gate) gate.Policy {
	return gate.Policy{Every: g.Every, Timeout: g.Timeout, Passes: g.Passes, For: g.For, Failures: g.Failures}
}

// gateEnv lends gates the run's targets.
func (x *Executor) gateEnv() gate.Env {
	env := x.GateEnv
	env.Log, env.Secrets = x.Log, x.Secrets
	env.Target = x.Program.gateTarget
	env.Views = x.Program.gateViews
	return env
}

// lookLimit bounds the look at which of a plan's new members exist by now.
const lookLimit = 10 * time.Second

// existing leaves out members that the plan creates and has not created yet. A
// gate that names them itself wants them to exist.
func (p *Program) existing(target string, ids []string) []string {
	isNew := func(id string) bool { return p.Pins.Targets[target].Objects[id].New }
	if !slices.ContainsFunc(ids, isNew) {
		return ids
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
	defer cancel()
	s, err := p.Targets[target].Read(ctx)
	if err != nil {
		return ids // the gate's own look says what is wrong
	}
	return slices.DeleteFunc(ids, func(id string) bool { _, ok := s.Objects[id]; return isNew(id) && !ok })
}

// gateTarget finds what a gate looks at; live and idle are member names too.
func (p *Program) gateTarget(name string, members []string) (gate.Target, error) {
	d, ok := p.Targets[name]
	if !ok {
		return gate.Target{}, fmt.Errorf("no target %q", name)
	}
	t := gate.Target{Driver: d, Names: map[string]string{}}
	add := func(ids ...string) {
		for _, id := range ids {
			t.IDs = append(t.IDs, id)
			t.Names[id] = p.name(name, id)
		}
	}
	if len(members) == 0 {
		add(p.existing(name, p.memberIDs(name))...)
		return t, nil
	}
	s := state.State{Objects: map[string]state.Object{}}
	for id, o := range p.Pins.Targets[name].Objects {
		s.Objects[id] = state.Object{Kind: o.Kind, Name: o.Name}
	}
	for _, m := range members {
		if g, err := p.group(m); err == nil {
			add(g.ids(name)...)
			continue
		}
		ids := s.Named("", m)
		if len(ids) == 0 {
			return gate.Target{}, fmt.Errorf("target %s has no member %q", name, m)
		}
		add(ids...)
	}
	return t, nil
}
