package plan

import (
	"slices"
	"time"
)

// policy is what every gate takes beside its kind.
type policy struct {
	Each     string         `yaml:"each"`
	Every    *time.Duration `yaml:"every"`
	Timeout  *time.Duration `yaml:"timeout"`
	For      *time.Duration `yaml:"for"`
	Passes   *int           `yaml:"passes"`
	Failures *int           `yaml:"failures"`
}

var policyKeys = []string{"each", "every", "timeout", "for", "passes", "failures"}

// gates reads the gates that have names.
func (l *loader) gates() {
	for _, e := range l.section("gates") {
		if !l.nameOf(e.key, "gate") {
			continue
		}
		own := &named{gate: len(l.plan.Gates)}
		l.gateOf[e.key.text] = own
		g := l.gate(e.value, e.key.text, place{gate: own})
		g.Pos = e.key.pos
		if g.Each == "member" {
			own.member = true
		}
		l.plan.Gates = append(l.plan.Gates, g)
	}
}

// gate reads one gate: a kind with its block, and when it is looked at.
func (l *loader) gate(n *node, name string, at place) Gate {
	g := Gate{Name: name, Pos: n.pos}
	if n.kind != mapKind {
		l.wrong(n, "{http: {url: ...}, timeout: 2m}", "a gate is a map with its kind, not %s", n.what())
		return g
	}
	kindEntry, ok := l.gateKind(n)
	if !ok {
		return g
	}
	var p policy
	rest := n.without(kindEntry.key.text)
	l.check(rest, place{vars: true})
	if l.read(rest, "the gate", &p) {
		g.Each = l.eachOf(rest.get("each"), p.Each, at)
		l.policy(rest, p, &g)
	}
	g.Kind = kindEntry.key.text
	g.Config = Node{n: kindEntry.value, label: "gate " + g.Kind}
	if g.Each != "" {
		at.member, at.gate = true, nil
	}
	l.check(kindEntry.value, at)
	if g.Kind == "resolve" {
		l.looks(kindEntry.value)
	}
	return g
}

// policy copies what the plan gives and checks it.
func (l *loader) policy(n *node, p policy, g *Gate) {
	for key, d := range map[string]struct {
		given *time.Duration
		to    *time.Duration
	}{"every": {p.Every, &g.Every}, "timeout": {p.Timeout, &g.Timeout}, "for": {p.For, &g.For}} {
		if d.given == nil {
			continue
		}
		if *d.to = *d.given; *d.given <= 0 {
			l.fail(n.get(key), "leave it out for the default", "%s must be more than nothing", key)
		}
	}
	for key, c := range map[string]struct{ given, to *int }{"passes": {p.Passes, &g.Passes}, "failures": {p.Failures, &g.Failures}} {
		if c.given == nil {
			continue
		}
		if *c.to = *c.given; *c.given < 1 {
			l.fail(n.get(key), "", "%s is at least 1, not %d", key, *c.given)
		}
	}
	if g.Timeout > 0 && g.For > g.Timeout {
		l.fail(n.get("for"), "make the timeout longer", "for %s does not fit into the timeout of %s", shortDuration(g.For), shortDuration(g.Timeout))
	}
}

// gateKind finds the key that is the gate's kind: the one that is no policy.
func (l *loader) gateKind(n *node) (entry, bool) {
	var kinds []entry
	for _, e := range n.entries {
		if !slices.Contains(policyKeys, e.key.text) {
			kinds = append(kinds, e)
		}
	}
	if len(kinds) == 1 {
		return kinds[0], true
	}
	if len(kinds) == 0 {
		l.fail(n, "{http: {url: ...}, timeout: 2m}", "the gate does not say its kind")
		return entry{}, false
	}
	// Of two keys one may be a policy that is written wrong.
	typo := slices.IndexFunc(kinds, func(e entry) bool {
		return Nearest(e.key.text, policyKeys) != "" && e.value.kind == scalarKind
	})
	if typo >= 0 {
		d := decoder{errs: &l.errs, label: "the gate"}
		d.unknownKey(kinds[typo].key, policyKeys)
		return entry{}, false
	}
	words := make([]string, len(kinds))
	for i, e := range kinds {
		words[i] = e.key.text
	}
	l.fail(kinds[1].key, "write two gates: gate: [{...}, {...}]", "a gate has one kind, this one has %s", list(words))
	return entry{}, false
}

// eachOf checks whom a gate is about.
func (l *loader) eachOf(n *node, name string, at place) string {
	if n == nil {
		return ""
	}
	if name == "member" {
		if !at.member && at.gate == nil {
			l.fail(n, "", "member is known only inside each")
		}
		return name
	}
	l.groupRef(n, name)
	return name
}

// groupRef checks the name of a group, live or idle.
func (l *loader) groupRef(n *node, name string) {
	switch {
	case name == "live" || name == "idle":
		if !l.env.alternate {
			l.fail(n, "add alternate: [one group, the other], or name a group", "%s is known only with alternate", name)
		}
	case !slices.Contains(l.env.groups, name):
		known := l.env.groups
		if l.env.alternate {
			known = append(slices.Clone(known), "live", "idle")
		}
		l.reference(n, "group", name, known)
	}
	l.used["group "+name] = true
}

// gateRefs reads `gate: up`, `gate: {http: ...}` and lists of either.
func (l *loader) gateRefs(n *node, id string, at place) []GateRef {
	items := []*node{n}
	if n.kind == listKind {
		items = n.items
	}
	if n.null() || len(items) == 0 {
		l.fail(n, "gate: a-name", "the gate is missing")
		return nil
	}
	var refs []GateRef
	for _, item := range items {
		refs = append(refs, l.gateRef(item, id, at))
	}
	return refs
}

func (l *loader) gateRef(n *node, id string, at place) GateRef {
	if n.kind == mapKind {
		at.own = id
		g := l.gate(n, id, at)
		return GateRef{Inline: &g, Pos: n.pos}
	}
	ref := GateRef{Pos: n.pos}
	if !l.read(n, "gate", &ref.Name) {
		return ref
	}
	l.used["gate "+ref.Name] = true
	g, ok := l.gateOf[ref.Name]
	switch {
	case !ok:
		l.reference(n, "gate", ref.Name, l.gateNames())
	case g.member && !at.member:
		l.fail(n, "give the gate each: a-group, or use it inside an each", "gate %s is about a member, which is known only inside each", ref.Name)
	}
	return ref
}
