package plan

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/types"
)

// variable is one declaration below vars.
type variable struct {
	Type        string `yaml:"type"`
	Required    bool   `yaml:"required"`
	Default     Node   `yaml:"default"`
	Pattern     Node   `yaml:"pattern"`
	Description string `yaml:"description"`

	name    string
	key     *node
	pattern *regexp.Regexp
}

// varTypes are the types of variables with a zero value each.
var varTypes = map[string]any{
	"string":   "",
	"int":      0,
	"number":   0.0,
	"bool":     false,
	"duration": time.Duration(0),
	"ip":       "",
	"list":     []string{},
}

var (
	varForm      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	varTypeNames = []string{"string", "int", "number", "bool", "duration", "ip", "list"}
)

// origin is where a value came from, for messages.
type origin struct {
	what string // "--var version", "FLIP_VAR_version", or a position
	node *node  // of a variable file or a default
}

// vars reads the declarations and gives every variable its value.
func (l *loader) vars() {
	l.plan.Vars = map[string]any{}
	l.env.vars = map[string]types.Type{}
	var declared []*variable
	for _, e := range l.section("vars") {
		if v := l.declare(e); v != nil {
			declared = append(declared, v)
			l.env.vars[v.name] = types.TypeOf(varTypes[v.Type])
			l.plan.Vars[v.name] = varTypes[v.Type]
		}
	}
	known := slices.Sorted(maps.Keys(l.env.vars))
	for _, name := range slices.Sorted(maps.Keys(l.opts.Vars)) {
		if !slices.Contains(known, name) {
			hint := "variables: " + some(known)
			if len(known) == 0 {
				hint = "the plan has no variables"
			}
			l.errs = append(l.errs, l.src.errorf(Pos{}, 1, hint, "--var %s: unknown variable %q%s", name, name, meant(name, known)))
		}
	}
	files := l.varFiles(known)
	for _, v := range declared {
		l.assign(v, files)
	}
}

