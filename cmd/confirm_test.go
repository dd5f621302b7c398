package cmd

import "testing"

func TestWhoIsAskedBeforeARun(t *testing.T) {
	for _, c := range []struct {
		name  string
		plan  string
		args  string
		tty   bool
		in    string
		code  int
		says  string
		moved bool
	}{
		{"a pipeline is not asked", quickPlan, "run plan.yaml", false, "", ExitDone, "DONE", true},
		{"a pipeline needs --yes for a point of no return", finalPlan, "run plan.yaml", false, "y\n", ExitUsage, "add --yes: flip run plan.yaml --yes", false},
		{"a pipeline with --yes passes a point of no return", finalPlan, "run plan.yaml --yes", false, "", ExitDone, "DONE", true},
		{"a person says yes", quickPlan, "run plan.yaml", true, "y\n", ExitDone, "Run it? [y/N]", true},
		{"a person says YES", quickPlan, "run plan.yaml", true, "Y\n", ExitDone, "DONE", true},
		{"a person says no", quickPlan, "run plan.yaml", true, "n\n", ExitUsage, "not confirmed: flip did nothing", false},
		{"a person says nothing", quickPlan, "run plan.yaml", true, "\n", ExitUsage, "not confirmed: flip did nothing", false},
		{"a person has gone", quickPlan, "run plan.yaml", true, "", ExitUsage, "not confirmed: flip did nothing", false},
		{"a person sees what will change", quickPlan, "run plan.yaml", true, "n\n", ExitUsage, "web2  state  ready -> drain", false},
		{"--yes answers for a person", quickPlan, "run plan.yaml -y", true, "", ExitDone, "DONE", true},
		{"yes is not enough for a point of no return", finalPlan, "run plan.yaml", true, "y\n", ExitUsage, "Type shop to run", false},
		{"the plan's name passes a point of no return", finalPlan, "run plan.yaml", true, "shop\n", ExitDone, "DONE", true},
		{"--no-input makes a terminal a pipeline", quickPlan, "run plan.yaml --no-input", true, "", ExitDone, "DONE", true},
		{"--no-input needs --yes for a point of no return", finalPlan, "run plan.yaml --no-input", true, "shop\n", ExitUsage, "needs a confirmation", false},
		{"a program that reads JSON is not asked", quickPlan, "run plan.yaml -o json", true, "", ExitDone, `"outcome":"done"`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, c.plan)
			l.tty, l.in = c.tty, c.in
			l.must(c.code, c.args)
			l.says(c.says)
			if l.changed() != c.moved {
				t.Errorf("the plan ran: %t, want %t", l.changed(), c.moved)
			}
		})
	}
}

func TestWhoIsAskedBeforeAWayBack(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  string
		tty   bool
		in    string
		code  int
		says  string
		moved bool // still
	}{
		{"a pipeline is not asked", "rollback", false, "", ExitDone, "ROLLED BACK", false},
		{"a pipeline needs --yes to overwrite", "rollback --on-drift=force", false, "y\n", ExitUsage, "add --yes: flip rollback --on-drift=force --yes", true},
		{"a pipeline overwrites with --yes", "rollback --on-drift=force --yes", false, "", ExitDone, "ROLLED BACK", false},
		{"a person sees what is restored", "rollback", true, "n\n", ExitUsage, "web2 state drain -> ready", true},
		{"a person says yes", "rollback", true, "y\n", ExitDone, "ROLLED BACK", false},
		{"a pipeline needs --yes to leave it", "stop --accept", false, "y\n", ExitUsage, "add --yes: flip stop --accept --yes", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, quickPlan)
			l.must(ExitDone, "run plan.yaml")
			l.tty, l.in = c.tty, c.in
			l.must(c.code, c.args)
			l.says(c.says)
			if l.changed() != c.moved {
				t.Errorf("web2 in drain: %t, want %t", l.changed(), c.moved)
			}
		})
	}
}
