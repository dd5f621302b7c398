package plan

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Options are what a plan is read with.
type Options struct {
	// File is the plan's name in positions, as given on the command line.
	File string
	// Vars are from --var; they win over everything.
	Vars map[string]string
	// VarFiles are YAML files of name: value; a later one wins.
	VarFiles []string
	// Getenv looks up FLIP_VAR_<name>; nil means no environment.
	Getenv func(string) (string, bool)
	// AllowMissing accepts required variables without a value, for looking at
	// a plan that is not about to run. They have the zero value of their type.
	AllowMissing bool
}

// version is the plan format that this package reads.
const version = "1"

// Load reads a plan: text, variables, and everything that can be checked
// without knowing drivers and gates. The error is an *Error, or Errors with
// all that is wrong, in the order of their places.
func Load(text []byte, o Options) (Plan, error) {
	l := newLoader(text, o)
	root, err := l.tree()
	if err != nil {
		return Plan{}, err
	}
	l.root = root
	if !l.header() {
		return Plan{}, l.errs.err()
	}
	l.vars()
	l.title()
	l.defaults()
	l.targets()
	l.groups()
	l.alternate()
	l.guards()
	l.views()
	l.gates()
	l.steps()
	if err := l.errs.sorted().few(o.File).err(); err != nil {
		return Plan{}, err
	}
	l.lint()
	return l.plan, nil
}

// loader carries what is known while a plan is read.
type loader struct {
	opts Options
	src  *source
	env  *env
	root *node
	plan Plan
	errs Errors

	ids     map[string]Pos    // every step of the plan
	perEach map[string]bool   // steps inside an each
	gateOf  map[string]*named // the plan's gates
	used    map[string]bool   // "var x", "group x", "gate x"
}

// named is a gate of the plan with what its uses must satisfy.
type named struct {
	gate   int  // in plan.Gates
	member bool // it names member, but has no each of its own
}

func newLoader(text []byte, o Options) *loader {
	src := newSource(o.File, text)
	l := &loader{
		opts: o, src: src,
		env:     &env{src: src, missing: map[string]bool{}, cache: map[string]*Template{}},
		ids:     map[string]Pos{},
		perEach: map[string]bool{},
		gateOf:  map[string]*named{},
		used:    map[string]bool{},
	}
	l.plan = Plan{File: o.File, Source: text, env: l.env}
	return l
}

// tree parses the text into nodes.
func (l *loader) tree() (*node, error) {
	doc, failed := l.src.parse()
	if failed != nil {
		return nil, failed
	}
	start := l.src.pos(1, 1)
	const hint = "a plan begins with flip: 1; docs/guide.md shows a whole one"
	if doc == nil {
		return nil, l.src.errorf(start, 1, hint, "the plan is empty")
	}
	b := &builder{src: l.src, env: l.env, anchors: map[string]*node{}}
	root := b.node(doc, 0)
	if len(b.errs) > 0 {
		return nil, b.errs.sorted().few(l.opts.File).err()
	}
	if root.kind != mapKind {
		return nil, l.src.errorf(root.pos, root.width, hint, "a plan is a map, not %s", root.what())
	}
	return root, nil
}

// fail reports what is wrong with n. What n says is not judged while it waits
// for a variable that has no value.
func (l *loader) fail(n *node, hint, format string, args ...any) {
	if !l.open(n) {
		l.wrong(n, hint, format, args...)
	}
}

// wrong is fail for what no value of a variable can mend, such as a text where
// a list has to stand.
func (l *loader) wrong(n *node, hint, format string, args ...any) {
	l.errs = append(l.errs, l.src.errorf(n.pos, n.width, hint, format, args...))
}

func (l *loader) warn(p Pos, hint, text string) {
	l.plan.Warnings = append(l.plan.Warnings, Warning{Pos: p, Text: text, Hint: hint})
}

// read decodes a block of the plan itself; templates may use variables only.
func (l *loader) read(n *node, label string, out any) bool {
	before := len(l.errs)
	d := decoder{scope: Scope{"vars": l.plan.Vars}, errs: &l.errs, label: label, key: label, static: true}
	d.root(Node{n: n}, out)
	return len(l.errs) == before
}

// topKeys are the keys of a plan.
var topKeys = []string{
	"flip", "name", "description", "vars", "defaults", "targets", "groups",
	"alternate", "guards", "gates", "views", "steps",
}

