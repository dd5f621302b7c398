package plan

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Template is text with ${{ expression }} parts, compiled. $${{ stands for a
// literal ${{. References to secrets (${env:NAME}) are text to it.
type Template struct {
	raw   string
	parts []part
}

// part is text, or an expression.
type part struct {
	text string
	code *code
	from int // byte of raw where the expression begins
}

// String is the text as the plan has it.
func (t Template) String() string { return t.raw }

// Equal reports whether both were written the same.
func (t Template) Equal(o Template) bool { return t.raw == o.raw }

// MarshalText is the text as the plan has it.
func (t Template) MarshalText() ([]byte, error) { return []byte(t.raw), nil }

// Eval returns the typed value of a template that is one expression, else the
// text with all expressions filled in.
func (t Template) Eval(scope Scope) (any, error) {
	if len(t.parts) == 1 && t.parts[0].code != nil {
		v, err := t.parts[0].code.run(scope)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.raw, err)
		}
		return v, nil
	}
	return t.Text(scope)
}

// Text returns the text with all expressions filled in; a list is its items
// with a space between.
func (t Template) Text(scope Scope) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.code == nil {
			b.WriteString(p.text)
			continue
		}
		v, err := p.code.run(scope)
		if err != nil {
			return "", fmt.Errorf("${{%s}}: %w", p.text, err)
		}
		s, err := textOf(v)
		if err != nil {
			return "", fmt.Errorf("${{%s}} %w", p.text, err)
		}
		b.WriteString(s)
	}
	return b.String(), nil
}

// Names returns what the template's expressions depend on: "vars", "live",
// "member" and so on, each once.
func (t Template) Names() []string {
	var names []string
	for _, p := range t.parts {
		if p.code == nil {
			continue
		}
		for _, u := range p.code.uses {
			if !slices.Contains(names, u.root) && slices.Contains(scoped, u.root) {
				names = append(names, u.root)
			}
		}
	}
	return names
}

// templated reports whether s holds an expression.
func templated(s string) bool { return strings.Contains(s, "${{") }

// Template compiles text of this plan, such as a Command's, whose templates
// are still in. Text that Load has seen costs nothing.
func (p Plan) Template(text string) (Template, error) {
	e := p.env
	if e == nil {
		e = &env{}
	}
	t, f := e.template(text)
	if f != nil {
		return Template{}, fmt.Errorf("%s: %s", quoteShort(text), f.text)
	}
	return *t, nil
}

// Text fills in the templates of one text.
func (p Plan) Text(text string, scope Scope) (string, error) {
	if !templated(text) {
		return text, nil
	}
	t, err := p.Template(text)
	if err != nil {
		return "", err
	}
	return t.Text(scope)
}

