package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/flip-cli/flip/pkg/journal"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}

func TestACommandsOutputsAreKnownToLaterSteps(t *testing.T) {
	l := newLab(t, pair+`
steps:
  - {id: build, run: "echo version=7 >> $FLIP_OUTPUT; echo note=a=b >> $FLIP_OUTPUT", undo: none}
  - {id: twice, parallel: [{id: left, run: "echo side=left >> $FLIP_OUTPUT", undo: none}, {id: right, run: "echo side=right >> $FLIP_OUTPUT", undo: none}]}
  - {id: use, run: "echo ${{ steps.build.outputs.version }} ${{ steps.build.outputs.note }} ${{ steps.left.outputs.side }} ${{ steps.right.outputs.side }} $FLIP_STEP $FLIP_ATTEMPT $FLIP_RUN_ID", undo: none}
`)
	l.run(journal.OutcomeDone)
	same(t, "what it printed", "7 a=b left right use 1 "+l.id+"\n", read(t, filepath.Join(l.runDir(), "logs", "use.log")))
	left, err := filepath.Glob(filepath.Join(l.runDir(), "output-*"))
	must(t, err)
	same(t, "files left", 0, len(left))
}

func TestAnOutputCanBeAValueAndACondition(t *testing.T) {
	l := newLab(t, pair+`
steps:
  - {id: build, run: "echo share=30 >> $FLIP_OUTPUT; echo go=yes >> $FLIP_OUTPUT", undo: none}
  - {id: shift, set: {group: a, on: edge, weight: "${{ int(steps.build.outputs.share) }}"}, when: steps.build.outputs.go == "yes"}
  - {id: not, set: {group: a, on: edge, weight: 1}, when: steps.build.outputs.go == "no"}
  - {id: notify, run: [echo, "${{ steps.build.outputs.share }}"], undo: none}
`)
	l.run(journal.OutcomeDone)
	same(t, "writes", []string{"edge a1 weight 100 -> 30"}, l.writes())
	same(t, "skipped", "when is false", stepText(l, "not"))
}

func TestACommandGetsItsSurroundings(t *testing.T) {
	dir := t.TempDir()
	l := newLab(t, pair+`
steps:
  - id: show
    run: {argv: [/bin/sh, -c, "pwd; echo $COLOR $1", "-", "${{ live.name }} side"], dir: `+dir+`, env: {COLOR: blue}}
    undo: none
`)
	l.run(journal.OutcomeDone)
	same(t, "output", dir+"\nblue a side\n", read(t, filepath.Join(l.runDir(), "logs", "show.log")))
}

func TestSecretsReachACommandAndNothingElse(t *testing.T) {
	l := newLab(t, pair+`
steps:
  - id: login
    run: {shell: "echo token $TOKEN; test ${#TOKEN} = 12", env: {TOKEN: "${env:THE_TOKEN}"}}
    undo: none
`)
	l.env["THE_TOKEN"] = "tango-papa-9"
	l.run(journal.OutcomeDone)
	same(t, "log", "token ***\n", read(t, filepath.Join(l.runDir(), "logs", "login.log")))
	must(t, filepath.WalkDir(l.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(read(t, path), "tango-papa-9") {
			t.Errorf("%s holds the secret", path)
		}
		return err
	}))
	contains(t, read(t, filepath.Join(l.runDir(), "journal.jsonl")), "${env:THE_TOKEN}")
}

func TestAMissingSecretFailsTheCommand(t *testing.T) {
	l := newLab(t, pair+`
steps:
  - {id: login, run: {shell: "true", env: {TOKEN: "${env:NOBODY}"}}, undo: none}
`)
	contains(t, l.run(journal.OutcomeRolledBack).Reason, "NOBODY is not set")
}

func TestAFailingCommandSaysWhatItSaidLast(t *testing.T) {
	l := newLab(t, pair+`
steps:
  - {id: deploy, run: "echo working; echo disk is full >&2; exit 7", undo: none}
`)
	end := l.run(journal.OutcomeRolledBack)
	same(t, "reason", "command exited with 7: disk is full", end.Reason)
	same(t, "log", "working\ndisk is full\n", read(t, filepath.Join(l.runDir(), "logs", "deploy.log")))
}

func TestACommandThatIsKilledBySomebodyFails(t *testing.T) {
	l := newLab(t, pair+`
steps: [{id: deploy, run: "kill -TERM $$", undo: none}]
`)
	same(t, "reason", "command exited with 143", l.run(journal.OutcomeRolledBack).Reason)
}

func TestACommandsTimeoutEndsItsWholeGroup(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "late")
	l := newLab(t, pair+`
steps:
  - {id: deploy, run: {shell: "(sleep 3; touch `+mark+`) & sleep 100", timeout: 200ms}, undo: none}
`)
	contains(t, l.run(journal.OutcomeRolledBack).Reason, "command took longer than its time")
	// Its child in the background held the output: had it lived, the run would
	// have waited for it, and it would have left its mark.
	if _, err := os.Stat(mark); err == nil {
		t.Error("a child of the command went on after its end")
	}
}

func TestAnUndoHasItsOwnTime(t *testing.T) {
	l := newLab(t, pair+`
steps:
  - id: deploy
    run: "true"
    undo: {shell: "sleep 100", timeout: 200ms}
  - {id: bad, run: "exit 1", undo: none}
`)
	end := l.run(journal.OutcomeIncomplete)
	contains(t, end.Reason, `undo of step "deploy": command took longer than its time`)
}

func TestCommandsAreUndoneInReverseByTheirOwnUndo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "done")
		l := newLab(t, pair+`
steps:
  - {id: one, run: "echo one >> `+file+`", undo: "echo back $FLIP_STEP >> `+file+`"}
  - {id: two, run: "echo two >> `+file+`", undo: none}
  - {id: each-of, each: a, do: [{id: three, run: "echo ${{ member.name }} >> `+file+`", undo: "echo back ${{ member.name }} >> `+file+`"}]}
  - {id: bad, run: "exit 1", undo: "echo back bad >> `+file+`"}
`)
		l.run(journal.OutcomeRolledBack)
		same(t, "done", "one\ntwo\na1\nback bad\nback a1\nback one\n", read(t, file))
	})
}
