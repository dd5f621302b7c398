package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// selector are the keys that say which objects a verb is about.
type selector struct {
	Group   string   `yaml:"group"`
	On      Node     `yaml:"on"`
	Target  string   `yaml:"target"`
	Members []string `yaml:"members"`
}

var selectorKeys = []string{"group", "on", "target", "members"}

// selection checks which objects a verb is about.
func (l *loader) selection(n *node, verb string, raw selector, at place) Selection {
	s := Selection{Group: raw.Group, Target: raw.Target, Members: raw.Members, Pos: n.pos}
	if s.Open = l.open(n.get("group")) || l.open(n.get("target")); s.Open {
		return s
	}
	switch {
	case s.Group != "" && s.Target != "":
		l.fail(n.get("target"), "on: ["+s.Target+"] limits a group to a target", "%s has a group and a target", verb)
	case s.Group == "" && s.Target == "" && !at.member:
		l.fail(n, "group: idle, or target: a-target", "%s does not say a group or a target", verb)
	}
	if s.Target != "" && !slices.Contains(l.targetNames(), s.Target) {
		l.reference(n.get("target"), "target", s.Target, l.targetNames())
	}
	if n.get("members") != nil && s.Target == "" {
		l.fail(n.get("members"), "add target: the target that has them", "members are named together with their target")
	}
	if s.Group == "member" && at.member {
		s.Group = "" // the member is what a verb inside each is about
	}
	if s.Group != "" {
		l.groupRef(n.get("group"), s.Group)
	}
	if raw.On.n != nil {
		if s.Target != "" {
			l.fail(raw.On.n, "leave on: out", "on limits a group, and %s names a target", verb)
		}
		s.On = l.on(raw.On.n, s.Group)
	}
	return s
}

// on reads the targets that a group is limited to.
func (l *loader) on(n *node, group string) []string {
	var on []string
	l.check(n, place{vars: true})
	if !l.read(n, "on", &on) {
		return nil
	}
	if len(on) == 0 {
		l.fail(n, "leave on: out for all targets", "on names no target")
	}
	for i, name := range on {
		at := n
		if len(n.items) == len(on) {
			at = n.items[i]
		}
		if !slices.Contains(l.targetNames(), name) {
			l.reference(at, "target", name, l.targetNames())
			continue
		}
		if slices.Contains(on[:i], name) {
			l.fail(at, "", "target %s is named twice", name)
		}
		l.inGroup(at, group, name)
	}
	return on
}

// inGroup refuses a target in which a group has no members.
func (l *loader) inGroup(n *node, group, target string) {
	groups := []string{group}
	if group == "live" || group == "idle" {
		groups = l.plan.Alternate
	}
	for _, name := range groups {
		g, ok := l.group(name)
		if ok && !slices.ContainsFunc(g.Members, func(m GroupMembers) bool { return m.Target == target }) {
			l.fail(n, "", "group %s has no members in target %s", name, target)
		}
	}
}

// set reads a set: keys that select, and attributes.
func (l *loader) set(n *node, at place) *Set {
	set := &Set{Selection: Selection{Pos: n.pos}}
	if n.kind != mapKind {
		l.wrong(n, "set: {group: idle, weight: 0}", "set must be a map, not %s", n.what())
		return set
	}
	picks, values := n.split(selectorKeys)
	var raw selector
	l.check(picks, place{vars: true})
	ok := l.read(picks, "set", &raw)
	if raw.Group == "" && raw.Target == "" && !at.member && picks.get("group") == nil && picks.get("target") == nil {
		// A selector that is written wrong looks like an attribute.
		for _, e := range values {
			if Nearest(e.key.text, selectorKeys) != "" {
				d := decoder{errs: &l.errs, label: "set"}
				d.unknownKey(e.key, selectorKeys)
				return set
			}
		}
	}
	if ok {
		set.Selection = l.selection(picks, "set", raw, at)
	}
	for _, e := range values {
		l.check(e.value, at)
		set.Attrs = append(set.Attrs, Attr{Name: e.key.text, Value: l.attr(e), Pos: e.key.pos, ValuePos: e.value.pos})
	}
	if len(values) == 0 {
		l.fail(n, "set: {group: idle, weight: 0}", "set names no attribute")
	}
	return set
}

