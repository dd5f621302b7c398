package plan

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flip-cli/flip/pkg/hint"
)

// Percent is a share: 1% and 0.01 are the same.
type Percent float64

func (p Percent) String() string { return trimFloat(float64(p)*100) + "%" }

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
	if u, ok := v.Addr().Interface().(Unmarshaler); ok {
		d.foreign(n, u.UnmarshalPlan(Node{n: n, label: d.label}))
		return
	}
	if u, ok := v.Addr().Interface().(yamlUnmarshaler); ok {
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
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok && n.kind == scalarKind && !n.null() {
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

// filled evaluates a template for v. The second result is false when v stays
// as it is.
func (d *decoder) filled(n *node, v reflect.Value) (*node, bool) {
	if n.kind != scalarKind || !templated(n.text) {
		return n, true
	}
	if d.scope == nil {
		if v.Kind() == reflect.String || v.Kind() == reflect.Interface || textual(v.Type()) {
			return n, true
		}
		return n, false
	}
	t, ok := d.compiled(n)
	if !ok || (d.static && !d.only(n, t, "vars")) {
		return n, false
	}
	if d.static && n.env.needsMissing(t) {
		return n, false
	}
	value, err := t.Eval(d.scope)
	if err == nil {
		return d.synthetic(n, value)
	}
	d.fail(n, "", "%s", err)
	return n, false
}

// textual reports whether v is a list of texts, whose check needs no values.
func textual(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String
}

// synthetic is a computed value as a node, so that it passes the same checks.
func (d *decoder) synthetic(n *node, value any) (*node, bool) {
	made := *n
	made.plain = true
	rv := reflect.ValueOf(value)
	if rv.IsValid() && rv.Kind() == reflect.Slice {
		made.kind, made.text = listKind, ""
		for i := range rv.Len() {
			item, ok := d.synthetic(n, rv.Index(i).Interface())
			if !ok {
				return n, false
			}
			made.items = append(made.items, item)
		}
		return &made, true
	}
	text, err := textOf(value)
	if err != nil {
		d.fail(n, "", "%s %s", n.text, err)
		return n, false
	}
	_, isText := value.(string)
	made.text, made.plain = text, !isText || integerForm.MatchString(text) || decimalForm.MatchString(text)
	if made.plain && isText {
		// Text that looks like a number may be used as one, but is no typo.
		if why, _ := made.trap(); why != "" {
			made.plain = false
		}
	}
	return &made, true
}

func (d *decoder) compiled(n *node) (*Template, bool) {
	e := n.env
	if e == nil {
		e = &env{}
	}
	t, f := e.template(n.text)
	if f != nil {
		*d.errs = append(*d.errs, n.fault(f))
		return nil, false
	}
	return t, true
}

// fault makes an Error out of what is wrong with an expression in n.
func (n *node) fault(f *fault) *Error {
	return n.src.errorf(n.locate(f.from), f.width, f.hint, "%s", f.text)
}

const onlyVars = "only vars are known when the plan is read"

// only reports whether a template names nothing but root.
func (d *decoder) only(n *node, t *Template, root string) bool {
	for _, p := range t.parts {
		if p.code == nil {
			continue
		}
		from := utf8.RuneCountInString(n.text[:p.from])
		for _, u := range p.code.uses {
			if u.root == root || u.name != "" || !slices.Contains(scoped, u.root) {
				continue
			}
			*d.errs = append(*d.errs, n.src.errorf(n.locate(from+u.from), len(u.root), onlyVars, "%s cannot be used here", u.root))
			return false
		}
	}
	return true
}

func (d *decoder) template(n *node, v reflect.Value) {
	if !d.isText(n) {
		return
	}
	if t, ok := d.compiled(n); ok {
		v.Set(reflect.ValueOf(*t))
	}
}

func (d *decoder) expr(n *node, v reflect.Value) {
	if !d.isText(n) {
		return
	}
	x, err := n.expression()
	if err != nil {
		*d.errs = append(*d.errs, err)
		return
	}
	v.Set(reflect.ValueOf(*x))
}

// expression compiles a bare expression that must be true or false.
func (n *node) expression() (*Expr, *Error) {
	if templated(n.text) {
		return nil, n.src.errorf(n.pos, n.width, "write it without ${{ and }}", "this is an expression already")
	}
	c, f := n.env.compile(n.text)
	if f != nil {
		return nil, n.fault(f)
	}
	if c.result != nil && c.result.Kind() != reflect.Bool && c.result.Kind() != reflect.Interface {
		return nil, n.src.errorf(n.pos, n.width, "compare it: "+n.text+" == ...", "the expression is %s, not true or false", describe(c.result))
	}
	return &Expr{Source: n.text, Pos: n.pos, code: c}, nil
}

func (d *decoder) isText(n *node) bool {
	if n.kind != scalarKind || n.null() {
		d.must(n, "", "text")
		return false
	}
	return true
}

func (d *decoder) text(n *node, v reflect.Value) {
	if !d.isText(n) {
		return
	}
	if text, advice := n.trap(); text != "" {
		d.fail(n, advice, "%s", text)
		return
	}
	v.SetString(n.text)
}

func (d *decoder) scalar(n *node, v reflect.Value) {
	if n.kind != scalarKind || n.null() {
		d.must(n, "", "%s", wanted(v.Type()))
		return
	}
	switch {
	case v.Type() == durationType:
		got, advice, ok := duration(n.text)
		if !ok {
			d.must(n, advice, "a duration")
		}
		v.SetInt(int64(got))
	case v.Type() == percentType:
		d.percent(n, v)
	case v.Kind() == reflect.String:
		v.SetString(n.text)
	case v.Kind() == reflect.Bool:
		b, ok := n.boolean()
		if !ok {
			d.must(n, boolHint(n.text), "true or false")
		}
		v.SetBool(b)
	case v.CanInt(), v.CanUint(), v.CanFloat():
		d.number(n, v)
	default:
		panic("plan: cannot decode into " + v.Type().String())
	}
}

// wanted is what a field takes, for people.
func wanted(t reflect.Type) string {
	switch {
	case t == durationType:
		return `a duration like "30s"`
	case t == percentType:
		return `a share like "1%"`
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "a map"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}

func (d *decoder) percent(n *node, v reflect.Value) {
	number, isShare := strings.CutSuffix(n.text, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if isShare {
		f /= 100
	}
	switch {
	case err != nil || !(f >= 0 && f <= 1e9):
		d.must(n, "", `a share like "1%%" or 0.01`)
	case !isShare && f > 1:
		d.fail(n, "write "+n.text+"%", "%s is more than everything: 1 is 100%%", n.text)
	default:
		v.SetFloat(f)
	}
}

func (d *decoder) number(n *node, v reflect.Value) {
	whole, decimal := integerForm.MatchString(n.text), decimalForm.MatchString(n.text)
	switch {
	case !n.plain && (whole || decimal):
		d.must(n, "leave the quotes out", "%s", wanted(v.Type()))
	case v.CanFloat() && (whole || decimal):
		f, err := strconv.ParseFloat(n.text, v.Type().Bits())
		if err != nil {
			d.fail(n, "", "%s is too large", n.text)
		}
		v.SetFloat(f)
	case v.CanInt() && whole:
		i, err := strconv.ParseInt(n.text, 10, v.Type().Bits())
		if err != nil {
			d.fail(n, "", "%s is too large", n.text)
		}
		v.SetInt(i)
	case v.CanUint() && whole:
		u, err := strconv.ParseUint(strings.TrimPrefix(n.text, "+"), 10, v.Type().Bits())
		if err != nil {
			d.fail(n, "", "%s is not between 0 and the largest number", n.text)
		}
		v.SetUint(u)
	default:
		d.must(n, "", "%s", wanted(v.Type()))
	}
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

// scalarValue is nil, a bool, an int64, a float64 or a string.
func (n *node) scalarValue() any {
	if n.null() {
		return nil
	}
	if b, ok := n.boolean(); ok {
		return b
	}
	if n.plain && integerForm.MatchString(n.text) {
		if i, err := strconv.ParseInt(n.text, 10, 64); err == nil {
			return i
		}
	}
	if n.plain && decimalForm.MatchString(n.text) {
		if f, err := strconv.ParseFloat(n.text, 64); err == nil {
			return f
		}
	}
	return n.text
}
