package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
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
			store, locks, err := a.store(nil)
			if err != nil {
				return err
			}
			id, err := a.pick(ctx, store, args)
			if err != nil {
				return err
			}
			_, st, err := status(ctx, store, locks, id)
			if err != nil {
				return err
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

// showRestore says what a rollback will put back.
func (a *App) showRestore(st journal.Status, id string) {
	if a.settings.output == "json" || !st.Open && (st.Outcome == journal.OutcomeRolledBack || st.Outcome == journal.OutcomeFailed) {
		return
	}
	keys := st.Changed()
	fmt.Fprintf(a.Err, "Run %s (%s, %s) changed %d values; flip puts back what still is as it left it:\n", id, st.Meta.Plan, st.Outcome, len(keys))
	for i, k := range keys {
		if i == 20 {
			fmt.Fprintf(a.Err, "  and %d more\n", len(keys)-i)
			break
		}
		before, _ := st.FirstBefore(k)
		ours := st.Ours(k)
		fmt.Fprintf(a.Err, "  %s %s -> %s\n", k.Object, k.Attribute+" "+ours[len(ours)-1].String(), before)
	}
}

func (a *App) rollback(ctx context.Context, id, reason string, d driveFlags) error {
	return a.reopen(ctx, []string{id}, d, func(r *engine.Runner, id string, o engine.Options) (journal.End, error) {
		return r.Rollback(ctx, id, reason, o)
	})
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
	err = a.drive(ctx, d, view.Records(), nil, func(r *engine.Runner, o engine.Options) (journal.End, error) {
		return fn(r, id, o)
	})
	var code *exitError
	if errors.As(err, &code) && code.err == nil && code.code == ExitRolledBack {
		return nil // asked for, and done
	}
	return err
}

func (a *App) stopCommand() *cobra.Command {
	var back, accept, yes bool
	var reason string
	cmd := &cobra.Command{
		Use:   "stop [RUN]",
		Short: "Ask a run to stop at its next safe point, or accept where it stands",
		Args:  maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			store, locks, err := a.store(nil)
			if err != nil {
				return err
			}
			id, err := a.pick(ctx, store, args)
			if err != nil {
				return err
			}
			view, st, err := status(ctx, store, locks, id)
			if err != nil {
				return err
			}
			if accept {
				if err := a.confirm(yes, fmt.Sprintf("Leave run %s as it stands, with no way back offered? [y/N]: ", id), "y", "flip stop --accept"); err != nil {
					return err
				}
				return a.reopen(ctx, []string{id}, driveFlags{onInterrupt: "pause", onDrift: "skip"}, func(r *engine.Runner, id string, o engine.Options) (journal.End, error) {
					return r.Accept(ctx, id, o)
				})
			}
			if !st.Open || st.Outcome != journal.OutcomeRunning {
				return usage(fmt.Errorf("run %s is not running (%s)", id, st.Outcome), "flip rollback %s, flip resume %s, or flip stop %s --accept", id, id, id)
			}
			m := journal.Message{Kind: journal.AskStop, By: who(a.Getenv), Reason: reason}
			if back {
				m.Kind = journal.AskRollback
			}
			if _, err := journal.Post(view.Dir(), m); err != nil {
				return err
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

func (a *App) approveCommand() *cobra.Command {
	var deny bool
	var reason string
	cmd := &cobra.Command{
		Use:   "approve RUN [STEP]",
		Short: "Say go (or no) to a run that waits for a person",
		Long:  "Without STEP: the one step that waits for an approval.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("RUN is missing"), "flip %s", cmd.Use)
			}
			return maxArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			store, locks, err := a.store(nil)
			if err != nil {
				return err
			}
			id, err := journal.Resolve(ctx, store, args[0])
			if err != nil {
				return err
			}
			view, st, err := status(ctx, store, locks, id)
			if err != nil {
				return err
			}
			step, err := awaited(st, args[1:])
			if err != nil {
				return usage(fmt.Errorf("run %s %w", id, err), "flip status %s", id)
			}
			m := journal.Message{Kind: journal.AskApprove, Key: step, By: who(a.Getenv), Reason: reason}
			if deny {
				m.Kind = journal.AskDeny
			}
			if _, err := journal.Post(view.Dir(), m); err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "run %s, step %s: %s by %s\n", id, step, map[bool]string{false: "approved", true: "denied"}[deny], m.By)
			if st.Outcome != journal.OutcomeRunning {
				fmt.Fprintf(a.Err, "nobody drives this run now: flip resume %s\n", id)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&deny, "deny", false, "say no: the step fails")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the journal")
	return cmd
}

// awaited is the step whose approval the run waits for: the named one, or the
// only one.
func awaited(st journal.Status, args []string) (string, error) {
	var steps []string
	for _, w := range st.Waiting {
		if w.Type != journal.TypeAwait {
			continue
		}
		if len(args) > 0 && w.Key == args[0] {
			return args[0], nil
		}
		steps = append(steps, path.Base(strings.TrimSuffix(w.Key, ".answer")))
	}
	switch {
	case len(args) > 0 && slices.Contains(steps, args[0]):
		return args[0], nil
	case len(steps) == 0:
		return "", errors.New("does not wait for an approval")
	case len(args) > 0:
		return "", fmt.Errorf("does not wait for an approval of step %q, but of %s", args[0], strings.Join(steps, ", "))
	case len(steps) > 1:
		return "", fmt.Errorf("waits for several approvals; name one: %s", strings.Join(steps, ", "))
	}
	return steps[0], nil
}

func (a *App) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [RUN]",
		Short: "Tell the story of a run",
		Args:  maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			view, st, err := a.view(cmd.Context(), args)
			if err != nil {
				return err
			}
			story := ui.Tell(view.ID(), ui.Merge(view.Records(), view.Looks()))
			story.State = st.Outcome
			story.Files = runFiles(view.Dir())
			if a.settings.output == "json" {
				return ui.WriteShowJSON(a.Out, story)
			}
			o := a.uiOptions()
			o.Dir = view.Dir()
			return ui.WriteShow(a.Out, story, o)
		},
	}
}