// split parts a map into the keys that are known and the others.
func (n *node) split(known []string) (*node, []entry) {
	some := *n
	some.entries = []entry{}
	var others []entry
	for _, e := range n.entries {
		if slices.Contains(known, e.key.text) {
			some.entries = append(some.entries, e)
		} else {
			others = append(others, e)
		}
	}
	return &some, others
}

// attr is the value of an attribute: a scalar, a list, or a template. A
// written null is nil, which means that the attribute shall not exist.
func (l *loader) attr(e entry) any {
	n := e.value
	switch {
	case n.kind == mapKind:
		l.fail(n, "", "%s must be one value or a list, not a map", e.key.text)
		return nil
	case n.null() && n.text == "":
		l.fail(n, "", "%s has no value", e.key.text)
		return nil
	case n.kind == listKind:
		items := make([]any, 0, len(n.items))
		for _, item := range n.items {
			if item.kind != scalarKind || item.null() {
				l.fail(item, "", "%s is a list of texts or numbers, not of %s", e.key.text, item.what())
				continue
			}
			items = append(items, l.attrScalar(item))
		}
		return items
	}
	return l.attrScalar(n)
}

func (l *loader) attrScalar(n *node) any {
	if templated(n.text) {
		if t, ok := l.env.cache[n.text]; ok {
			return *t
		}
		return n.text
	}
	if text, hint := n.trap(); text != "" {
		l.fail(n, hint, "%s", text)
		return nil
	}
	return n.scalarValue()
}

// share is one step of a ramp: 25 or 25%.
type share int

// UnmarshalText reads 1..100 with or without a percent sign.
func (s *share) UnmarshalText(text []byte) error {
	number := strings.TrimSuffix(string(text), "%")
	n, err := strconv.Atoi(number)
	if err != nil || !integerForm.MatchString(number) || n < 1 || n > 100 {
		return fmt.Errorf("a step of a ramp is a whole percent from 1 to 100, not %q", text)
	}
	*s = share(n)
	return nil
}

func (l *loader) ramp(n *node, s *Step, at place) *Ramp {
	var raw struct {
		From    string        `yaml:"from,required"`
		To      string        `yaml:"to,required"`
		On      Node          `yaml:"on"`
		Percent []share       `yaml:"percent,required"`
		Full    int           `yaml:"full"`
		Hold    time.Duration `yaml:"hold"`
		Gate    Node          `yaml:"gate"`
		Timeout time.Duration `yaml:"timeout"`
	}
	r := &Ramp{Pos: n.pos}
	l.check(n.without("gate"), place{vars: true})
	ok := l.read(n, "ramp", &raw)
	if raw.Gate.n != nil {
		s.Gates = append(s.Gates, l.gateRefs(raw.Gate.n, s.ID, at)...)
	}
	if !ok {
		return r
	}
	*r = Ramp{From: raw.From, To: raw.To, Full: raw.Full, Hold: raw.Hold, Pos: n.pos}
	for _, p := range raw.Percent {
		r.Percent = append(r.Percent, int(p))
	}
	l.groupRef(n.get("from"), r.From)
	l.groupRef(n.get("to"), r.To)
	if r.From == r.To {
		l.fail(n.get("to"), "ramp: {from: live, to: idle, ...}", "a ramp goes from one group to another, not from %s to itself", r.From)
	}
	if raw.On.n != nil {
		r.On = l.on(raw.On.n, r.From)
		if r.To != "live" && r.To != "idle" {
			l.on(raw.On.n, r.To)
		}
	}
	if r.Full < 0 {
		l.fail(n.get("full"), "leave it out to take what the other side has", "full is a weight of at least 1, not %d", r.Full)
	}
	l.rising(n.get("percent"), r.Percent)
	l.nested(s, n, raw.Timeout)
	return r
}

