package cmd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/state"
)

func TestAShellOffersRuns(t *testing.T) {
	l := newLab(t, quickPlan)
	l.must(ExitDone, "__complete show 0")
	if strings.Contains(l.out.String(), "shop") {
		t.Errorf("a run is offered before there is one:\n%s", l.out.String())
	}
	l.must(ExitDone, "run plan.yaml")
	for _, verb := range []string{"show", "status", "logs", "stop", "resume", "rollback", "approve", "drift"} {
		l.must(ExitDone, "__complete "+verb+" 0")
		l.says("\tshop, done, just now")
	}
	l.must(ExitDone, "__complete plan 0")
	if strings.Contains(l.out.String(), "shop, done") {
		t.Error("a run is offered where a plan is wanted")
	}
}

func TestATableThatIsTooWideHasItsValuesBelow(t *testing.T) {
	one := 1
	objects := []liveObject{{Target: "web", ID: "lb1/be_web/web1", Health: "up", InFlight: &one}}
	objects[0].Attrs = map[string]state.Value{"state": "ready", "weight": "100"}
	for width, want := range map[int]string{
		0:  "target  object           values                   health  in flight\nweb     lb1/be_web/web1  state ready, weight 100  up      1\n",
		50: "target  object           health  in flight\nweb     lb1/be_web/web1  up      1\n  state ready, weight 100\n",
	} {
		var b strings.Builder
		if err := writeObjects(&b, objects, width); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("width %d (-want +got):\n%s", width, diff)
		}
	}
}
