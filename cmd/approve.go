package cmd

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/journal"
)

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