// rising refuses percents that do not grow.
func (l *loader) rising(n *node, percent []int) {
	if len(percent) == 0 && !l.open(n) {
		l.fail(n, "percent: [5, 25, 50, 100]", "a ramp has at least one step")
	}
	for i := 1; i < len(percent); i++ {
		at := n
		if len(n.items) == len(percent) {
			at = n.items[i]
		}
		if percent[i] <= percent[i-1] {
			l.fail(at, "percent: [5, 25, 50, 100]", "the steps of a ramp rise, and %d is not above %d", percent[i], percent[i-1])
		}
	}
}

var thens = []string{"fail", "kill", "continue"}

func (l *loader) drain(n *node, s *Step, at place) *Drain {
	raw := struct {
		selector `yaml:",inline"`
		Sessions int           `yaml:"sessions"`
		Timeout  time.Duration `yaml:"timeout"`
		Then     Node          `yaml:"then"`
		Interval time.Duration `yaml:"interval"`
		Samples  int           `yaml:"samples"`
		Metric   Node          `yaml:"metric"`
		Count    Node          `yaml:"count"`
		Ask      Node          `yaml:"ask"`
		Kill     Node          `yaml:"kill"`
	}{Interval: 100 * time.Millisecond, Samples: 3}
	d := &Drain{Selection: Selection{Pos: n.pos}}
	l.check(n.without("metric").without("count").without("ask").without("kill"), place{vars: true})
	ok := l.read(n, "drain", &raw)
	if raw.Metric.n != nil {
		refs := l.gateRefs(raw.Metric.n, s.ID, at)
		if len(refs) == 1 {
			d.Metric = &refs[0]
		} else if len(refs) > 1 {
			l.fail(raw.Metric.n, "", "metric is one gate, not %d", len(refs))
		}
	}
	if !ok {
		return d
	}
	d.Selection = l.selection(n, "drain", raw.selector, at)
	d.Sessions, d.Interval, d.Samples = raw.Sessions, raw.Interval, raw.Samples
	d.Then = l.choice(raw.Then.n, "then", "fail", thens)
	for key, bad := range map[string]bool{"sessions": d.Sessions < 0, "interval": d.Interval <= 0, "samples": d.Samples < 1, "timeout": raw.Timeout < 0} {
		if v := n.get(key); bad && v != nil && !l.open(v) {
			l.fail(v, "", "%s cannot be %s", key, v.text)
		}
	}
	l.nested(s, n, raw.Timeout)
	l.membersOf(d, n, raw.Count.n, raw.Ask.n, raw.Kill.n, at)
	return d
}

// wait reads a duration, {for: 1m}, or the rule for a record:
// {ttl: www.example.com A, from: [isp], max: 24h}.
func (l *loader) wait(n *node) *Wait {
	w := &Wait{Pos: n.pos}
	if n.kind == mapKind && n.get("ttl") != nil {
		l.check(n, place{vars: true})
		w.TTL = l.ttl(n)
		return w
	}
	if n.kind != mapKind {
		w.For = l.positive(n, "wait")
		return w
	}
	var raw struct {
		For Node `yaml:"for,required"`
	}
	if l.read(n, "wait", &raw) {
		w.For = l.positive(raw.For.n, "for")
	}
	return w
}

func (l *loader) approve(n *node, s *Step, at place) *Approve {
	a := &Approve{Pos: n.pos, Timeout: s.Timeout}
	l.check(n, at)
	var raw struct {
		Message kept          `yaml:"message,required"`
		Timeout time.Duration `yaml:"timeout"`
	}
	d := decoder{scope: Scope{"vars": l.plan.Vars}, errs: &l.errs, label: "approve", key: "approve", static: true}
	if n.kind == mapKind {
		d.root(Node{n: n}, &raw)
		l.nested(s, n, raw.Timeout)
		a.Timeout = s.Timeout
	} else {
		d.value(n, reflect.ValueOf(&raw.Message).Elem())
	}
	a.Message = string(raw.Message)
	return a
}
