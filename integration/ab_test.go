package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/integration/ab"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

// abPlans are the plans of the repository that the tests over the cloud's stand-in run.
var abPlans = []string{"ab-release", "ab-one-tier", "alb-rule-switch"}

// TestReleasesOverSLBAndALBAndNacosLoseNothing plays what `make ab` shows, with
// fewer websockets and requests and shorter holds: a release each way, one that goes back by
// itself, and as the control the same by the method's letter.
func TestReleasesOverSLBAndALBAndNacosLoseNothing(t *testing.T) {
	t.Parallel()
	registry, stop, err := ab.StandIn()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	abReleases(t, registry)
}

// TestReleasesOverTheOfficialNacosLoseNothing is the same, where the official
// servers were asked for (make nacos).
func TestReleasesOverTheOfficialNacosLoseNothing(t *testing.T) {
	t.Parallel()
	for _, version := range nacostest.RealVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			abReleases(t, ab.OfficialOf(nacostest.StartReal(t, version)))
		})
	}
}

func abReleases(t *testing.T, registry ab.Registry) {
	t.Helper()
	dir, err := os.MkdirTemp("", "flip")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	e, err := ab.Start(context.WithoutCancel(t.Context()), dir, ab.Config{
		Registry: registry, Cache: time.Second, BadVersions: []string{"v4"}, Pause: 25 * time.Millisecond,
		Timing: slbtest.Timing{Job: 200 * time.Millisecond, Lag: 100 * time.Millisecond, Overlap: 100 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	f := &site{TB: t, dir: dir, env: map[string]string{"FLIP_STATE_DIR": filepath.Join(dir, "state"), "FLIP_WHO": "ann", "NO_COLOR": "1"}}
	play := ab.Play{
		Estate: e, Plan: "../plans/ab-release.yaml", Websockets: 40,
		Vars: []string{"cache=1s", "hold=300ms", "drain=30s", "healthy=12s"},
		Flip: func(_ context.Context, want int, args ...string) error {
			if got := f.flip(args...); got.code != want {
				return fmt.Errorf("not exit %d: %s", want, got)
			}
			return nil
		},
	}
	rows, err := play.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		fmt.Printf("A/B over %s: %s\n", registry.Name, r)
		if r.Failed > 0 || r.Dropped > 0 || r.Requests == 0 {
			t.Errorf("%s\n%s", r, strings.Join(r.Examples, "\n"))
		}
	}
	if closed := rows[0].Closed; closed < 40 {
		t.Errorf("%d of 40 websockets were closed politely", closed)
	}
	control, err := play.Literal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("A/B over %s: control: %s\n", registry.Name, control)
	if control.Failed == 0 || control.Dropped == 0 {
		t.Error("nothing was lost by the method's letter: this harness cannot see a loss")
	}
}