// header checks the version and the keys of the plan. Nothing can be said
// about a plan of another version.
func (l *loader) header() bool {
	switch v := l.root.get("flip"); {
	case v == nil:
		l.fail(l.root, "write flip: 1 as the first line", `the plan does not say "flip: 1"`)
		return false
	case v.text != version:
		l.wrong(v, "write flip: 1, or use a flip that knows this format", "this flip reads plans of version 1, not %s", v.what())
		return false
	}
	d := decoder{errs: &l.errs, label: "the plan"}
	for _, e := range l.root.entries {
		if !slices.Contains(topKeys, e.key.text) {
			d.unknownKey(e.key, topKeys)
		}
	}
	return true
}

// title reads what the plan is called; it may name variables.
func (l *loader) title() {
	if n := l.root.get("name"); n != nil {
		switch {
		case l.open(n):
			l.plan.Name = n.text // until the variable has a value
		case l.read(n, "name", &l.plan.Name) && l.plan.Name == "":
			l.wrong(n, "", "the name is empty")
		}
	} else {
		l.fail(l.root, "name: what-this-does", `"name" is missing in the plan`)
	}
	if n := l.root.get("description"); n != nil {
		l.read(n, "description", &l.plan.Description)
	}
}

func (l *loader) defaults() {
	l.plan.Defaults = Defaults{Timeout: 10 * time.Minute, Retry: Retry{1, time.Second, 30 * time.Second}, OnFail: "rollback"}
	n := l.root.get("defaults")
	if n == nil {
		return
	}
	var raw struct {
		Timeout Node `yaml:"timeout"`
		Retry   Node `yaml:"retry"`
		OnFail  Node `yaml:"on_fail"`
	}
	l.read(n, "defaults", &raw)
	if d := l.positive(raw.Timeout.n, "timeout"); d > 0 {
		l.plan.Defaults.Timeout = d
	}
	l.plan.Defaults.Retry = l.retry(raw.Retry.n, l.plan.Defaults.Retry)
	l.plan.Defaults.OnFail = l.choice(raw.OnFail.n, "on_fail", l.plan.Defaults.OnFail, onFail)
}

var onFail = []string{"rollback", "pause", "continue"}

// choice reads one of a few words.
func (l *loader) choice(n *node, what, missing string, words []string) string {
	if n == nil {
		return missing
	}
	var s string
	if l.read(n, what, &s) && !slices.Contains(words, s) {
		l.fail(n, "", "%s is %s, not %q%s", what, list2(words), s, meant(s, words))
	}
	return s
}

// list2 is "a, b or c".
func list2(words []string) string {
	var out strings.Builder
	for i, w := range words {
		switch i {
		case 0:
		case len(words) - 1:
			out.WriteString(" or ")
		default:
			out.WriteString(", ")
		}
		out.WriteString(w)
	}
	return out.String()
}

// retry reads `retry: 3` and `retry: {attempts: 3, backoff: 1s, max: 30s}`.
func (l *loader) retry(n *node, missing Retry) Retry {
	if n == nil {
		return missing
	}
	raw := struct {
		Attempts int           `yaml:"attempts"`
		Backoff  time.Duration `yaml:"backoff"`
		Max      time.Duration `yaml:"max"`
	}(missing)
	var ok bool
	if n.kind == scalarKind {
		ok = l.read(n, "retry", &raw.Attempts)
	} else {
		ok = l.read(n, "retry", &raw)
	}
	if ok && raw.Attempts < 1 {
		l.fail(n, "1 is one try and no retry", "retry counts all attempts and is at least 1, not %d", raw.Attempts)
	}
	return Retry(raw)
}

var (
	idForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
)

// nameOf checks the name of a target, group or gate.
func (l *loader) nameOf(key *node, what string) bool {
	if nameForm.MatchString(key.text) {
		return true
	}
	l.wrong(key, "letters, digits, - and _", "%s is no name for a %s", quoteShort(key.text), what)
	return false
}

// section returns a map of the plan; its absence is an empty one.
func (l *loader) section(key string) []entry {
	n := l.root.get(key)
	if n == nil {
		return nil
	}
	if n.kind != mapKind {
		l.wrong(n, key+": {name: ...}", "%s must be a map, not %s", key, n.what())
		return nil
	}
	return n.entries
}

// reference says that a name is unknown.
func (l *loader) reference(n *node, what, name string, known []string) {
	hint := what + "s: " + some(known)
	if len(known) == 0 {
		hint = "the plan has no " + what + "s"
	}
	l.fail(n, hint, "unknown %s %q%s", what, name, meant(name, known))
}

func (l *loader) targetNames() []string {
	out := make([]string, len(l.plan.Targets))
	for i, t := range l.plan.Targets {
		out[i] = t.Name
	}
	return out
}

func (l *loader) gateNames() []string { return slices.Sorted(maps.Keys(l.gateOf)) }
