package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/integration/dnslab"
	"github.com/flip-cli/flip/pkg/driver/dnstest"
)

// cliff is a zone on a real BIND from which flips fall, each with a name of its own.
type cliff struct {
	testing.TB
	bind   *dnstest.Server
	server *dnslab.Host // of every new address
	plan   string
	next   int
}

// The addresses of every name.
const cliffOld, cliffNew = "127.0.43.2", "127.0.43.3"

func newCliff(tb testing.TB) *cliff {
	tb.Helper()
	dir := tb.TempDir()
	port, err := dnslab.Port(tb.Context(), cliffNew)
	if err != nil {
		tb.Fatal(err)
	}
	c := &cliff{TB: tb, bind: dnstest.BIND(tb, dnstest.Zone{}), plan: filepath.Join(dir, "move.yaml")}
	c.server = dnslab.NewHost("new", fmt.Sprintf("%s:%d", cliffNew, port), filepath.Join(dir, "new.log"))
	if err := c.server.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.server.Stop)
	text := edited(tb, "../plans/dns-move.yaml",
		"every: 200ms\n    passes: 10", "every: 10ms\n    passes: 2",
		"[auth, isp]", "[auth]",
		"zone: ${{ vars.zone }}", "zone: ${{ vars.zone }}\n    timeout: 1s")
	if err := os.WriteFile(c.plan, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return c
}

// fall is one name that moves, with a flip that dies on the way.
type fall struct {
	*home
	cliff *cliff
	name  string
	args  []string
}

// service notes what was started and stopped: what runs is in files.
const service = `#!/bin/sh
echo "$1" > "$(dirname "$0")/$2"
`

func (c *cliff) fall() *fall {
	c.Helper()
	c.next++
	f := &fall{home: newHome(c, c.TempDir()), cliff: c, name: fmt.Sprintf("www%d.%s", c.next, c.bind.Zone())}
	f.env["FLIP_TSIG"] = dnstest.TestKey().Secret
	f.file("old", "start\n")
	f.file("new", "stop\n")
	command := f.file("service", service)
	if err := os.Chmod(command, 0o700); err != nil { //nolint:gosec // it is to be run
		c.Fatal(err)
	}
	c.bind.Set(c, f.name, "A", 1, cliffOld)
	_, port, _ := strings.Cut(c.server.Addr(), ":")
	f.args = []string{"run", "--yes", c.plan}
	for _, v := range []string{
		"old=" + cliffOld, "new=" + cliffNew, "record=" + f.name + " A", "zone=" + c.bind.Zone(), "primary=" + c.bind.Addr(),
		"key=" + dnstest.TestKey().Name, "name_servers=" + c.bind.Addr(), "health=http://" + f.name + "/healthz", "port=" + port,
		"service=" + command, "log=" + f.file("old.log", ""), "soak=20ms", "every=20ms", "slack=1ms", "quiet=20ms",
	} {
		f.args = append(f.args, "--var", v)
	}
	return f
}

// stands is what there is: the record, and which servers run.
func (f *fall) stands() string {
	f.Helper()
	r := f.cliff.bind.Lookup(f, f.name, "A")
	text := fmt.Sprintf("%s ttl %d", strings.Join(r.Values, " "), r.TTL)
	for _, server := range []string{"old", "new"} {
		b, err := os.ReadFile(filepath.Join(f.dir, server))
		if err != nil {
			f.Fatal(err)
		}
		text += fmt.Sprintf(", %s %s", server, strings.TrimSpace(string(b)))
	}
	return strings.NewReplacer(cliffOld, "A", cliffNew, "B").Replace(text)
}

const (
	unmoved = "A ttl 1, old start, new stop"
	moved   = "B ttl 1, old stop, new start"
)

// TestNoKillLeavesANameHalfMoved kills flip with SIGKILL at every record of dns-move over a real BIND. resume must then
// reach the plan's end, rollback everything from before.
func TestNoKillLeavesANameHalfMoved(t *testing.T) {
	t.Parallel()
	c := newCliff(t)
	whole := c.fall()
	is := func(want string) {
		if diff := cmp.Diff(want, whole.stands()); diff != "" {
			t.Fatalf("without any crash (-want +got):\n%s", diff)
		}
	}
	is(unmoved)
	whole.wants([]int{0}, whole.args...)
	is(moved)
	all := points(whole.records(), 0)
	whole.wants([]int{0}, "rollback", "--yes")
	is(unmoved)

	var mu sync.Mutex
	var flips sync.WaitGroup
	slots := make(chan struct{}, 12) // most of it is waiting
	began, wrong := time.Now(), map[string]int{}
	for verb, want := range map[string]string{"resume": moved, "rollback": unmoved} {
		wrong[verb] = 0
		for _, p := range all {
			f := c.fall()
			flips.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				f.dies(p.order, f.args...)
				f.goesOn(verb, p)
				if diff := cmp.Diff(want, f.stands()); diff != "" {
					mu.Lock()
					wrong[verb]++
					mu.Unlock()
					t.Errorf("killed at %s, then %s: the end is wrong (-want +got):\n%s\n%s", p.name, verb, diff, f.flip("logs"))
				}
			})
		}
	}
	flips.Wait()
	fmt.Printf("dns: killed at %d points of dns-move: resume wrong %d, rollback wrong %d, %s\n",
		len(all), wrong["resume"], wrong["rollback"], time.Since(began).Round(time.Second))
}

// goesOn has another flip end what the dead one began.
func (f *fall) goesOn(verb string, p point) {
	f.Helper()
	switch {
	case verb == "resume" && p.order.KillBefore: // nothing happened, and nothing is in the way of a new run
		f.wants([]int{0}, f.args...)
	case verb == "resume" && p.end, p.order.KillBefore:
		f.wants([]int{3}, verb)
	default:
		f.wants([]int{0}, verb, "--yes")
	}
}
