package cmd

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/ui"
)

// recent is how many finished runs flip status shows beside the open ones.
const recent = 5

func (a *App) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status [RUN]",
		Short: "Say what runs do or wait for now",
		Args:  maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rows, err := a.rows(cmd.Context(), args, recent)
			if err != nil {
				return err
			}
			if a.settings.output == "json" {
				return ui.WriteRowsJSON(a.Out, rows)
			}
			return ui.WriteStatus(a.Out, rows, a.uiOptions())
		},
	}
}

func (a *App) listCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List runs, the newest first",
		Args:  maxArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows, err := a.rows(cmd.Context(), nil, limit)
			if err != nil {
				return err
			}
			if a.settings.output == "json" {
				return ui.WriteRowsJSON(a.Out, rows)
			}
			return ui.WriteList(a.Out, rows, a.uiOptions())
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many finished runs")
	return cmd
}

// rows describes one run, or all open ones and some that have ended.
func (a *App) rows(ctx context.Context, args []string, ended int) ([]ui.Row, error) {
	store, locks, err := a.store(nil)
	if err != nil {
		return nil, err
	}
	ids, err := store.List(ctx)
	if err != nil {
		return nil, err
	}
	if len(args) > 0 {
		id, err := journal.Resolve(ctx, store, args[0])
		if err != nil {
			return nil, err
		}
		ids = []string{id}
	}
	var rows []ui.Row
	for _, id := range ids {
		view, st, err := status(ctx, store, locks, id)
		if err != nil {
			rows = append(rows, ui.Row{Run: id, Plan: "?", State: "unreadable", Waits: err.Error()})
			continue
		}
		if !st.Open && len(args) == 0 {
			if ended--; ended < 0 {
				continue
			}
		}
		r := rowOf(id, st)
		if st.Open && st.Outcome == journal.OutcomeRunning {
			r.Waits = cmp.Or(ui.Doing(ui.Merge(view.Records(), view.Looks()), time.Now()), r.Waits)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func rowOf(id string, st journal.Status) ui.Row {
	r := ui.Row{
		Run: id, Plan: st.Meta.Plan, State: st.Outcome, Step: st.Step, Since: st.Since, Started: st.Meta.Started,
		By: st.Holder.Who, Changed: st.End.Changed, Restored: st.End.Restored,
	}
	if st.RollingBack && st.Open {
		r.Step = "rollback"
	}
	if len(st.Waiting) > 0 && st.Open {
		w := st.Waiting[len(st.Waiting)-1]
		r.Waits = waitText(w)
		if st.Outcome == journal.OutcomeRunning {
			r.State = journal.OutcomeWaiting
		}
	}
	switch st.Outcome {
	case journal.OutcomeInDoubt:
		r.Waits = fmt.Sprintf("runner %s is gone (last beat %s): flip resume %s or flip rollback %s", st.Holder.Host, ui.Ago(time.Now(), st.Updated), id, id)
	case journal.OutcomePaused, journal.OutcomeInterrupted:
		r.Waits = fmt.Sprintf("a person: flip resume %s or flip rollback %s", id, id)
	case journal.OutcomeIncomplete:
		r.Waits = fmt.Sprintf("a person: flip show %s", id)
	case journal.OutcomeWaiting:
		if r.Waits == "" {
			r.Waits = "flip resume " + id
		}
	}
	return r
}

func waitText(w journal.Wait) string {
	if w.Type == journal.TypeAwait {
		return fmt.Sprintf("approval until %s: %s", w.Until.Local().Format("15:04"), w.Message)
	}
	text := "until " + w.Until.Local().Format("2006-01-02 15:04:05")
	if w.Message != "" {
		text += ": " + w.Message
	}
	return text
}
