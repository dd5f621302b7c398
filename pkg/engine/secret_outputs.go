package engine

import (
	"bytes"
	"maps"

	"github.com/flip-cli/flip/pkg/journal"
)

// lostOutput stands for an output that held a secret, where only the journal
// tells of it.
const lostOutput = "\x00lost"

// outputsOf are what a command left for later steps. Of a command that another
// process ran, outputs with a secret are not known any more.
func outputsOf(exit journal.Exit) map[string]string {
	if exit.Fresh || len(exit.Hidden) == 0 {
		return exit.Outputs
	}
	outputs := maps.Clone(exit.Outputs)
	for _, name := range exit.Hidden {
		outputs[name] = lostOutput
	}
	return outputs
}

// undos are the undo commands of this process that hold a secret, whole, by
// the key of the command that they undo.
type undos map[string]journal.Command

// conceal marks an undo of which the journal will not have everything, and
// keeps it.
func (l *local) conceal(key string, in any) any {
	c, ok := in.(journal.Command)
	x, real := l.exec.(*Executor)
	if !ok || !real || c.Undo == nil || x.Secrets == nil {
		return in
	}
	text := journal.Encode(*c.Undo)
	if bytes.Equal(text, x.Secrets.Redactor.Bytes(bytes.Clone(text))) {
		return in
	}
	l.mu.Lock()
	l.undos[key] = *c.Undo
	l.mu.Unlock()
	undo := *c.Undo
	undo.Hidden = true
	c.Undo = &undo
	return c
}

// whole gives effects back what the journal does not have of them, as far as
// this process knows it.
func (u undos) whole(effects []journal.Effect) []journal.Effect {
	for i := range effects {
		if undo, ok := u[effects[i].Key]; ok && effects[i].Command.Undo != nil {
			effects[i].Command.Undo = &undo
		}
	}
	return effects
}

// hiddenUndo refuses to run an undo of which only the journal tells.
func hiddenUndo(c journal.Command) error {
	e := fail(classInvalid, "undo of step %q was not run: it holds a secret, which the journal does not keep: %s", c.Env["FLIP_STEP"], commandLine(c))
	e.Hints = []string{"run it by hand and put back what the run did before it, then: flip stop --accept; an undo that reads its secret itself (env: {X: \"${env:X}\"}) can always be run"}
	return e
}
