package cmd

import (
	"os"
	"syscall"
	"testing"
)

func TestOneSignalStopsAtASafePointAndTheRunCanGoOn(t *testing.T) {
	l := newLab(t, waitingPlan)
	l.out.when("waits for approval", func() { l.signals <- os.Interrupt })
	l.must(ExitInterrupted, "run plan.yaml")
	l.says("stopping at the next safe point")
	l.says("INTERRUPTED in step ok. 1 value stands as flip set it.")
	if !l.changed() {
		t.Error("the first step is not as flip left it")
	}
	l.out.when("waits for approval", func() { l.signals <- os.Interrupt })
	l.must(ExitInterrupted, "resume")
	l.must(ExitDone, "rollback")
	if l.changed() {
		t.Error("rollback left web2 in drain")
	}
}

func TestTwoSignalsStopHardAndLeaveTheRunInDoubt(t *testing.T) {
	l := newLab(t, commandPlan)
	l.out.when("run sleep", func() { l.signals <- os.Interrupt; l.signals <- os.Interrupt })
	l.must(ExitHardStop, "run plan.yaml")
	l.says("hard stop: run ")
	l.says("is in doubt; flip resume")
	if !l.changed() {
		t.Error("a hard stop put something back")
	}
}

func TestATerminationGoesBackWhenThatWasAskedFor(t *testing.T) {
	l := newLab(t, waitingPlan)
	l.out.when("waits for approval", func() { l.signals <- syscall.SIGTERM })
	l.must(ExitRolledBack, "run plan.yaml --on-interrupt=rollback")
	l.says("ROLLED BACK")
	if l.changed() {
		t.Error("web2 is still in drain")
	}
}

func TestAPersonAtATerminalIsAskedAfterAStop(t *testing.T) {
	for answer, want := range map[string]struct {
		code    int
		changed bool
	}{"r\n": {ExitDone, false}, "k\n": {ExitInterrupted, true}, "": {ExitInterrupted, true}} {
		t.Run(answer, func(t *testing.T) {
			l := newLab(t, waitingPlan)
			l.tty, l.in = true, answer
			l.out.when("waits for approval", func() { l.signals <- os.Interrupt })
			l.must(want.code, "run plan.yaml --yes")
			l.says("Roll back now?")
			if l.changed() != want.changed {
				t.Errorf("web2 in drain: %t", l.changed())
			}
		})
	}
}
