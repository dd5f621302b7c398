package integration

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

const nacosCrashPlan = `flip: 1
name: nacos-crash
targets:
  users: {driver: nacos, servers: ["SERVER"], service: users, consumer_cache: none, timeout: 30s, max_in_flight: 100ms}
groups:
  all: {users: ["10.1.0.11:8080", "10.1.0.12:8080"]}
guards:
  - {target: users, min_serving: 1}
steps:
  - id: share
    set: {group: all, weight: 2.5}
  - id: one-by-one
    each: all
    do:
      - {id: out, set: {enabled: false}}
      - {id: restart, run: "true", undo: "true"}
      - {id: in, set: {enabled: true}}
  - id: last-out
    set: {target: users, members: ["10.1.0.11:8080"], enabled: false}
`

// The third instance is nobody's business but an operator's.
const (
	crashA = "10.1.0.11:8080"
	crashB = "10.1.0.12:8080"
	crashC = "10.1.0.13:8080"
)

// ledge is a stand-in of its own with a flip that falls.
type ledge struct {
	*home
	*nacostest.Fake
	args []string
}

func newLedge(tb testing.TB, dir string) *ledge {
	tb.Helper()
	l := &ledge{home: newHome(tb, dir), Fake: nacostest.StartFake(tb, nacostest.Options{PushDelay: time.Millisecond})}
	for i, a := range []string{crashA, crashB, crashC} {
		l.Register("users", nacostest.Instance{Address: a, Weight: 10, Metadata: map[string]string{"zone": fmt.Sprint(i)}})
	}
	l.args = []string{"run", "--yes", l.file("plan.yaml", strings.ReplaceAll(nacosCrashPlan, "SERVER", l.Servers()[0]))}
	return l
}

// instances is all three as the registry has them.
func (l *ledge) instances() map[string]nacostest.Instance {
	all := map[string]nacostest.Instance{}
	for _, a := range []string{crashA, crashB, crashC} {
		all[a], _ = l.Get("users", a)
	}
	return all
}

// meddle is an operator who changes the weight of the instance that flip never
// touches, and returns what shall stand then.
func (l *ledge) meddle(want map[string]nacostest.Instance) map[string]nacostest.Instance {
	l.Set("users", crashC, true, 3)
	want = map[string]nacostest.Instance{crashA: want[crashA], crashB: want[crashB], crashC: want[crashC]}
	c := want[crashC]
	c.Weight = 3
	want[crashC] = c
	return want
}

// TestNoKillLeavesNacosHalfChanged kills flip with SIGKILL at every record of a
// run over the stand-in. resume must then reach the plan's end, rollback every
// value from before; what an operator changed meanwhile stays.
func TestNoKillLeavesNacosHalfChanged(t *testing.T) {
	t.Parallel()
	whole := newLedge(t, t.TempDir())
	pre := whole.instances()
	whole.wants([]int{0}, whole.args...)
	done, records := whole.instances(), whole.records()
	if cmp.Equal(pre, done) {
		t.Fatal("the plan changes nothing: nothing is tested")
	}
	whole.wants([]int{0}, "rollback", "--yes")
	if diff := cmp.Diff(pre, whole.instances()); diff != "" {
		t.Fatalf("a rollback without any crash (-want +got):\n%s", diff)
	}
	run := func(*ledge) []string { return nil }
	forward, back := points(records, 0), points(whole.records(), len(records))
	crashes := []*nacosCrashes{
		{what: "run killed, then resume", points: forward, before: run, verb: "resume", want: done, early: func(l *ledge) { l.wants([]int{0}, l.args...) }},
		{what: "run killed, then rollback", points: forward, before: run, verb: "rollback", want: pre, early: func(l *ledge) { l.wants([]int{3}, "rollback", "--yes") }},
		{what: "rollback killed, then rollback", points: back, verb: "rollback", want: pre, before: func(l *ledge) []string {
			l.wants([]int{0}, l.args...)
			return []string{"rollback", "--yes"}
		}},
	}
	var all sync.WaitGroup
	slots := make(chan struct{}, 6) // most of it is waiting
	began, n := time.Now(), 0
	for _, c := range crashes {
		for _, p := range c.points {
			n++
			l := newLedge(t, t.TempDir())
			all.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				c.fall(t, l, p)
			})
		}
	}
	all.Wait()
	for _, c := range crashes {
		t.Logf("%s: points %d, wrong %d", c.what, len(c.points), c.wrong)
	}
	t.Logf("%d points in %s", n, time.Since(began).Round(time.Second))
}

// nacosCrashes are deaths of one kind.
type nacosCrashes struct {
	what   string
	points []point
	before func(*ledge) []string // makes ready, and says what is killed when it is not the run
	verb   string
	want   map[string]nacostest.Instance
	early  func(*ledge) // the run died before its first record

	mu    sync.Mutex
	wrong int
}

func (c *nacosCrashes) fall(t *testing.T, l *ledge, p point) {
	args := c.before(l)
	if args == nil {
		args = l.args
	}
	l.dies(p.order, args...)
	want := l.meddle(c.want)
	switch {
	case p.order.KillBefore:
		c.early(l)
	case p.end && (c.verb == "resume" || args[0] == "rollback"): // it had come to its end
		l.wants([]int{3}, c.verb)
	default:
		l.wants([]int{0}, c.verb, "--yes")
	}
	if diff := cmp.Diff(want, l.instances()); diff != "" {
		c.mu.Lock()
		c.wrong++
		c.mu.Unlock()
		t.Errorf("%s, killed at %s: the end is wrong (-want +got):\n%s\n%s", c.what, p.name, diff, l.flip("logs"))
	}
}
