package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/integration/estate"
	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/journal"
)

// soak runs every point of every matrix, not a sample.
func soak() bool { return os.Getenv("FLIP_SOAK") == "1" }

// scaffold is a real HAProxy with a plan whose runs are killed on it.
type scaffold struct {
	testing.TB
	ha   *haproxytest.Server
	args []string // of flip run
	pre  []string // state of every server before
	back func()   // puts everything back to pre
	more func() []string
	next int
}

// home is a new state directory on this stage.
func (s *scaffold) home() *home {
	s.next++
	dir := filepath.Join(s.TempDir(), fmt.Sprint(s.next))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.Fatal(err)
	}
	return newHome(s, dir)
}

// servers is every server as HAProxy has it: name, weight and administrative state.
func (s *scaffold) servers() []string {
	s.Helper()
	var all []string
	reply, err := s.ha.Command("show servers state")
	if err != nil {
		s.Fatal(err)
	}
	for line := range strings.Lines(reply) {
		if f := strings.Fields(line); len(f) > 7 && f[0] != "#" {
			all = append(all, fmt.Sprintf("%s weight %s admin %s", f[3], f[7], f[6]))
		}
	}
	slices.Sort(all)
	if s.more != nil {
		all = append(all, s.more()...)
	}
	return all
}

func (s *scaffold) tell(lines ...string) {
	s.Helper()
	for _, line := range lines {
		if reply, err := s.ha.Command(line); err != nil || reply != "" {
			s.Fatalf("%s: %q, %v", line, reply, err)
		}
	}
}