// declare reads one declaration.
func (l *loader) declare(e entry) *variable {
	v := &variable{name: e.key.text, key: e.key}
	if !varForm.MatchString(v.name) {
		l.wrong(e.key, "letters, digits and _, so that vars."+strings.ReplaceAll(v.name, "-", "_")+" can be written", "%s is no name for a variable", quoteShort(v.name))
		return nil
	}
	if e.value.kind != mapKind {
		l.wrong(e.value, v.name+": {type: string, default: ...}", "a variable is a map of type, required, default, pattern and description, not %s", e.value.what())
		return nil
	}
	d := decoder{scope: Scope{}, errs: &l.errs, label: "variable " + v.name, static: true}
	before := len(l.errs)
	d.value(e.value, reflect.ValueOf(v).Elem())
	if v.Type == "" {
		v.Type = "string"
	}
	if _, ok := varTypes[v.Type]; !ok {
		at := e.value.get("type")
		l.fail(at, "types: "+some(varTypeNames), "unknown type %q%s", v.Type, meant(v.Type, varTypeNames))
		v.Type = "string"
	}
	if p := v.Pattern.n; p != nil {
		re, err := regexp.Compile(p.text)
		if err != nil {
			l.fail(p, "", "pattern: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
		v.pattern = re
	}
	if n := v.Default.n.firstTemplate(); n != nil {
		l.fail(n, "write the value, or write the expression where "+v.name+" is used", "a default is a value: an expression in it is not evaluated")
	}
	if v.Required && !v.Default.IsZero() {
		l.fail(v.Default.n, "leave out one of the two", "variable %s is required and has a default", v.name)
	}
	if len(l.errs) > before {
		l.env.missing[v.name] = true
	}
	return v
}

// firstTemplate is the first text below n with an expression in it.
func (n *node) firstTemplate() *node {
	switch {
	case n == nil || !n.templated():
		return nil
	case n.kind == scalarKind:
		return n
	}
	for _, item := range n.items {
		if t := item.firstTemplate(); t != nil {
			return t
		}
	}
	return n
}

// varFiles reads the variable files; the last value of a name wins.
func (l *loader) varFiles(known []string) map[string]*node {
	values := map[string]*node{}
	for _, path := range l.opts.VarFiles {
		text, err := os.ReadFile(path)
		if err != nil {
			l.errs = append(l.errs, l.src.errorf(Pos{}, 1, "", "--var-file: %s", err))
			continue
		}
		src := newSource(path, text)
		doc, failed := src.parse()
		if failed != nil {
			l.errs = append(l.errs, failed)
			continue
		}
		if doc == nil {
			continue
		}
		b := &builder{src: src, env: &env{}, anchors: map[string]*node{}}
		root := b.node(doc, 0)
		l.errs = append(l.errs, b.errs...)
		if root.kind != mapKind {
			l.errs = append(l.errs, src.errorf(root.pos, root.width, "name: value", "a variable file is a map, not %s", root.what()))
			continue
		}
		for _, e := range root.entries {
			if !slices.Contains(known, e.key.text) {
				l.errs = append(l.errs, src.errorf(e.key.pos, e.key.width, "variables: "+some(known), "unknown variable %q%s", e.key.text, meant(e.key.text, known)))
				continue
			}
			values[e.key.text] = e.value
		}
	}
	return values
}

// assign takes the first of --var, --var-file, FLIP_VAR_ and default.
func (l *loader) assign(v *variable, files map[string]*node) {
	if text, ok := l.opts.Vars[v.name]; ok {
		l.store(v, argument(text, v), origin{what: "--var " + v.name})
		return
	}
	if n, ok := files[v.name]; ok {
		l.store(v, n, origin{what: n.pos.String(), node: n})
		return
	}
	if l.opts.Getenv != nil {
		if text, ok := l.opts.Getenv("FLIP_VAR_" + v.name); ok {
			l.store(v, argument(text, v), origin{what: "FLIP_VAR_" + v.name})
			return
		}
	}
	switch {
	case !v.Default.IsZero():
		l.store(v, v.Default.n, origin{what: "its default", node: v.Default.n})
	case v.Required && !l.opts.AllowMissing:
		l.env.missing[v.name] = true
		hint := "--var " + v.name + "=..."
		if v.Description != "" {
			hint += "  (" + v.Description + ")"
		}
		l.fail(v.key, hint, "variable %s is required", v.name)
	case v.Required:
		l.env.missing[v.name] = true
	}
}

// argument is a value from outside the YAML as a node: numbers and booleans
// are plain, a list is split at commas.
func argument(text string, v *variable) *node {
	n := &node{text: text, size: 1, width: 1, pos: v.key.pos, src: v.key.src, env: &env{}}
	switch v.Type {
	case "int", "number", "bool":
		n.plain = true
	case "list":
		n.kind, n.text = listKind, ""
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				n.items = append(n.items, &node{text: item, size: 1, width: 1, pos: n.pos, src: n.src, env: n.env})
			}
		}
	}
	return n
}

// store checks a value and keeps it.
func (l *loader) store(v *variable, n *node, from origin) {
	var errs Errors
	d := decoder{errs: &errs}
	zero := varTypes[v.Type]
	out := reflect.New(reflect.TypeOf(zero))
	d.value(n, out.Elem())
	value := out.Elem().Interface()
	if len(errs) == 0 {
		if text, hint := v.refuse(value); text != "" {
			d.fail(n, hint, "%s", text)
		}
	}
	for _, e := range errs {
		if from.node == nil {
			e.Text = fmt.Sprintf("variable %s from %s: %s", v.name, from.what, e.Text)
		} else {
			e.Text = fmt.Sprintf("variable %s: %s", v.name, e.Text)
		}
		l.env.missing[v.name] = true
	}
	l.errs = append(l.errs, errs...)
	l.plan.Vars[v.name] = value
}

// refuse says what is wrong with a value of the right Go type.
func (v *variable) refuse(value any) (text, hint string) {
	if v.Type == "ip" {
		if _, err := netip.ParseAddr(value.(string)); err != nil {
			return fmt.Sprintf("must be an IP address, not %q", value), ""
		}
	}
	if v.pattern == nil {
		return "", ""
	}
	words := []string{}
	if items, ok := value.([]string); ok {
		words = items
	} else if s, err := textOf(value); err == nil {
		words = append(words, s)
	}
	for _, w := range words {
		if !v.pattern.MatchString(w) {
			return fmt.Sprintf("%s does not match the pattern %s", quoteShort(w), v.pattern), v.Description
		}
	}
	return "", ""
}
