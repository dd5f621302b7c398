package plan

import (
	"reflect"
	"slices"
	"unicode/utf8"
)

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
	if t, ok := n.env.cache[n.text]; ok {
		if f := t.joinable(); f != nil {
			*d.errs = append(*d.errs, n.fault(f))
			return
		}
	}
	v.SetString(n.text)
}
