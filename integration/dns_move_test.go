package integration

import (
	"fmt"
	"strings"
	"testing"
)

// dnsPlans are the plans of the repository that tests about names run.
var dnsPlans = []string{"dns-move", "dns-move-short-ttl", "dns-service-move"}

// report prints a line for each kind of client and returns how many requests of each failed.
func (h *house) report(what string) (plain, failover int) {
	h.Helper()
	seen := h.leave()
	for i, kind := range []string{"no failover", "failover"} {
		fmt.Printf("dns: %-52s %-11s %s\n", what, kind, seen[i])
		if seen[i].Requests == 0 {
			h.Errorf("%s: no request was made", kind)
		}
	}
	return seen[0].Failed, seen[1].Failed
}

// TestANameMovesAndNoClientNotices runs the plans of the repository on a real BIND while clients use the name.
func TestANameMovesAndNoClientNotices(t *testing.T) {
	t.Parallel()
	w := newTown(t, "127.0.40")
	tests := map[string]func(*testing.T){}
	for _, tt := range []struct {
		name, plan, resolver string
		ttl                  int
		vars                 []string
		after                string
	}{
		{"over unbound", "dns-move", unbound, 2, nil, "B ttl 2, new running"},
		{"over dnsmasq", "dns-move", dnsmasq, 2, nil, "B ttl 2, new running"},
		{"over a resolver that stretches TTLs", "dns-move", stretching, 2, nil, "B ttl 2, new running"},
		{"with a long TTL, over unbound", "dns-move-short-ttl", unbound, 6, []string{"short=2", "long=7"}, "B ttl 7, new running"},
		{"with a long TTL, over dnsmasq", "dns-move-short-ttl", dnsmasq, 6, []string{"short=2", "long=7"}, "B ttl 7, new running"},
	} {
		tests[tt.name] = func(t *testing.T) {
			h := w.house(t, tt.resolver, tt.ttl)
			h.live()
			h.wants([]int{0}, h.args(h.plan(tt.plan), tt.vars...)...)
			h.more(200)
			if got := h.serves(); got != tt.after {
				t.Errorf("at the end: %s, want %s", got, tt.after)
			}
			plain, failover := h.report("right order " + tt.name)
			if plain+failover > 0 {
				t.Errorf("%d and %d requests failed\n%s", plain, failover, h.flip("show"))
			}
		}
	}
	sideBySide(t, tests)
}

// The parts of wrong orders.
const (
	stepStart     = "  - {id: start-new, run: \"${{ vars.service }} start new\", undo: none}\n"
	stepAnswers   = "  - {id: new-answers, gate: new-serves}\n"
	stepBoth      = "  - {id: both, set: {target: zone, record: \"${{ vars.record }}\", values: [\"${{ vars.old }}\", \"${{ vars.new }}\"]}}\n"
	stepOnlyNew   = "  - {id: only-new, set: {target: zone, record: \"${{ vars.record }}\", values: [\"${{ vars.new }}\"]}}\n"
	stepShortened = "  - {id: only-new, set: {target: zone, record: \"${{ vars.record }}\", values: [\"${{ vars.new }}\"], ttl: 1}}\n"
	stepStop      = "  - {id: stop-old, run: \"${{ vars.service }} stop old\", undo: none}\n"
	stepFresh     = "  - {id: fresh, run: \"${{ vars.service }} fresh answer\", undo: none}\n"
	stepFormula   = "  - {id: caches-out, wait: {ttl: \"${{ vars.record }}\", slack: \"${{ vars.slack }}\"}}\n"
)

func stepWait(id, d string) string { return fmt.Sprintf("  - {id: %s, wait: %s}\n", id, d) }

// TestAWrongOrderIsNoticed proves that the harness can see a loss. Chance may spare one run, so there are three.
func TestAWrongOrderIsNoticed(t *testing.T) {
	t.Parallel()
	w := newTown(t, "127.0.41")
	tests := map[string]func(*testing.T){}
	for _, tt := range []struct {
		name, resolver string
		ttl            int
		steps          []string
		failover       bool // these clients lose as well
	}{
		{"replaced, and the old one stopped at once", unbound, 4, []string{stepStart, stepAnswers, stepFresh, stepOnlyNew, stepStop}, true},
		{"no second wait", unbound, 4, []string{stepStart, stepAnswers, stepBoth, stepWait("soak", "6s"), stepFresh, stepOnlyNew, stepStop}, false},
		{"A and B while B is not up", unbound, 2, []string{stepBoth, stepWait("soak", "4s"), stepStart, stepAnswers, stepOnlyNew, stepFormula, stepStop}, false},
		{"TTL lowered and swapped at once, new TTL waited", unbound, 6, []string{stepStart, stepAnswers, stepFresh, stepShortened, stepWait("new-ttl", "2500ms"), stepStop}, true},
		{"stretched TTLs, formula without evidence", stretching, 2, []string{stepStart, stepAnswers, stepFresh, stepOnlyNew, stepFormula, stepStop}, true},
	} {
		tests[tt.name] = func(t *testing.T) {
			const attempts = 3
			for attempt := 1; ; attempt++ {
				h := w.house(t, tt.resolver, tt.ttl)
				h.live()
				before := h.failed()
				h.wants([]int{0}, h.args(h.steps(strings.Join(tt.steps, "")))...)
				h.more(max(h.ttl, 4) * 55)
				plain, failover := h.report("wrong order: " + tt.name)
				if before > 0 {
					t.Fatalf("%d failed before the move: the setting itself is broken", before)
				}
				if plain > 0 && (failover > 0 || !tt.failover) {
					return
				}
				if attempt == attempts {
					t.Fatalf("%d and %d failed in an order that loses requests: this harness cannot fail", plain, failover)
				}
			}
		}
	}
	sideBySide(t, tests)
}

func (h *house) failed() int {
	n := 0
	for _, c := range h.clients {
		n += c.Now().Failed
	}
	return n
}
