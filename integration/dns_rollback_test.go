package integration

import (
	"slices"
	"strings"
	"testing"

	"github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
)

// thenFail is a step that fails while every answer is as fresh as can be.
const thenFail = stepFresh + "  - {id: then-fail, run: \"false\", undo: none}\n"

// brokenAfter is dns-move.yaml with a failing step behind one of its steps, "" for the last.
func (h *house) brokenAfter(id string) string {
	h.Helper()
	text := edited(h, "../plans/dns-move.yaml")
	at := len(text)
	if id != "" {
		before, rest, ok := strings.Cut(text, "\n  - id: "+id)
		if !ok {
			h.Fatalf("dns-move.yaml has no step %s", id)
		}
		if block, _, more := strings.Cut(rest, "\n\n"); more {
			at = len(before) + len("\n  - id: "+id) + len(block) + 1
		}
	}
	return h.file("broken.yaml", text[:at]+thenFail+text[at:])
}

// waited reports whether the way back waited for caches.
func (h *house) waited() bool {
	return slices.ContainsFunc(h.records(), func(r journal.Record) bool {
		return r.Type == journal.TypeSleep && strings.Contains(r.Key, "/undo/") && strings.HasSuffix(r.Key, ".caches")
	})
}

// careless leaves out what flip waits for on its way back.
func careless(app *cmd.App) {
	usual := app.Runner
	app.Runner = func(r *engine.Runner) {
		usual(r)
		r.Sim.NoCaches = true
	}
}

// TestAWayBackOfANameLosesNothing fails after every step of dns-move: B is stopped by the way back, and not before
// nobody can have its address. The controls leave the waits out.
func TestAWayBackOfANameLosesNothing(t *testing.T) {
	t.Parallel()
	w := newTown(t, "127.0.42")
	tests := map[string]func(*testing.T){}
	for _, id := range []string{"start-new", "new-answers", "both", "seen", "soak", "only-new", "caches-out", "unused", "stop-old"} {
		tests["after "+id] = func(t *testing.T) {
			h := w.house(t, unbound, 2)
			h.live()
			h.wants([]int{10}, h.args(h.brokenAfter(id))...)
			if published := id != "start-new" && id != "new-answers"; h.waited() != published {
				t.Errorf("it waited for caches: %v, want %v\n%s", !published, published, h.flip("show"))
			}
			h.back("way back after " + id)
		}
	}
	tests["from the end"] = func(t *testing.T) {
		h := w.house(t, unbound, 2)
		h.live()
		h.wants([]int{0}, h.args(h.plan("dns-move"))...)
		h.more(50)
		h.wants([]int{0}, "rollback", "--yes")
		h.back("way back from the end")
	}
	for _, id := range []string{"both", "caches-out"} {
		tests["control: after "+id] = func(t *testing.T) {
			h := w.house(t, unbound, 6) // a busy machine needs a while to end a server
			h.live()
			if got := h.with(careless, h.args(h.brokenAfter(id))...); got.code != 10 {
				t.Fatalf("want exit 10, got %s", got)
			}
			h.more(300)
			if plain, _ := h.report("control: way back after " + id + " without waits"); plain == 0 {
				t.Error("nothing was lost without the waits: this harness cannot fail")
			}
		}
	}
	sideBySide(t, tests)
}

// back wants everything to be as before and no request to have failed.
func (h *house) back(what string) {
	h.Helper()
	h.more(150)
	if got, want := h.serves(), "A ttl 2, old running"; got != want {
		h.Errorf("at the end: %s, want %s", got, want)
	}
	if plain, failover := h.report(what); plain+failover > 0 {
		h.Errorf("%d and %d requests failed\n%s", plain, failover, h.flip("show"))
	}
}
