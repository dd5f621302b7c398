package engine

import (
	"fmt"
	"strings"

	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

// describe says in one line what a step is about to do, for people.
func (f frame) describe(s plan.Step) string {
	switch {
	case s.Set != nil:
		return f.describeSet(*s.Set)
	case s.Ramp != nil:
		var steps []string
		for _, p := range s.Ramp.Percent {
			steps = append(steps, fmt.Sprint(p))
		}
		return fmt.Sprintf("ramp %s -> %s %s %%", f.sideName(s.Ramp.From), f.sideName(s.Ramp.To), strings.Join(steps, ", "))
	case s.Drain != nil:
		return fmt.Sprintf("drain %s to %d %s", f.subject(s.Drain.Selection), s.Drain.Sessions, drainUnit(*s.Drain))
	case s.Wait != nil && s.Wait.TTL != nil:
		return describeTTL(*s.Wait.TTL)
	case s.Wait != nil:
		return "wait " + s.Wait.For.String()
	case s.Run != nil:
		return "run " + f.commandText(*s.Run)
	case s.Approve != nil:
		msg, _ := f.p.Plan.Text(s.Approve.Message, f.scope(1))
		return "approve: " + msg
	case s.Each != nil:
		return fmt.Sprintf("each of %s", f.sideName(s.Each.Group))
	case s.Parallel != nil:
		return fmt.Sprintf("%s at once", count(len(s.Parallel.Steps), "step"))
	case s.Steps != nil:
		return count(len(s.Steps), "step")
	}
	var gates []string
	for _, g := range s.Gate {
		gates = append(gates, f.gateText(g))
	}
	return "gate " + strings.Join(gates, ", ")
}

func (f frame) describeSet(s plan.Set) string {
	var attrs []string
	for _, a := range s.Attrs {
		v, err := evaluate(a.Value, f.scope(1))
		if err != nil {
			v = textOf(a.Value)
		}
		attrs = append(attrs, a.Name+" "+written(v))
	}
	return fmt.Sprintf("set %s: %s", f.subject(s.Selection), strings.Join(attrs, ", "))
}

// written is a value as the plan has it: a list in the order of the plan, which
// some systems keep.
func written(v any) string {
	switch list := v.(type) {
	case []string:
		if len(list) > 0 {
			return strings.Join(list, ", ")
		}
	case []any:
		texts := make([]string, len(list))
		for i, item := range list {
			texts[i] = written(item)
		}
		if len(list) > 0 {
			return strings.Join(texts, ", ")
		}
	}
	val, err := state.Of(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return val.String()
}

// drainUnit is what a drain counts: what a member calls in flight need be no
// session.
func drainUnit(d plan.Drain) string {
	if d.Count != nil {
		return "in flight"
	}
	return "sessions"
}

// subject names what a selection is about.
func (f frame) subject(s plan.Selection) string {
	switch {
	case len(s.Object) > 0:
		_, name, err := f.p.objectName(s)
		if err == nil {
			return name
		}
		return s.Target
	case s.Target != "" && len(s.Members) > 0:
		return strings.Join(s.Members, ", ") + " of " + s.Target
	case s.Target != "":
		return "all of " + s.Target
	}
	name := f.sideName(s.Group)
	if s.Group == "" && f.member != nil {
		name = f.member.Name
	}
	if len(s.On) > 0 {
		name += " on " + strings.Join(s.On, ", ")
	}
	return name
}

// sideName is a group's own name, also of live and idle.
func (f frame) sideName(group string) string {
	if g, err := f.p.group(group); err == nil {
		return g.Name
	}
	return group
}

func (f frame) commandText(c plan.Command) string {
	text := c.Shell
	if text == "" {
		text = strings.Join(c.Argv, " ")
	}
	if full, err := f.p.Plan.Text(text, f.scope(1)); err == nil {
		text = full
	}
	text, rest, more := strings.Cut(strings.TrimSpace(text), "\n")
	if more && strings.TrimSpace(rest) != "" {
		text += " ..."
	}
	return text
}

func (f frame) gateText(ref plan.GateRef) string {
	g, err := f.p.gateOf(refs(f.path, []plan.GateRef{ref})[0])
	if err != nil {
		return ref.Name
	}
	text := g.Kind
	if ref.Inline == nil {
		text = g.Name + ": " + g.Kind
	}
	if g.Each != "" && g.Each != "member" {
		if group, err := f.p.group(g.Each); err == nil {
			var names []string
			for _, m := range group.Members {
				names = append(names, m.Name)
			}
			if len(names) > 6 {
				names = append(names[:5], fmt.Sprintf("and %d more", len(names)-5))
			}
			text += " " + strings.Join(names, ", ")
		}
	} else if f.member != nil {
		text += " " + f.member.Name
	}
	return text
}
