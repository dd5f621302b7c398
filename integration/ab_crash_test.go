package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// abCrashes are deaths of one kind over an A/B release.
type abCrashes struct {
	what   string
	points []point
	back   bool // the rollback of a release that is done is killed, not the release
	verb   string

	mu            sync.Mutex
	tested, wrong int
}

// want is what is left after a death at p.
func (c *abCrashes) want(p point) map[string]string {
	switch {
	case c.verb == "rollback":
		return abBefore()
	case c.back && !p.takeover: // once it has begun the way back is what is resumed
		return abBefore()
	}
	return abAfter()
}

// fall kills a flip and lets another one end what it began.
func (c *abCrashes) fall(l *abLab, p point) {
	l.Helper()
	args := l.args
	if c.back {
		l.wants([]int{0}, l.args...)
		args = []string{"rollback", "--yes"}
	}
	l.dies(p.order, args...)
	var told answer
	switch {
	case p.order.KillBefore && c.verb == "resume": // nothing happened, and nothing is in the way of a new run
		told = l.flip(l.args...)
	case p.order.KillBefore, p.end && (c.verb == "resume" || c.back):
		told = l.wants([]int{3}, c.verb, "--yes")
		told.code = 0
	case c.verb == "resume":
		told = l.flip("resume", "--yes")
	default:
		told = l.flip("rollback", "--yes")
	}
	diff := cmp.Diff(c.want(p), l.sight())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tested++
	if diff == "" && (told.code == 0 || c.back && c.verb == "resume" && told.code == 10) { // 10: it was rolled back
		return
	}
	c.wrong++
	l.Errorf("%s, killed at %s: %s\nthe end is wrong (-want +got):\n%s\n%s", c.what, p.name, told, diff, l.flip("logs"))
}

// TestNoKillLeavesAnABReleaseHalfDone kills flip with SIGKILL at every record of
// plans/ab-release.yaml and of its way back. resume must then reach the plan's
// end, rollback every value and version from before. In the short form it is
// some of the records, all of the kinds.
func TestNoKillLeavesAnABReleaseHalfDone(t *testing.T) {
	t.Parallel()
	s, dir, began := newSquad(t), memoryDir(t), time.Now()
	whole := newABLab(t, filepath.Join(dir, "whole"), s)
	whole.wants([]int{0}, whole.args...)
	if diff := cmp.Diff(abAfter(), whole.sight()); diff != "" {
		t.Fatalf("a release without any crash (-want +got):\n%s", diff)
	}
	records := whole.records()
	whole.wants([]int{0}, "rollback", "--yes")
	if diff := cmp.Diff(abBefore(), whole.sight()); diff != "" {
		t.Fatalf("a rollback without any crash (-want +got):\n%s", diff)
	}
	forward, back := points(records, 0), points(whole.records(), len(records))
	all := []*abCrashes{
		{what: "run killed, then resume", points: few(forward, 0), verb: "resume"},
		{what: "run killed, then rollback", points: few(forward, 1), verb: "rollback"},
		{what: "rollback killed, then resume", points: few(back, 2), back: true, verb: "resume"},
		{what: "rollback killed, then rollback", points: few(back, 3), back: true, verb: "rollback"},
	}
	type death struct {
		*abCrashes
		point
	}
	var deaths []death
	for _, c := range all {
		for _, p := range c.points {
			deaths = append(deaths, death{c, p})
		}
	}
	together(len(deaths), 32, func(i int) { // most of it is waiting
		d := deaths[i]
		l := newABLab(t, filepath.Join(dir, fmt.Sprint(i)), s)
		defer l.end()
		d.fall(l, d.point)
	})
	for i, c := range all {
		t.Logf("%s: points %d of %d, wrong %d", c.what, c.tested, len([][]point{forward, forward, back, back}[i]), c.wrong)
		if c.tested != len(c.points) {
			t.Errorf("%s: %d points were not tested", c.what, len(c.points)-c.tested)
		}
	}
	t.Logf("%d points in %s", len(deaths), time.Since(began).Round(time.Second))
}

// few are one point of every twelve, other ones for each offset, and half of
// those at which a write may be under way in the middle of the ramp.
func few(all []point, offset int) []point {
	if soak() {
		return all
	}
	var some []point
	for i, p := range all {
		if i%12 == offset*3 || strings.Contains(p.name, "intent /steps/edge-in/50") && i%2 == offset%2 {
			some = append(some, p)
		}
	}
	return some
}
