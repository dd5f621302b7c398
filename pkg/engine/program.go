package engine

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/state"
)

// Program is a plan whose names are resolved to concrete objects. The objects
// are pinned when the run begins: a member that comes later is not touched.
type Program struct {
	Plan    plan.Plan
	Pins    Pins
	Infos   map[string]driver.Info // by target
	Targets map[string]driver.Driver
	Views   map[string]resolve.View

	mu     sync.Mutex
	values map[string]plan.GroupValue // of groups, see groupValues
}

// Pins is what was found out about the live systems when the run began. It is
// stored beside the journal, so that the way back needs nothing else.
type Pins struct {
	Live    string                  `json:"live,omitempty"`
	Idle    string                  `json:"idle,omitempty"`
	Groups  map[string]Group        `json:"groups"`
	Targets map[string]PinnedTarget `json:"targets"`
	// Cached are answers that earlier runs replaced and that caches could still
	// hold when the run began.
	Cached []journal.Replaced `json:"cached,omitempty"`
}

// PinnedTarget is one target's objects, without their values.
type PinnedTarget struct {
	Driver  string                       `json:"driver"`
	Scopes  []string                     `json:"scopes"`
	Objects map[string]PinnedObject      `json:"objects"`
	Nodes   map[string]state.Incarnation `json:"nodes,omitempty"`
}

// PinnedObject is one object without its values.
type PinnedObject struct {
	Kind string            `json:"kind"`
	Name string            `json:"name"`
	Node string            `json:"node,omitempty"`
	Info map[string]string `json:"info,omitempty"`
	New  bool              `json:"new,omitempty"` // it did not exist when the run began
}

// Group is a group's members, one entry for each thing that serves, however
// many targets know it.
type Group struct {
	Name    string   `json:"name"`
	Members []Member `json:"members"`
}

// Member is one thing that serves, with its objects in each target.
type Member struct {
	Name    string              `json:"name"`
	Address string              `json:"address,omitempty"` // host:port
	Host    string              `json:"host,omitempty"`
	Objects map[string][]string `json:"objects"` // ids by target
}

// group returns a group by name; live and idle are names too.
func (p *Program) group(name string) (Group, error) {
	switch name {
	case "live":
		name = p.Pins.Live
	case "idle":
		name = p.Pins.Idle
	}
	g, ok := p.Pins.Groups[name]
	if !ok {
		return Group{}, fmt.Errorf("no group %q", name)
	}
	return g, nil
}

// targets returns the targets of the group in order.
func (g Group) targets() []string {
	seen := map[string]bool{}
	for _, m := range g.Members {
		for t := range m.Objects {
			seen[t] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// ids returns the group's objects in one target, in order.
func (g Group) ids(target string) []string {
	var ids []string
	for _, m := range g.Members {
		ids = append(ids, m.Objects[target]...)
	}
	return ids
}

// kindOf returns the kind of an object.
func (p *Program) kindOf(target, id string) driver.Kind {
	o := p.Pins.Targets[target].Objects[id]
	k, _ := p.Infos[target].Kind(o.Kind)
	return k
}

// capacity is what an object with those attributes takes of the traffic.
func (p *Program) capacity(target, id string, attrs map[string]state.Value) float64 {
	k := p.kindOf(target, id)
	if k.Capacity == nil {
		return 0
	}
	return k.Capacity(attrs)
}

// name is what people call an object: its name, with the node when the target
// has several.
func (p *Program) name(target, id string) string {
	o, ok := p.Pins.Targets[target].Objects[id]
	if !ok {
		return id
	}
	if len(p.Pins.Targets[target].Nodes) > 1 {
		return o.Node + "/" + o.Name
	}
	return o.Name
}

// names lists the members that ids stand for, once each.
func (p *Program) names(target string, ids []string) []string {
	var names []string
	seen := make(map[string]bool, len(ids))
	for _, id := range ids {
		n := p.Pins.Targets[target].Objects[id].Name
		if n == "" {
			n = id
		}
		if !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	return names
}

// scope is what expressions see.
func (p *Program) scope(m *Member, outputs map[string]map[string]string, runID string, attempt int) plan.Scope {
	groups := p.groupValues()
	steps := map[string]plan.StepValue{}
	for id, out := range outputs {
		v := plan.StepValue{Outputs: map[string]any{}}
		var lost []string
		for k, val := range out {
			if val == lostOutput {
				lost = append(lost, k)
				continue
			}
			v.Outputs[k] = val
		}
		slices.Sort(lost)
		steps[id] = v.Without(lost...)
	}
	s := plan.Scope{
		"vars": p.Plan.Vars, "groups": groups, "steps": steps,
		"run": plan.RunValue{ID: runID}, "attempt": attempt,
	}
	if p.Pins.Live != "" {
		s["live"], s["idle"] = groups[p.Pins.Live], groups[p.Pins.Idle]
	}
	if m != nil {
		s["member"] = m.value()
	}
	return s
}

// groupValues are the groups as expressions see them, made once: a large group
// is looked at in every step.
func (p *Program) groupValues() map[string]plan.GroupValue {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.values == nil {
		p.values = make(map[string]plan.GroupValue, len(p.Pins.Groups))
		for name, g := range p.Pins.Groups {
			p.values[name] = g.value()
		}
	}
	return p.values
}

// regrouped says that the groups are others now.
func (p *Program) regrouped() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values = nil
}

func (g Group) value() plan.GroupValue {
	v := plan.GroupValue{Name: g.Name}
	seen := make(map[string]bool, len(g.Members))
	for _, m := range g.Members {
		v.Members = append(v.Members, m.value())
		if a := cmp.Or(m.Host, m.Address, m.Name); !seen[a] {
			seen[a] = true
			v.Addresses = append(v.Addresses, a)
		}
		v.Names = append(v.Names, m.Name)
	}
	return v
}

func (m Member) value() plan.MemberValue {
	v := plan.MemberValue{Name: m.Name, Address: m.Address, Host: m.Host, Targets: slices.Sorted(maps.Keys(m.Objects))}
	if _, port, err := net.SplitHostPort(m.Address); err == nil {
		v.Port, _ = strconv.Atoi(port)
	}
	return v
}

// evaluate fills in the templates of a value that a plan sets.
func evaluate(raw any, scope plan.Scope) (any, error) {
	switch v := raw.(type) {
	case plan.Template:
		return v.Eval(scope)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = evaluate(item, scope); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return raw, nil
}
