package expect_test

import (
	"errors"
	"testing"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/hint"
)

// asked stands in for the test that a check is made in.
type asked struct {
	testing.TB
	failed bool
}

func (*asked) Helper()                 {}
func (a *asked) Errorf(string, ...any) { a.failed = true }
func (a *asked) Fatal(...any)          { a.failed = true }

func TestACheckFailsWhenWhatCameIsNotWhatWasWanted(t *testing.T) {
	gone := errors.New("gone")
	hinted := hint.Wrap(gone, "look behind the shelf")
	for name, test := range map[string]struct {
		check func(testing.TB)
		fails bool
	}{
		"no error":                     {func(t testing.TB) { expect.Nil(t, nil) }, false},
		"an error":                     {func(t testing.TB) { expect.Nil(t, gone) }, true},
		"the same":                     {func(t testing.TB) { expect.Same(t, "n", []int{1}, []int{1}) }, false},
		"something else":               {func(t testing.TB) { expect.Same(t, "n", []int{1}, []int{2}) }, true},
		"an error that it is":          {func(t testing.TB) { expect.Is(t, hinted, gone, true) }, false},
		"an error that it should be":   {func(t testing.TB) { expect.Is(t, errors.New("x"), gone, true) }, true},
		"an error that it must not be": {func(t testing.TB) { expect.Is(t, gone, gone, false) }, true},
		"the words":                    {func(t testing.TB) { expect.Error(t, gone, "go", "") }, false},
		"other words":                  {func(t testing.TB) { expect.Error(t, gone, "come", "") }, true},
		"no error at all":              {func(t testing.TB) { expect.Error(t, nil, "", "") }, true},
		"the advice":                   {func(t testing.TB) { expect.Error(t, hinted, "gone", "shelf") }, false},
		"other advice":                 {func(t testing.TB) { expect.Error(t, hinted, "gone", "table") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := &asked{TB: t}
			test.check(a)
			if a.failed != test.fails {
				t.Errorf("failed: %v, want %v", a.failed, test.fails)
			}
		})
	}
}
