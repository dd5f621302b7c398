package engine

import (
	"context"
	"fmt"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/resolve"
)

// openViews makes the plan's views. They ask nothing yet.
func (p *Program) openViews(w World) error {
	open := w.View
	if open == nil {
		open = resolve.Open
	}
	p.Views = map[string]resolve.View{}
	env := resolve.Env{Secrets: w.Secrets, Log: w.Log, NameServers: p.nameServers}
	for _, name := range p.Plan.Views.Keys() {
		n, _ := p.Plan.Views.Get(name)
		view, err := open(name, func(out any) error { return n.Decode(out, plan.Scope{"vars": p.Plan.Vars}) }, env)
		if err != nil {
			return fmt.Errorf("view %s: %w", name, err)
		}
		p.Views[name] = view
	}
	return nil
}

// nameServers asks a target who answers for a name of its.
func (p *Program) nameServers(ctx context.Context, target, name string) ([]string, error) {
	a, ok := driver.As[driver.Authority](p.Targets[target])
	if !ok {
		return nil, fmt.Errorf("target %s does not know its name servers", target)
	}
	return a.NameServers(ctx, name)
}

// views checks the blocks of the plan's views.
func (c *checker) views() {
	for _, name := range c.p.Views.Keys() {
		n, _ := c.p.Views.Get(name)
		c.keep(n.Pos(), "view "+name, known(n, plan.Scope{"vars": c.p.Vars}, resolve.Check))
	}
}