// Args fills in the templates of a command's arguments. An argument that is
// one expression with a list for its value becomes one argument for each item.
func (p Plan) Args(argv []string, scope Scope) ([]string, error) {
	var out []string
	for _, arg := range argv {
		if !templated(arg) {
			out = append(out, arg)
			continue
		}
		t, err := p.Template(arg)
		if err != nil {
			return nil, err
		}
		v, err := t.Eval(scope)
		if err != nil {
			return nil, err
		}
		words := []any{v}
		if rv := reflect.ValueOf(v); rv.IsValid() && rv.Kind() == reflect.Slice {
			words = nil
			for i := range rv.Len() {
				words = append(words, rv.Index(i).Interface())
			}
		}
		for _, w := range words {
			s, err := textOf(w)
			if err != nil {
				return nil, fmt.Errorf("%s %w", arg, err)
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// template compiles s. The fault's place counts in the characters of s.
func (e *env) template(s string) (*Template, *fault) {
	if t, ok := e.cache[s]; ok {
		return t, nil
	}
	t := &Template{raw: s}
	rest, at := s, 0
	var text strings.Builder
	for {
		i := strings.Index(rest, "${{")
		if i < 0 {
			break
		}
		if i > 0 && rest[i-1] == '$' {
			text.WriteString(rest[:i-1] + "${{")
			rest, at = rest[i+3:], at+i+3
			continue
		}
		text.WriteString(rest[:i])
		inner, ok := expression(rest[i+3:])
		from := at + i + 3
		if !ok {
			return nil, &fault{utf8.RuneCountInString(s[:at+i]), 3, "${{ without }}", "close it with }}"}
		}
		c, f := e.compile(inner)
		if f != nil {
			f.from += utf8.RuneCountInString(s[:from])
			return nil, f
		}
		if text.Len() > 0 {
			t.parts = append(t.parts, part{text: text.String()})
			text.Reset()
		}
		t.parts = append(t.parts, part{text: inner, code: c, from: from})
		at, rest = from+len(inner)+2, rest[i+3+len(inner)+2:]
	}
	text.WriteString(rest)
	if text.Len() > 0 {
		t.parts = append(t.parts, part{text: text.String()})
	}
	if len(t.parts) < 2 {
		return t, nil
	}
	return t, t.joinable()
}

// joinable refuses values that cannot stand inside a text, or be one.
func (t *Template) joinable() *fault {
	for _, p := range t.parts {
		if p.code == nil || p.code.result == nil {
			continue
		}
		shown := strings.TrimSpace(p.text)
		f := &fault{width: utf8.RuneCountInString(shown)}
		f.from = utf8.RuneCountInString(t.raw[:p.from+strings.Index(p.text, shown)])
		f.text = fmt.Sprintf("${{%s}} is %s, which is not text", p.text, describe(p.code.result))
		switch k := p.code.result.Kind(); {
		case k == reflect.Slice && len(t.parts) < 2:
			continue // its items, with a space between
		case k == reflect.Slice:
			f.hint = fmt.Sprintf("join(%s, \" \")", shown)
		case p.code.result == reflect.TypeFor[MemberValue](), p.code.result == reflect.TypeFor[GroupValue]():
			f.hint = shown + ".name"
		case k == reflect.Map, k == reflect.Struct:
			f.hint = "name one value of it"
		default:
			continue
		}
		return f
	}
	return nil
}

// expression returns what stands before the }} that ends it; braces and quotes
// inside are skipped.
func expression(s string) (string, bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\'', '`':
			n := closing(s[i+1:], c)
			if n < 0 {
				return "", false
			}
			i += n + 1
		case '{':
			depth++
		case '}':
			if depth > 0 {
				depth--
				continue
			}
			if strings.HasPrefix(s[i:], "}}") {
				return s[:i], true
			}
		}
	}
	return "", false
}

// closing is the place of the quote that ends a text, -1 if there is none.
func closing(s string, quote byte) int {
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && quote != '`' {
			i++
			continue
		}
		if s[i] == quote {
			return i
		}
	}
	return -1
}

// locate finds where character from of the node's text stands in the source.
// Quotes, escapes and folded lines move it; then it is the nearest place that
// is certain.
func (n *node) locate(from int) Pos {
	text := []rune(n.text)
	from = min(max(from, 0), len(text))
	if n.src == nil {
		return n.pos
	}
	start := n.src.offset(n.pos)
	end := min(len(n.src.text), start+2*len(n.text)+1024)
	area := n.src.text[start:end]
	// The longest stretch of text on one line around the place is searched.
	lo, hi := from, from
	for lo > 0 && text[lo-1] != '\n' {
		lo--
	}
	for hi < len(text) && text[hi] != '\n' {
		hi++
	}
	for _, cut := range [][2]int{{lo, hi}, {word(text, from), hi}, {lo, from}, {word(text, from), from}} {
		piece := string(text[cut[0]:cut[1]])
		if piece == "" {
			continue
		}
		if i := bytes.Index(area, []byte(piece)); i >= 0 {
			return n.src.at(start + i + len(string(text[cut[0]:from])))
		}
	}
	return n.pos
}

// word is where the ${{ before from begins.
func word(text []rune, from int) int {
	if i := strings.LastIndex(string(text[:from]), "${{"); i >= 0 {
		return utf8.RuneCountInString(string(text[:from])[:i])
	}
	return from
}

func trimFloat(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}
