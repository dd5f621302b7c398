package gate

import (
	"errors"
	"fmt"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/flip-cli/flip/pkg/hint"
)

// condition is a compiled expression that is true or false.
type condition struct {
	source  string
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
	return condition{source, program}, nil
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
