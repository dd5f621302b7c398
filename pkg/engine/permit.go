package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// permitted asks the targets of changes whether they let flip
// do that, so that a read-only access is found before the first step.
func permitted(ctx context.Context, b *Bound, changes []state.Change) error {
	var errs []error
	for _, t := range b.Plan.Targets {
		p, asks := driver.As[driver.Permitter](b.Targets[t.Name])
		if !asks || !slices.ContainsFunc(changes, func(c state.Change) bool { return c.Target == t.Name }) {
			continue
		}
		if err := p.Permit(ctx); err != nil {
			errs = append(errs, &PreconditionError{Err: fmt.Errorf("target %s: %w", t.Name, driver.Named(t.Driver, err))})
		}
	}
	return errors.Join(errs...)
}
