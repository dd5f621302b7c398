package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/plan"
)

// Check compares a plan with the drivers and gates that it names, without any
// connection: unknown drivers, keys, attributes, kinds of gates and values out
// of range. It also moves the keys that name one object of a set from its
// attributes to its selection, which needs the driver's word.
func Check(p *plan.Plan, drivers *driver.Registry, gates *gate.Registry) error {
	c := checker{p: p, drivers: drivers, gates: gates, infos: map[string]driver.Info{}}
	c.targets()
	if len(c.errs) > 0 {
		return c.err() // what follows would only repeat it
	}
	for _, g := range p.Gates {
		c.gate(g)
	}
	for i := range p.Guards {
		c.guard(p.Guards[i])
	}
	c.views()
	c.steps(p.Steps)
	c.drains(p.Steps, plan.Selection{})
	return c.err()
}

type checker struct {
	p       *plan.Plan
	drivers *driver.Registry
	gates   *gate.Registry
	infos   map[string]driver.Info
	records []setRecord // that the steps so far set
	errs    []error
}

func (c *checker) err() error {
	if len(c.errs) == 1 {
		return c.errs[0]
	}
	return errors.Join(c.errs...)
}

func (c *checker) add(pos plan.Pos, width int, hint, format string, args ...any) {
	c.errs = append(c.errs, c.p.Errorf(pos, width, hint, format, args...))
}

func (c *checker) keep(pos plan.Pos, what string, err error) {
	var own *plan.Error
	var many plan.Errors
	switch {
	case err == nil:
	case errors.As(err, &own), errors.As(err, &many):
		c.errs = append(c.errs, err)
	default:
		c.add(pos, 1, strings.Join(hint.Of(err), "; "), "%s: %v", what, err)
	}
}

func (c *checker) targets() {
	var names []string
	for _, f := range c.drivers.All() {
		names = append(names, f.Name)
	}
	for _, t := range c.p.Targets {
		f, ok := c.drivers.Lookup(t.Driver)
		if !ok {
			c.add(t.Pos, len(t.Name), "drivers: "+strings.Join(names, ", "), "target %s: unknown driver %q%s", t.Name, t.Driver, didYouMean(t.Driver, names))
			continue
		}
		c.infos[t.Name] = f.Info
		scope := plan.Scope{"vars": c.p.Vars}
		c.keep(t.Pos, "target "+t.Name, known(t.Config, scope, f.Check))
	}
}

// known checks a block as far as it is known: with a variable without a value
// in it, its keys and types alone.
func known(n plan.Node, scope plan.Scope, check func(func(any) error) error) error {
	if !n.Open() {
		return check(func(out any) error { return n.Decode(out, scope) })
	}
	var wrong error
	_ = check(func(out any) error {
		err := n.Check(out, scope)
		if wrong == nil {
			wrong = err
		}
		return err
	})
	return wrong
}

