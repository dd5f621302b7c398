package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flip-cli/flip/pkg/secret"
)

// reveal resolves the references in ref. Text without any needs no resolver.
func (e Env) reveal(ctx context.Context, ref secret.Ref) (string, error) {
	if !secret.IsRef(string(ref)) {
		return string(ref), nil
	}
	if e.Secrets == nil {
		return "", errors.New("secrets cannot be resolved here")
	}
	return e.Secrets.Resolve(ctx, ref)
}

// revealAll resolves the values of a map, in the order of its keys.
func (e Env) revealAll(ctx context.Context, refs map[string]secret.Ref) (map[string]string, error) {
	out := make(map[string]string, len(refs))
	for _, k := range slices.Sorted(maps.Keys(refs)) {
		v, err := e.reveal(ctx, refs[k])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		out[k] = v
	}
	return out, nil
}

func (e Env) redact(s string) string {
	if e.Secrets == nil {
		return s
	}
	return e.Secrets.Redactor.Text(s)
}

// clean takes secrets out of what a look returns.
func (e Env) clean(r Result, err error) (Result, error) {
	r.Detail = e.redact(r.Detail)
	if err != nil && e.redact(err.Error()) != err.Error() {
		err = &redacted{err, e.redact(err.Error())}
	}
	return r, err
}

type redacted struct {
	error
	text string
}

func (r *redacted) Error() string { return r.text }
func (r *redacted) Unwrap() error { return r.error }
