package rehearse

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

// madeUp makes the states of all targets up: the members that groups name, of
// the live side serving and of the idle side not.
func (r *rehearsal) madeUp(prog *engine.Program) (map[string]state.State, error) {
	p := prog.Plan
	idle := ""
	if len(p.Alternate) == 2 {
		live := cmp.Or(r.o.Live, p.Alternate[0])
		idle = p.Alternate[0]
		if live == idle {
			idle = p.Alternate[1]
		}
		r.invents = append(r.invents, fmt.Sprintf("offline: %s is taken to be live; --live says otherwise", live))
	}
	states := map[string]state.State{}
	for _, t := range p.Targets {
		states[t.Name] = state.State{Objects: map[string]state.Object{}, Nodes: map[string]state.Incarnation{}}
	}
	addresses := map[string]string{}
	for _, g := range p.Groups {
		for _, gm := range g.Members {
			for _, name := range names(gm) {
				if addresses[name] == "" {
					addresses[name] = address(name, len(addresses))
				}
				if err := member(states[gm.Target], prog, gm.Target, name, addresses[name], g.Name != idle); err != nil {
					return nil, err
				}
			}
		}
	}
	walk(p.Steps, func(s plan.Step) {
		for _, sel := range selections(s) {
			for _, name := range sel.Members {
				if _, known := addresses[name]; !known && !strings.ContainsAny(name, "*?[") {
					addresses[name] = address(name, len(addresses))
					_ = member(states[sel.Target], prog, sel.Target, name, addresses[name], true) // Bind says what is wrong
				}
			}
		}
	})
	for _, t := range p.Targets {
		if s := states[t.Name]; len(s.Nodes) == 0 {
			s.Nodes[""] = state.Incarnation{ID: "1"}
		}
	}
	return states, nil
}

func selections(s plan.Step) []plan.Selection {
	switch {
	case s.Set != nil:
		return []plan.Selection{s.Set.Selection}
	case s.Drain != nil:
		return []plan.Selection{s.Drain.Selection}
	}
	return nil
}

// names are a group's members in one target; a pattern stands for two.
func names(gm plan.GroupMembers) []string {
	var out []string
	for _, n := range gm.Names {
		if !strings.ContainsAny(n, "*?[") {
			out = append(out, n)
			continue
		}
		open := strings.IndexAny(n, "*?[")
		rest := strings.TrimLeft(n[open:], "*?")
		if at := strings.IndexByte(rest, ']'); strings.HasPrefix(rest, "[") && at > 1 {
			out = append(out, n[:open]+rest[1:2]+rest[at+1:])
			continue
		}
		out = append(out, n[:open]+"1"+rest, n[:open]+"2"+rest)
	}
	return out
}

// address is a member's own where its name is one, else one that is nobody's
// (RFC 5737).
func address(name string, n int) string {
	if strings.Contains(name, ":") && !strings.ContainsAny(name, "/ ") {
		return name
	}
	return fmt.Sprintf("192.0.2.%d:80", n%254+1)
}

// member adds one member on every node.
func member(s state.State, prog *engine.Program, target, name, addr string, serving bool) error {
	kind, ok := prog.Infos[target].Member()
	if !ok {
		return &engine.PreconditionError{Err: fmt.Errorf("target %s: driver %s has no members", target, prog.Infos[target].Name)}
	}
	attrs, ok := defaults(kind, serving)
	if !ok {
		err := fmt.Errorf("target %s: no values of a %s that make it %s could be made up", target, kind.Name, map[bool]string{true: "serve", false: "idle"}[serving])
		return &engine.PreconditionError{Err: hint.Wrap(err, "rehearse without --offline: the states are read once")}
	}
	objects := map[string]state.Object{name: {Kind: kind.Name, Name: name}}
	if l, ok := locator(prog.Targets[target]); ok {
		if found, err := l.Locate(kind.Name, name); err == nil && len(found) > 0 {
			objects = found
		}
	}
	host, _, _ := strings.Cut(addr, ":")
	for id, o := range objects {
		o.Attrs = maps.Clone(attrs)
		o.Info = map[string]string{"address": addr, "host": host}
		s.Objects[id] = o
		if o.Node != "" {
			s.Nodes[o.Node] = state.Incarnation{ID: "1"}
		}
	}
	return nil
}

// defaults are values of every attribute that make an object serve or not.
func defaults(k driver.Kind, serving bool) (map[string]state.Value, bool) {
	attrs := map[string]state.Value{}
	for _, a := range k.Attributes {
		if v, ok := usual(a); ok && (k.Member || !a.ReadOnly) {
			attrs[a.Name] = v
		}
	}
	if k.Capacity == nil || (k.Capacity(attrs) > 0) == serving {
		return attrs, true
	}
	// One attribute decides; the weight is the one that plans move.
	byWeight := slices.Clone(k.Attributes)
	slices.SortStableFunc(byWeight, func(a, b driver.Attribute) int { return weightFirst(a) - weightFirst(b) })
	for _, a := range byWeight {
		for _, v := range others(a) {
			next := maps.Clone(attrs)
			next[a.Name] = v
			if (k.Capacity(next) > 0) == serving {
				return next, true
			}
		}
	}
	return attrs, false
}

func weightFirst(a driver.Attribute) int {
	if a.Name == "weight" {
		return 0
	}
	return 1
}

// usual is a value that an attribute often has.
func usual(a driver.Attribute) (state.Value, bool) {
	switch a.Type {
	case driver.TypeInt, driver.TypeNumber:
		if a.Min == a.Max {
			return state.Int(100), true
		}
		return state.Float(min(max(100, a.Min), a.Max)), true
	case driver.TypeBool:
		return state.Bool(true), true
	case driver.TypeEnum:
		if len(a.Enum) > 0 {
			return state.Text(a.Enum[0]), true
		}
	case driver.TypeList:
		return state.List([]string{"192.0.2.1"}), true
	case driver.TypeText:
		return state.Text("as it was"), true
	}
	return state.Absent, false
}

// others are the values of an attribute that are not the usual one.
func others(a driver.Attribute) []state.Value {
	switch a.Type {
	case driver.TypeInt, driver.TypeNumber:
		return []state.Value{state.Float(max(0, a.Min)), state.Float(a.Max)}
	case driver.TypeBool:
		return []state.Value{state.Bool(false)}
	case driver.TypeEnum:
		var vs []state.Value
		for _, e := range a.Enum {
			vs = append(vs, state.Text(e))
		}
		return vs
	case driver.TypeList, driver.TypeText:
	}
	return nil
}

// invent gives values to what steps name and groups do not: records, map
// entries. It reports whether there was any.
func invent(prog *engine.Program, states map[string]state.State) bool {
	added := false
	for target, pins := range prog.Pins.Targets {
		for id, o := range pins.Objects {
			k, _ := prog.Infos[target].Kind(o.Kind)
			if _, known := states[target].Objects[id]; known || k.Member {
				continue
			}
			attrs, _ := defaults(k, true)
			states[target].Objects[id] = state.Object{Kind: o.Kind, Name: o.Name, Node: o.Node, Info: o.Info, Attrs: attrs}
			added = true
		}
	}
	return added
}
