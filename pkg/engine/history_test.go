package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// history is one random life of a run: steps, faults, another operator, a
// death.
type history struct {
	rng *rand.Rand
	l   *lab
	d   *death
	mu  sync.Mutex
	log []string
}

const historyTargets = `
flip: 1
name: history
targets:
  one: {driver: mem, name: one, max_in_flight: 3s, pool: {a: {weight: 100}, b: {weight: 100}, c: {weight: 100}}}
  two: {driver: mem, name: two, max_in_flight: 3s, nodes: [n1, n2], pool: {a: {weight: 100}, b: {weight: 100}}}
groups:
  all: {one: [a, b], two: [a, b]}
steps:
`

// plan makes a few steps. Weights of the run are even, those of others odd: who
// wrote a value can be seen.
func (h *history) plan() string {
	var b strings.Builder
	b.WriteString(historyTargets)
	for i := range 2 + h.rng.IntN(4) {
		w := 2 * (1 + h.rng.IntN(60))
		switch h.rng.IntN(6) {
		case 0:
			fmt.Fprintf(&b, "  - {id: s%d, set: {target: one, members: [%c], weight: %d}}\n", i, 'a'+rune(h.rng.IntN(3)), w)
		case 1:
			fmt.Fprintf(&b, "  - {id: s%d, set: {target: two, members: [a], weight: %d}}\n", i, w)
		case 2:
			fmt.Fprintf(&b, "  - {id: s%d, set: {group: all, weight: %d}}\n", i, w)
		case 3:
			fmt.Fprintf(&b, "  - {id: s%d, wait: 1s}\n", i)
		case 4:
			fmt.Fprintf(&b, "  - {id: s%d, parallel: [{id: l%d, set: {target: one, members: [a], weight: %d}}, {id: r%d, set: {target: two, members: [b], weight: %d}}]}\n", i, i, w, i, w+2)
		case 5:
			fmt.Fprintf(&b, "  - {id: s%d, each: all, do: [{id: e%d, set: {weight: %d}}]}\n", i, i, w)
		}
	}
	b.WriteString("  - {id: bad, gate: {script: {name: bad}, timeout: 1s}}\n")
	return b.String()
}

func (h *history) note(format string, args ...any) {
	h.log = append(h.log, fmt.Sprintf(format, args...))
}

// them is another operator's write between two records.
func (h *history) them() {
	target := []string{"one", "two"}[h.rng.IntN(2)]
	ids := map[string][]string{"one": {"a", "b", "c"}, "two": {"n1/a", "n1/b", "n2/a", "n2/b"}}[target]
	id := ids[h.rng.IntN(len(ids))]
	h.l.outside(target, id, "weight", state.Int(2*h.rng.IntN(60)+1))
	h.note("they set %s %s to %s", target, id, h.l.live(target)[id])
}

func (h *history) weights() map[string]string {
	all := map[string]string{}
	for _, target := range []string{"one", "two"} {
		for id, w := range h.l.live(target) {
			all[target+" "+id] = w
		}
	}
	return all
}

// TestARollbackTakesWhatTheRunWroteAndNothingElse lives through random
// histories: whatever happens between two records, the way back overwrites no
// value of another operator, and leaves none of the run's own that it does not
// report.
func TestARollbackTakesWhatTheRunWroteAndNothingElse(t *testing.T) {
	histories := 1000
	if testing.Short() {
		histories = 100
	}
	for seed := range uint64(histories) {
		var wrong []string
		synctest.Test(t, func(t *testing.T) { wrong = live(t, seed, engine.DriftSkip) })
		for _, w := range wrong {
			t.Errorf("seed %d: %s", seed, w)
		}
		if len(wrong) > 0 {
			return
		}
	}
}

// An engine that overwrites what is not its own must be found.
func TestTheHistoriesFindAnEngineThatOverwritesOthers(t *testing.T) {
	bad := 0
	for seed := range uint64(100) {
		synctest.Test(t, func(t *testing.T) { bad += min(1, len(live(t, seed, engine.DriftForce))) })
	}
	t.Logf("histories 100, wrong %d", bad)
	if bad == 0 {
		t.Error("none was found wrong: the histories prove nothing")
	}
}

