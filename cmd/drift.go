package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/ui"
)

func (a *App) driftCommand() *cobra.Command {
	var detailed bool
	cmd := &cobra.Command{
		Use:   "drift [RUN]",
		Short: "Compare what a run left with what is live now; change nothing",
		Long: `Reads every value that the run changed and compares it with what the run left: after a run that is
done the last value that it wrote, after a way back what was before. Nodes that were restarted or
reloaded since are named: they forget what was set at run time.
Without RUN: the newest finished run that changed anything. No lock is taken.

Exit codes:
  0 compared   2 there are differences, with --detailed-exitcode   3 bad usage, no such run
  4 a target or node cannot be read`,
		Args: maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			runner, err := a.runner(nil)
			if err != nil {
				return err
			}
			view, err := a.finished(cmd.Context(), runner.Store, args)
			if err != nil {
				return err
			}
			rep, err := runner.Drift(cmd.Context(), view)
			if err != nil {
				return err
			}
			if a.settings.output == "json" {
				err = writeJSON(a.Out, rep)
			} else {
				err = a.writeDrift(a.Out, rep)
			}
			switch {
			case err != nil:
				return err
			case len(rep.Unreadable) > 0:
				return &exitError{ExitPrecondition, errors.New(strings.Join(rep.Unreadable, "; "))}
			case detailed && len(rep.Drift) > 0:
				return &exitError{code: ExitDifferences}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 2 when there are differences")
	return cmd
}

// finished opens the run that an optional argument means: without one the
// newest that has ended and changed something.
func (a *App) finished(ctx context.Context, store journal.Store, args []string) (journal.View, error) {
	if len(args) > 0 {
		id, err := journal.Resolve(ctx, store, args[0])
		if err != nil {
			return nil, err
		}
		return store.View(ctx, id)
	}
	ids, err := store.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		view, err := store.View(ctx, id)
		if err != nil {
			return nil, err
		}
		st, err := journal.Fold(view.Records())
		if err != nil {
			return nil, err
		}
		if !st.Open && len(st.Changed()) > 0 {
			return view, nil
		}
	}
	return nil, usage(fmt.Errorf("%w: none has finished and changed anything (%s)", journal.ErrNoRun, store.Dir()), "flip list shows the runs; flip drift RUN compares an unfinished one")
}

func (a *App) writeDrift(w io.Writer, rep engine.DriftReport) error {
	fmt.Fprintf(w, "run %s   %s   %s %s\n", rep.Run, rep.Plan, rep.Outcome, ui.Ago(time.Now(), rep.Since))
	for _, r := range rep.Restarts {
		node := r.Node
		if node == "" {
			node = r.Target
		}
		fmt.Fprintf(w, "%s was restarted or reloaded at %s: values set at run time were lost\n", node, r.Now.Since.In(a.zone()).Format("2006-01-02 15:04:05"))
	}
	values := fmt.Sprintf("%d values", rep.Checked)
	if rep.Checked == 1 {
		values = "1 value"
	}
	if len(rep.Drift) == 0 {
		_, err := fmt.Fprintf(w, "no drift: %s read, all as the run left them\n", values)
		return err
	}
	fmt.Fprintf(w, "%d of %s read differ from what the run left\n\n", len(rep.Drift), values)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  object\tattribute\texpected\tnow")
	for _, d := range rep.Drift {
		fmt.Fprintf(t, "  %s %s\t%s\t%s\t%s\n", d.Target, d.Name, d.Attribute, d.Expected, d.Now)
	}
	return t.Flush()
}
