package plan

import (
	"slices"
	"strings"
)

func (l *loader) targets() {
	for _, e := range l.section("targets") {
		if !l.nameOf(e.key, "target") {
			continue
		}
		t := Target{Name: e.key.text, Pos: e.key.pos}
		t.Config = Node{n: e.value, label: "target " + t.Name, omit: "driver"}
		if e.value.kind != mapKind {
			l.wrong(e.value, t.Name+": {driver: haproxy, ...}", "a target is a map with a driver, not %s", e.value.what())
			continue
		}
		if d := e.value.get("driver"); d == nil {
			l.fail(e.key, "flip drivers lists them", "target %s does not say its driver", t.Name)
		} else {
			l.read(d, "driver", &t.Driver)
		}
		l.check(e.value, place{vars: true})
		l.plan.Targets = append(l.plan.Targets, t)
	}
}

// reserved are words that stand for groups without being one.
var reserved = []string{"live", "idle", "member"}

func (l *loader) groups() {
	targets := l.targetNames()
	for _, e := range l.section("groups") {
		g := Group{Name: e.key.text, Pos: e.key.pos}
		l.env.groups = append(l.env.groups, g.Name)
		if slices.Contains(reserved, g.Name) {
			l.fail(e.key, "", "a group cannot be named %s: that word has a meaning of its own", g.Name)
			continue
		}
		if !l.nameOf(e.key, "group") {
			continue
		}
		if e.value.kind != mapKind || len(e.value.entries) == 0 {
			l.wrong(e.value, g.Name+": {a-target: [a-member, another]}", "a group is a map of targets to their members, not %s", e.value.what())
			continue
		}
		for _, m := range e.value.entries {
			if !slices.Contains(targets, m.key.text) {
				l.reference(m.key, "target", m.key.text, targets)
				continue
			}
			g.Members = append(g.Members, l.members(m))
		}
		l.plan.Groups = append(l.plan.Groups, g)
	}
}

// members reads a group's members in one target.
func (l *loader) members(e entry) GroupMembers {
	m := GroupMembers{Target: e.key.text, Pos: e.key.pos}
	if !l.read(e.value, "", &m.Names) {
		return m
	}
	if len(m.Names) == 0 {
		l.fail(e.value, "name members, or leave "+m.Target+" out", "no members in target %s", m.Target)
	}
	seen := make(map[string]bool, len(m.Names))
	for i, name := range m.Names {
		at := e.value
		if len(e.value.items) == len(m.Names) {
			at = e.value.items[i]
		}
		m.NamePos = append(m.NamePos, at.pos)
		switch {
		case l.open(at):
		case strings.TrimSpace(name) == "":
			l.fail(at, "", "the name of a member is empty")
		case seen[name]:
			l.fail(at, "", "member %s is named twice", name)
		}
		seen[name] = true
	}
	return m
}

func (l *loader) group(name string) (Group, bool) {
	i := slices.IndexFunc(l.plan.Groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return Group{}, false
	}
	return l.plan.Groups[i], true
}

// alternate reads the two groups that take turns.
func (l *loader) alternate() {
	n := l.root.get("alternate")
	if n == nil {
		return
	}
	l.env.alternate = true
	if n.kind == mapKind {
		var raw struct {
			Groups  Node `yaml:"groups,required"`
			Unequal bool `yaml:"unequal"`
		}
		if !l.read(n, "alternate", &raw) {
			return
		}
		l.plan.Unequal, n = raw.Unequal, raw.Groups.n
	}
	var pair []string
	if !l.read(n, "alternate", &pair) {
		return
	}
	if slices.ContainsFunc(n.items, l.open) {
		return
	}
	if len(pair) != 2 || pair[0] == pair[1] {
		l.fail(n, "alternate: [blue, green]", "alternate names two different groups")
		return
	}
	for i, name := range pair {
		l.used["group "+name] = true
		if !slices.Contains(l.env.groups, name) {
			at := n
			if len(n.items) == 2 {
				at = n.items[i]
			}
			l.reference(at, "group", name, l.env.groups)
		}
	}
	l.plan.Alternate = pair
	l.disjoint(pair)
}

