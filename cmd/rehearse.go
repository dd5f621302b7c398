package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/rehearse"
)

const rehearseHelp = `Runs the plan on twins of its targets in memory, kills the run before and after every record of
its journal, and from each of these points goes on to the plan's end and, separately, back to where
it began. It also lets every activity fail once, and kills the way back at each of its records.

The targets are read once; --offline makes their states up from the plan instead. Nothing is
changed. Commands, gates and approvals are played as passing and, in their turn, as failing; none is
executed. Waits cost no time.

--faults adds misbehaviour of the targets at every point, besides the kill:
  lost-reply  a call takes effect, its answer is lost
  late-write  a call takes effect after its sender gave up or died
  429         calls are refused, twice
  slow        a call takes 20 s
  partial     half of a call takes effect
  drift       another operator writes what the run wrote; the run must say so
  all         all of these

Exit codes:
  0 every point is proven   1 some are not (says which)   3 bad usage or plan   4 precondition`

func (a *App) rehearseCommand() *cobra.Command {
	var p planFlags
	var o rehearse.Options
	var faults string
	cmd := &cobra.Command{
		Use:   "rehearse PLAN",
		Short: "Prove on twins of the targets that a plan's way forward and way back survive a crash",
		Long:  rehearseHelp,
		Args:  exactArgs("PLAN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.Faults, err = rehearse.ParseFaults(faults); err != nil {
				return usage(fmt.Errorf("--faults: %w", err), "")
			}
			loaded, err := a.load(args[0], p, false)
			if err != nil {
				return err
			}
			world := a.world()
			world.Secrets.NoCommands = "a rehearsal executes no command; add --offline, which needs no secret"
			prog, err := engine.Open(cmd.Context(), loaded, world)
			if err != nil {
				return err
			}
			defer prog.Close()
			o.Live = p.live
			report, err := rehearse.Run(cmd.Context(), prog, world, o)
			if err != nil {
				return err
			}
			if a.settings.output == "json" {
				err = writeJSON(a.Out, report)
			} else {
				err = report.Write(a.Out)
			}
			if err == nil && !report.Proven() {
				return &exitError{code: ExitFailed}
			}
			return err
		},
	}
	p.add(cmd.Flags())
	p.addLive(cmd.Flags())
	cmd.Flags().BoolVar(&o.Offline, "offline", false, "read no target: make their states up from the plan")
	cmd.Flags().StringVar(&faults, "faults", "none", "lost-reply, late-write, 429, slow, partial, drift, all or none")
	cmd.Flags().Uint64Var(&o.Seed, "seed", 1, "the same seed rehearses the same")
	return cmd
}