func live(t *testing.T, seed uint64, mode engine.OnDrift) (wrong []string) {
	h := &history{rng: rand.New(rand.NewPCG(seed, 1)), d: &death{}}
	h.l = newLab(t, h.plan())
	h.l.gates["bad"] = func(int) (gate.Result, error) { return no("bad") }
	h.l.mortal(h.d, "one", "two")
	h.faults()
	if h.rng.IntN(3) == 0 {
		h.d.record, h.d.after = 2+h.rng.IntN(40), h.rng.IntN(2) == 0
	}
	meddle := h.rng.Float64() * 0.15
	records, back := 0, false
	var before map[string]string // at the beginning of the last way back
	h.l.onRecord = func(r journal.Record) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if r.Type == journal.TypeLook {
			return
		}
		records++
		if r.Type == journal.TypeRollback {
			back = true
			before = h.weights()
		}
		// On the way back they write only before its first look: what they do
		// afterwards they may do at any time after the run as well.
		if r.Type == journal.TypeRun || r.Type == journal.TypeEnd || back && r.Type != journal.TypeRollback {
			return
		}
		if h.rng.Float64() < meddle {
			h.them()
		}
		if r.Type == journal.TypeRollback {
			before = h.weights()
		}
	}
	h.l.program().Close()
	end, err := h.l.start(engine.Options{OnDrift: mode})
	for range 3 {
		if err == nil && end.Outcome != journal.OutcomeIncomplete {
			break
		}
		h.d.revive()
		back = false
		again := h.l.rollback
		if st, ferr := journal.Fold(h.l.records()); err != nil && ferr == nil && st.Open && h.rng.IntN(2) == 0 {
			again = h.l.resume
		}
		if end, err = again(engine.Options{OnDrift: mode}); errors.Is(err, engine.ErrNothingToDo) {
			st, ferr := journal.Fold(h.l.records()) // it died behind its last record
			end, err = st.End, ferr
		}
		if err == nil {
			break
		}
	}
	time.Sleep(time.Minute) // all that is late has landed
	if err != nil {
		return []string{fmt.Sprintf("%v\n%s", err, h.l.story())}
	}
	if before == nil { // nothing had to be undone
		if w := h.l.writes(); len(w) > 0 {
			wrong = append(wrong, fmt.Sprintf("it changed something and did not go back: %v", w))
		}
		return wrong
	}
	ours := map[state.Key][]state.Value{}
	first := map[state.Key]state.Value{}
	st, err := journal.Fold(h.l.records())
	must(t, err)
	for _, e := range st.Effects {
		for _, c := range e.Changes {
			if e.Rollback > 0 {
				continue
			}
			if _, seen := first[c.Key()]; !seen {
				first[c.Key()] = c.From
			}
			ours[c.Key()] = append(ours[c.Key()], c.To)
		}
	}
	put := restoredBefore(h.l.records(), len(st.Rollbacks))
	reported := map[string]journal.Drift{}
	for _, d := range end.Drift {
		reported[d.Target+" "+d.Object] = d
	}
	now := h.weights()
	for k, was := range before {
		target, object, _ := strings.Cut(k, " ")
		key := state.Key{Target: target, Object: object, Attribute: "weight"}
		want, drifts := was, false
		mine := slices.Contains(ours[key], state.Value(was))
		switch f, touched := first[key]; {
		case !touched: // never ours
		case was == string(f):
		case mine:
			want = string(f)
		default:
			// One that an earlier attempt put back is theirs from then on.
			drifts = !put[k]
		}
		_, told := reported[k]
		if end.Reason != "" && end.Outcome == journal.OutcomeIncomplete && len(end.Drift) == 0 {
			continue // it stopped and says so
		}
		if now[k] != want && !told {
			wrong = append(wrong, fmt.Sprintf("%s is %s, was %s at the way back, should be %s (ours %v)", k, now[k], was, want, ours[key]))
		}
		if drifts && !told {
			wrong = append(wrong, fmt.Sprintf("%s drifted to %s, and nobody is told", k, was))
		}
	}
	if len(wrong) > 0 {
		wrong = append(wrong, strings.Join(h.log, "\n"), fmt.Sprintf("%s: %s", end.Outcome, end.Reason), h.l.text, h.l.story())
	}
	return wrong
}

// faults makes some calls fail in some way.
func (h *history) faults() {
	rate := h.rng.Float64() * 0.3
	for _, name := range []string{"one", "two"} {
		mortal := h.l.wrap[name]
		seed := h.rng.Uint64()
		h.l.wrap[name] = func(inner driver.Driver) driver.Driver {
			return drivertest.Faulty(mortal(inner), drivertest.Faults{Rate: rate, Seed: seed, Any: []drivertest.Fault{
				{Kind: drivertest.FailBefore},
				{Kind: drivertest.LoseReply},
				{Kind: drivertest.HalfBatch},
				{Kind: drivertest.Throttle},
				{Kind: drivertest.LateWrite, Delay: 2 * time.Second},
				{Kind: drivertest.Slow, Delay: time.Second},
			}})
		}
	}
}

// restoredBefore are the weights that the attempts before the nth found or made
// as they had been. They are nobody's business any more.
func restoredBefore(records []journal.Record, n int) map[string]bool {
	put := map[string]bool{}
	asked := map[string]journal.Restore{}
	for _, r := range records {
		if r.Activity != "restore" || strings.HasPrefix(r.Key, fmt.Sprintf("/undo/%d/", n)) {
			continue
		}
		if r.Type == journal.TypeIntent {
			asked[r.Key], _ = journal.Decode[journal.Restore](r)
			continue
		}
		out, _ := journal.Decode[journal.Restored](r)
		for _, item := range asked[r.Key].Items {
			left := slices.ContainsFunc(out.Drift, func(d journal.Drift) bool { return d.Object == item.Object })
			put[asked[r.Key].Target+" "+item.Object] = r.Type == journal.TypeDone && !left
		}
	}
	return put
}
