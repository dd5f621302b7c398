package plan

import (
	"reflect"
	"time"
)

// command reads a line for the shell, an argv, or a map of either with its
// surroundings.
func (l *loader) command(n *node, what string, at place) *Command {
	c := &Command{Pos: n.pos}
	before := len(l.errs)
	l.check(n, at)
	d := decoder{scope: Scope{"vars": l.plan.Vars}, errs: &l.errs, label: what, key: what, static: true}
	switch n.kind {
	case scalarKind:
		c.Shell = l.words(d, n, n)[0]
	case listKind:
		c.Argv = l.words(d, n, n.items...)
	case mapKind:
		l.commandMap(d, n, what, c)
	}
	if len(l.errs) == before && c.Shell == "" && len(c.Argv) == 0 {
		l.fail(n, what+": ./script.sh", "%s names no command", what)
	}
	return c
}

// words reads texts whose templates stay in.
func (l *loader) words(d decoder, n *node, items ...*node) []string {
	out := make([]string, max(len(items), 1))
	if len(items) == 0 {
		d.fail(n, "", "the command is an empty list")
		return nil
	}
	for i, item := range items {
		var text kept
		d.value(item, reflect.ValueOf(&text).Elem())
		out[i] = string(text)
	}
	return out
}

func (l *loader) commandMap(d decoder, n *node, what string, c *Command) {
	var raw struct {
		Argv    []kept          `yaml:"argv"`
		Shell   kept            `yaml:"shell"`
		Env     map[string]kept `yaml:"env"`
		Dir     kept            `yaml:"dir"`
		Timeout time.Duration   `yaml:"timeout"`
	}
	d.root(Node{n: n}, &raw)
	if n.get("argv") != nil && n.get("shell") != nil {
		l.fail(n.get("shell"), "argv runs a program, shell a line of /bin/sh", "%s has argv and shell", what)
	}
	if t := n.get("timeout"); t != nil && raw.Timeout <= 0 && !l.open(t) {
		l.fail(t, "", "timeout must be more than nothing")
	}
	c.Shell, c.Dir, c.Timeout = string(raw.Shell), string(raw.Dir), raw.Timeout
	for _, a := range raw.Argv {
		c.Argv = append(c.Argv, string(a))
	}
	for name, value := range raw.Env {
		if c.Env == nil {
			c.Env = make(map[string]string, len(raw.Env))
		}
		c.Env[name] = string(value)
	}
}

// undo reads how a run is undone. Other verbs are undone from the journal.
func (l *loader) undo(n *node, s *Step, verb string, at place) {
	switch {
	case verb != "run":
		l.fail(n, "leave it out", "undo belongs to run; %s is undone by flip itself", verb)
	case n.kind == scalarKind && n.text == "none":
		s.NoUndo = true
	default:
		s.Undo = l.command(n, "undo", at)
	}
}
