package cmd

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/ui"
)

func (a *App) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [RUN]",
		Short: "Tell the story of a run",
		Args:  maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			view, st, err := a.view(cmd.Context(), args)
			if err != nil {
				return err
			}
			story := ui.Tell(view.ID(), ui.Merge(view.Records(), view.Looks()))
			story.State = st.Outcome
			story.Files = runFiles(view.Dir())
			if a.settings.output == "json" {
				return ui.WriteShowJSON(a.Out, story)
			}
			o := a.uiOptions()
			o.Dir = view.Dir()
			return ui.WriteShow(a.Out, story, o)
		},
	}
}

func runFiles(dir string) []string {
	var files []string
	_ = filepath.WalkDir(dir, func(file string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), ".") && !strings.HasSuffix(d.Name(), ".lock") {
			files = append(files, file)
		}
		return nil
	})
	return files
}

func (a *App) view(ctx context.Context, args []string) (journal.View, journal.Status, error) {
	store, locks, err := a.store(nil)
	if err != nil {
		return nil, journal.Status{}, err
	}
	id, err := a.pick(ctx, store, args)
	if err != nil {
		return nil, journal.Status{}, err
	}
	return status(ctx, store, locks, id)
}

func (a *App) logsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "logs [RUN [STEP]]",
		Short: "Print everything that a run, or one of its steps, did and printed",
		Args:  maxArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			view, st, err := a.view(cmd.Context(), args[:min(1, len(args))])
			if err != nil {
				return err
			}
			step := ""
			if len(args) > 1 {
				step = args[1]
				if steps := stepsOf(st); !slices.Contains(steps, step) {
					return usage(fmt.Errorf("run %s has not come to a step %q", view.ID(), step), "steps so far: %s", strings.Join(steps, ", "))
				}
			}
			records := ui.Merge(view.Records(), view.Looks())
			if a.settings.output == "json" {
				sink := ui.NewJSON(a.Out)
				for _, r := range records {
					sink.Record(r)
				}
				sink.Close()
				return nil
			}
			o := a.uiOptions()
			o.Run, o.Dir = view.ID(), view.Dir()
			if err := ui.WriteLogs(a.Out, withoutOutput(records), step, o); err != nil {
				return err
			}
			return a.commandOutput(view, step)
		},
	}
}

// stepsOf are the ids of the steps that a run has come to, each once.
func stepsOf(st journal.Status) []string {
	var ids []string
	for _, s := range st.Steps {
		if id := path.Base(s.Key); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// withoutOutput leaves out what commands printed: it follows whole.
func withoutOutput(records []journal.Record) []journal.Record {
	logged := map[string]bool{}
	for _, r := range records {
		if r.Type == journal.TypeIntent && r.Activity == journal.ActivityRun {
			c, err := journal.Decode[journal.Command](r)
			logged[r.Key] = err == nil && c.Log != ""
		}
	}
	return slices.DeleteFunc(slices.Clone(records), func(r journal.Record) bool { return r.Type == journal.TypeLook && logged[r.Key] })
}

// commandOutput prints what the commands of a run printed, whole.
func (a *App) commandOutput(view journal.View, step string) error {
	for _, r := range view.Records() {
		if r.Type != journal.TypeIntent || r.Activity != journal.ActivityRun {
			continue
		}
		c, err := journal.Decode[journal.Command](r)
		if err != nil || c.Log == "" || (step != "" && c.Env["FLIP_STEP"] != step) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(view.Dir(), filepath.FromSlash(c.Log)))
		if err != nil || len(b) == 0 {
			continue
		}
		fmt.Fprintf(a.Out, "--- %s (%s)\n", c.Env["FLIP_STEP"], c.Log)
		if _, err := a.Out.Write(b); err != nil {
			return err
		}
	}
	return nil
}
