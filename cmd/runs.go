package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/ui"
)

// pick finds the run that an optional argument means: without one the newest
// unfinished run, else the newest.
func (a *App) pick(ctx context.Context, store *journal.FileStore, args []string) (string, error) {
	if len(args) > 0 {
		return journal.Resolve(ctx, store, args[0])
	}
	ids, err := store.List(ctx)
	if err != nil {
		return "", err
	}
	for _, id := range ids {
		if !store.Ended(id) {
			return id, nil
		}
	}
	if len(ids) == 0 {
		return "", usage(fmt.Errorf("%w: nothing was ever run with this state directory (%s)", journal.ErrNoRun, store.Dir()), "flip run plan.yaml, or --state-dir")
	}
	return ids[0], nil
}

// status folds a run and asks whether its process is alive.
func status(ctx context.Context, store *journal.FileStore, locks *journal.Locks, id string) (journal.View, journal.Status, error) {
	view, err := store.View(ctx, id)
	if err != nil {
		return nil, journal.Status{}, err
	}
	st, err := journal.Fold(view.Records())
	if err != nil || !st.Open || st.Outcome != journal.OutcomeRunning {
		return view, st, err
	}
	held, err := locks.OfRun(ctx, id)
	if err != nil {
		return view, st, err
	}
	alive := false
	for _, l := range held {
		alive = alive || locks.Alive(l)
	}
	if !alive {
		st.Outcome = journal.OutcomeInDoubt
		if len(held) > 0 {
			st.Updated = held[0].Beat
		}
	}
	return view, st, nil
}

func (a *App) resumeCommand() *cobra.Command {
	var d driveFlags
	var acceptPlan bool
	cmd := &cobra.Command{
		Use:   "resume [RUN]",
		Short: "Go on with a run that was paused or whose process died",
		Long:  "Goes on where the run stands; what is recorded as done is not done again. A step that failed is tried anew.\nWithout RUN: the newest unfinished run.\n\n" + exitHelp,
		Args:  maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.reopen(cmd.Context(), args, d, func(r *engine.Runner, id string, o engine.Options) (journal.End, error) {
				o.AcceptPlanChange = acceptPlan
				return r.Resume(cmd.Context(), id, o)
			})
		},
	}
	cmd.Flags().BoolVar(&acceptPlan, "accept-plan-change", false, "go on with the plan as it was edited since; what the run has begun must be the same")
	d.add(cmd.Flags())
	d.addForward(cmd.Flags())
	return cmd
}

func (a *App) rollbackCommand() *cobra.Command {
	var d driveFlags
	var reason string
	cmd := &cobra.Command{
		Use:   "rollback [RUN]",
		Short: "Put back what a run changed, and only that",
		Long:  "Restores every value that the run changed to what it was before, in reverse and capacity first.\nWhat somebody else changed since is left alone and reported (exit 12).\nWithout RUN: the newest unfinished run, else the newest run.\n\n" + exitHelp,
		Args:  maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			view, st, err := a.view(ctx, args)
			if err != nil {
				return err
			}
			id := view.ID()
			if st.RollingBack && st.Outcome == journal.OutcomeRunning {
				return &exitError{ExitLocked, hint.Wrap(fmt.Errorf("run %s is on its way back already", id), "watch it: flip status %s", id)}
			}
			if st.Open && st.Outcome == journal.OutcomeRunning {
				return &exitError{ExitLocked, hint.Wrap(fmt.Errorf("run %s is still going on", id), "stop it first: flip stop %s --rollback", id)}
			}
			if err := d.check(); err != nil {
				return err
			}
			a.showRestore(st, id)
			if d.onDrift == string(engine.DriftForce) || a.interactive() {
				if err := a.confirm(d.yes, "Roll back? [y/N]: ", "y", "--on-drift=force overwrites what others changed: it"); err != nil {
					return err
				}
			}
			return a.rollback(ctx, id, reason, d)
		},
	}
	d.add(cmd.Flags())
	cmd.Flags().StringVar(&reason, "reason", "asked for on the command line", "why, for the journal")
	return cmd
}

