// Package expect has the checks that tests of several packages share. Each
// ends with one line that says what was wanted and what came.
package expect

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/hint"
)

// Nil ends the test unless err is nil.
func Nil(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Same fails the test unless got is what is wanted; options are cmp's.
func Same(t testing.TB, what string, want, got any, options ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, options...); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Is fails the test unless errors.Is(err, target) is what is wanted.
func Is(t testing.TB, err, target error, want bool) {
	t.Helper()
	if errors.Is(err, target) != want {
		t.Errorf("%v is %v: want %v", err, target, want)
	}
}

// Error fails the test unless err has the words in its text and the advice in
// a hint; an empty advice is in every error.
func Error(t testing.TB, err error, words, advice string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("want an error with %q, got %v", words, err)
		return
	}
	if hints := strings.Join(hint.Of(err), "\n"); !strings.Contains(hints, advice) {
		t.Errorf("want a hint with %q, got %q of %v", advice, hints, err)
	}
}
