package cmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/ui"
)

func (a *App) planCommand() *cobra.Command {
	var p planFlags
	var detailed bool
	cmd := &cobra.Command{
		Use:   "plan PLAN",
		Short: "Show what a run would change, from live values; change nothing",
		Long:  "Reads every target, finds the live side and runs the plan on a copy of what it read.\nNothing is changed, no command of the plan is executed.",
		Args:  exactArgs("PLAN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.onlyLooks = noCommands
			prog, err := a.openLive(cmd.Context(), args[0], p)
			if err != nil {
				return err
			}
			defer prog.Close()
			bound, err := engine.Bind(cmd.Context(), prog, a.world(), p.live)
			if err != nil {
				return a.unfinished(cmd.Context(), prog.Plan.Name, err)
			}
			preview := engine.NewPreview(cmd.Context(), bound)
			again := runCommand(args[0], p)
			if preview.Err != nil {
				again = "" // it would fail
			}
			view := a.previewOf(preview, bound, again)
			if a.settings.output == "json" {
				err = ui.WritePreviewJSON(a.Out, view)
			} else {
				err = ui.WritePreview(a.Out, view, a.uiOptions())
			}
			switch {
			case err != nil:
				return err
			case preview.Err != nil:
				return &exitError{ExitPrecondition, fmt.Errorf("this run would fail: %w", preview.Err)}
			case detailed && preview.Keys > 0:
				return &exitError{code: ExitDifferences}
			}
			return nil
		},
	}
	p.add(cmd.Flags())
	p.addLive(cmd.Flags())
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 2 when there are differences")
	return cmd
}

// runCommand is what to type to run what was just shown.
func runCommand(file string, p planFlags) string {
	words := []string{"run", file}
	for _, v := range p.vars {
		words = append(words, "--var", v)
	}
	for _, f := range p.files {
		words = append(words, "--var-file", f)
	}
	if p.live != "" {
		words = append(words, "--live", p.live)
	}
	return commandLine(words...)
}

// previewOf makes the engine's preview ready for people.
func (a *App) previewOf(p engine.Preview, b *engine.Bound, run string) ui.Preview {
	v := ui.Preview{
		Plan: b.Plan.Name, File: b.Plan.File, Live: b.Pins.Live, Idle: b.Pins.Idle,
		LiveMembers: memberNames(b.Pins.Groups[b.Pins.Live]), IdleMembers: memberNames(b.Pins.Groups[b.Pins.Idle]),
		Changes: p.Keys, Shortest: p.Shortest, Longest: p.Longest, RunCommand: run,
	}
	targets := map[string]bool{}
	for _, c := range p.Changes {
		targets[c.Target] = true
	}
	v.Targets = len(targets)
	for t := range targets {
		if n := len(b.Pins.Targets[t].Nodes); n > 1 {
			v.Nodes = max(v.Nodes, n)
		}
	}
	for _, s := range p.Steps {
		v.Steps = append(v.Steps, stepView(s, b))
	}
	v.WayBack, v.WayBackTime = wayBack(p), p.WayBack
	for _, w := range b.Plan.Warnings {
		v.Warnings = append(v.Warnings, fmt.Sprintf("%s: %s", w.Pos, w.Text))
	}
	v.Warnings = append(v.Warnings, advice(b)...)
	return v
}

// advice is what can be seen only in the live system.
func advice(b *engine.Bound) []string {
	var out []string
	for _, t := range b.Plan.Targets {
		for _, id := range b.States[t.Name].IDs() {
			if b.States[t.Name].Objects[id].Info["cookie"] != "" {
				out = append(out, fmt.Sprintf("%s pins clients by cookie: weight 0 and drain keep serving them; set state maint before the last drain", t.Name))
				break
			}
		}
	}
	return out
}

func memberNames(g engine.Group) []string {
	var names []string
	for _, m := range g.Members {
		names = append(names, m.Name)
	}
	return names
}

func wayBack(p engine.Preview) string {
	if p.Keys == 0 && len(p.Undos) == 0 {
		return ""
	}
	text := ui.Count(p.Keys) + " changes"
	if p.Keys == 1 {
		text = "1 change"
	}
	for _, u := range p.Undos {
		text += ", then " + u
	}
	if p.WayBack > 0 {
		text += ". Caches make it take " + ui.Duration(p.WayBack) + " at least: what serves the new answers is stopped last"
	}
	return text
}

func stepView(s engine.PreviewStep, b *engine.Bound) ui.PreviewStep {
	v := ui.PreviewStep{ID: s.ID, What: s.What, Depth: s.Depth, Time: stepTime(s), Serving: serving(s, b), Shortest: s.Shortest.Seconds(), Longest: s.Longest.Seconds()}
	if s.Skipped {
		v.What = "skipped: " + s.What
	}
	if s.Note != "" {
		v.What += " (" + s.Note + ")"
	}
	lines := map[string][]string{}
	var order []string
	for _, t := range s.Ramps() {
		var values []string
		for _, val := range t.Values {
			values = append(values, val.String())
		}
		name := b.Pins.Targets[t.Key.Target].Objects[t.Key.Object].Name
		line := name + "  " + t.Key.Attribute + "  " + strings.Join(values, " -> ")
		if _, seen := lines[line]; !seen {
			order = append(order, line)
		}
		lines[line] = append(lines[line], t.Key.Object)
	}
	slices.Sort(order)
	v.Lines = order
	if s.Drain != nil && !s.Skipped {
		drainView(&v, *s.Drain)
	}
	if s.Refused != "" {
		v.Lines = append(v.Lines, "as it stands now, refused: "+s.Refused)
	}
	return v
}

// drainView adds who counts, what members are asked, and what happens at the
// deadline.
func drainView(v *ui.PreviewStep, d engine.DrainPreview) {
	v.Drain = &ui.PreviewDrain{
		Sessions: d.Sessions, Count: d.Source, Members: d.Members, Ask: d.Ask, Every: d.Every.Seconds(), Optional: d.Optional,
		Kill: d.Kill, Then: d.Then, Deadline: d.Deadline.Seconds(),
	}
	if v.Time != "" && d.Then != "fail" {
		v.Time += ", then " + d.Then
	}
	if d.Ask != "" {
		line := "asks     " + d.Ask
		if d.Every > 0 {
			line += ", again every " + ui.Duration(d.Every)
		}
		if d.Optional {
			line += ", who does not do it is told"
		}
		v.Lines = append(v.Lines, line)
	}
	if !d.Driver {
		v.Lines = append(v.Lines, "counted  "+d.Source)
	}
	if d.Kill != "" && d.Kill != "the driver" {
		v.Lines = append(v.Lines, "kill by  "+d.Kill)
	}
}

func serving(s engine.PreviewStep, b *engine.Bound) string {
	var parts []string
	for _, t := range slices.Sorted(maps.Keys(s.Serving)) {
		n := s.Serving[t]
		text := fmt.Sprintf("%s %d/%d", t, n[0], n[1])
		if least := engine.GuardOf(b.Plan, t); least > 0 {
			text += fmt.Sprintf(" (min %d)", least)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

func stepTime(s engine.PreviewStep) string {
	switch {
	case s.Longest == 0:
		return ""
	case s.Shortest == s.Longest:
		return ui.Duration(s.Longest)
	case s.Shortest == 0:
		return "up to " + ui.Duration(s.Longest)
	}
	return ui.Duration(s.Shortest) + " to " + ui.Duration(s.Longest)
}