// unfinished adds to why a plan does not fit the live systems that a run of it
// stands halfway: that is the usual reason.
func (a *App) unfinished(ctx context.Context, plan string, why error) error {
	store, locks, err := a.store(nil)
	if err != nil {
		return why
	}
	ids, err := store.List(ctx)
	if err != nil {
		return why
	}
	for _, id := range ids {
		if store.Ended(id) {
			continue
		}
		if _, st, err := status(ctx, store, locks, id); err == nil && st.Meta.Plan == plan {
			return hint.Wrap(why, "run %s of this plan is not finished (%s): flip status %s", id, st.Outcome, id)
		}
	}
	return why
}

// notRunning says what can be done with a run that no process drives.
func notRunning(id string, st journal.Status) error {
	err := fmt.Errorf("run %s is not running (%s): nothing to stop", id, st.Outcome)
	switch {
	case st.Open:
		return usage(err, "flip resume %s, flip rollback %s, or flip stop %s --accept", id, id, id)
	case st.Outcome == journal.OutcomeIncomplete:
		return usage(err, "flip rollback %s, or flip stop %s --accept", id, id)
	case st.Outcome == journal.OutcomeDone:
		return usage(err, "to put back what it changed: flip rollback %s", id)
	}
	return usage(err, "flip show %s", id)
}

// showRestore says what a rollback will put back.
func (a *App) showRestore(st journal.Status, id string) {
	if a.settings.output == "json" || !st.Open && (st.Outcome == journal.OutcomeRolledBack || st.Outcome == journal.OutcomeFailed) {
		return
	}
	if e := st.End; st.Outcome == journal.OutcomeIncomplete && len(e.Drift) > 0 && len(e.Drift) == e.Changed-e.Restored {
		showLeft(a.Err, st, id)
		return
	}
	changes, asBefore := engine.Restores(st)
	head := fmt.Sprintf("Run %s (%s, %s) changed %s", id, st.Meta.Plan, st.Outcome, countOf(len(changes)+asBefore, "value"))
	if len(changes) > 0 {
		head += "; flip puts back what still is as it left it:"
	}
	fmt.Fprintln(a.Err, head)
	for i, c := range changes {
		if i == 20 {
			fmt.Fprintf(a.Err, "  and %d more\n", len(changes)-i)
			break
		}
		fmt.Fprintf(a.Err, "  %s %s %s -> %s\n", c.Object, c.Attribute, c.From, c.To)
	}
	if asBefore == 1 {
		fmt.Fprintln(a.Err, "  1 value is as it was")
	} else if asBefore > 1 {
		fmt.Fprintf(a.Err, "  %s values are as they were\n", ui.Count(asBefore))
	}
	if values, d := engine.StillCached(st, time.Now()); d > 0 {
		fmt.Fprintf(a.Err, "Caches may hold %s for %s after that; what serves it is stopped only then.\n", strings.Join(values, ", "), ui.Duration(d))
	}
}

// showLeft says what an incomplete rollback left, which another one would try.
func showLeft(w io.Writer, st journal.Status, id string) {
	fmt.Fprintf(w, "Run %s (%s, %s): %s of %s back; left:\n", id, st.Meta.Plan, st.Outcome, ui.Count(st.End.Restored), countOf(st.End.Changed, "value"))
	for i, d := range st.End.Drift {
		if i == 20 {
			fmt.Fprintf(w, "  and %d more\n", len(st.End.Drift)-i)
			return
		}
		if d.Unreadable != "" {
			fmt.Fprintf(w, "  %s %s -> %s, when it can be read\n", d.Object, d.Attribute, d.Before)
			continue
		}
		fmt.Fprintf(w, "  %s %s %s -> %s, set by someone else: only with --on-drift=force\n", d.Object, d.Attribute, d.Now, d.Before)
	}
}

