package plan

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// kept is text whose templates are evaluated when the step runs.
type kept string

// decoder reads nodes into Go values and collects what is wrong.
type decoder struct {
	scope Scope
	errs  *Errors
	label string // the block, for messages about its keys
	key   string // what is decoded now, for messages about its value
	// static: only variables may be named; their values may be missing.
	static bool
}

func (d *decoder) fail(n *node, advice, format string, args ...any) {
	*d.errs = append(*d.errs, n.src.errorf(n.pos, n.width, advice, format, args...))
}

// must reports a value of the wrong kind.
func (d *decoder) must(n *node, advice, format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	d.fail(n, advice, "%s", strings.TrimPrefix(d.key+" must be "+what+", not "+n.what(), " "))
}

func (d *decoder) root(n Node, out any) {
	v := reflect.ValueOf(out)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic(fmt.Sprintf("plan: Decode into %T, which is no pointer", out))
	}
	switch {
	case n.n == nil:
		// An absent block is an empty one: only required keys can be missed.
		d.value(&node{kind: mapKind}, v.Elem())
	case n.omit != "":
		d.value(n.n.without(n.omit), v.Elem())
	default:
		d.value(n.n, v.Elem())
	}
}

// without is the map less one key.
func (n *node) without(key string) *node {
	less := *n
	less.entries = nil
	for _, e := range n.entries {
		if e.key.text != key {
			less.entries = append(less.entries, e)
		}
	}
	return &less
}

// yamlUnmarshaler is what YAML libraries know: a type that decodes the block
// into other types.
type yamlUnmarshaler interface {
	UnmarshalYAML(decode func(any) error) error
}

var (
	nodeType     = reflect.TypeFor[Node]()
	durationType = reflect.TypeFor[time.Duration]()
	percentType  = reflect.TypeFor[Percent]()
	keptType     = reflect.TypeFor[kept]()
	templateType = reflect.TypeFor[Template]()
	exprType     = reflect.TypeFor[Expr]()
)

func (d *decoder) value(n *node, v reflect.Value) {
	if v.Type() == nodeType {
		v.Set(reflect.ValueOf(Node{n: n, label: d.label}))
		return
	}
	if v.Kind() == reflect.Pointer {
		if n.null() {
			return
		}
		fresh := reflect.New(v.Type().Elem())
		d.value(n, fresh.Elem())
		v.Set(fresh)
		return
	}
	if u, ok := reflect.TypeAssert[Unmarshaler](v.Addr()); ok {
		d.foreign(n, u.UnmarshalPlan(Node{n: n, label: d.label}))
		return
	}
	if u, ok := reflect.TypeAssert[yamlUnmarshaler](v.Addr()); ok {
		d.foreign(n, u.UnmarshalYAML(func(out any) error {
			var errs Errors
			inner := *d
			inner.errs = &errs
			inner.value(n, reflect.ValueOf(out).Elem())
			return errs.err()
		}))
		return
	}
	switch v.Type() {
	case templateType:
		d.template(n, v)
		return
	case exprType:
		d.expr(n, v)
		return
	case keptType:
		d.text(n, v)
		return
	}
	n, ok := d.filled(n, v)
	if !ok {
		return
	}
	if n.kind == scalarKind && v.Kind() != reflect.Slice && v.Kind() != reflect.Map {
		if text, advice := n.trap(); text != "" {
			d.fail(n, advice, "%s", text)
			return
		}
	}
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok && n.kind == scalarKind && !n.null() {
		d.foreign(n, u.UnmarshalText([]byte(n.text)))
		return
	}
	d.kinds(n, v)
}

// kinds decodes by the kind of v.
func (d *decoder) kinds(n *node, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v)
	case reflect.Map:
		d.mapping(n, v)
	case reflect.Slice:
		d.list(n, v)
	case reflect.Interface:
		if plain := d.any(n); plain != nil {
			v.Set(reflect.ValueOf(plain))
		}
	default:
		d.scalar(n, v)
	}
}

// foreign takes the error of a type that decodes itself.
func (d *decoder) foreign(n *node, err error) {
	if err == nil {
		return
	}
	if many, ok := errors.AsType[Errors](err); ok {
		*d.errs = append(*d.errs, many...)
		return
	}
	if one, ok := errors.AsType[*Error](err); ok {
		*d.errs = append(*d.errs, one)
		return
	}
	d.fail(n, strings.Join(hint.Of(err), "; "), "%s", err)
}

// any converts without knowing a type.
func (d *decoder) any(n *node) any {
	switch n.kind {
	case mapKind:
		m := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			var item any
			d.field(e, reflect.ValueOf(&item).Elem())
			m[e.key.text] = item
		}
		return m
	case listKind:
		items := make([]any, len(n.items))
		for i, item := range n.items {
			d.value(item, reflect.ValueOf(&items[i]).Elem())
		}
		return items
	}
	return n.scalarValue()
}
