package plan

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

// maxExpression is the longest expression; the expression parser recurses.
const maxExpression = 4096

// Expr is a compiled bare expression, as in `when`.
type Expr struct {
	Source string
	Pos    Pos
	code   *code
}

// Bool evaluates the expression.
func (x Expr) Bool(scope Scope) (bool, error) {
	v, err := x.code.run(scope)
	if err != nil {
		return false, fmt.Errorf("expression %q: %w", x.Source, err)
	}
	b, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("expression %q: is %v, not true or false", x.Source, v)
	}
	return b, nil
}

// Equal reports whether both say the same.
func (x Expr) Equal(y Expr) bool { return x.Source == y.Source }

// MarshalText is the source of the expression.
func (x Expr) MarshalText() ([]byte, error) { return []byte(x.Source), nil }

// env is what the expressions of one plan may name.
type env struct {
	src       *source
	vars      map[string]types.Type
	missing   map[string]bool // required variables without a value
	groups    []string
	steps     []string
	alternate bool
	cache     map[string]*Template // filled while loading, only read later
}

// code is one compiled expression.
type code struct {
	program *vm.Program
	uses    []use
	outputs []output
	result  reflect.Type // nil when only running tells
}

// fault is what is wrong with an expression.
type fault struct {
	from, width int
	text, hint  string
}

// disabled are functions whose result is not decided by their arguments: a
// resumed run must take the same way again. Maps have no order.
var disabled = []string{"now", "date", "timezone", "keys", "values", "toPairs"}

func (e *env) options() []expr.Option {
	names := map[string]any{
		"vars":    types.Map(e.vars),
		"groups":  map[string]GroupValue{},
		"steps":   map[string]StepValue{},
		"member":  MemberValue{},
		"run":     RunValue{},
		"attempt": 0,
	}
	if e.alternate {
		names["live"], names["idle"] = GroupValue{}, GroupValue{}
	}
	opts := []expr.Option{
		expr.Env(names),
		expr.Function("quote", func(args ...any) (any, error) { return shellQuote(args[0].(string)), nil }, new(func(string) string)),
	}
	for _, name := range disabled {
		opts = append(opts, expr.DisableBuiltin(name))
	}
	return opts
}

// shellQuote makes s one word of a shell line.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (e *env) compile(source string, more ...expr.Option) (*code, *fault) {
	if len(source) > maxExpression {
		return nil, &fault{0, 1, fmt.Sprintf("an expression of %d bytes; %d is the most", len(source), maxExpression), ""}
	}
	if strings.TrimSpace(source) == "" {
		return nil, &fault{0, 1, "an empty expression", ""}
	}
	seen := &visitor{}
	program, err := expr.Compile(source, append(append(e.options(), expr.Patch(seen)), more...)...)
	if f := e.unknown(seen.uses); f != nil {
		return nil, f
	}
	if err != nil {
		return nil, e.explain(err)
	}
	c := &code{program: program, uses: seen.uses, outputs: seen.outputs}
	if n := program.Node(); n != nil {
		c.result = n.Type()
	}
	return c, nil
}

var unknownName = regexp.MustCompile(`^unknown name (\S+)$`)

// roots are the names that stand alone.
func (e *env) roots() []string {
	names := []string{"vars", "groups", "steps", "member", "run", "attempt"}
	if e.alternate {
		names = append(names, "live", "idle")
	}
	return names
}

// explain turns an error of the expression compiler into a fault.
func (e *env) explain(err error) *fault {
	var at *file.Error
	if !errors.As(err, &at) {
		return &fault{0, 1, firstLine(err.Error()), ""}
	}
	f := &fault{at.From, max(at.To-at.From, 1), at.Message, ""}
	if m := unknownName.FindStringSubmatch(at.Message); m != nil {
		f.width = len([]rune(m[1]))
		f.text = fmt.Sprintf("unknown name %q%s", m[1], meant(m[1], e.roots()))
		f.hint = "names: " + strings.Join(e.roots(), ", ")
		if slices.Contains(disabled, m[1]) {
			f.hint = "expressions have no clock and no map order, so that a resumed run decides the same again"
		}
	}
	if m := noField.FindStringSubmatch(at.Message); m != nil {
		known := fieldsOf[m[1]]
		f.width = len([]rune(m[2]))
		f.text = fmt.Sprintf("%s has no %q%s", m[1], m[2], meant(m[2], known))
		if known != nil {
			f.text = fmt.Sprintf("a %s has no %q%s", strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(m[1], "plan."), "Value")), m[2], meant(m[2], known))
			f.hint = "it has " + list(known)
		}
	}
	return f
}

var noField = regexp.MustCompile(`^type (\S+) has no (?:field|method) (\S+)$`)

// fieldsOf are the names that values of a scope have.
var fieldsOf = map[string][]string{
	"plan.GroupValue":  {"name", "names", "members", "addresses"},
	"plan.MemberValue": {"name", "address", "host", "port", "targets"},
	"plan.StepValue":   {"outputs"},
	"plan.RunValue":    {"id"},
}

// run evaluates the expression. Names that the scope lacks are an error, not
// nil.
func (c *code) run(scope Scope) (any, error) {
	if c == nil {
		return nil, errors.New("was not compiled")
	}
	for _, u := range c.uses {
		if _, ok := scope[u.root]; !ok && slices.Contains(scoped, u.root) {
			return nil, fmt.Errorf("%s is not known here", u.root)
		}
	}
	if err := c.lost(scope); err != nil {
		return nil, err
	}
	v, err := expr.Run(c.program, map[string]any(scope))
	if err != nil {
		return nil, errors.New(exprPlace.ReplaceAllString(firstLine(err.Error()), ""))
	}
	return v, nil
}

// needsMissing reports whether t uses a variable without a value.
func (e *env) needsMissing(t *Template) bool {
	for _, p := range t.parts {
		if p.code == nil {
			continue
		}
		for _, u := range p.code.uses {
			if u.root == "vars" && e.missing[u.name] {
				return true
			}
		}
	}
	return false
}

// exprPlace is what the library adds to its messages.
var exprPlace = regexp.MustCompile(` \([0-9]+:[0-9]+\)$`)

// scoped are the names that a scope may lack.
var scoped = []string{"vars", "groups", "steps", "member", "run", "attempt", "live", "idle"}

// textOf writes an expression's value into a text.
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", errors.New("has no value")
	case string:
		return v, nil
	case float64:
		return trimFloat(v), nil
	case time.Duration:
		return shortDuration(v), nil
	case bool, int, int64, uint64:
		return fmt.Sprint(v), nil
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Slice {
		return "", fmt.Errorf("is %s, which is not text", describe(rv.Type()))
	}
	words := make([]string, rv.Len())
	for i := range words {
		word, err := textOf(rv.Index(i).Interface())
		if err != nil {
			return "", err
		}
		words[i] = word
	}
	return strings.Join(words, " "), nil
}

// shortDuration is 1h30m, not 1h30m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// describe names a type of an expression for people.
func describe(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[GroupValue]():
		return "a group"
	case t == reflect.TypeFor[MemberValue]():
		return "a member"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Map, t.Kind() == reflect.Struct:
		return "a map"
	}
	return t.String()
}
