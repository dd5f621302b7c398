package engine_test

import (
	"maps"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// What a command's undo restarts must not take traffic because a system forgot
// meanwhile that it was out.
func TestWhatIsOutIsHeldWhileACommandIsUndone(t *testing.T) {
	const upgraded = `
flip: 1
name: hold
targets:
  web: {driver: mem, name: web, pool: {a1: {weight: 100}, a2: {weight: 100}}}
gates:
  watch: {script: {name: watch}, every: 1s, timeout: 1m}
steps:
  - {id: out, set: {target: web, members: [a1], weight: 0}}
  - {id: upgrade, run: "true", undo: "true"}
  - {id: in, set: {target: web, members: [a1], weight: 50}}
  - {id: stay, wait: 10s, gate: watch}
`
	for name, test := range map[string]struct {
		pauses  bool // the way back is gone by another process
		outside string
		want    map[string]string
		outcome journal.Outcome
		after   map[string]string
	}{
		"by the process that set it": {
			want: map[string]string{"a1 weight": "0"}, outcome: journal.OutcomeRolledBack, after: map[string]string{"a1": "100", "a2": "100"},
		},
		"by another process": {
			pauses: true, want: map[string]string{"a1 weight": "0"}, outcome: journal.OutcomeRolledBack, after: map[string]string{"a1": "100", "a2": "100"},
		},
		"unless somebody else set it": {
			pauses: true, outside: "37", want: nil, outcome: journal.OutcomeIncomplete, after: map[string]string{"a1": "37", "a2": "100"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, upgraded)
				f := &forgetful{forget: make(chan error, 1)}
				l.wrap["web"] = func(d driver.Driver) driver.Driver { f.Driver = d; return f }
				var during map[string]string
				l.onRecord = func(r journal.Record) {
					if r.Type == journal.TypeDone && strings.HasPrefix(r.Key, "/undo/") && strings.HasSuffix(r.Key, ".run") {
						f.mu.Lock()
						open := f.open
						f.mu.Unlock()
						if open > 0 {
							during = maps.Clone(f.watched())
						}
					}
				}
				soft, stop := contextWithCancel(t)
				l.gates["watch"] = func(n int) (gate.Result, error) {
					if n > 2 && !test.pauses {
						return no("worse")
					}
					if n == 2 && test.pauses {
						stop()
					}
					return yes("fine")
				}
				end, err := l.start(engine.Options{Soft: soft})
				if test.pauses {
					l.ended(journal.OutcomeInterrupted, end, err)
					if test.outside != "" {
						l.outside("web", "a1", "weight", state.Int(37))
					}
					end, err = l.rollback(engine.Options{})
				}
				l.ended(test.outcome, end, err)
				same(t, "watched while the command was undone", test.want, during)
				same(t, "watches that are still open", 0, f.open)
				l.shows("web", test.after)
			})
		})
	}
}
