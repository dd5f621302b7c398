package cmd

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
	"github.com/flip-cli/flip/pkg/ui"
)

// noCommands is why a look at a plan, maybe a stranger's, needs another secret.
const noCommands = "flip plan and flip get execute nothing of a plan: use ${env:...} or ${file:...} for what a target needs to be read"

func (a *App) getCommand() *cobra.Command {
	var p planFlags
	cmd := &cobra.Command{
		Use:   "get PLAN [TARGET]",
		Short: "Show the live values of a plan's targets",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("PLAN is missing"), "flip %s", cmd.Use)
			}
			return maxArgs(2)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			a.onlyLooks = noCommands
			prog, err := a.open(cmd.Context(), args[0], p)
			if err != nil {
				return err
			}
			defer prog.Close()
			var objects []liveObject
			for _, t := range prog.Plan.Targets {
				if len(args) > 1 && t.Name != args[1] {
					continue
				}
				s, err := prog.Targets[t.Name].Read(cmd.Context())
				if err != nil {
					return &engine.PreconditionError{Err: fmt.Errorf("target %s: %w", t.Name, driver.Named(t.Driver, err))}
				}
				objects = append(objects, a.live(cmd, prog, t.Name, s)...)
			}
			if len(objects) == 0 && len(args) > 1 {
				return usage(fmt.Errorf("the plan has no target %q", args[1]), "targets: %s", strings.Join(targetNames(prog.Plan), ", "))
			}
			if a.settings.output == "json" {
				return writeJSON(a.Out, objects)
			}
			return writeObjects(a.Out, objects, ui.TerminalWidth(a.Out))
		},
	}
	p.add(cmd.Flags())
	return cmd
}

func targetNames(p plan.Plan) []string {
	var names []string
	for _, t := range p.Targets {
		names = append(names, t.Name)
	}
	return names
}

// live is a target's objects with their health and what is in flight on them.
func (a *App) live(cmd *cobra.Command, prog *engine.Program, target string, s state.State) []liveObject {
	var members []string
	for _, id := range s.IDs() {
		if k, _ := prog.Infos[target].Kind(s.Objects[id].Kind); k.Member {
			members = append(members, id)
		}
	}
	health := map[string]driver.Health{}
	if h, ok := driver.As[driver.Healther](prog.Targets[target]); ok && len(members) > 0 {
		health, _ = h.Health(cmd.Context(), members)
	}
	flights := map[string]driver.Flight{}
	if c, ok := driver.As[driver.Counter](prog.Targets[target]); ok && len(members) > 0 {
		flights, _ = c.InFlight(cmd.Context(), members)
	}
	var out []liveObject
	for _, id := range s.IDs() {
		o := liveObject{Target: target, ID: id, Object: s.Objects[id], Read: time.Now().UTC()}
		if h, ok := health[id]; ok {
			o.Health = h.State.String()
			o.HealthDetail = h.Detail
		}
		if f, ok := flights[id]; ok {
			o.InFlight = &f.Now
		}
		out = append(out, o)
	}
	return out
}