// disjoint refuses a member that is in both groups: it could never be idle.
func (l *loader) disjoint(pair []string) {
	a, okA := l.group(pair[0])
	b, okB := l.group(pair[1])
	if !okA || !okB {
		return
	}
	in := map[[2]string]bool{}
	for _, m := range a.Members {
		for _, name := range m.Names {
			in[[2]string{m.Target, name}] = true
		}
	}
	for _, m := range b.Members {
		for i, name := range m.Names {
			if name == "" {
				continue // a variable without a value
			}
			if in[[2]string{m.Target, name}] {
				at := &node{pos: m.Pos, width: len([]rune(name))}
				if i < len(m.NamePos) { // a list with errors has none
					at.pos = m.NamePos[i]
				}
				l.fail(at, "each member belongs to one side", "member %s of target %s is in %s and in %s, which alternate", name, m.Target, a.Name, b.Name)
			}
		}
	}
}

func (l *loader) guards() {
	n := l.root.get("guards")
	if n == nil {
		return
	}
	var raw []Node
	if !l.read(n, "guards", &raw) {
		return
	}
	for _, r := range raw {
		var g struct {
			Target     string `yaml:"target,required"`
			MinServing int    `yaml:"min_serving,required"`
		}
		l.check(r.n, place{vars: true})
		if !l.read(r.n, "the guard", &g) {
			continue
		}
		if !slices.Contains(l.targetNames(), g.Target) {
			l.reference(r.n.get("target"), "target", g.Target, l.targetNames())
		}
		if g.MinServing < 1 {
			l.fail(r.n.get("min_serving"), "leave the guard out if nothing has to serve", "min_serving is at least 1, not %d", g.MinServing)
		}
		l.plan.Guards = append(l.plan.Guards, Guard{Target: g.Target, MinServing: g.MinServing, Pos: r.n.pos})
	}
}

// place is where a template stands, which decides what it may name.
type place struct {
	vars   bool            // only variables: the plan is being read
	member bool            // inside an each
	steps  map[string]bool // steps that have run; nil: any
	own    string          // this step's outputs are known too
	gate   *named          // a named gate, whose users provide member
}

// check compiles all templates below n and refuses names that are not known at
// that place.
func (l *loader) check(n *node, at place) {
	switch n.kind {
	case mapKind:
		for _, e := range n.entries {
			l.check(e.value, at)
		}
	case listKind:
		for _, item := range n.items {
			l.check(item, at)
		}
	default:
		if templated(n.text) {
			l.checkText(n, at)
		}
	}
}

func (l *loader) checkText(n *node, at place) {
	t, f := l.env.template(n.text)
	if f != nil {
		l.errs = append(l.errs, n.fault(f))
		return
	}
	l.env.cache[n.text] = t
	for _, p := range t.parts {
		if p.code != nil {
			from := len([]rune(n.text[:p.from]))
			l.checkUses(n, p.code.uses, from, at)
		}
	}
}

func (l *loader) checkUses(n *node, uses []use, from int, at place) {
	wrong := func(u use, width int, hint, format string, args ...any) {
		l.errs = append(l.errs, l.src.errorf(n.locate(from+u.from), width, hint, format, args...))
	}
	for _, u := range uses {
		switch {
		case u.root == "vars":
		case u.root == "groups" && !at.vars:
			l.used["group "+u.name] = true
		case at.vars && u.name == "" && slices.Contains(scoped, u.root):
			wrong(u, len(u.root), onlyVars, "%s cannot be used here", u.root)
		case u.root == "member" && at.gate != nil:
			at.gate.member = true
		case u.root == "member" && !at.member:
			wrong(u, len("member"), "use it in the do: of an each, or give the gate each: a-group", "member is known only inside each")
		case u.root == "steps" && u.name != "" && at.steps != nil && !at.steps[u.name] && u.name != at.own:
			if l.perEach[u.name] {
				wrong(u, len(u.name), "use it inside the do: of that each", "step %s runs once for each member; its outputs are not known here", u.name)
				continue
			}
			wrong(u, len(u.name), "only steps that are done before have outputs", "step %s has not run yet here", u.name)
		}
	}
}
