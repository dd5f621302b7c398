package cmd

import (
	"os"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// sidesPlan stops to ask when half of the traffic is on the other side.
const sidesPlan = `flip: 1
name: shop
targets: {web: {driver: mem, file: web.json, pool: {web1: {weight: 100}, web2: {weight: 0}}}}
groups: {blue: {web: [web1]}, green: {web: [web2]}}
alternate: [blue, green]
steps:
  - {id: half, ramp: {from: live, to: idle, percent: [50]}}
  - {id: ok, approve: {message: go on?, timeout: 1h}}
`

func TestAHintNamesACommandThatWorks(t *testing.T) {
	t.Run("stop of a run that is done", func(t *testing.T) {
		l := newLab(t, quickPlan)
		l.must(ExitDone, "run plan.yaml")
		l.must(ExitUsage, "stop")
		l.says("is not running (done): nothing to stop")
		l.says("to put back what it changed: flip rollback ")
		l.must(ExitDone, "rollback")
	})
	t.Run("stop of a run that is rolled back", func(t *testing.T) {
		l := newLab(t, quickPlan)
		l.must(ExitDone, "run plan.yaml")
		l.must(ExitDone, "rollback")
		l.must(ExitUsage, "stop")
		l.says("is not running (rolled back): nothing to stop")
		l.says("hint: flip show ")
		l.must(ExitUsage, "rollback")
		l.says("is rolled back already: nothing to do")
	})
	t.Run("resume of an incomplete rollback", func(t *testing.T) {
		l := newLab(t, quickPlan)
		l.must(ExitDone, "run plan.yaml")
		l.outside("web2", "state", state.Text("maint"))
		l.must(ExitIncomplete, "rollback")
		l.must(ExitUsage, "resume")
		l.says("hint: flip rollback ")
		l.must(ExitUsage, "stop")
		l.says("or flip stop ")
		l.must(ExitDone, "stop --accept --yes")
		l.says("ACCEPTED: everything stays as it is. 0 of 1 value ")
	})
	t.Run("plan while a run of it stands halfway", func(t *testing.T) {
		l := newLab(t, sidesPlan)
		l.must(ExitWaiting, "run plan.yaml --detach-on-wait 1s")
		l.must(ExitPrecondition, "plan plan.yaml")
		l.says("which side is live?")
		l.says("of this plan is not finished (waiting): flip status ")
		l.must(ExitDone, "rollback")
		l.must(ExitDone, "plan plan.yaml")
	})
	t.Run("a piece of an id that fits two runs", func(t *testing.T) {
		l := newLab(t, quickPlan)
		l.must(ExitDone, "run plan.yaml")
		l.must(ExitDone, "rollback")
		l.must(ExitDone, "run plan.yaml")
		l.must(ExitUsage, "show 0")
		l.says("run 0: several runs have an id like this")
		l.says("hint: say more of it: ")
	})
}

func TestASecondRollbackShowsOnlyWhatIsLeft(t *testing.T) {
	l := newLab(t, quickPlan)
	l.must(ExitDone, "run plan.yaml")
	l.outside("web2", "state", state.Text("maint"))
	l.must(ExitIncomplete, "rollback")
	l.must(ExitIncomplete, "rollback")
	l.says("0 of 1 value back; left:\n  web2 state maint -> ready, set by someone else: only with --on-drift=force")
	l.must(ExitDone, "rollback --on-drift=force --yes")
}

func TestStatusSaysWhatARunningRunDoes(t *testing.T) {
	l := newLab(t, commandPlan)
	var said string
	l.onRecord = func(r journal.Record) {
		if r.Activity != journal.ActivityRun || r.Type != journal.TypeIntent {
			return
		}
		other := &lab{T: t, dir: l.dir, env: l.env}
		other.must(ExitDone, "status")
		said = other.out.String()
		l.signals <- os.Interrupt
		l.signals <- os.Interrupt
	}
	l.must(ExitHardStop, "run plan.yaml")
	if !strings.Contains(said, "running") || !strings.Contains(said, "command 0s") {
		t.Errorf("flip status does not say that a command runs:\n%s", said)
	}
}
