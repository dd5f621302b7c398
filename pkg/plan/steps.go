package plan

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// verbs are the keys of which a step has exactly one; gate is one too when it
// stands alone.
var verbs = []string{"set", "ramp", "drain", "gate", "wait", "run", "approve", "steps", "parallel", "each"}

// common are the keys that any step takes.
var common = []string{"id", "when", "timeout", "retry", "gate", "on_fail", "undo", "commit"}

func (l *loader) steps() {
	n := l.root.get("steps")
	if n == nil {
		l.fail(l.root, "steps: [{id: ..., set: {...}}]", `"steps" is missing in the plan`)
		return
	}
	l.collect(n, false, 0)
	l.plan.Steps = l.sequence(n, place{steps: map[string]bool{}})
}

// collect notes the ids of all steps before any is read, so that expressions
// can be checked against them.
func (l *loader) collect(n *node, inEach bool, depth int) {
	if n == nil || depth > maxDepth {
		return
	}
	for _, s := range n.items {
		if id := s.get("id"); id != nil && idForm.MatchString(id.text) {
			if first, dup := l.ids[id.text]; dup && first != id.pos {
				l.fail(id, "ids name a step in the whole plan, also inside other steps", "step %s exists already, in line %d", id.text, first.Line)
			} else if !dup {
				l.ids[id.text] = id.pos
				l.env.steps = append(l.env.steps, id.text)
			}
			if inEach {
				l.perEach[id.text] = true
			}
		}
		l.collect(s.get("steps"), inEach, depth+1)
		l.collect(s.get("do"), true, depth+1)
		if p := s.get("parallel"); p != nil && p.kind == mapKind {
			p = p.get("steps")
			l.collect(p, inEach, depth+1)
		} else {
			l.collect(p, inEach, depth+1)
		}
	}
}

// sequence reads steps that run one after the other. at.steps grows with each.
func (l *loader) sequence(n *node, at place) []Step {
	if n.kind != listKind || len(n.items) == 0 {
		l.wrong(n, "- id: a-step", "steps are a list of at least one, not %s", n.what())
		return []Step{}
	}
	steps := make([]Step, 0, len(n.items))
	for _, item := range n.items {
		if s, ok := l.step(item, at); ok {
			steps = append(steps, s)
			at.steps[s.ID] = true
		}
	}
	return steps
}

// step reads one step. at.steps are those that have run before it.
func (l *loader) step(n *node, at place) (Step, bool) {
	if n.kind != mapKind {
		l.wrong(n, "- {id: a-step, set: {...}}", "a step is a map with an id and a verb, not %s", n.what())
		return Step{}, false
	}
	s := Step{Pos: n.pos, Retry: l.plan.Defaults.Retry, OnFail: l.plan.Defaults.OnFail}
	l.id(n, &s)
	verb, ok := l.verb(n, s.ID)
	if !ok {
		return s, false
	}
	l.common(n, &s, verb, at)
	at.own = ""
	l.block(n.get(verb), verb, n, &s, at)
	return s, s.ID != ""
}

func (l *loader) id(n *node, s *Step) {
	id := n.get("id")
	switch {
	case id == nil:
		l.fail(n, "add id: a-word; the journal knows steps by it", "the step has no id")
	case id.kind != scalarKind || !idForm.MatchString(id.text):
		l.wrong(id, "lower-case letters, digits and -: "+suggestID(id.text), "%s is no id", id.what())
	default:
		s.ID = id.text
	}
}

// suggestID is the nearest id to what was written.
func suggestID(text string) string {
	id := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, text)
	if id = strings.Trim(id, "-"); id == "" || len(id) > longest {
		return "shift-traffic"
	}
	return id
}

// verb finds a step's one verb.
func (l *loader) verb(n *node, id string) (string, bool) {
	who := "the step"
	if id != "" {
		who = "step " + id
	}
	var have []entry
	for _, e := range n.entries {
		if slices.Contains(verbs, e.key.text) && e.key.text != "gate" {
			have = append(have, e)
		}
	}
	switch {
	case len(have) == 1:
		return have[0].key.text, true
	case len(have) > 1:
		words := make([]string, len(have))
		for i, e := range have {
			words[i] = e.key.text
		}
		l.fail(have[1].key, "make them two steps, each with its id", "%s has %d verbs: %s", who, len(have), list(words))
		return "", false
	case n.get("gate") != nil:
		return "gate", true
	}
	known := slices.Concat(common, verbs, []string{"do", "limit", "on"})
	for _, e := range n.entries {
		if !slices.Contains(known, e.key.text) {
			l.fail(e.key, "verbs: "+strings.Join(verbs, ", "), "unknown verb %q%s", e.key.text, meant(e.key.text, verbs))
			return "", false
		}
	}
	l.fail(n, "verbs: "+strings.Join(verbs, ", "), "%s has no verb", who)
	return "", false
}

// extra are keys beside a verb that belong to it.
var extra = map[string][]string{
	"each":     {"do", "limit", "on"},
	"parallel": {"limit"},
}