// quickstartStage is plans/quickstart.yaml on an estate, with holds of a moment and no clients.
func quickstartStage(t testing.TB) *scaffold {
	t.Helper()
	e, err := estate.Start(t.Context(), t.TempDir(), estate.Config{
		Servers: []estate.Server{
			{Name: "web1", Version: "v1", Weight: 100},
			{Name: "web2", Version: "v1", Weight: 100},
			{Name: "web3", Version: "v1"},
			{Name: "web4", Version: "v1"},
		},
		HAProxy: haproxytest.Config{CheckInterval: 100 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	s := &scaffold{TB: t, ha: e.Nodes[0]}
	s.more = func() []string { return []string{"web3 " + e.Version("web3"), "web4 " + e.Version("web4")} }
	s.back = func() {
		for _, web := range []string{"web3", "web4"} {
			if e.Version(web) != "v1" {
				if err := e.Install("v1", web); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.tell("set server be_web/web1 weight 100", "set server be_web/web2 weight 100", "set server be_web/web3 weight 0", "set server be_web/web4 weight 0")
	}
	s.pre = s.servers()
	// Nobody visits: the gate asks for health. A version is named, since a killed undo runs twice and "previous" of the
	// estate would then be the new one.
	plan := filepath.Join(t.TempDir(), "quickstart.yaml")
	text := edited(t, "../plans/quickstart.yaml",
		"backend: be_web}", "backend: be_web, max_in_flight: 20ms}",
		"haproxy: {target: web, members: [idle], max_error_rate: 1%, min_requests: 20}", "haproxy: {target: web, members: [idle], healthy: true}",
		"every: 200ms", "every: 10ms",
		"deploy }} previous", "deploy }} v1")
	if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = []string{"run", plan, "--var", "version=v2", "--var", "socket=" + s.ha.Socket, "--var", "deploy=" + e.Deploy, "--var", "hold=20ms"}
	return s
}

const rampPlan = `flip: 1
name: ramp-20
targets:
  web: {driver: haproxy, endpoints: ["unix://SOCKET"], backend: be_web, max_in_flight: 20ms}
groups:
  blue:  {web: [a0, a1, a2, a3, a4, a5, a6, a7, a8, a9]}
  green: {web: [b0, b1, b2, b3, b4, b5, b6, b7, b8, b9]}
alternate: [blue, green]
guards:
  - {target: web, min_serving: 10}
steps:
  - id: raise
    set: {group: idle, weight: 0, state: ready}
  - id: shift
    ramp: {from: live, to: idle, percent: [10, 50, 100], hold: 5ms}
  - id: out
    set: {group: live, state: maint}
`

// rampStage is a ramp over 20 servers, the idle ten of which are in maint.
func rampStage(t testing.TB) *scaffold {
	t.Helper()
	var members []haproxytest.Member
	for _, side := range []string{"a", "b"} {
		app, err := traffic.StartProcess(t.Context(), traffic.AppConfig{Name: side, Version: "v1"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(app.Kill)
		for i := range 10 {
			members = append(members, haproxytest.Member{Name: fmt.Sprintf("%s%d", side, i), Address: app.Addr, Weight: 100})
		}
	}
	s := &scaffold{TB: t}
	s.ha = haproxytest.Start(t, haproxytest.Config{CheckInterval: 50 * time.Millisecond, Backends: []haproxytest.Backend{{Name: "be_web", Servers: members}}})
	s.back = func() {
		for i := range 10 {
			s.tell(fmt.Sprintf("set server be_web/a%d state ready", i), fmt.Sprintf("set server be_web/a%d weight 100", i),
				fmt.Sprintf("set server be_web/b%d state maint", i), fmt.Sprintf("set server be_web/b%d weight 100", i))
		}
	}
	s.back()
	s.pre = s.servers()
	plan := filepath.Join(t.TempDir(), "ramp.yaml")
	if err := os.WriteFile(plan, []byte(strings.ReplaceAll(rampPlan, "SOCKET", s.ha.Socket)), 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = []string{"run", plan}
	return s
}

// point is one place to die.
type point struct {
	order  childOrder
	name   string
	change bool // a call may be under way: never left out of a sample
	end    bool // the terminal record is durable
	// takeover: a process said that it drives the run, and nothing else.
	takeover bool
}

// points are all records of a run, and the moment before the first.
func points(records []journal.Record, from int) []point {
	var all []point
	if from == 0 {
		all = append(all, point{order: childOrder{KillBefore: true}, name: "before record 1", change: true})
	}
	for _, r := range records[from:] {
		p := point{order: childOrder{KillAt: r.Seq}, name: fmt.Sprintf("record %d, %s %s", r.Seq, r.Type, r.Key)}
		p.change = slices.Contains([]string{"apply", "restore", "run", "kill"}, r.Activity) || r.Type == journal.TypeRollback || r.Type == journal.TypeTakeover
		p.takeover = r.Type == journal.TypeTakeover
		p.end = r.Type == journal.TypeEnd
		all = append(all, p)
	}
	return all
}

// sample leaves out two of three points where nothing is being changed.
func sample(all []point) []point {
	if soak() {
		return all
	}
	var some []point
	for i, p := range all {
		if p.change || p.end || i%3 == 1 {
			some = append(some, p)
		}
	}
	return some
}

// matrix kills a flip at each point and lets another one end what it began.
func (s *scaffold) matrix(what string, all []point, want func(point) []string, prepare func(*home) []string, end func(h *home, p point)) {
	s.Helper()
	began := time.Now()
	var n struct{ points, wrong int }
	for _, p := range sample(all) {
		h := s.home()
		h.dies(p.order, prepare(h)...)
		end(h, p)
		n.points++
		if diff := cmp.Diff(want(p), s.servers()); diff != "" {
			n.wrong++
			s.Errorf("%s, killed at %s: the end is wrong (-want +got):\n%s\n%s", what, p.name, diff, h.flip("logs"))
		}
		s.back()
		if diff := cmp.Diff(s.pre, s.servers()); diff != "" {
			s.Fatalf("cannot put the stage back (-want +got):\n%s", diff)
		}
	}
	s.Logf("%s: points %d of %d, wrong %d, %s", what, n.points, len(all), n.wrong, time.Since(began).Round(time.Second))
}

// forward and back matrices of a stage.
func (s *scaffold) crash() {
	s.Helper()
	whole := s.home()
	whole.wants([]int{0}, s.args...)
	done, records := s.servers(), whole.records()
	if cmp.Equal(done, s.pre) {
		s.Fatal("the plan changes nothing: nothing is tested")
	}
	whole.wants([]int{0}, "rollback", "--yes")
	if diff := cmp.Diff(s.pre, s.servers()); diff != "" {
		s.Fatalf("a rollback without any crash (-want +got):\n%s", diff)
	}
	wayBack := points(whole.records(), len(records))
	s.back()
	run := func(*home) []string { return s.args }
	always := func(state []string) func(point) []string { return func(point) []string { return state } }
	all := points(records, 0)
	s.matrix("run killed, then resume", all, always(done), run, func(h *home, p point) {
		switch {
		case p.order.KillBefore: // nothing happened, and nothing is in the way of a new run
			h.wants([]int{0}, s.args...)
		case p.end:
			h.wants([]int{3}, "resume")
		default:
			h.wants([]int{0}, "resume")
		}
	})
	s.matrix("run killed, then rollback", all, always(s.pre), run, func(h *home, p point) {
		if p.order.KillBefore {
			h.wants([]int{3}, "rollback", "--yes")
			return
		}
		h.wants([]int{0}, "rollback", "--yes")
	})
	back := func(h *home) []string {
		h.wants([]int{0}, s.args...)
		return []string{"rollback", "--yes"}
	}
	for _, verb := range []string{"resume", "rollback"} {
		want := func(p point) []string {
			if verb == "resume" && p.takeover { // the way back had not begun: the run stands as it was, done
				return done
			}
			return s.pre
		}
		s.matrix("rollback killed, then "+verb, wayBack, want, back, func(h *home, p point) {
			h.wants([]int{0, 10, 3}, verb)
		})
	}
}

// TestNoKillLeavesARealHAProxyHalfChanged kills flip with SIGKILL at every record of runs and rollbacks over a real
// HAProxy. resume must then reach the plan's end, rollback every value from before.
func TestNoKillLeavesARealHAProxyHalfChanged(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(testing.TB) *scaffold{"the quickstart": quickstartStage, "a ramp over 20 servers": rampStage} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set(t).crash()
		})
	}
}
