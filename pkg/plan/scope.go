package plan

import (
	"fmt"
	"maps"
	"slices"
)

// Scope is what the expressions of a plan can name, by name: vars
// (map[string]any), live and idle (GroupValue), groups (map[string]GroupValue),
// member (MemberValue; only inside each), steps (map[string]StepValue), run
// (RunValue) and attempt (int).
type Scope map[string]any

// GroupValue is a group in an expression.
type GroupValue struct {
	Name      string        `expr:"name"`
	Members   []MemberValue `expr:"members"`
	Addresses []string      `expr:"addresses"` // hosts, each once
	Names     []string      `expr:"names"`
}

// MemberValue is a member in an expression.
type MemberValue struct {
	Name    string   `expr:"name"`
	Address string   `expr:"address"` // host:port
	Host    string   `expr:"host"`
	Port    int      `expr:"port"`
	Targets []string `expr:"targets"` // targets of the plan that hold it
}

// StepValue is a finished step in an expression.
type StepValue struct {
	Outputs map[string]any `expr:"outputs"`
	lost    []string
}

// Without says of outputs that the step had them, and that nobody knows their
// values any more. An expression that needs one is an error.
func (v StepValue) Without(names ...string) StepValue {
	v.lost = names
	return v
}

// lost says which output that the expression needs is not known any more.
func (c *code) lost(scope Scope) error {
	steps, _ := scope["steps"].(map[string]StepValue)
	for _, id := range slices.Sorted(maps.Keys(steps)) {
		for _, name := range steps[id].lost {
			if c.needs(id, name) {
				return fmt.Errorf("output %s of step %s is not known any more: it held a secret, which the journal does not keep", name, id)
			}
		}
	}
	return nil
}

// needs reports whether the expression uses an output of a step. One that
// takes steps or their outputs as a whole uses them all.
func (c *code) needs(id, name string) bool {
	all, named, whole := 0, 0, 0
	for _, u := range c.uses {
		switch {
		case u.root != "steps":
		case u.name == "":
			all++
		default:
			named++
			if u.name == id {
				whole++
			}
		}
	}
	for _, o := range c.outputs {
		if o.step == id {
			whole--
		}
	}
	return all > named || whole > 0 || slices.Contains(c.outputs, output{id, name})
}

// RunValue is the run in an expression.
type RunValue struct {
	ID string `expr:"id"`
}
