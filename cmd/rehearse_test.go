package cmd_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/rehearse"
)

func TestRehearseProvesAPlanAndTouchesNothing(t *testing.T) {
	d := newDesk(t, map[string]string{"p.yaml": shop})
	d.flip(0, "get", "p.yaml") // brings the target into being
	before := d.files()
	got := d.flip(0, "rehearse", "p.yaml", "--var", "end=touch EXECUTED", "--faults", "late-write,drift")
	wants(t, got, "way forward proven from ", "way back proven from ", "late-write", "undo: none")
	if strings.Contains(got, "NOT PROVEN") {
		t.Error(got)
	}
	if diff := cmp.Diff(before, d.files()); diff != "" {
		t.Errorf("flip rehearse wrote (-before +after):\n%s", diff)
	}
}

func TestRehearseSaysWhichPointIsNotProven(t *testing.T) {
	d := newDesk(t, map[string]string{"p.yaml": strings.Replace(shop, ", undo: none", "", 1)})
	var rep rehearse.Report
	if err := json.Unmarshal([]byte(d.flip(1, "rehearse", "p.yaml", "-o", "json")), &rep); err != nil {
		t.Fatal(err)
	}
	if len(rep.Problems) == 0 || rep.Problems[0].Step != "end" || rep.Problems[0].Why != "not undone by flip: step end has no undo" {
		t.Errorf("got %+v", rep.Problems)
	}
}

func TestRehearseRefusesWhatItCannotBegin(t *testing.T) {
	d := newDesk(t, map[string]string{
		"p.yaml":     shop,
		"both.yaml":  strings.NewReplacer("web2: {weight: 0}", "web2: {weight: 100}", "web.json", "both.json").Replace(shop),
		"wrong.yaml": strings.Replace(shop, "percent", "per_cent", 1),
		"guard.yaml": strings.Replace(shop, "steps:", "guards: [{target: web, min_serving: 1}]\nsteps:\n  - {id: out, set: {group: live, weight: 0}}", 1),
	})
	wants(t, d.flip(3, "rehearse"), "PLAN is missing")
	wants(t, d.flip(3, "rehearse", "p.yaml", "--faults", "fire"), `no fault "fire"`, "lost-reply, late-write, 429")
	wants(t, d.flip(3, "rehearse", "wrong.yaml"), "per_cent")
	wants(t, d.flip(4, "rehearse", "guard.yaml"), "guard: web would serve with 0 of at least 1 members")
	if err := d.web().Break("lb1", "down"); err != nil {
		t.Fatal(err)
	}
	wants(t, d.flip(4, "rehearse", "p.yaml"), "node lb1: down", "--offline")
	wants(t, d.flip(0, "rehearse", "p.yaml", "--offline"), "made up from the plan", "blue is taken to be live")
	wants(t, d.flip(4, "rehearse", "both.yaml"), "which side is live?", "--live blue")
	d.flip(0, "rehearse", "both.yaml", "--live", "green", "--faults", "none")
}

func TestRehearseExplainsItself(t *testing.T) {
	d := newDesk(t, nil)
	wants(t, d.flip(0, "rehearse", "--help"), "kills the run before and after every record", "--offline", "--seed", "drift", "4 precondition")
}
