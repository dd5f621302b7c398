package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/resolve"
)

// gateViews lends gates views of the plan; all of them when none is named.
func (p *Program) gateViews(names []string) ([]resolve.View, error) {
	if len(names) == 0 {
		names = p.Plan.Views.Keys()
	}
	if len(names) == 0 {
		return nil, errors.New("the plan has no views")
	}
	views := make([]resolve.View, len(names))
	for i, name := range names {
		v, ok := p.Views[name]
		if !ok {
			return nil, fmt.Errorf("no view %q", name)
		}
		views[i] = v
	}
	return views, nil
}

// asker is a gate that looks a record set up.
type asker interface{ Question() resolve.Question }

// resolvable refuses gates that look up a record set whose values nobody sees
// in DNS: they could never pass.
func (b *Bound) resolvable(ctx context.Context, w World) error {
	x := &Executor{Program: b.Program, Gates: w.Gates, Secrets: w.Secrets, Log: w.Log}
	var errs []error
	try := func(g plan.Gate) {
		if g.Kind != "resolve" {
			return
		}
		built, err := x.buildGate(g, gateIn{})
		if err != nil {
			return // it needs what is known later
		}
		for _, n := range built {
			q, ok := n.Gate.(asker)
			if !ok {
				continue
			}
			if err := b.visible(ctx, q.Question()); err != nil {
				errs = append(errs, &PreconditionError{Err: fmt.Errorf("%s: gate %s: %w", g.Pos, g.Name, err)})
			}
		}
		gate.Close(built)
	}
	for _, g := range b.Plan.Gates {
		try(g)
	}
	walkGates(b.Plan.Steps, func(ref plan.GateRef) {
		if ref.Inline != nil {
			try(*ref.Inline)
		}
	})
	return errors.Join(errs...)
}

// visible asks the targets that hold a record set whether looking it up shows
// its values.
func (b *Bound) visible(ctx context.Context, q resolve.Question) error {
	for _, t := range b.Plan.Targets {
		d, ok := driver.As[driver.Resolvable](b.Targets[t.Name])
		if !ok {
			continue
		}
		for id, o := range b.States[t.Name].Objects {
			if !asksAbout(q.String(), o.Name) {
				continue
			}
			err := d.Resolvable(ctx, id)
			if err == nil || errors.Is(err, driver.ErrUnknown) {
				continue
			}
			own := append(hint.Of(err), fmt.Sprintf(
				"look at it through the edge instead: gate: {http: {url: https://%s/...}}, and at what still arrives at the old address", q.Name))
			return hint.Wrap(fmt.Errorf("looking %s up shows nothing of target %s: %w", q, t.Name, err), "%s", strings.Join(own, "; "))
		}
	}
	return nil
}
