package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/plan"
)

// drains checks every drain: that somebody can tell what is in flight, and end
// it where the plan wants that. each is what the steps are done for, where they
// stand inside an each.
func (c *checker) drains(steps []plan.Step, each plan.Selection) {
	for _, s := range steps {
		if s.Drain != nil {
			c.drain(s.ID, *s.Drain, each)
		}
		inside := each
		if s.Each != nil {
			inside = plan.Selection{Group: s.Each.Group, On: s.Each.On}
		}
		c.drains(children(s), inside)
	}
}

func (c *checker) drain(id string, d plan.Drain, each plan.Selection) {
	if d.Count != nil {
		c.count(*d.Count)
	}
	for what, a := range map[string]*plan.Ask{"ask": d.Ask, "kill": d.Kill} {
		if a != nil && a.HTTP != nil {
			c.block(a.Pos, what, *a.HTTP, gate.CheckAsk)
		}
	}
	if d.Metric != nil {
		if d.Then == "kill" {
			c.add(d.Pos, 1, "use count: instead of metric:, or then: fail", "drain %s: then: kill has no members to end anything on, since a metric names none", id)
		}
		return
	}
	sel := d.Selection
	if sel.Group == "" && sel.Target == "" {
		sel.Group = each.Group
		if len(sel.On) == 0 {
			sel.On = each.On
		}
	}
	var silent, harmless []string
	for _, t := range c.targetsOf(sel) {
		info, known := c.infos[t]
		if known && !info.Counts && d.Count == nil {
			silent = append(silent, fmt.Sprintf("%s (%s)", t, info.Name))
		}
		if known && !info.Kills && d.Then == "kill" && d.Kill == nil {
			harmless = append(harmless, fmt.Sprintf("%s (%s)", t, info.Name))
		}
	}
	if len(silent) > 0 {
		c.add(d.Pos, 1, countHint+c.limitHint(sel, silent), "drain %s: nobody tells what is in flight on %s", id, strings.Join(silent, ", "))
	}
	if len(harmless) > 0 {
		c.add(d.Pos, 1, killHint, "drain %s: then: kill, but nobody can end what is open on %s", id, strings.Join(harmless, ", "))
	}
}

// limitHint offers to drain only where the driver can tell.
func (c *checker) limitHint(sel plan.Selection, silent []string) string {
	var rest []string
	for _, t := range c.targetsOf(sel) {
		if !slices.Contains(silent, fmt.Sprintf("%s (%s)", t, c.infos[t].Name)) {
			rest = append(rest, t)
		}
	}
	if len(rest) == 0 || sel.Target != "" {
		return ""
	}
	return fmt.Sprintf("; or drain only on: [%s]", strings.Join(rest, ", "))
}

// count checks how members are asked, as far as it holds no templates.
func (c *checker) count(n plan.Count) {
	kind, ok := gate.CountOf(n.Kind)
	if !ok {
		var names []string
		for _, k := range gate.Counts() {
			names = append(names, k.Name)
		}
		c.add(n.Pos, len(n.Kind), "ways to count: "+strings.Join(names, ", "), "unknown way to count %q%s", n.Kind, didYouMean(n.Kind, names))
		return
	}
	c.block(n.Pos, "count", n.Config, kind.Check)
}

// block checks a block whose values may be known only when it is used.
func (c *checker) block(pos plan.Pos, what string, n plan.Node, check func(func(any) error) error) {
	decoded := false
	err := check(func(out any) error {
		err := n.Decode(out, nil)
		decoded = err == nil
		return err
	})
	if decoded && n.Templated() {
		if slices.ContainsFunc([]string{"steps", "groups", "live", "idle", "run"}, n.Mentions) || n.Open() {
			return // Bind looks at it
		}
		// Any member will do to see whether the rest of it is right.
		scope := plan.Scope{"vars": c.p.Vars, "member": plan.MemberValue{Name: "m", Address: "192.0.2.1:80", Host: "192.0.2.1", Port: 80}}
		err = check(func(out any) error {
			err := n.Decode(out, scope)
			decoded = err == nil
			return err
		})
		if !decoded {
			return // a variable without a value
		}
	}
	c.keep(pos, what, err)
}
