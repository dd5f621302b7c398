package hint_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/hint"
)

func TestHintsAreFoundFromTheOutside(t *testing.T) {
	inner := hint.Wrap(io.EOF, "inner %d", 1)
	tests := map[string]struct {
		err  error
		want []string
	}{
		"no error":                  {nil, nil},
		"an error without hints":    {io.EOF, nil},
		"one hint":                  {inner, []string{"inner 1"}},
		"below other errors":        {fmt.Errorf("a: %w", fmt.Errorf("b: %w", inner)), []string{"inner 1"}},
		"the outermost comes first": {hint.Wrap(fmt.Errorf("a: %w", inner), "outer"), []string{"outer", "inner 1"}},
		"in every joined error": {
			errors.Join(inner, io.EOF, hint.Wrap(io.EOF, "second")),
			[]string{"inner 1", "second"},
		},
		"above and below a join": {
			hint.Wrap(fmt.Errorf("%w and %w", inner, hint.Wrap(io.EOF, "second")), "outer"),
			[]string{"outer", "inner 1", "second"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, hint.Of(test.err)); diff != "" {
				t.Errorf("hints (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAHintLeavesTheErrorAsItIs(t *testing.T) {
	if err := hint.Wrap(nil, "nothing went wrong"); err != nil {
		t.Errorf("a hint made an error: %v", err)
	}
	err := hint.Wrap(io.EOF, "read more")
	if err.Error() != "EOF" {
		t.Errorf("the text is %q", err)
	}
	if !errors.Is(err, io.EOF) {
		t.Error("the error is not found below its hint")
	}
}
