package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
)

func TestWhatARollbackWillChangeIsWhatTheRunLeftOtherwise(t *testing.T) {
	const set = `{id: %s, set: {target: web, members: [%s], weight: %d}}`
	down, up, again := fmt.Sprintf(set, "down", "a1, a2", 50), fmt.Sprintf(set, "up", "a1", 100), fmt.Sprintf(set, "again", "a1", 50)
	stop := `, {id: "no", gate: {script: {name: "no"}, timeout: 5s}, on_fail: pause}`
	tests := map[string]struct {
		steps    string
		fault    map[int]drivertest.Fault
		outcome  journal.Outcome
		want     []string
		asBefore int
	}{
		"lowered":                         {down, nil, journal.OutcomeDone, []string{"a1 50 -> 100", "a2 50 -> 100"}, 0},
		"one was raised again":            {down + "," + up, nil, journal.OutcomeDone, []string{"a2 50 -> 100"}, 1},
		"one was raised and lowered anew": {down + "," + up + "," + again, nil, journal.OutcomeDone, []string{"a1 50 -> 100", "a2 50 -> 100"}, 0},
		"paused":                          {down + stop, nil, journal.OutcomePaused, []string{"a1 50 -> 100", "a2 50 -> 100"}, 0},
		"it is not known whether one was raised": {
			down + `, {id: up, set: {target: web, members: [a1], weight: 100}, on_fail: pause}`,
			map[int]drivertest.Fault{2: {Kind: drivertest.HalfBatch}, 3: {Kind: drivertest.FailBefore}, 4: {Kind: drivertest.FailBefore}, 5: {Kind: drivertest.FailBefore}},
			journal.OutcomePaused,
			[]string{"a1 50 -> 100", "a2 50 -> 100"},
			0,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, one+"steps: ["+test.steps+"]\n")
				l.flaky("web", drivertest.Faults{Apply: test.fault})
				l.gates["no"] = func(int) (gate.Result, error) { return no("no") }
				l.run(test.outcome)
				st, err := journal.Fold(l.records())
				must(t, err)
				changes, asBefore := engine.Restores(st)
				var got []string
				for _, c := range changes {
					got = append(got, fmt.Sprintf("%s %s -> %s", c.Object, c.From, c.To))
				}
				same(t, "changes", test.want, got)
				same(t, "as before", test.asBefore, asBefore)
			})
		})
	}
}
