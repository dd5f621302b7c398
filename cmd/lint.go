package cmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/ui"
)

func (a *App) lintCommand() *cobra.Command {
	var p planFlags
	var strict bool
	cmd := &cobra.Command{
		Use:   "lint PLAN...",
		Short: "Check plans without touching anything",
		Long:  "Checks syntax, names, attributes and values, and warns about what is missing for a safe way back.\nNothing is connected to and no command of the plan is executed.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("PLAN is missing"), "flip %s", cmd.Use)
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			var errs []error
			warned := false
			for _, file := range args {
				loaded, err := a.load(file, p, true)
				if err == nil {
					err = engine.Check(&loaded, a.Drivers, a.Gates)
				}
				if err != nil {
					errs = append(errs, err)
					continue
				}
				for _, w := range loaded.Warnings {
					warned = true
					fmt.Fprintf(a.Err, "%s: warning: %s\n", w.Pos, w.Text)
					if w.Hint != "" {
						fmt.Fprintf(a.Err, "  hint: %s\n", w.Hint)
					}
				}
				steps := "1 step"
				if n := countSteps(loaded.Steps); n != 1 {
					steps = ui.Count(n) + " steps"
				}
				fmt.Fprintf(a.Out, "%s: ok: %s, %s\n", file, loaded.Name, steps)
			}
			if len(errs) > 0 {
				return &exitError{ExitUsage, errors.Join(errs...)}
			}
			if strict && warned {
				return &exitError{code: ExitUsage}
			}
			return nil
		},
	}
	p.add(cmd.Flags())
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	return cmd
}

func countSteps(steps []plan.Step) int {
	n := 0
	for _, s := range steps {
		n += 1 + countSteps(s.Steps)
		if s.Parallel != nil {
			n += countSteps(s.Parallel.Steps)
		}
		if s.Each != nil {
			n += countSteps(s.Each.Do)
		}
	}
	return n
}