func runFiles(dir string) []string {
	var files []string
	_ = filepath.WalkDir(dir, func(file string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), ".") && !strings.HasSuffix(d.Name(), ".lock") {
			files = append(files, file)
		}
		return nil
	})
	return files
}

func (a *App) view(ctx context.Context, args []string) (journal.View, journal.Status, error) {
	store, locks, err := a.store(nil)
	if err != nil {
		return nil, journal.Status{}, err
	}
	id, err := a.pick(ctx, store, args)
	if err != nil {
		return nil, journal.Status{}, err
	}
	return status(ctx, store, locks, id)
}

func (a *App) logsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logs [RUN [STEP]]",
		Short: "Print everything that a run, or one of its steps, did and printed",
		Args:  maxArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			view, st, err := a.view(cmd.Context(), args[:min(1, len(args))])
			if err != nil {
				return err
			}
			step := ""
			if len(args) > 1 {
				step = args[1]
				if steps := stepsOf(st); !slices.Contains(steps, step) {
					return usage(fmt.Errorf("run %s has not come to a step %q", view.ID(), step), "steps so far: %s", strings.Join(steps, ", "))
				}
			}
			records := ui.Merge(view.Records(), view.Looks())
			if a.settings.output == "json" {
				sink := ui.NewJSON(a.Out)
				for _, r := range records {
					sink.Record(r)
				}
				sink.Close()
				return nil
			}
			o := a.uiOptions()
			o.Run, o.Dir = view.ID(), view.Dir()
			if err := ui.WriteLogs(a.Out, withoutOutput(records), step, o); err != nil {
				return err
			}
			return a.commandOutput(view, step)
		},
	}
}

// stepsOf are the ids of the steps that a run has come to, each once.
func stepsOf(st journal.Status) []string {
	var ids []string
	for _, s := range st.Steps {
		if id := path.Base(s.Key); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// withoutOutput leaves out what commands printed: it follows whole.
func withoutOutput(records []journal.Record) []journal.Record {
	logged := map[string]bool{}
	for _, r := range records {
		if r.Type == journal.TypeIntent && r.Activity == journal.ActivityRun {
			c, err := journal.Decode[journal.Command](r)
			logged[r.Key] = err == nil && c.Log != ""
		}
	}
	return slices.DeleteFunc(slices.Clone(records), func(r journal.Record) bool { return r.Type == journal.TypeLook && logged[r.Key] })
}

// commandOutput prints what the commands of a run printed, whole.
func (a *App) commandOutput(view journal.View, step string) error {
	for _, r := range view.Records() {
		if r.Type != journal.TypeIntent || r.Activity != journal.ActivityRun {
			continue
		}
		c, err := journal.Decode[journal.Command](r)
		if err != nil || c.Log == "" || (step != "" && c.Env["FLIP_STEP"] != step) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(view.Dir(), filepath.FromSlash(c.Log)))
		if err != nil || len(b) == 0 {
			continue
		}
		fmt.Fprintf(a.Out, "--- %s (%s)\n", c.Env["FLIP_STEP"], c.Log)
		if _, err := a.Out.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) unlockCommand() *cobra.Command {
	var yes, force bool
	cmd := &cobra.Command{
		Use:   "unlock [SCOPE]",
		Short: "Show who holds locks, or free one",
		Long:  "Without SCOPE it lists all locks. Freeing the lock of an unfinished run means that another run may\nstart on top of it: finish it with flip resume or flip rollback where you can.",
		Args:  maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			_, locks, err := a.store(nil)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return a.printLocks(ctx, locks)
			}
			all, err := locks.List(ctx)
			if err != nil {
				return err
			}
			at := slices.IndexFunc(all, func(l journal.LockInfo) bool { return l.Scope == args[0] })
			if at < 0 {
				return usage(fmt.Errorf("%s is not locked", args[0]), "flip unlock lists all locks")
			}
			fmt.Fprintln(a.Err, lockText(all[at], locks.Alive(all[at])))
			if err := a.confirm(yes, "Free this lock? [y/N]: ", "y", "flip unlock"); err != nil {
				return err
			}
			l, err := locks.Break(ctx, args[0], force)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "%s is free; it was run %s's\n", l.Scope, l.Run)
			return nil
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&force, "force", false, "free it though its holder may be alive; that holder is fenced at its next change")
	return cmd
}

func (a *App) printLocks(ctx context.Context, locks *journal.Locks) error {
	all, err := locks.List(ctx)
	if err != nil {
		return err
	}
	if a.settings.output == "json" {
		return writeJSON(a.Out, all)
	}
	if len(all) == 0 {
		fmt.Fprintln(a.Out, "nothing is locked")
	}
	for _, l := range all {
		fmt.Fprintln(a.Out, lockText(l, locks.Alive(l)))
	}
	return nil
}

func lockText(l journal.LockInfo, alive bool) string {
	doing := "is gone"
	switch {
	case alive:
		doing = "is alive"
	case l.Detached:
		doing = "let go at a safe point"
	}
	return fmt.Sprintf("%s\n  run %s (%s), %s on %s, pid %d, since %s, last beat %s: %s",
		l.Scope, l.Run, l.Plan, l.Who, l.Host, l.PID, l.Since.Format(time.RFC3339), ui.Ago(time.Now(), l.Beat), doing)
}
