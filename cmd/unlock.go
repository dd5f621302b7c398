package cmd

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/ui"
)

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
