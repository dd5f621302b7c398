package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	flip "github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
)

// oneLock is what both runners of a race want to change.
const oneLock = `flip: 1
name: NAME
targets:
  web: {driver: haproxy, endpoints: ["unix://SOCKET"], backend: be_web, timeout: 10s, max_in_flight: 50ms}
steps:
`

// setting is a step that writes one weight.
func setting(id, server string, weight int) string {
	return fmt.Sprintf("  - id: %s\n    set: {target: web, members: [%s], weight: %d}\n", id, server, weight)
}

func lockPlan(name string, f *haproxytest.Fake, steps ...string) string {
	return strings.NewReplacer("SOCKET", f.Socket, "NAME", name).Replace(oneLock) + strings.Join(steps, "")
}

func quietFake(t *testing.T) *haproxytest.Fake {
	t.Helper()
	f, err := fourServers()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// writesOf are the commands that set a weight of ten times n, of which the other runner has none.
func writesOf(commands []string, n int) []int {
	var at []int
	for i, c := range commands {
		if strings.HasSuffix(c, fmt.Sprintf("%d", n)) {
			at = append(at, i)
		}
	}
	return at
}

// TestTwoRunsNeverWriteAtTheSameTime races two runs for one lock. The load balancer's own log says who wrote when.
func TestTwoRunsNeverWriteAtTheSameTime(t *testing.T) {
	t.Parallel()
	const races = 200
	dir := memoryDir(t)
	refused := 0
	for i := range races {
		f, err := fourServers()
		if err != nil {
			t.Fatal(err)
		}
		h := newHome(t, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.Mkdir(h.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		var plans [2]string
		var ends [2]answer
		for n := range plans { // run 0 writes weights that end with 1, run 1 such that end with 2
			plans[n] = h.file(fmt.Sprintf("p%d.yaml", n), lockPlan(fmt.Sprintf("run%d", n), f, setting("a", "web3", 11+n), setting("b", "web4", 21+n), setting("c", "web3", 31+n)))
		}
		var wg sync.WaitGroup
		for n := range plans {
			wg.Go(func() { ends[n] = h.flip("run", plans[n]) })
		}
		wg.Wait()
		commands := f.Commands()
		for n, end := range ends {
			at := writesOf(commands, n+1)
			switch {
			case end.code == 5 && len(at) == 0:
				refused++
			case end.code == 0 && len(at) == 3 && at[2]-at[0] == 2:
			default:
				t.Errorf("race %d: run %d wrote at %v of %q and told: %s", i, n, at, commands, end)
			}
		}
		if ends[0].code == 5 && ends[1].code == 5 {
			t.Errorf("race %d: both were refused:\n%s\n%s", i, ends[0], ends[1])
		}
		f.Close()
	}
	t.Logf("races %d, in %d of them one was refused", races, refused)
	if refused == 0 {
		t.Error("the runs never met: nothing was tested")
	}
}

// on is a flip that believes to be on a host of its own.
func on(host string) func(*flip.App) {
	return func(app *flip.App) {
		app.Runner = func(r *engine.Runner) {
			store := r.Store.(*journal.FileStore)
			r.Locks = journal.NewLocks(store.Dir(), journal.LocksOptions{
				Ended: store.Ended, Self: journal.Process{Host: host, PID: 7, Start: "1", Space: host},
			})
		}
	}
}

// TestOnlyOneOfTwoResumesGoesOn races two hosts for one paused run.
func TestOnlyOneOfTwoResumesGoesOn(t *testing.T) {
	t.Parallel()
	const races = 50
	dir := memoryDir(t)
	late := map[int]int{}
	for i := range races {
		f, err := fourServers()
		if err != nil {
			t.Fatal(err)
		}
		h := newHome(t, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.Mkdir(h.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		fixed := filepath.Join(h.dir, "fixed")
		h.wants([]int{11}, "run", h.file("p.yaml", lockPlan("p", f, setting("a", "web3", 11),
			"  - {id: check, run: \"test -e "+fixed+"\", undo: none, on_fail: pause}\n", setting("b", "web4", 21), setting("c", "web3", 31))))
		h.file("fixed", "")
		var ends [2]answer
		var wg sync.WaitGroup
		for n := range ends {
			wg.Go(func() { ends[n] = h.with(on(fmt.Sprintf("host%d", n)), "resume") })
		}
		wg.Wait()
		want := []string{"set server be_web/web3 weight 11", "set server be_web/web4 weight 21", "set server be_web/web3 weight 31"}
		codes := []int{ends[0].code, ends[1].code}
		slices.Sort(codes)
		late[codes[1]]++
		if diff := cmp.Diff(want, f.Commands()); diff != "" || codes[0] != 0 || !slices.Contains([]int{3, 5, 14}, codes[1]) {
			t.Errorf("race %d (-want +got):\n%s%s\n%s", i, diff, ends[0], ends[1])
		}
		f.Close()
	}
	t.Logf("races %d; the one that came late exited (code: times) %v", races, late)
}

// frozen is a run that its holder froze in, at a record, past its lease.
type frozen struct {
	*home
	fake *haproxytest.Fake
	old  *child
}

var (
	frozenOrder  = childOrder{Lease: 3 * time.Second, Beat: 500 * time.Millisecond}
	frozenWrites = []string{"set server be_web/web3 weight 10", "set server be_web/web4 weight 20", "set server be_web/web3 weight 30"}
)

func freeze(t *testing.T, at int) frozen {
	t.Helper()
	z := frozen{home: newHome(t, memoryDir(t)), fake: quietFake(t)}
	z.order = frozenOrder
	o := frozenOrder
	o.StopAt = at
	z.old = z.start(o, "run", z.file("p.yaml", lockPlan("p", z.fake, setting("a", "web3", 10), setting("b", "web4", 20), "  - {id: w, wait: 700ms}\n", setting("c", "web3", 30))))
	stands(t, z.old.Process.Pid)
	return z
}

func (z frozen) thaw() {
	z.Helper()
	if err := z.old.Process.Signal(syscall.SIGCONT); err != nil {
		z.Fatal(err)
	}
}

// fenced wants the old process to end with 14, and the load balancer to have seen each change once.
func (z frozen) fenced() {
	z.Helper()
	if got := z.wait(z.old); got.code != 14 || !strings.Contains(got.err, "hint:") {
		z.Errorf("the process that stood still: want exit 14 and a hint, got %s", got)
	}
	if diff := cmp.Diff(frozenWrites, z.fake.Commands()); diff != "" {
		z.Errorf("writes (-want +got):\n%s", diff)
	}
}

// lockRecords is how many records the frozen plan has before its end.
func lockRecords(t *testing.T) int {
	t.Helper()
	h, f := newHome(t, memoryDir(t)), quietFake(t)
	h.wants([]int{0}, "run", h.file("p.yaml", lockPlan("p", f, setting("a", "web3", 10), setting("b", "web4", 20), "  - {id: w, wait: 1ms}\n", setting("c", "web3", 30))))
	return len(h.records()) - 1
}

// TestAProcessThatStoodStillWritesNothingAfterATakeover freezes a run with SIGSTOP at each of its records until its lease
// is over and another process went on with it.
func TestAProcessThatStoodStillWritesNothingAfterATakeover(t *testing.T) {
	t.Parallel()
	slots := make(chan struct{}, 8) // most of it is waiting for the lease
	for at := range lockRecords(t) {
		at++
		t.Run(fmt.Sprintf("frozen at record %d, thawed when the other is done", at), func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			z := freeze(t, at)
			z.wants([]int{5}, "resume") // it may still act
			z.wants([]int{0}, "resume", "--lock-wait", "30s")
			z.thaw()
			z.fenced()
		})
		if at%2 == 1 && !soak() {
			continue
		}
		t.Run(fmt.Sprintf("frozen at record %d, thawed while the other goes on", at), func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			z := freeze(t, at)
			var wg sync.WaitGroup
			wg.Go(func() {
				if got := z.flip("resume", "--lock-wait", "30s"); got.code != 0 {
					t.Errorf("the other one: %s", got)
				}
			})
			soon(t, "the takeover", func() bool {
				return slices.ContainsFunc(z.records(), func(r journal.Record) bool { return r.Type == journal.TypeTakeover && r.Seq > at })
			})
			z.thaw()
			wg.Wait()
			z.fenced()
		})
	}
}

// TestAProcessThatStoodStillGoesOnWhenNobodyTookOver: a laptop that slept.
func TestAProcessThatStoodStillGoesOnWhenNobodyTookOver(t *testing.T) {
	t.Parallel()
	z := freeze(t, 8)
	began := time.Now()
	soon(t, "the end of the lease", func() bool { return time.Since(began) > frozenOrder.Lease+time.Second })
	z.thaw()
	if got := z.wait(z.old); got.code != 0 {
		t.Errorf("want exit 0, got %s", got)
	}
	if diff := cmp.Diff(frozenWrites, z.fake.Commands()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}
