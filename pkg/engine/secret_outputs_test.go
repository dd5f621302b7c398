package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
)

// tokenPlan leaves a secret and something else for later steps, then pauses
// where the gate "on" says no.
const tokenPlan = pair + `
steps:
  - id: build
    run: {shell: "echo token=$TOKEN >> $FLIP_OUTPUT; echo version=7 >> $FLIP_OUTPUT", env: {TOKEN: "${env:THE_TOKEN}"}}
    undo: none
  - {id: stop, gate: {script: {name: "on"}, timeout: 1s, every: 10ms}, on_fail: pause}
`

func tokenLab(t *testing.T, steps string, stops bool) (*lab, string) {
	file := filepath.Join(t.TempDir(), "did")
	l := newLab(t, tokenPlan+strings.ReplaceAll(steps, "FILE", file))
	l.env["THE_TOKEN"] = "tango-papa-9"
	l.gates["on"] = func(int) (gate.Result, error) { return gate.Result{Pass: !stops, Detail: "on"}, nil }
	return l, file
}

// use is a step that sees the whole secret, or fails.
const use = `  - {id: use, run: "x='${{ steps.build.outputs.token }}'; echo ${#x} >> FILE; test ${#x} = 12", undo: none}
`

func TestAnOutputThatHoldsASecretIsWholeInTheProcessThatMadeIt(t *testing.T) {
	l, file := tokenLab(t, use, false)
	l.run(journal.OutcomeDone)
	same(t, "characters", "12\n", read(t, file))
}

func TestAResumedRunDoesNotTakeAHiddenSecretForTheSecret(t *testing.T) {
	tests := map[string]struct {
		step string
		lost bool
	}{
		"a command":                      {use, true},
		"a condition":                    {`  - {id: use, when: 'steps.build.outputs.token != ""', run: "echo ran >> FILE", undo: none}` + "\n", true},
		"all outputs":                    {`  - {id: use, when: 'len(steps.build.outputs) > 0', run: "echo ran >> FILE", undo: none}` + "\n", true},
		"a value":                        {`  - {id: use, set: {group: a, on: edge, weight: "${{ len(steps.build.outputs.token) }}"}}` + "\n", true},
		"an output without a secret":     {`  - {id: use, run: "echo ${{ steps.build.outputs.version }} >> FILE", undo: none}` + "\n", false},
		"an output that there never was": {`  - {id: use, when: 'steps.build.outputs.other == nil', run: "echo 7 >> FILE", undo: none}` + "\n", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, file := tokenLab(t, test.step, true)
			l.run(journal.OutcomePaused)
			l.gates["on"] = func(int) (gate.Result, error) { return yes("on") }
			end, err := l.resume(engine.Options{})
			if !test.lost {
				l.ended(journal.OutcomeDone, end, err)
				same(t, "what the command did", "7\n", read(t, file))
				return
			}
			l.ended(journal.OutcomeRolledBack, end, err)
			contains(t, end.Reason, "output token of step build is not known any more: it held a secret, which the journal does not keep")
			if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the command ran: %v", err)
			}
			same(t, "writes", []string(nil), l.writes())
		})
	}
}

const undoWithSecret = `  - {id: login, run: "true", undo: "x='${{ steps.build.outputs.token }}'; echo ${#x} >> FILE"}
  - {id: bad, gate: {script: {name: bad}, timeout: 1s, every: 10ms}, on_fail: ACT}
`

func TestAnUndoThatHoldsASecretRunsWholeOrNotAtAll(t *testing.T) {
	for act, test := range map[string]struct {
		want journal.Outcome
		did  string
	}{
		"rollback": {journal.OutcomeRolledBack, "12\n"},
		"pause":    {journal.OutcomePaused, ""},
	} {
		t.Run(act, func(t *testing.T) {
			l, file := tokenLab(t, strings.ReplaceAll(undoWithSecret, "ACT", act), false)
			l.gates["bad"] = func(int) (gate.Result, error) { return no("bad") }
			l.run(test.want)
			if act == "pause" {
				end, err := l.rollback(engine.Options{}) // by another process
				l.ended(journal.OutcomeIncomplete, end, err)
				contains(t, end.Reason, `undo of step "login" was not run: it holds a secret, which the journal does not keep`)
			}
			did, _ := os.ReadFile(file)
			same(t, "what the undo did", test.did, string(did))
			contains(t, read(t, filepath.Join(l.runDir(), "journal.jsonl")), "***")
		})
	}
}

func TestWhatADeadProcessLeftOfACommandsOutputsIsRemoved(t *testing.T) {
	for name, again := range map[string]func(*lab) error{
		"a resume":   func(l *lab) error { _, err := l.resume(engine.Options{}); return err },
		"a rollback": func(l *lab) error { _, err := l.rollback(engine.Options{}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := tokenLab(t, "", true)
			l.run(journal.OutcomePaused)
			left := filepath.Join(l.runDir(), "output-123")
			must(t, os.WriteFile(left, []byte("token=tango-papa-9\n"), 0o600))
			must(t, again(l))
			if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it is still there: %v", err)
			}
		})
	}
}
