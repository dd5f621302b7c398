package cmd

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/ui"
)

// takesRun reports whether the first argument of a command is a run.
func takesRun(c *cobra.Command) bool {
	_, argument, _ := strings.Cut(c.Use, " ")
	return strings.HasPrefix(strings.TrimPrefix(argument, "["), "RUN")
}

// completed is how many runs a shell offers.
const completed = 20

// completeRun offers the newest runs with what they are. It says nothing where
// it cannot look: a shell has no place for errors.
func (a *App) completeRun(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	none := cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 || a.settings.fill(cmd.Flags(), a.Getenv) != nil {
		return nil, none
	}
	store, _, err := a.store(nil)
	if err != nil {
		return nil, none
	}
	ids, err := store.List(cmd.Context())
	if err != nil {
		return nil, none
	}
	var out []string
	for _, id := range ids[:min(len(ids), completed)] {
		view, err := store.View(cmd.Context(), id)
		if err != nil {
			continue
		}
		if st, err := journal.Fold(view.Records()); err == nil {
			out = append(out, id+"\t"+st.Meta.Plan+", "+string(st.Outcome)+", "+ui.Ago(time.Now(), st.Since))
		}
	}
	return out, none | cobra.ShellCompDirectiveKeepOrder
}
