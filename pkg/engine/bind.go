package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// World is what the engine is lent to reach the outside.
type World struct {
	Drivers   *driver.Registry
	Gates     *gate.Registry
	Secrets   *secret.Resolver
	Log       *slog.Logger
	Transport http.RoundTripper
	// View opens a view of a plan; nil is resolve.Open.
	View func(name string, decode func(any) error, env resolve.Env) (resolve.View, error)
}

// PreconditionError: a live system is not as the plan needs it. Nothing was
// changed. Exit code 4.
type PreconditionError struct {
	Err error
	// Table is shown below the error.
	Table string
}

func (e *PreconditionError) Error() string { return e.Err.Error() }
func (e *PreconditionError) Unwrap() error { return e.Err }

// Bound is a program with the states that it was bound to.
type Bound struct {
	*Program
	States map[string]state.State
	world  World
}

// Open opens the plan's drivers; the caller closes the program.
func Open(ctx context.Context, p plan.Plan, w World) (*Program, error) {
	if err := Check(&p, w.Drivers, w.Gates); err != nil {
		return nil, err
	}
	prog := &Program{Plan: p, Infos: map[string]driver.Info{}, Targets: map[string]driver.Driver{}}
	scope := plan.Scope{"vars": p.Vars}
	for _, t := range p.Targets {
		f, _ := w.Drivers.Lookup(t.Driver)
		env := driver.Env{Log: w.Log.With("target", t.Name), Transport: w.Transport, Secrets: w.Secrets}
		d, err := f.Open(ctx, func(out any) error { return t.Config.Decode(out, scope) }, env)
		if err != nil {
			prog.Close()
			return nil, &PreconditionError{Err: fmt.Errorf("target %s: %w", t.Name, driver.Named(t.Driver, err))}
		}
		prog.Infos[t.Name] = f.Info
		prog.Targets[t.Name] = driver.Trace(d, w.Log, t.Name)
	}
	prog.announce(p.Steps)
	if err := prog.openViews(w); err != nil {
		prog.Close()
		return nil, &PreconditionError{Err: err}
	}
	return prog, nil
}

// Close releases the drivers.
func (p *Program) Close() error {
	var errs []error
	for _, d := range p.Targets {
		if c, ok := driver.As[driver.Closer](d); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// Bind reads every target, resolves groups to their members and finds out
// which side is live. live decides it by name when it is not empty.
func Bind(ctx context.Context, prog *Program, w World, live string) (*Bound, error) {
	b := &Bound{Program: prog, States: map[string]state.State{}, world: w}
	if err := b.read(ctx); err != nil {
		return nil, err
	}
	b.Pins = Pins{Groups: map[string]Group{}, Targets: map[string]PinnedTarget{}}
	for name, s := range b.States {
		b.pin(name, s)
	}
	for _, g := range b.Plan.Groups {
		group, err := b.group(g)
		if err != nil {
			return nil, &PreconditionError{Err: err}
		}
		b.Pins.Groups[g.Name] = group
	}
	b.regrouped()
	if err := b.objects(b.Plan.Steps); err != nil {
		return nil, &PreconditionError{Err: err}
	}
	if err := b.alternate(ctx, live); err != nil {
		return nil, err
	}
	if err := b.buildable(w); err != nil {
		return b, err
	}
	return b, b.resolvable(ctx, w)
}

// buildable makes every gate once, to find wrong values before anything is
// changed. One that needs the output of a step is seen when it runs.
func (b *Bound) buildable(w World) error {
	x := &Executor{Program: b.Program, Gates: w.Gates, Secrets: w.Secrets, Log: w.Log}
	var errs []error
	try := func(g plan.Gate) {
		if !g.Config.Templated() {
			return // Check saw it
		}
		in := gateIn{}
		if g.Each == "" || g.Each == "member" {
			for _, group := range b.Pins.Groups {
				if len(group.Members) > 0 {
					in.Member = &group.Members[0] // any will do
				}
			}
		}
		if _, err := x.buildGate(g, in); err != nil && !g.Config.Mentions("steps") {
			errs = append(errs, b.Plan.Errorf(g.Pos, 1, strings.Join(hint.Of(err), "; "), "%v", err))
		}
	}
	for _, g := range b.Plan.Gates {
		try(g)
	}
	walkGates(b.Plan.Steps, func(ref plan.GateRef) {
		if ref.Inline != nil {
			try(*ref.Inline)
		}
	})
	return errors.Join(append(errs, x.askable()...)...)
}

func (b *Bound) read(ctx context.Context) error {
	errs := make([]error, len(b.Plan.Targets))
	states := make([]state.State, len(b.Plan.Targets))
	var wg sync.WaitGroup
	for i, t := range b.Plan.Targets {
		wg.Go(func() {
			var err error
			if states[i], err = b.Targets[t.Name].Read(ctx); err != nil {
				errs[i] = &PreconditionError{Err: fmt.Errorf("target %s: %w", t.Name, driver.Named(t.Driver, err))}
			}
		})
	}
	wg.Wait()
	for i, t := range b.Plan.Targets {
		b.States[t.Name] = states[i]
	}
	return errors.Join(errs...)
}

func (b *Bound) pin(target string, s state.State) {
	pt := PinnedTarget{Driver: b.Infos[target].Name, Nodes: s.Nodes, Objects: make(map[string]PinnedObject, len(s.Objects))}
	for id, o := range s.Objects {
		pt.Objects[id] = PinnedObject{Kind: o.Kind, Name: o.Name, Node: o.Node, Info: o.Info}
	}
	if sc, ok := driver.As[driver.Scoper](b.Targets[target]); ok {
		pt.Scopes = sc.Scopes()
	} else {
		pt.Scopes = []string{b.Infos[target].Name + "://" + target}
	}
	b.Pins.Targets[target] = pt
}