// countOf is "1 value" or "1 200 values".
func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return ui.Count(n) + " " + what + "s"
}

func (a *App) rollback(ctx context.Context, id, reason string, d driveFlags) error {
	err := a.reopen(ctx, []string{id}, d, func(r *engine.Runner, id string, o engine.Options) (journal.End, error) {
		return r.Rollback(ctx, id, reason, o)
	})
	var code *exitError
	if errors.As(err, &code) && code.err == nil && code.code == ExitRolledBack {
		return nil // asked for, and done
	}
	return err
}

// reopen drives an existing run.
func (a *App) reopen(ctx context.Context, args []string, d driveFlags, fn func(*engine.Runner, string, engine.Options) (journal.End, error)) error {
	store, _, err := a.store(nil)
	if err != nil {
		return err
	}
	id, err := a.pick(ctx, store, args)
	if err != nil {
		return err
	}
	view, err := store.View(ctx, id)
	if err != nil {
		return err
	}
	return a.drive(ctx, d, view.Records(), nil, func(r *engine.Runner, o engine.Options) (journal.End, error) {
		return fn(r, id, o)
	})
}

// takenWithin is how long a run that is driven takes to look at its inbox,
// several times over.
const takenWithin = time.Second

// taken waits until whoever drives the run in dir has taken a message.
func taken(dir, name string) bool {
	for until := time.Now().Add(takenWithin); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		messages, err := journal.Poll(dir)
		if err == nil && !slices.ContainsFunc(messages, func(m journal.Message) bool { return m.Name == name }) {
			return true
		}
	}
	return false
}

func (a *App) stopCommand() *cobra.Command {
	var back, accept, yes bool
	var reason string
	cmd := &cobra.Command{
		Use:   "stop [RUN]",
		Short: "Ask a run to stop at its next safe point, or accept where it stands",
		Args:  maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if accept && back {
				return usage(errors.New("--accept leaves everything as it is, --rollback does not"), "give one of them")
			}
			ctx := cmd.Context()
			view, st, err := a.view(ctx, args)
			if err != nil {
				return err
			}
			id := view.ID()
			if accept {
				if err := a.confirm(yes, fmt.Sprintf("Leave run %s as it stands, with no way back offered? [y/N]: ", id), "y", "flip stop --accept"); err != nil {
					return err
				}
				return a.reopen(ctx, []string{id}, driveFlags{onInterrupt: "pause", onDrift: "skip"}, func(r *engine.Runner, id string, o engine.Options) (journal.End, error) {
					return r.Accept(ctx, id, o)
				})
			}
			if !st.Open || st.Outcome != journal.OutcomeRunning {
				return notRunning(id, st)
			}
			if st.RollingBack {
				return usage(fmt.Errorf("run %s is on its way back, which nothing but a hard stop of its process ends", id), "watch it: flip status %s", id)
			}
			m := journal.Message{Kind: journal.AskStop, By: who(a.Getenv), Reason: reason}
			if back {
				m.Kind = journal.AskRollback
			}
			name, err := journal.Post(view.Dir(), m)
			if err != nil {
				return err
			}
			if !taken(view.Dir(), name) {
				// It may have ended while it was asked: then nobody heard that.
				if _, st, err := a.view(ctx, []string{id}); err == nil && (!st.Open || st.Outcome != journal.OutcomeRunning) {
					return errors.Join(notRunning(id, st), journal.Consume(view.Dir(), name))
				}
			}
			fmt.Fprintf(a.Out, "asked run %s to %s at its next safe point; watch it: flip status %s\n", id, m.Kind, id)
			return nil
		},
	}
	cmd.Flags().BoolVar(&back, "rollback", false, "and go back")
	cmd.Flags().BoolVar(&accept, "accept", false, "end a run that does not run any more, leaving everything as it is now")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the journal")
	return cmd
}