func didYouMean(word string, known []string) string {
	if near := plan.Nearest(word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

func (c *checker) gate(g plan.Gate) {
	var names []string
	for _, k := range c.gates.All() {
		names = append(names, k.Name)
	}
	k, ok := c.gates.Lookup(g.Kind)
	if !ok {
		c.add(g.Pos, len(g.Kind), "kinds of gates: "+strings.Join(names, ", "), "unknown kind of gate %q%s", g.Kind, didYouMean(g.Kind, names))
		return
	}
	decoded := false
	err := k.Check(func(out any) error {
		err := g.Config.Decode(out, nil)
		decoded = err == nil
		return err
	})
	if decoded && g.Config.Templated() {
		return // whether its values are right is seen when they are known: Bind
	}
	c.keep(g.Pos, "gate "+g.Name, err)
	c.keep(g.Pos, "gate "+g.Name, policyOf(g).Validate())
}

func (c *checker) guard(g plan.Guard) {
	if k, ok := c.infos[g.Target].Member(); !ok || k.Capacity == nil {
		c.add(g.Pos, 1, "", "guard: target %s has no members that serve traffic", g.Target)
	}
}

func (c *checker) steps(steps []plan.Step) {
	for i := range steps {
		s := &steps[i]
		for _, g := range slices.Concat(s.Gate, s.Gates) {
			if g.Inline != nil {
				c.gate(*g.Inline)
			}
		}
		switch {
		case s.Set != nil:
			c.set(s.Set)
		case s.Ramp != nil:
			c.ramp(*s.Ramp)
		case s.Drain != nil && s.Drain.Metric != nil && s.Drain.Metric.Inline != nil:
			c.gate(*s.Drain.Metric.Inline)
		case s.Wait != nil && s.Wait.TTL != nil:
			c.ttl(*s.Wait.TTL)
		}
		c.steps(children(*s))
	}
}

// targetsOf are the targets that a selection can be about.
func (c *checker) targetsOf(s plan.Selection) []string {
	switch {
	case s.Open:
		return nil
	case s.Target != "":
		return []string{s.Target}
	case len(s.On) > 0:
		return s.On
	case s.Group == "" || s.Group == "live" || s.Group == "idle":
		return c.groupTargets(c.p.Alternate...)
	}
	return c.groupTargets(s.Group)
}

// groupTargets are the targets of groups; of all groups when none is named.
func (c *checker) groupTargets(names ...string) []string {
	var targets []string
	for _, g := range c.p.Groups {
		if len(names) > 0 && !slices.Contains(names, g.Name) {
			continue
		}
		for _, m := range g.Members {
			if !slices.Contains(targets, m.Target) {
				targets = append(targets, m.Target)
			}
		}
	}
	return targets
}

func (c *checker) set(s *plan.Set) {
	for _, t := range c.targetsOf(s.Selection) {
		info, ok := c.infos[t]
		if !ok {
			continue // the parser said so
		}
		k, ok := objectKind(info, s)
		if !ok {
			c.add(s.Pos, 1, describeDriver(info), "set: %s has no members; name one of its objects", t)
			continue
		}
		c.sets(s, k)
		var names []string
		for _, a := range k.Attributes {
			names = append(names, a.Name)
		}
		for _, a := range s.Attrs {
			attr, ok := k.Attribute(a.Name)
			if !ok {
				c.add(a.Pos, len(a.Name), describeDriver(info), "unknown attribute %q for %s%s", a.Name, info.Name, didYouMean(a.Name, names))
				continue
			}
			if isTemplate(a.Value) {
				continue
			}
			if _, err := attr.Convert(a.Value); err != nil {
				c.add(a.ValuePos, len(fmt.Sprint(a.Value)), describeDriver(info), "%v", err)
			}
		}
		if len(s.Attrs) == 0 {
			c.add(s.Pos, 1, describeDriver(info), "set: no attribute is set")
		}
	}
}

func isTemplate(v any) bool {
	switch v := v.(type) {
	case plan.Template:
		return true
	case []any:
		return slices.ContainsFunc(v, isTemplate)
	}
	return false
}

// objectKind finds which kind of object a set is about, and takes the keys
// that name the object out of its attributes.
func objectKind(info driver.Info, s *plan.Set) (driver.Kind, bool) {
	if s.Target == "" || len(s.Members) > 0 {
		return info.Member()
	}
	if s.Object != nil {
		for _, k := range info.Kinds {
			if len(k.Selector) > 0 && s.Object[k.Selector[0]] != "" {
				return k, true
			}
		}
	}
	for _, k := range info.Kinds {
		if len(k.Selector) == 0 || !hasKeys(s.Attrs, k.Selector) {
			continue
		}
		s.Object = map[string]string{}
		s.Attrs = slices.DeleteFunc(slices.Clone(s.Attrs), func(a plan.Attr) bool {
			if !slices.Contains(k.Selector, a.Name) {
				return false
			}
			s.Object[a.Name] = textOf(a.Value)
			return true
		})
		return k, true
	}
	return info.Member()
}

func hasKeys(attrs []plan.Attr, keys []string) bool {
	for _, key := range keys {
		if !slices.ContainsFunc(attrs, func(a plan.Attr) bool { return a.Name == key }) {
			return false
		}
	}
	return true
}

func textOf(v any) string {
	if t, ok := v.(plan.Template); ok {
		return t.String()
	}
	return fmt.Sprint(v)
}

// describeDriver is the hint that lists what can be set.
func describeDriver(info driver.Info) string {
	var parts []string
	for _, k := range info.Kinds {
		var attrs []string
		for _, a := range k.Attributes {
			if !a.ReadOnly {
				attrs = append(attrs, fmt.Sprintf("%s (%s)", a.Name, a.Accepts()))
			}
		}
		text := strings.Join(attrs, ", ")
		if len(k.Selector) > 0 {
			text = "with " + strings.Join(k.Selector, " and ") + ": " + text
		}
		parts = append(parts, text)
	}
	return fmt.Sprintf("%s sets: %s. See: flip drivers %s", info.Name, strings.Join(parts, "; "), info.Name)
}

func (c *checker) ramp(r plan.Ramp) {
	targets := r.On
	if len(targets) == 0 {
		names := []string{r.From, r.To}
		if slices.Contains(names, "live") || slices.Contains(names, "idle") {
			names = c.p.Alternate
		}
		targets = c.groupTargets(names...)
	}
	for _, t := range targets {
		k, _ := c.infos[t].Member()
		if _, ok := k.Attribute("weight"); !ok {
			c.add(r.Pos, 1, "limit the ramp: on: [...]", "ramp: members of target %s have no weight", t)
		}
	}
}
