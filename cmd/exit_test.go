package cmd

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

func TestEveryErrorHasItsExitCode(t *testing.T) {
	_, invalid := plan.Load([]byte("nope"), plan.Options{File: "p.yaml"})
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"a plan that is wrong":                     {invalid, 3},
		"bad usage":                                {usage(errors.New("x"), "try y"), 3},
		"no such run":                              {fmt.Errorf("x: %w", journal.ErrNoRun), 3},
		"nothing to do":                            {fmt.Errorf("x: %w", engine.ErrNothingToDo), 3},
		"a precondition":                           {&engine.PreconditionError{Err: errors.New("x")}, 4},
		"a lock":                                   {&journal.LockedError{}, 5},
		"another runner took over":                 {fmt.Errorf("x: %w", journal.ErrFenced), 14},
		"fenced, though also canceled":             {errors.Join(context.Canceled, journal.ErrFenced), 14},
		"a disk that is full":                      {fmt.Errorf("x: %w", journal.ErrNotDurable), 16},
		"a hard stop":                              {fmt.Errorf("x: %w", engine.ErrHardStop), 130},
		"a hint changes nothing":                   {hint.Wrap(&journal.LockedError{}, "x"), 5},
		"a precondition that a lock stands in":     {errors.Join(&engine.PreconditionError{Err: errors.New("x")}, &journal.LockedError{}), 4},
		"an error that nothing is known of":        {errors.New("x"), 1},
		"a code that is decided is not guessed at": {&exitError{12, journal.ErrFenced}, 12},
		"differences":                              {&exitError{code: ExitDifferences}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(c.err); got != c.want {
				t.Errorf("exit %d, want %d", got, c.want)
			}
		})
	}
}

func TestEveryOutcomeHasItsExitCode(t *testing.T) {
	for outcome, want := range map[journal.Outcome]int{
		journal.OutcomeDone: 0, journal.OutcomeAccepted: 0, journal.OutcomeFailed: 1, journal.OutcomeRolledBack: 10, journal.OutcomePaused: 11,
		journal.OutcomeIncomplete: 12, journal.OutcomeWaiting: 13, journal.OutcomeInterrupted: 16, journal.OutcomeInDoubt: 130, journal.OutcomeRunning: 130,
	} {
		if got := endCode(journal.End{Outcome: outcome}); got != want {
			t.Errorf("%s: exit %d, want %d", outcome, got, want)
		}
	}
	if got := endCode(journal.End{Outcome: journal.OutcomeFailed, Unmet: true}); got != 4 {
		t.Errorf("failed before any change, since a live system was not as the plan needs it: exit %d, want 4", got)
	}
}

func TestAValueThatSomebodyEditsBeforeTheFirstWriteIsAPrecondition(t *testing.T) {
	l := newLab(t, quickPlan)
	once := false
	l.onRecord = func(r journal.Record) {
		if r.Type == journal.TypeIntent && !once {
			once = true
			l.outside("web2", "state", state.Text("maint"))
		}
	}
	l.must(4, "run plan.yaml")
	l.says("FAILED in step out: nothing was changed.")
	l.says("somebody else changed web2 state")
	for _, line := range []string{"status", "list"} {
		l.must(0, line)
		l.says("failed")
	}
	l.must(0, "show -o json")
	l.says(`"changed": 0`)
	l.must(3, "rollback")
	l.says("changed nothing: nothing to do")
	l.must(0, "unlock")
	l.says("nothing is locked")
}
