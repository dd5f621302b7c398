package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/ui"
)

func (a *App) runCommand() *cobra.Command {
	var p planFlags
	var d driveFlags
	cmd := &cobra.Command{
		Use:   "run PLAN",
		Short: "Run a plan; go back by itself when a step fails",
		Long:  "Runs the plan's steps in order. When one fails, everything that the run changed is put back\nand read back, unless the plan or --no-rollback says to pause.\n\n" + exitHelp,
		Args:  exactArgs("PLAN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := d.check(); err != nil {
				return err
			}
			prog, err := a.openLive(cmd.Context(), args[0], p)
			if err != nil {
				return err
			}
			defer prog.Close()
			if err := a.mayRun(cmd, prog, p, d); err != nil {
				return err
			}
			return a.drive(cmd.Context(), d, nil, prog.Plan.Steps, func(r *engine.Runner, o engine.Options) (journal.End, error) {
				o.Live = p.live
				return r.Start(cmd.Context(), prog, o)
			})
		},
	}
	p.add(cmd.Flags())
	p.addLive(cmd.Flags())
	d.add(cmd.Flags())
	d.addForward(cmd.Flags())
	return cmd
}

// mayRun shows a person what will happen and asks. In a pipeline only a plan
// that passes a point of no return needs --yes.
func (a *App) mayRun(cmd *cobra.Command, prog *engine.Program, p planFlags, d driveFlags) error {
	final := commits(prog.Plan.Steps)
	if d.yes || (!a.interactive() && !final) {
		return nil
	}
	if !a.interactive() {
		return a.confirm(false, "", "", "a plan with a step marked commit")
	}
	bound, err := engine.Bind(cmd.Context(), prog, a.world(), p.live)
	if err != nil {
		return a.unfinished(cmd.Context(), prog.Plan.Name, err)
	}
	view := a.previewOf(engine.NewPreview(cmd.Context(), bound), bound, "")
	if err := ui.WritePreview(a.Err, view, a.uiOptions()); err != nil {
		return err
	}
	if final {
		return a.confirm(false, fmt.Sprintf("A step is marked commit: there is no way back behind it. Type %s to run: ", prog.Plan.Name), prog.Plan.Name, "")
	}
	return a.confirm(false, "Run it? [y/N]: ", "y", "")
}

func commits(steps []plan.Step) bool {
	for _, s := range steps {
		inner := s.Steps
		if s.Parallel != nil {
			inner = s.Parallel.Steps
		}
		if s.Each != nil {
			inner = s.Each.Do
		}
		if s.Commit || commits(inner) {
			return true
		}
	}
	return false
}

// exactArgs wants the named arguments and says which one is missing.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usage(fmt.Errorf("%s is missing", names[len(args)]), "flip %s", cmd.Use)
		}
		if len(args) > len(names) {
			return usage(fmt.Errorf("%q is one argument too many", args[len(names)]), "flip %s", cmd.Use)
		}
		return nil
	}
}

func maxArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return usage(fmt.Errorf("%q is one argument too many", args[n]), "flip %s", cmd.Use)
		}
		return nil
	}
}
