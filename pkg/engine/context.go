// Package engine runs a plan: it decides the order of changes, journals each
// one before it is made, reads it back, and puts everything back when the run
// fails. The interpreter (run.go, verbs.go, undo.go) is a deterministic
// function over Context: it has no clock, no I/O, no goroutines. What touches
// the world are activities (activity_*.go), called through Context.Do.
package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
)

// InterpreterVersion is pinned into every run: a run is only ever continued by
// an interpreter of its own version.
const InterpreterVersion = 1

// Context is everything that the interpreter may do. Keys are structural paths
// ("/steps/shift/5.raise"), unique in a run and the same on every replay.
type Context interface {
	// Do runs an activity once: on a replay it returns what is recorded.
	Do(key, activity string, in, out any) error
	// Sleep waits until a deadline that is fixed, in UTC, the first time.
	Sleep(key string, d time.Duration) error
	// WaitUntil waits for a moment, and says why. hint is the input of an
	// activity whose text tells people what is waited for meanwhile; nil for
	// none.
	WaitUntil(key, message string, until time.Time, hint any) error
	// Await waits for an approval or a signal.
	Await(key, message string, deadline time.Duration) (json.RawMessage, error)
	// Parallel runs fn for 0..n-1, at most limit at once (0: all), and returns
	// the first error in the order of the indices. After one failed the others
	// finish what they are changing and stop.
	Parallel(key string, n, limit int, fn func(Context, int) error) error
	// Stopping reports whether the operator asked to stop. It is read at safe
	// points only.
	Stopping(key string) bool
}

// Errors that end a run without being a failure of a step. They are not
// recorded: a resumed run does the same activity again.
var (
	// ErrInterrupted: the operator asked to stop at a safe point.
	ErrInterrupted = errors.New("interrupted")
	// ErrDetached: a wait is longer than this process may stay.
	ErrDetached = errors.New("detached while waiting")
	// errAborted: a sibling branch of a parallel step failed.
	errAborted = errors.New("stopped because another branch failed")
)

// Error classes that the interpreter and the exit code decide on.
const (
	classDrift      = "drift"
	classGate       = "gate"
	classGuard      = "guard"
	classTimeout    = "timeout"
	classUnreadable = "unreadable"
	classReload     = "reload"
	classDenied     = "denied"
	classInvalid    = "invalid"
	classUnhealthy  = "unhealthy"
	classRefused    = "refused" // by a driver, before anything was sent
	classCeiling    = "ceiling" // a wait came to its end without what it waited for; the run pauses
)

// fail makes an error of a class that survives the journal.
func fail(class, format string, args ...any) *journal.Error {
	return &journal.Error{Class: class, Text: fmt.Sprintf(format, args...)}
}

// toJournal turns any error into the form in which it is recorded, so that a
// replay sees exactly what the first pass saw.
func toJournal(err error) *journal.Error {
	e := classified(err)
	_, e.Unwritten = errors.AsType[*unwrittenError](err)
	return e
}

func classified(err error) *journal.Error {
	if own, ok := errors.AsType[*journal.Error](err); ok {
		e := &journal.Error{Class: own.Class, Text: err.Error(), Hints: own.Hints}
		e.Hints = append(e.Hints, hint.Of(err)...)
		return e
	}
	e := &journal.Error{Text: err.Error(), Hints: hint.Of(err)}
	var drift *driver.DriftError
	var partial *driver.PartialError
	switch {
	case errors.As(err, &drift):
		e.Class = classDrift
	case errors.As(err, &partial):
		e.Class = classUnreadable
	}
	return e
}

// classOf returns the class of an error that came out of Do.
func classOf(err error) string {
	if e, ok := errors.AsType[*journal.Error](err); ok {
		return e.Class
	}
	return ""
}

// stopped reports whether err ends the run without a verdict.
func stopped(err error) bool {
	return errors.Is(err, ErrInterrupted) || errors.Is(err, ErrDetached) || errors.Is(err, errAborted) || fatal(err)
}

// fatal reports whether this process must not touch anything any more: it was
// fenced, the journal cannot be written, or it was told to stop hard.
func fatal(err error) bool {
	return errors.Is(err, journal.ErrFenced) || errors.Is(err, journal.ErrNotDurable) || errors.Is(err, ErrHardStop)
}

// ErrHardStop: the second Ctrl-C.
var ErrHardStop = errors.New("hard stop")
