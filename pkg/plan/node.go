package plan

import "slices"

// Node is a raw block of a plan with its positions. What it means is known to
// whoever decodes it: a driver, a gate.
type Node struct {
	n     *node
	label string // what the block is, for messages: "target web"
	omit  string // a key that its reader took out
}

// Unmarshaler is implemented by types that read a block themselves. Errors
// without a place get the block's.
type Unmarshaler interface {
	UnmarshalPlan(n Node) error
}

// IsZero reports whether there is no block.
func (n Node) IsZero() bool { return n.n == nil }

// Pos is where the block begins.
func (n Node) Pos() Pos {
	if n.n == nil {
		return Pos{}
	}
	return n.n.pos
}

// Text is a scalar as text, "" of anything else.
func (n Node) Text() string {
	if n.n == nil || n.n.kind != scalarKind {
		return ""
	}
	return n.n.text
}

// Keys are the keys of a map in the order of the plan.
func (n Node) Keys() []string {
	if n.n == nil {
		return nil
	}
	var keys []string
	for _, e := range n.n.entries {
		if e.key.text != n.omit {
			keys = append(keys, e.key.text)
		}
	}
	return keys
}

// Get returns the value of a key of a map.
func (n Node) Get(key string) (Node, bool) {
	if n.n == nil || key == n.omit {
		return Node{}, false
	}
	v := n.n.get(key)
	return Node{n: v, label: n.label}, v != nil
}

// KeyPos is where a key of a map stands, the block's place without it.
func (n Node) KeyPos(key string) Pos {
	if n.n == nil {
		return Pos{}
	}
	for _, e := range n.n.entries {
		if e.key.text == key {
			return e.key.pos
		}
	}
	return n.n.pos
}

// Items are the elements of a list; a scalar is a list of one.
func (n Node) Items() []Node {
	switch {
	case n.n.null() || n.n.kind == mapKind:
		return nil
	case n.n.kind == scalarKind:
		return []Node{n}
	}
	items := make([]Node, len(n.n.items))
	for i, item := range n.n.items {
		items[i] = Node{n: item, label: n.label}
	}
	return items
}

// IsMap reports whether the block is a map.
func (n Node) IsMap() bool { return n.n != nil && n.n.kind == mapKind }

// IsList reports whether the block is a list.
func (n Node) IsList() bool { return n.n != nil && n.n.kind == listKind }

// Errorf makes an error at the block.
func (n Node) Errorf(hint, format string, args ...any) *Error {
	if n.n == nil {
		return (*source)(nil).errorf(Pos{}, 1, hint, format, args...)
	}
	return n.n.src.errorf(n.n.pos, n.n.width, hint, format, args...)
}

// Decode reads the block into out, a pointer, by the yaml tags of its fields:
// `yaml:"name"`, `yaml:"name,required"`, `yaml:",inline"`. It is strict: an
// unknown key or a value of the wrong type is an *Error at its place, several
// are Errors. A scalar is a list of one where a list is wanted.
//
// Templates are evaluated with scope. A nil scope only checks: texts keep
// their templates, and other fields that hold one stay as they are.
func (n Node) Decode(out any, scope Scope) error {
	var errs Errors
	d := decoder{scope: scope, errs: &errs, label: n.label}
	d.root(n, out)
	return errs.sorted().err()
}

// Open reports whether the block names a variable without a value: what it
// says is not known (Options.AllowMissing).
func (n Node) Open() bool { return n.n.open() }

// Check decodes like Decode as far as variables have values, and leaves the
// rest as it is.
func (n Node) Check(out any, scope Scope) error {
	var errs Errors
	d := decoder{scope: scope, errs: &errs, label: n.label, static: true}
	d.root(n, out)
	return errs.sorted().err()
}

func (n *node) open() bool {
	if n == nil {
		return false
	}
	if templated(n.text) && n.env != nil {
		if t, f := n.env.template(n.text); f == nil && n.env.needsMissing(t) {
			return true
		}
	}
	return slices.ContainsFunc(n.items, (*node).open) || slices.ContainsFunc(n.entries, func(e entry) bool { return e.value.open() })
}

// Templated reports whether the block holds an expression anywhere: what it
// says is known only when it runs.
func (n Node) Templated() bool { return n.n.templated() }

// Mentions reports whether an expression of the block names root: "steps".
func (n Node) Mentions(root string) bool { return n.n.mentions(root) }

func (n *node) mentions(root string) bool {
	if n == nil {
		return false
	}
	if templated(n.text) && n.env != nil {
		if t, f := n.env.template(n.text); f == nil && slices.Contains(t.Names(), root) {
			return true
		}
	}
	return slices.ContainsFunc(n.items, func(i *node) bool { return i.mentions(root) }) ||
		slices.ContainsFunc(n.entries, func(e entry) bool { return e.value.mentions(root) })
}

func (n *node) templated() bool {
	if n == nil {
		return false
	}
	if templated(n.text) || slices.ContainsFunc(n.items, (*node).templated) {
		return true
	}
	return slices.ContainsFunc(n.entries, func(e entry) bool { return e.value.templated() })
}
