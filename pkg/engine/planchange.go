package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

// planChange compares the plan that a run follows with the file that it came
// from. An edited plan is refused, unless it is accepted and everything that
// the run has begun is the same in both; then a copy of it is kept beside the
// journal and its name returned.
func planChange(dir string, st journal.Status, accept bool) (string, error) {
	name := orElse(st.Holder.Plan, planFile)
	old, sv, err := copyOf(dir, name)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(sv.Path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && bytes.Equal(text, old.Source) {
		return st.Holder.Plan, nil // another machine, or the same plan
	}
	if err != nil {
		return "", fmt.Errorf("the run's plan: %w", err)
	}
	if !accept {
		err := &PreconditionError{Err: fmt.Errorf("%s was edited since the run began", sv.File)}
		return "", hint.Wrap(err, "go on with the edited plan: --accept-plan-change; go back with the plan as it was: flip rollback")
	}
	edited, err := plan.Load(text, plan.Options{File: sv.File, VarFiles: []string{filepath.Join(dir, varsFile)}})
	if err != nil {
		return "", err
	}
	if err := sameSoFar(old, edited, st); err != nil {
		return "", &PreconditionError{Err: hint.Wrap(fmt.Errorf("%s: %w", sv.File, err), "only what the run has not begun yet may be edited; flip rollback needs no plan file")}
	}
	next := fmt.Sprintf("plan.%d.yaml", st.Epochs+1)
	return next, os.WriteFile(filepath.Join(dir, next), text, 0o600)
}

// sameSoFar refuses edits of what the run has begun, and of what its pinned
// objects come from.
func sameSoFar(old, edited plan.Plan, st journal.Status) error {
	if !slices.EqualFunc(old.Targets, edited.Targets, func(a, b plan.Target) bool { return a.Name == b.Name && a.Driver == b.Driver }) {
		return errors.New("its targets were edited")
	}
	if !slices.EqualFunc(old.Groups, edited.Groups, sameGroup) || !slices.Equal(old.Alternate, edited.Alternate) {
		return errors.New("its groups were edited")
	}
	was, is := stepTexts(old), stepTexts(edited)
	for i, s := range old.Steps {
		if !begun(st, s.ID) {
			continue
		}
		if i >= len(edited.Steps) || edited.Steps[i].ID != s.ID || was[i] != is[i] {
			return fmt.Errorf("step %q was edited, and the run has begun it", s.ID)
		}
	}
	return nil
}

func sameGroup(a, b plan.Group) bool {
	return a.Name == b.Name && slices.EqualFunc(a.Members, b.Members, func(x, y plan.GroupMembers) bool {
		return x.Target == y.Target && slices.Equal(x.Names, y.Names)
	})
}

// begun reports whether a step's records bind the run. The failed step of a
// paused run is done anew as a whole: it is what a person edits.
func begun(st journal.Status, id string) bool {
	if st.Outcome == journal.OutcomePaused && st.End.Key == "/steps/"+id {
		return false
	}
	return slices.ContainsFunc(st.Steps, func(s journal.StepState) bool { return s.Key == "/steps/"+id })
}

// stepTexts are the lines of each top-level step without comments.
func stepTexts(p plan.Plan) []string {
	lines := strings.Split(string(p.Source), "\n")
	texts := make([]string, len(p.Steps))
	for i, s := range p.Steps {
		end := len(lines)
		if i+1 < len(p.Steps) {
			end = p.Steps[i+1].Pos.Line - 1
		}
		block := slices.DeleteFunc(slices.Clone(lines[s.Pos.Line-1:max(end, s.Pos.Line)]), func(line string) bool {
			line = strings.TrimSpace(line)
			return line == "" || strings.HasPrefix(line, "#")
		})
		texts[i] = strings.Join(block, "\n")
	}
	return texts
}
