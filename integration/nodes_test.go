package integration

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/flip-cli/flip/integration/estate"
	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

func twoNodes(s *site, vars ...string) []string {
	return s.run("two-nodes", append([]string{
		"version=v2", "lb1=" + s.Nodes[0].Socket, "lb2=" + s.Nodes[1].Socket, "deploy=" + s.Deploy, "hold=300ms", "drain=5s",
	}, vars...)...)
}

func TestEveryNodeIsRaisedBeforeAnyIsLowered(t *testing.T) {
	t.Parallel()
	s := set(t, estate.Config{Nodes: 2})
	s.begin(nil)
	s.want(0, twoNodes(s)...)
	var order []string // of what began and ended at each share
	for _, r := range s.records {
		if r.Activity != journal.ActivityApply {
			continue
		}
		name, phase, ok := strings.Cut(strings.TrimPrefix(r.Key, "/steps/shift/"), ".web.")
		if !ok {
			t.Fatalf("change outside the ramp: %s", r.Key)
		}
		order = append(order, strings.Join([]string{name, phase, string(r.Type)}, " "))
		if r.Type != journal.TypeIntent {
			continue
		}
		in, err := journal.Decode[journal.Apply](r)
		if err != nil {
			t.Fatal(err)
		}
		objects := map[string]int{}
		for _, c := range in.Changes {
			node, _, _ := strings.Cut(c.Object, "/")
			objects[node]++
			if up := grows(t, c); up != (phase == "raise") {
				t.Errorf("%s goes from %s to %s in %s", c.Object, c.From, c.To, phase)
			}
		}
		if objects["lb1"] != 2 || objects["lb2"] != 2 {
			t.Errorf("%s changes %v, want two servers on each node", r.Key, objects)
		}
	}
	var want []string
	for _, share := range []string{"5", "25", "50", "100"} {
		want = append(want, share+" raise intent", share+" raise done", share+" lower intent", share+" lower done")
	}
	if !slices.Equal(order, want) {
		t.Errorf("the order is\n%s\nwant\n%s", strings.Join(order, "\n"), strings.Join(want, "\n"))
	}
	s.lostNothing()
}

func grows(tb testing.TB, c state.Change) bool {
	tb.Helper()
	from, ok := c.From.Int()
	to, ok2 := c.To.Int()
	if !ok || !ok2 {
		tb.Fatalf("no weights: %+v", c)
	}
	return to > from
}

func TestANodeThatDiesInARampAndComesBackIsPutBackToo(t *testing.T) {
	t.Parallel()
	s := set(t, estate.Config{Nodes: 2})
	before := s.picture()
	s.begin(nil)
	back := false
	s.on = func(r journal.Record) {
		switch {
		case r.Type == journal.TypeDone && r.Key == "/steps/shift/25.web.lower":
			s.loads[1].Stop() // its clients are gone with it
			s.Nodes[1].Kill()
		case r.Type == journal.TypeIntent && strings.HasSuffix(r.Key, ".sweep") && !back:
			back = true // while flip waits for it, before the install is undone
			if err := s.Nodes[1].Restart(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		}
	}
	got := s.want(10, s.impatient(twoNodes(s))...)
	saysAll(t, got, "node lb2", "connection refused", "ROLLED BACK after step shift")
	s.shows(before, "after the way back")
	s.lostNothing()
}

// It takes the two minutes that flip waits for the node.
func TestANodeThatDiesInARampAndStaysAwayIsNamed(t *testing.T) {
	if os.Getenv("FLIP_SOAK") != "1" {
		t.Skip("FLIP_SOAK=1 runs this: it waits two minutes for the node")
	}
	t.Parallel()
	s := set(t, estate.Config{Nodes: 2})
	before := s.picture()
	s.begin(nil)
	s.once(journal.TypeDone, "/steps/shift/25.web.lower", func() {
		s.loads[1].Stop()
		s.Nodes[1].Kill()
	})
	got := s.want(12, s.impatient(twoNodes(s))...)
	t.Log(got)
	saysAll(t, got, "ROLLBACK INCOMPLETE", "lb2/be_web/web1", "lb2/be_web/web3")
	for object := range before {
		if strings.HasPrefix(object, "lb2/") {
			delete(before, object)
		}
	}
	s.shows(before, "on the node that is left")
	s.lostNothing()
}

// A reload forgets what was set at run time, and with it that a server is out. Whenever it comes, flip must not end as if
// nothing had happened.
func TestAReloadIsNoticedByName(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"between two shares":       "/steps/shift/25.hold",
		"while a share is watched": "/steps/shift/25.web.lower",
		"before the drain":         "/steps/shift/100.hold",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set(t, estate.Config{Nodes: 2, HAProxy: haproxytest.Config{MasterWorker: true}})
			before := s.picture()
			// A worker that is told to go ends kept connections, with or without flip; who opens a new one for each
			// request does not notice.
			s.begin(func(c *traffic.Config) { c.KeepAlive, c.Post, c.Slow = 0, 0, 0 })
			s.once(journal.TypeDone, key, func() {
				if err := s.Nodes[1].Reload(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
			})
			got := s.want(10, s.impatient(twoNodes(s, "drain=1s"))...)
			saysAll(t, got, "node lb2 was restarted or reloaded since this run began", "ROLLED BACK after step ")
			s.shows(before, "after the way back")
			s.lostNothing()
		})
	}
}
