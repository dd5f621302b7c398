package plan

import (
	"slices"

	"github.com/flip-cli/flip/pkg/secret"
)

// lint notes what is allowed but seldom meant.
func (l *loader) lint() {
	changes := false
	l.plan.Walk(func(s Step) {
		changes = changes || s.Set != nil || s.Ramp != nil
		l.lintStep(s)
	})
	if changes && len(l.plan.Groups) > 0 && len(l.plan.Guards) == 0 {
		l.warn(l.root.pos, "guards: [{target: a-target, min_serving: 1}]", "the plan has no guards: nothing keeps a mistake from taking all members out")
	}
	l.lintCommit()
	l.lintSecrets(l.root)
	for _, g := range l.plan.Groups {
		if !l.used["group "+g.Name] {
			l.warn(g.Pos, "", "group "+g.Name+" is not used")
		}
	}
	for _, g := range l.plan.Gates {
		if !l.used["gate "+g.Name] {
			l.warn(g.Pos, "", "gate "+g.Name+" is not used")
		}
	}
	l.varsBelow(l.root)
	for _, e := range l.section("vars") {
		if !l.used["var "+e.key.text] && !l.used["var "] {
			l.warn(e.key.pos, "", "variable "+e.key.text+" is not used")
		}
	}
	slices.SortStableFunc(l.plan.Warnings, func(a, b Warning) int { return comparePos(a.Pos, b.Pos) })
}

// secretKeys are the keys of targets and gates that hold nothing but a secret.
var secretKeys = []string{"password", "secret", "token", "access_key_secret", "security_token"}

// lintSecrets finds secrets in clear text: whoever reads the plan, or the state
// directory with its copy, has them.
func (l *loader) lintSecrets(root *node) {
	for _, section := range []string{"targets", "gates"} {
		if n := root.get(section); n != nil {
			l.clearBelow(n)
		}
	}
}

func (l *loader) clearBelow(n *node) {
	for _, item := range n.items {
		l.clearBelow(item)
	}
	for _, e := range n.entries {
		l.clearBelow(e.value)
		v := e.value
		if v.kind == scalarKind && v.text != "" && slices.Contains(secretKeys, e.key.text) && !secret.IsRef(v.text) && !templated(v.text) {
			l.warn(v.pos, "write a reference: ${env:NAME}, ${file:/path} or ${cmd:command}", e.key.text+" stands in the plan in clear text; runs keep a copy of the plan")
		}
	}
}

// varsBelow notes the variables that templates below n name.
func (l *loader) varsBelow(n *node) {
	for _, e := range n.entries {
		l.varsBelow(e.value)
	}
	for _, item := range n.items {
		l.varsBelow(item)
	}
	if n.kind != scalarKind || !templated(n.text) {
		return
	}
	if t, f := l.env.template(n.text); f == nil {
		for _, p := range t.parts {
			if p.code != nil {
				l.useVars(p.code)
			}
		}
	}
}

// useVars notes the variables that an expression names; vars alone is all.
func (l *loader) useVars(c *code) {
	for i, u := range c.uses {
		if u.root != "vars" {
			continue
		}
		named := u.name != "" || (i+1 < len(c.uses) && c.uses[i+1].root == "vars" && c.uses[i+1].name != "")
		if u.name != "" || !named {
			l.used["var "+u.name] = true
		}
	}
}

func (l *loader) lintStep(s Step) {
	silent := s.Timeout == 0 && l.root.get("defaults").get("timeout") == nil
	switch {
	case s.Run != nil && s.Undo == nil && !s.NoUndo:
		l.warn(s.Pos, "add undo: with a command, or undo: none if nothing has to be undone", "step "+s.ID+" runs a command without an undo; a rollback leaves what it did")
	case s.Drain != nil && silent:
		l.warn(s.Pos, "add timeout: with the longest request that may be open", "step "+s.ID+" drains without a timeout; 10m is used")
	case s.Ramp != nil && len(s.Gates) == 0:
		l.warn(s.Pos, "add gate: with what users would notice", "step "+s.ID+" ramps without a gate; it goes on whatever happens")
	case s.Approve != nil && silent:
		l.warn(s.Pos, "add timeout: with how long somebody may take", "step "+s.ID+" asks a person without a timeout; 10m is used")
	}
}

// lintCommit looks for steps behind a point of no return.
func (l *loader) lintCommit() {
	for i, s := range l.plan.Steps {
		commits := s.Commit
		walk([]Step{s}, func(inner Step) { commits = commits || inner.Commit })
		if commits && i < len(l.plan.Steps)-1 {
			l.warn(s.Pos, "commit at the end, when nothing can fail any more", "after step "+s.ID+" there is no automatic way back, and steps follow")
		}
	}
}

// Walk calls visit for every step of the plan, containers before their steps.
func (p Plan) Walk(visit func(Step)) { walk(p.Steps, visit) }

func walk(steps []Step, visit func(Step)) {
	for _, s := range steps {
		visit(s)
		walk(s.Steps, visit)
		if s.Parallel != nil {
			walk(s.Parallel.Steps, visit)
		}
		if s.Each != nil {
			walk(s.Each.Do, visit)
		}
	}
}
