// Package hint attaches advice to an error: what the person who reads it can
// do now. The error text says what is wrong, the hint what to try.
package hint

import (
	"errors"
	"fmt"
	"slices"
)

type hinted struct {
	error
	text string
}

func (h *hinted) Unwrap() error { return h.error }

// Wrap adds a hint to err. A nil err stays nil.
func Wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// Of returns the hints of err, the outermost first, each once.
func Of(err error) []string {
	var once []string
	for _, h := range all(err) {
		if !slices.Contains(once, h) {
			once = append(once, h)
		}
	}
	return once
}

func all(err error) []string {
	var hints []string
	for err != nil {
		if h, ok := err.(*hinted); ok { //nolint:errorlint // walks the chain itself
			hints = append(hints, h.text)
		}
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				hints = append(hints, all(e)...)
			}
			return hints
		}
		err = errors.Unwrap(err)
	}
	return hints
}