// common reads the keys that any step takes.
func (l *loader) common(n *node, s *Step, verb string, at place) {
	known := slices.Concat(common, []string{verb}, extra[verb])
	d := decoder{errs: &l.errs, label: strings.TrimSuffix("step "+s.ID, " ")}
	for _, e := range n.entries {
		if !slices.Contains(known, e.key.text) {
			d.unknownKey(e.key, known)
		}
	}
	s.When = l.when(n.get("when"), at)
	s.Timeout = l.positive(n.get("timeout"), "timeout")
	s.Retry = l.retry(n.get("retry"), s.Retry)
	s.OnFail = l.choice(n.get("on_fail"), "on_fail", s.OnFail, onFail)
	if c := n.get("commit"); c != nil {
		l.read(c, "commit", &s.Commit)
	}
	if u := n.get("undo"); u != nil {
		l.undo(u, s, verb, at)
	}
	if g := n.get("gate"); g != nil && verb != "gate" {
		own := at
		own.own = s.ID
		s.Gates = l.gateRefs(g, s.ID, own)
	}
}

// positive reads a duration that is more than nothing; 0 without one.
func (l *loader) positive(n *node, what string) time.Duration {
	if n == nil {
		return 0
	}
	var d time.Duration
	l.check(n, place{vars: true})
	if l.read(n, what, &d) && d <= 0 && !l.open(n) {
		l.fail(n, "leave it out for the default", "%s must be more than nothing", what)
	}
	return d
}

// open reports whether n waits for a variable that has no value.
func (l *loader) open(n *node) bool {
	if n == nil || n.kind != scalarKind || !templated(n.text) {
		return false
	}
	t, f := l.env.template(n.text)
	return f == nil && l.env.needsMissing(t)
}

func (l *loader) when(n *node, at place) *Expr {
	if n == nil {
		return nil
	}
	if n.kind != scalarKind || n.null() {
		l.wrong(n, "when: vars.side == \"a\"", "when must be an expression, not %s", n.what())
		return nil
	}
	x, failed := n.expression()
	if failed != nil {
		l.errs = append(l.errs, failed)
		return nil
	}
	l.checkUses(n, x.code.uses, 0, at)
	l.useVars(x.code)
	return x
}

// block reads the block of a step's verb.
func (l *loader) block(n *node, verb string, step *node, s *Step, at place) {
	switch verb {
	case "set":
		s.Set = l.set(n, at)
	case "ramp":
		s.Ramp = l.ramp(n, s, at)
	case "drain":
		s.Drain = l.drain(n, s, at)
	case "gate":
		s.Gate = l.gateRefs(n, s.ID, at)
	case "wait":
		s.Wait = l.wait(n)
	case "run":
		s.Run = l.command(n, "run", at)
		l.nested(s, n, s.Run.Timeout)
	case "approve":
		s.Approve = l.approve(n, s, at)
	case "steps":
		s.Steps = l.sequence(n, at)
	case "parallel":
		s.Parallel = l.parallel(n, step, at)
	case "each":
		s.Each = l.each(n, step, at)
	}
}

// nested takes a timeout from the verb's block for the step.
func (l *loader) nested(s *Step, n *node, d time.Duration) {
	t := n.get("timeout")
	if t == nil {
		return
	}
	if s.Timeout > 0 {
		l.fail(t, "keep one of the two", "the step has a timeout already")
		return
	}
	s.Timeout = d
}

func (l *loader) parallel(n, step *node, at place) *Parallel {
	p := &Parallel{}
	list, limit := n, step.get("limit")
	if n.kind == mapKind {
		var raw struct {
			Steps Node `yaml:"steps,required"`
			Limit Node `yaml:"limit"`
		}
		if !l.read(n, "parallel", &raw) {
			return p
		}
		list = raw.Steps.n
		if raw.Limit.n != nil {
			limit = raw.Limit.n
		}
	}
	p.Limit = l.limit(limit)
	if list.kind != listKind || len(list.items) == 0 {
		l.wrong(list, "parallel: [{id: one, ...}, {id: two, ...}]", "parallel is a list of steps, not %s", list.what())
		return p
	}
	// Branches do not see each other; whoever comes after sees them all.
	before := maps.Clone(at.steps)
	for _, item := range list.items {
		branch := at
		branch.steps = maps.Clone(before)
		if s, ok := l.step(item, branch); ok {
			p.Steps = append(p.Steps, s)
			branch.steps[s.ID] = true
			maps.Copy(at.steps, branch.steps)
		}
	}
	return p
}

func (l *loader) limit(n *node) int {
	if n == nil {
		return 0
	}
	var limit int
	l.check(n, place{vars: true})
	if l.read(n, "limit", &limit) && limit < 1 && !l.open(n) {
		l.fail(n, "leave it out for the default", "limit is at least 1, not %d", limit)
	}
	return limit
}

func (l *loader) each(n, step *node, at place) *Each {
	e := &Each{Limit: 1}
	if at.member {
		l.fail(n, "put the inner steps into the outer do:", "an each cannot stand inside another")
		return e
	}
	if l.read(n, "each", &e.Group) {
		l.groupRef(n, e.Group)
	}
	if on := step.get("on"); on != nil {
		e.On = l.on(on, e.Group)
	}
	if limit := l.limit(step.get("limit")); limit > 0 {
		e.Limit = limit
	}
	do := step.get("do")
	if do == nil {
		l.fail(n, "do: [{id: one, run: ...}]", "each needs do: with the steps for one member")
		return e
	}
	inside := at
	inside.member = true
	inside.steps = maps.Clone(at.steps)
	e.Do = l.sequence(do, inside)
	return e
}
