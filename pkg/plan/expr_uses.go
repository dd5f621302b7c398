package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/expr-lang/expr/ast"
)

// use is one name that an expression depends on.
type use struct {
	root string // vars, steps, groups, member, ...
	name string // what of it: the variable, step or group; may be empty
	from int    // character of the expression
}

// output is one output of a step.
type output struct{ step, name string }

// visitor collects what an expression names.
type visitor struct {
	uses    []use
	outputs []output
}

// Visit is called for children before their parents.
func (v *visitor) Visit(n *ast.Node) {
	switch n := (*n).(type) {
	case *ast.IdentifierNode:
		v.uses = append(v.uses, use{root: n.Value, from: n.Location().From})
	case *ast.MemberNode:
		if id, name, ok := outputOf(n); ok {
			v.outputs = append(v.outputs, output{id, name})
		}
		root, ok := n.Node.(*ast.IdentifierNode)
		name, named := n.Property.(*ast.StringNode)
		if !ok || !named {
			return
		}
		from := max(n.Location().From, name.Location().From)
		v.uses = append(v.uses, use{root.Value, name.Value, from})
	}
}

// outputOf reads steps.ID.outputs.NAME.
func outputOf(n *ast.MemberNode) (id, name string, ok bool) {
	last, ok1 := n.Property.(*ast.StringNode)
	outputs, ok2 := n.Node.(*ast.MemberNode)
	if !ok1 || !ok2 {
		return "", "", false
	}
	key, ok1 := outputs.Property.(*ast.StringNode)
	step, ok2 := outputs.Node.(*ast.MemberNode)
	if !ok1 || !ok2 || key.Value != "outputs" {
		return "", "", false
	}
	which, ok1 := step.Property.(*ast.StringNode)
	root, ok2 := step.Node.(*ast.IdentifierNode)
	if !ok1 || !ok2 || root.Value != "steps" {
		return "", "", false
	}
	return which.Value, last.Value, true
}

// unknown reports the first name that the plan does not have.
func (e *env) unknown(uses []use) *fault {
	for _, u := range uses {
		var what string
		var known []string
		switch u.root {
		case "vars":
			what, known = "variable", slices.Sorted(maps.Keys(e.vars))
		case "steps":
			what, known = "step", e.steps
		case "groups":
			what, known = "group", e.groups
		case "live", "idle":
			if !e.alternate {
				return &fault{u.from, len(u.root), u.root + " is known only with alternate", "add alternate: [one group, the other]"}
			}
			continue
		case "$env":
			return &fault{u.from, len(u.root), "$env is not available", ""}
		}
		if what == "" || u.name == "" || slices.Contains(known, u.name) {
			continue
		}
		hint := what + "s: " + some(known)
		if len(known) == 0 {
			hint = "the plan has no " + what + "s"
		}
		return &fault{u.from, len([]rune(u.name)), fmt.Sprintf("unknown %s %q%s", what, u.name, meant(u.name, known)), hint}
	}
	return nil
}
