package integration

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/pkg/driver/dnstest"
	"github.com/flip-cli/flip/pkg/journal"
)

// program runs the built flip as users do.
func (h *house) program(path string, args ...string) answer {
	h.Helper()
	c := exec.CommandContext(h.Context(), path, args...)
	c.Env = os.Environ()
	for k, v := range h.env {
		c.Env = append(c.Env, k+"="+v)
	}
	var out, errs strings.Builder
	c.Stdout, c.Stderr = &out, &errs
	_ = c.Run() // its exit code is looked at
	return answer{c.ProcessState.ExitCode(), out.String(), errs.String()}
}

// floors are the moments until which the run waits for caches.
func (h *house) floors() []journal.Until {
	h.Helper()
	var all []journal.Until
	for _, r := range h.records() {
		if r.Type == journal.TypeSleep && strings.HasSuffix(r.Key, "caches-out.wait") {
			until, err := journal.Decode[journal.Until](r)
			if err != nil {
				h.Fatal(err)
			}
			all = append(all, until)
		}
	}
	return all
}

// TestALongWaitIsLeftAndTakenUpAgain leaves the wait for caches with exit 13; another process ends it.
func TestALongWaitIsLeftAndTakenUpAgain(t *testing.T) {
	t.Parallel()
	w := newTown(t, "127.0.44")
	h := w.house(t, unbound, 8)
	flip := flipProgram(t)
	args := append(h.args(h.plan("dns-move")), "--detach-on-wait", "4s")
	got := h.program(flip, args...)
	if got.code != 13 {
		t.Fatalf("want exit 13, got %s", got)
	}
	first := h.floors()
	if len(first) != 1 {
		t.Fatalf("%d waits for caches in the journal, want 1", len(first))
	}
	status := h.program(flip, "status")
	saysAll(t, status, h.run(), "waiting", "caches-out")
	if got := h.program(flip, "resume", "--yes"); got.code != 0 {
		t.Fatalf("flip resume: want exit 0, got %s", got)
	}
	if again := h.floors(); len(again) != 1 || !again[0].Until.Equal(first[0].Until) {
		t.Errorf("it waited until %v, want %v", again, first)
	}
	if got, want := h.serves(), "B ttl 8, new running"; got != want {
		t.Errorf("at the end: %s, want %s", got, want)
	}
}

// TestASecondOperatorIsNotOverwritten has somebody write the record between flip's reading and its writing: the update
// carries what flip has read as a prerequisite, so the server refuses it.
func TestASecondOperatorIsNotOverwritten(t *testing.T) {
	t.Parallel()
	w := newTown(t, "127.0.45")
	sideBySide(t, map[string]func(*testing.T){
		"in the first change":  func(t *testing.T) { secondOperator(t, w, "both", 1) },
		"in the second change": func(t *testing.T) { secondOperator(t, w, "only-new", 2) },
	})
}

func secondOperator(t *testing.T, w *town, step string, updates int) {
	h := w.house(t, unbound, 2)
	proxy := dnstest.NewProxy(t, w.bind)
	theirs := func() { w.bind.Set(t, h.name, "A", 30, "192.0.2.77") }
	got := h.with(meddling(proxy, step, theirs), h.args(h.plan("dns-move"), "primary="+proxy.Addr())...)
	if got.code != 12 { // the record is neither as before nor as the run meant it: a person is needed
		t.Fatalf("want exit 12, got %s", got)
	}
	saysAll(t, got, "somebody else changed it", "NOT put back", "192.0.2.77", "--on-drift=force")
	if n := proxy.Updates(); n != updates {
		t.Errorf("flip sent %d updates, want %d", n, updates)
	}
	if got, want := h.serves(), "192.0.2.77 ttl 30, old running"; got != want {
		t.Errorf("at the end: %s, want %s", got, want)
	}
}

// meddling does something once, between flip's reading and its writing in a step.
func meddling(proxy *dnstest.Proxy, step string, act func()) func(*cmd.App) {
	return func(app *cmd.App) {
		app.OnRecord = func(r journal.Record) {
			if r.Type == journal.TypeIntent && strings.HasPrefix(r.Key, "/steps/"+step) {
				proxy.BeforeUpdate(act)
			}
		}
	}
}

// TestAnAddressThatSomebodyElseTookOutIsLeftToItsClients: somebody puts the record back while flip moves it, so that there
// is nothing to restore. But clients still have the new address, and the way back ends its server.
func TestAnAddressThatSomebodyElseTookOutIsLeftToItsClients(t *testing.T) {
	t.Parallel()
	w := newTown(t, "127.0.49")
	h := w.house(t, unbound, 4)
	h.live()
	proxy := dnstest.NewProxy(t, w.bind)
	putBack := func() {
		if err := h.fresh(); err != nil {
			t.Error(err)
		}
		w.bind.Set(t, h.name, "A", 4, h.oldIP)
	}
	got := h.with(meddling(proxy, "only-new", putBack), h.args(h.plan("dns-move"), "primary="+proxy.Addr(), "soak=5s")...)
	h.more(250)
	t.Log(got)
	if got, want := h.serves(), "A ttl 4, old running"; got != want {
		t.Errorf("at the end: %s, want %s", got, want)
	}
	if plain, failover := h.report("somebody else puts the record back"); plain+failover > 0 {
		t.Errorf("%d and %d requests failed\n%s", plain, failover, got)
	}
}
