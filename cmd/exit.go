package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

// Exit codes. A pipeline decides on them: they do not change their meaning.
const (
	ExitDone         = 0   // done; systems are new
	ExitFailed       = 1   // failed before any change
	ExitDifferences  = 2   // plan --detailed-exitcode: there are differences
	ExitUsage        = 3   // bad usage, invalid plan, confirmation missing
	ExitPrecondition = 4   // a live system is not as the plan needs it
	ExitLocked       = 5   // another run holds a lock
	ExitRolledBack   = 10  // failed, rolled back completely and verified
	ExitPaused       = 11  // failed, paused as the plan asked
	ExitIncomplete   = 12  // rollback incomplete: a person is needed
	ExitWaiting      = 13  // detached while waiting
	ExitFenced       = 14  // another runner took over
	ExitInterrupted  = 16  // stopped at a safe point
	ExitHardStop     = 130 // in doubt: resume or rollback
)

const exitHelp = `Exit codes:
  0 done   1 failed before any change   3 bad usage or plan   4 precondition   5 locked
  10 failed, rolled back and verified   11 failed, paused     12 rollback incomplete
  13 waiting, detached   14 fenced   16 interrupted at a safe point   130 hard stop`

// exitError ends flip with a code; err is nil when everything is said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}
func (e *exitError) Unwrap() error { return e.err }

// usage marks an error as the caller's, with what to type instead.
func usage(err error, format string, args ...any) error {
	if format != "" {
		err = hint.Wrap(err, format, args...)
	}
	return &exitError{ExitUsage, err}
}

func exitCode(err error) int {
	var (
		own    *exitError
		bad    *plan.Error
		many   plan.Errors
		pre    *engine.PreconditionError
		locked *journal.LockedError
	)
	switch {
	case errors.As(err, &own):
		return own.code
	case errors.Is(err, journal.ErrFenced):
		return ExitFenced
	case errors.Is(err, engine.ErrHardStop):
		return ExitHardStop
	case errors.Is(err, journal.ErrNotDurable):
		return ExitInterrupted
	case errors.As(err, &bad), errors.As(err, &many), errors.Is(err, journal.ErrNoRun), errors.Is(err, engine.ErrNothingToDo):
		return ExitUsage
	case errors.As(err, &pre):
		return ExitPrecondition
	case errors.As(err, &locked):
		return ExitLocked
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	return ExitFailed
}

// outcomeCode is the exit code of a run that ended or paused.
func outcomeCode(o journal.Outcome) int {
	switch o {
	case journal.OutcomeDone, journal.OutcomeAccepted:
		return ExitDone
	case journal.OutcomeRolledBack:
		return ExitRolledBack
	case journal.OutcomePaused:
		return ExitPaused
	case journal.OutcomeIncomplete:
		return ExitIncomplete
	case journal.OutcomeWaiting:
		return ExitWaiting
	case journal.OutcomeInterrupted:
		return ExitInterrupted
	case journal.OutcomeInDoubt, journal.OutcomeRunning:
		return ExitHardStop
	}
	return ExitFailed
}

// tableOf is what a precondition error shows below its text.
func tableOf(err error) string {
	var pre *engine.PreconditionError
	if errors.As(err, &pre) {
		return pre.Table
	}
	return ""
}
