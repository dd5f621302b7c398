package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

func (f frame) approve(s plan.Step) (string, error) {
	msg, err := f.text(s.Approve.Message, f.scope(1))
	if err != nil {
		return "", fail(classInvalid, "message: %v", err)
	}
	d := s.Approve.Timeout
	if d == 0 {
		d = f.timeout(s)
	}
	raw, err := f.c.Await(f.path+".answer", msg, d)
	if err != nil {
		return "", err
	}
	var sig journal.Signal
	if err := json.Unmarshal(raw, &sig); err != nil {
		return "", fail(classInvalid, "answer: %v", err)
	}
	if !sig.Approved {
		return "", fail(classDenied, "denied by %s%s", sig.By, reason(sig.Reason))
	}
	return "approved by " + sig.By + reason(sig.Reason), nil
}

func reason(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

func (f frame) run(s plan.Step, attempt int) (string, error) {
	timeout := f.timeout(s)
	cmd, err := f.command(*s.Run, attempt)
	if err != nil {
		return "", err
	}
	if s.Undo != nil {
		undo, err := f.command(*s.Undo, 1)
		if err != nil {
			return "", fmt.Errorf("undo: %w", err)
		}
		undo.Timeout = timeout.String()
		if s.Undo.Timeout > 0 {
			undo.Timeout = s.Undo.Timeout.String()
		}
		undo.Env["FLIP_STEP"] = s.ID
		cmd.Undo = &undo
	}
	cmd.Env["FLIP_STEP"] = s.ID
	if s.Run.Timeout > 0 {
		timeout = s.Run.Timeout
	}
	if cmd.Deadline, err = f.until("run", timeout); err != nil {
		return "", err
	}
	cmd.Log = "logs/" + strings.Trim(strings.NewReplacer("/", "_", "[", "_", "]", "", ":", "_", "#", "_").Replace(strings.TrimPrefix(f.path, "/steps")), "_") + ".log"
	*f.effects = append(*f.effects, journal.Effect{Key: f.path + ".run", Kind: journal.ActivityRun, Command: cmd})
	var exit journal.Exit
	if err := f.c.Do(f.path+".run", "run", cmd, &exit); err != nil {
		return "", err
	}
	if exit.Code != 0 {
		e := fail("", "command exited with %d", exit.Code)
		if tail := lastLine(exit.Output); tail != "" {
			e.Text += ": " + tail
		}
		e.Hints = []string{"flip logs " + f.runID + " " + s.ID}
		return "", e
	}
	f.outputs[s.ID] = outputsOf(exit)
	return "", nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

// foresees reports whether this is a preview: commands have not run, so nobody
// knows yet what they will leave for later steps.
func (f frame) foresees() bool {
	_, is := f.c.(*previewContext)
	return is
}

// unseen reports whether a text of the plan has a value in a run only.
func (f frame) unseen(text string) bool {
	if !f.foresees() {
		return false
	}
	t, err := f.p.Plan.Template(text)
	return err == nil && slices.Contains(t.Names(), "steps")
}

// text fills in the templates of a text. What only a run can know stays as the
// plan has it.
func (f frame) text(text string, scope plan.Scope) (string, error) {
	v, err := f.p.Plan.Text(text, scope)
	if err != nil && f.unseen(text) {
		return text, nil
	}
	return v, err
}

// command fills in a command's templates.
func (f frame) command(c plan.Command, attempt int) (journal.Command, error) {
	scope := f.scope(attempt)
	out := journal.Command{Env: map[string]string{"FLIP_RUN_ID": f.runID, "FLIP_ATTEMPT": strconv.Itoa(attempt)}, Attempt: attempt}
	text := func(what, s string) (string, error) {
		v, err := f.text(s, scope)
		if err != nil {
			return "", hint.Wrap(fail(classInvalid, "%s: %v", what, err), "the expression is at %s", c.Pos)
		}
		return v, nil
	}
	var err error
	if out.Shell, err = text("command", c.Shell); err != nil {
		return out, err
	}
	if out.Dir, err = text("dir", c.Dir); err != nil {
		return out, err
	}
	out.Argv, err = f.p.Plan.Args(c.Argv, scope)
	if err != nil && slices.ContainsFunc(c.Argv, f.unseen) {
		out.Argv, err = c.Argv, nil
	}
	if err != nil {
		return out, fail(classInvalid, "argument: %v", err)
	}
	for k, v := range c.Env {
		if out.Env[k], err = text("env "+k, v); err != nil {
			return out, err
		}
	}
	return out, nil
}
