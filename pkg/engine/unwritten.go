package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// sent is what one write has handed to a driver so far.
type sent struct {
	// doubt: a call ended in a way that says nothing about its effect.
	doubt   bool
	changes []state.Change // the first of each attribute
	drifted []state.Key    // objects that the driver left alone: somebody else changed them
}

func (s *sent) note(changes []state.Change, err error) {
	for _, c := range changes {
		if !slices.ContainsFunc(s.changes, func(o state.Change) bool { return o.Key() == c.Key() }) {
			s.changes = append(s.changes, c)
		}
	}
	drift, drifted := errors.AsType[*driver.DriftError](err)
	if drifted {
		s.drifted = append(s.drifted, objectKey(drift.Change))
	}
	s.doubt = s.doubt || errors.Is(err, driver.ErrUnknown) || !drifted && !errors.Is(err, driver.ErrPermanent)
}

// unwrittenError is an error of a write that changed nothing.
type unwrittenError struct{ error }

func (e *unwrittenError) Unwrap() error { return e.error }

// unwritten marks err when it is certain that the write changed nothing:
// nothing was sent, or all that was sent was refused for good and the target,
// read once more, shows what was there before.
func (x *Executor) unwritten(ctx context.Context, d driver.Driver, s sent, err error) error {
	if len(s.changes) == 0 {
		return &unwrittenError{err}
	}
	if s.doubt {
		return err
	}
	now, rerr := d.Read(ctx)
	if rerr != nil {
		return err
	}
	for _, c := range s.changes {
		if slices.Contains(s.drifted, objectKey(c)) {
			continue // by the driver's contract nothing of it was written
		}
		if now.Get(c.Object, c.Attribute) != c.From {
			return err
		}
	}
	return &unwrittenError{err}
}

// touched reports whether the run may have changed anything at all. What is
// not known to have changed nothing may have.
func (s *session) touched() bool {
	asks := func(r journal.Record) bool {
		return r.Type == journal.TypeIntent && (r.Activity == journal.ActivityAsk || r.Activity == "kill")
	}
	acts := func(e journal.Effect) bool { return e.Kind != journal.ActivityRestore && !e.Unwritten }
	return slices.ContainsFunc(s.status().Effects, acts) || slices.ContainsFunc(s.log.Records(), asks)
}

// unmet reports whether err says that a live system is not as the plan needs
// it.
func unmet(err error) bool {
	switch classOf(err) {
	case classDrift, classGuard, classReload, classUnreadable:
		return true
	}
	return false
}
