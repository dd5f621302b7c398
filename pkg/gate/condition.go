package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"github.com/flip-cli/flip/pkg/hint"
)

// condition is a compiled expression that is true or false.
type condition struct {
	source  string
	program *vm.Program
	parts   []part
}

// part is a value that a condition names.
type part struct {
	source  string // body.version
	program *vm.Program
}

// compile checks a condition against what it may name, the fields of env. The
// zero condition comes from an empty source.
func compile(source string, env any, names string) (condition, error) {
	if source == "" {
		return condition{}, nil
	}
	program, err := expr.Compile(source, expr.Env(env), expr.AsBool())
	if err != nil {
		return condition{}, hint.Wrap(fmt.Errorf("pass: %w", oneLine(err)), "it may name %s", names)
	}
	return condition{source, program, partsOf(source, env)}, nil
}

// mostParts is how many values a look shows.
const mostParts = 3

// partsOf are the values that a condition is about, in the order in which it
// names them: of body.version == "v42" it is body.version. The status is shown
// anyway.
func partsOf(source string, env any) []part {
	tree, err := parser.Parse(source)
	if err != nil {
		return nil
	}
	var seen names
	ast.Walk(&tree.Node, &seen)
	var parts []part
	for _, name := range seen {
		longer := func(other string) bool {
			rest, ok := strings.CutPrefix(other, name)
			return ok && rest != "" && strings.ContainsAny(rest[:1], ".[?")
		}
		if name == "status" || slices.ContainsFunc(seen, longer) {
			continue
		}
		program, err := expr.Compile(name, expr.Env(env))
		if err == nil && len(parts) < mostParts {
			parts = append(parts, part{name, program})
		}
	}
	return parts
}

// names collects what an expression names, each once.
type names []string

func (n *names) Visit(node *ast.Node) {
	switch (*node).(type) {
	case *ast.MemberNode, *ast.IdentifierNode:
		if text := (*node).String(); !slices.Contains(*n, text) {
			*n = append(*n, text)
		}
	}
}

// shown tells the values that the condition is about, as an addition to a
// detail.
func (c condition) shown(env any, hide hider) string {
	var text strings.Builder
	for _, p := range c.parts {
		v, err := expr.Run(p.program, env)
		if err != nil {
			continue
		}
		fmt.Fprintf(&text, ", %s is %s", p.source, hide.value(v))
	}
	return text.String()
}

// mostShown is how much of a value is shown, in runes.
const mostShown = 40

// hider takes secrets out of a text; nil finds none. It has to see the text
// before it is shortened: half a secret would not be found.
type hider func(string) string

func (h hider) text(s string) string {
	if h != nil {
		s = h(s)
	}
	return excerpt(s, mostShown)
}

func (h hider) value(v any) string {
	if s, ok := v.(string); ok {
		return strconv.Quote(h.text(s))
	}
	b, err := json.Marshal(v)
	if err != nil {
		return h.text(fmt.Sprint(v))
	}
	return h.text(string(b))
}

func (c condition) given() bool { return c.program != nil }

// holds evaluates the condition. An error means that it has no value for env:
// a field of something that is not there, a comparison of unlike things.
func (c condition) holds(env any) (bool, error) {
	out, err := expr.Run(c.program, env)
	if err != nil {
		return false, oneLine(err)
	}
	yes, ok := out.(bool)
	if !ok {
		return false, fmt.Errorf("%s is %v, not true or false", c.source, out)
	}
	return yes, nil
}

// oneLine drops the drawing below the messages of expr.
func oneLine(err error) error {
	if e, ok := errors.AsType[*file.Error](err); ok {
		return fmt.Errorf("%s at column %d", e.Message, e.Column+1)
	}
	return err
}
