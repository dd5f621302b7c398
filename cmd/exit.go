package cmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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

// unknownCommand turns cobra's error into flip's.
func unknownCommand(root *cobra.Command, err error) error {
	if err == nil || !strings.HasPrefix(err.Error(), "unknown command ") {
		return err
	}
	name, err := strconv.QuotedPrefix(strings.TrimPrefix(err.Error(), "unknown command "))
	if err == nil {
		name, err = strconv.Unquote(name)
	}
	if err != nil {
		return usage(errors.New("unknown command"), "flip --help")
	}
	if near := root.SuggestionsFor(name); len(near) > 0 {
		return usage(fmt.Errorf("unknown command %q; did you mean %q?", name, near[0]), "flip --help lists the commands")
	}
	return usage(fmt.Errorf("unknown command %q", name), "flip --help lists the commands")
}

// flagError words what the flag parser refuses.
func flagError(err error, command string) error {
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return usage(badValue("--"+bad.GetFlag().Name+" "+bad.GetValue(), bad.GetFlag()), "%s --help", command)
	}
	switch {
	case strings.HasPrefix(err.Error(), "unknown flag: --dry-run"):
		return usage(err, "flip plan PLAN shows what would change, and changes nothing")
	case strings.HasPrefix(err.Error(), "unknown shorthand flag"):
		return usage(err, "long flags have two dashes, as --var; %s --help", command)
	}
	return usage(err, "%s --help", command)
}

// badValue says what a flag accepts; given is how the value was written.
func badValue(given string, flag *pflag.Flag) error {
	switch flag.Value.Type() {
	case "duration":
		return fmt.Errorf("%s: not a duration like 30s, 5m or 1h30m", given)
	case "bool":
		return fmt.Errorf("%s: not true or false", given)
	case "int":
		return fmt.Errorf("%s: not a whole number", given)
	}
	return fmt.Errorf("%s: not a %s", given, flag.Value.Type())
}

func exitCode(err error) int {
	var (
		own    *exitError
		bad    *plan.Error
		many   plan.Errors
		pre    *engine.PreconditionError
		newer  *journal.NewerError
		damage *journal.CorruptError
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
	case errors.As(err, &bad), errors.As(err, &many), errors.Is(err, journal.ErrNoRun), errors.Is(err, journal.ErrManyRuns), errors.Is(err, engine.ErrNothingToDo):
		return ExitUsage
	case errors.As(err, &pre), errors.As(err, &newer), errors.As(err, &damage):
		return ExitPrecondition
	case errors.As(err, &locked):
		return ExitLocked
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	return ExitFailed
}

// endCode is the exit code of a run that ended or paused.
func endCode(e journal.End) int {
	switch e.Outcome {
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
	case journal.OutcomeFailed:
		if e.Unmet {
			return ExitPrecondition
		}
	}
	return ExitFailed
}

// tableOf is what a precondition error shows below its text.
func tableOf(err error) string {
	if pre, ok := errors.AsType[*engine.PreconditionError](err); ok {
		return pre.Table
	}
	return ""
}

// tabled is an error with its table below the text and above the hints.
type tabled struct {
	error
	table string
}

func (t *tabled) Error() string {
	var text strings.Builder
	text.WriteString(t.error.Error())
	for line := range strings.Lines(t.table) {
		text.WriteString("\n" + strings.TrimSpace(line))
	}
	return text.String()
}
func (t *tabled) Unwrap() error { return t.error }
