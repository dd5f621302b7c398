package plan

import (
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// kind is what a node of the plan is.
type kind int

const (
	scalarKind kind = iota
	mapKind
	listKind
)

// node is one YAML value with its place. Aliases are resolved: several parents
// may share a node. A node never changes once the plan is loaded.
type node struct {
	kind    kind
	text    string // of a scalar: quoted text, or the plain text as written
	plain   bool   // a scalar without quotes: numbers and booleans are possible
	pos     Pos
	width   int
	entries []entry // of a map
	items   []*node // of a list
	size    int     // nodes below and this one, aliases counted each time
	src     *source
	env     *env // what templates of this plan may name; nil outside of plans
}

// entry is one key of a map.
type entry struct {
	key   *node
	value *node
}

// get returns the value of a key, nil without one.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key.text == key {
			return e.value
		}
	}
	return nil
}

// null reports whether the value is missing: nothing, null or ~.
func (n *node) null() bool {
	if n == nil {
		return true
	}
	if n.kind != scalarKind || !n.plain {
		return false
	}
	switch n.text {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// what names the node's kind for people.
func (n *node) what() string {
	switch {
	case n.kind == mapKind:
		return "a map"
	case n.kind == listKind:
		if len(n.items) == 0 {
			return "an empty list"
		}
		return "a list"
	case n.null():
		return "nothing"
	case n.plain && (integerForm.MatchString(n.text) || decimalForm.MatchString(n.text)):
		return n.text
	}
	if _, ok := n.boolean(); ok {
		return n.text
	}
	return quoteShort(n.text)
}

func quoteShort(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) > most {
		s, _ = splitRunes(s, most)
		s += "..."
	}
	return `"` + strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(s) + `"`
}

// maxAliased is how many nodes aliases may stand for in all.
const maxAliased = 100_000

// builder turns the parser's tree into nodes.
type builder struct {
	src     *source
	env     *env
	anchors map[string]*node
	aliased int
	bomb    bool // aliased went over its limit, which was said
	errs    Errors
}

func (b *builder) fail(p Pos, width int, hint, format string, args ...any) {
	b.errs = append(b.errs, b.src.errorf(p, width, hint, format, args...))
}

func (b *builder) make(k kind, t *token.Token) *node {
	return &node{kind: k, size: 1, width: 1, src: b.src, env: b.env, pos: b.src.tokenPos(t)}
}

// node converts y; depth guards the stack against deep block nesting.
func (b *builder) node(y ast.Node, depth int) *node {
	if y == nil {
		return &node{plain: true, size: 1, width: 1, src: b.src, env: b.env, pos: b.src.pos(1, 1)}
	}
	if depth > maxDepth {
		n := b.make(scalarKind, y.GetToken())
		b.fail(n.pos, 1, "", "nested more than %d deep", maxDepth)
		return n
	}
	switch y := y.(type) {
	case *ast.MappingNode:
		return b.mapping(y.GetToken(), y.IsFlowStyle, y.Values, depth)
	case *ast.MappingValueNode:
		return b.mapping(y.GetToken(), false, []*ast.MappingValueNode{y}, depth)
	case *ast.SequenceNode:
		n := b.make(listKind, y.GetToken())
		for _, v := range y.Values {
			item := b.node(v, depth+1)
			n.items = append(n.items, item)
			n.size += item.size
		}
		return n
	case *ast.AnchorNode:
		n := b.node(y.Value, depth+1)
		b.anchors[anchorName(y.Name)] = n
		return n
	case *ast.AliasNode:
		return b.alias(y)
	case *ast.TagNode:
		return b.tagged(y, depth)
	case *ast.LiteralNode:
		n := b.make(scalarKind, y.GetToken())
		n.text = y.Value.Value
		return n
	case *ast.StringNode:
		return b.text(y)
	default:
		return b.plain(y.GetToken())
	}
}

func anchorName(y ast.Node) string {
	if y == nil || y.GetToken() == nil {
		return ""
	}
	return y.GetToken().Value
}

func (b *builder) text(y *ast.StringNode) *node {
	t := y.GetToken()
	if t.Type != token.SingleQuoteType && t.Type != token.DoubleQuoteType {
		n := b.plain(t)
		n.text = y.Value
		return n
	}
	n := b.make(scalarKind, t)
	n.text = y.Value
	n.width = written(t)
	return n
}

func (b *builder) plain(t *token.Token) *node {
	n := b.make(scalarKind, t)
	n.plain = true
	if t != nil && t.Type != token.ImplicitNullType {
		n.text = t.Value
		n.width = written(t)
	}
	return n
}

// written is how many characters of its first line a scalar takes.
func written(t *token.Token) int {
	return max(utf8.RuneCountInString(strings.TrimSpace(firstLine(strings.TrimSpace(t.Origin)))), 1)
}

func (b *builder) alias(y *ast.AliasNode) *node {
	name := anchorName(y.Value)
	n, ok := b.anchors[name]
	if !ok {
		n = b.make(scalarKind, y.GetToken())
		b.fail(n.pos, 1+utf8.RuneCountInString(name), "write &"+name+" before the value that *"+name+" repeats", "no anchor &%s stands above", name)
		return n
	}
	if b.aliased += n.size; b.aliased > maxAliased {
		p := b.src.tokenPos(y.GetToken())
		if b.bomb {
			return b.make(scalarKind, y.GetToken())
		}
		b.bomb = true
		b.fail(p, 1+utf8.RuneCountInString(name), "", "aliases stand for more than %d values up to here", maxAliased)
		return b.make(scalarKind, y.GetToken())
	}
	return n
}

func (b *builder) tagged(y *ast.TagNode, depth int) *node {
	n := b.node(y.Value, depth+1)
	t := y.GetToken()
	tag := strings.TrimSpace(t.Value)
	if tag == "!!str" && n.kind == scalarKind {
		quoted := *n
		quoted.plain = false
		return &quoted
	}
	b.fail(b.src.tokenPos(t), len([]rune(tag)), "leave the tag out", "plans have no tag %s", tag)
	return n
}

// mapping converts a map: merged keys come after the map's own and never
// replace them.
func (b *builder) mapping(t *token.Token, flow bool, values []*ast.MappingValueNode, depth int) *node {
	n := b.make(mapKind, t)
	seen := make(map[string]Pos, len(values))
	var merged []*node
	for i, v := range values {
		if _, ok := v.Key.(*ast.MergeKeyNode); ok {
			merged = append(merged, b.merge(v, depth)...)
			continue
		}
		key := b.key(v.Key, depth)
		if i == 0 && !flow {
			n.pos, n.width = key.pos, key.width
		}
		if first, dup := seen[key.text]; dup {
			b.fail(key.pos, key.width, "", "%q is given twice; first in line %d", key.text, first.Line)
			continue
		}
		seen[key.text] = key.pos
		value := b.node(v.Value, depth+1)
		if value.null() && !flow {
			value = b.after(key, value)
		}
		n.entries = append(n.entries, entry{key, value})
		n.size += 1 + value.size
	}
	for _, m := range merged {
		for _, e := range m.entries {
			if _, own := seen[e.key.text]; own {
				continue
			}
			seen[e.key.text] = e.key.pos
			n.entries = append(n.entries, e)
			n.size += 1 + e.value.size
		}
	}
	return n
}

// after gives a value that is not written the place of its key, where a person
// looks for it.
func (b *builder) after(key, value *node) *node {
	if value.text != "" {
		return value
	}
	moved := *value
	moved.pos, moved.width = key.pos, key.width
	return &moved
}

func (b *builder) key(y ast.MapKeyNode, depth int) *node {
	var inner ast.Node = y
	if k, ok := y.(*ast.MappingKeyNode); ok {
		inner = k.Value
	}
	n := b.node(inner, depth+1)
	if n.kind != scalarKind || n.text == "" {
		b.fail(n.pos, n.width, "", "a key must be a word, not %s", n.what())
		return &node{text: "", pos: n.pos, width: n.width, size: 1, src: b.src, env: b.env}
	}
	return n
}

func (b *builder) merge(v *ast.MappingValueNode, depth int) []*node {
	from := b.node(v.Value, depth+1)
	list := []*node{from}
	if from.kind == listKind {
		list = from.items
	}
	for _, m := range list {
		if m.kind != mapKind {
			p := b.src.tokenPos(v.Key.GetToken())
			b.fail(p, len("<<"), "<<: *name, where &name stands before a map", "only maps can be merged, not %s", m.what())
			return nil
		}
	}
	return list
}
