package cmd

import (
	"fmt"
	"runtime"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/resolve"
)

func (a *App) driversCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "drivers [NAME]",
		Short: "List drivers and gates, or say what one driver sets",
		Args:  maxArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listDrivers()
			}
			f, ok := a.Drivers.Lookup(args[0])
			if !ok {
				var names []string
				for _, f := range a.Drivers.All() {
					names = append(names, f.Name)
				}
				return usage(fmt.Errorf("no driver %q", args[0]), "drivers: %s", strings.Join(names, ", "))
			}
			return a.describeDriver(f)
		},
	}
}

func (a *App) listDrivers() error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "driver\twhat it is")
	for _, f := range a.Drivers.All() {
		fmt.Fprintf(w, "%s\t%s\n", f.Name, f.Summary)
	}
	fmt.Fprintln(w, "\t\ngate\twhat it looks at")
	for _, k := range a.Gates.All() {
		fmt.Fprintf(w, "%s\t%s\n", k.Name, k.Summary)
	}
	return w.Flush()
}

func (a *App) describeDriver(f driver.Factory) error {
	fmt.Fprintf(a.Out, "%s: %s\n", f.Name, f.Summary)
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	for _, k := range f.Kinds {
		title := k.Name
		if len(k.Selector) > 0 {
			title += " (named by " + strings.Join(k.Selector, " and ") + ")"
		}
		fmt.Fprintf(w, "\n%s\t%s\t\n", title, k.Doc)
		for _, at := range k.Attributes {
			accepts := at.Accepts()
			if at.ReadOnly {
				accepts = "read only"
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\n", at.Name, accepts, at.Doc)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(a.Out, "\nconfiguration of a target:")
	if err := writeConfig(a.Out, f.Config); err != nil || f.Notes == "" {
		return err
	}
	_, err := fmt.Fprintln(a.Out, "\n"+f.Notes)
	return err
}

func (a *App) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of plans, for editors",
		Args:  maxArgs(0),
		RunE: func(*cobra.Command, []string) error {
			var drivers, gates []plan.SchemaBlock
			for _, f := range a.Drivers.All() {
				drivers = append(drivers, plan.SchemaBlock{Name: f.Name, Summary: f.Summary, Config: f.Config})
			}
			for _, k := range a.Gates.All() {
				gates = append(gates, plan.SchemaBlock{Name: k.Name, Summary: k.Summary, Config: k.Config})
			}
			members := []plan.SchemaBlock{
				{Name: plan.SchemaAsk, Config: gate.AskConfig{}},
				{Name: plan.SchemaView, Config: resolve.Config{}},
			}
			for _, c := range gate.Counts() {
				members = append(members, plan.SchemaBlock{Name: plan.SchemaCount + c.Name, Summary: c.Summary, Config: c.Config})
			}
			b, err := plan.Schema(drivers, gates, members...)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.Out, string(b))
			return err
		},
	}
}

func (a *App) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  maxArgs(0),
		RunE: func(*cobra.Command, []string) error {
			if a.settings.output == "json" {
				return writeJSON(a.Out, map[string]string{"version": a.version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			_, err := fmt.Fprintf(a.Out, "flip %s (%s %s/%s)\n", a.version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
