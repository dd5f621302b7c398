package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
)

func TestAWayBackThatIsAskedForIsGone(t *testing.T) {
	tests := map[string]struct {
		steps string
		asks  []journal.Ask
		want  journal.Outcome
	}{
		"while the last step ends":         {`- {id: last, set: {target: web, members: [a1], weight: 0}}`, []journal.Ask{journal.AskRollback}, journal.OutcomeRolledBack},
		"while a step fails that pauses":   {`- {id: last, set: {target: web, members: [a1], weight: 0}}` + "\n" + `  - {id: bad, run: "exit 1", undo: none, on_fail: pause}`, []journal.Ask{journal.AskRollback}, journal.OutcomeRolledBack},
		"right after a stop":               {`- {id: last, set: {target: web, members: [a1], weight: 0}}` + "\n" + `  - {id: nap, wait: 1m}`, []journal.Ask{journal.AskStop, journal.AskRollback}, journal.OutcomeRolledBack},
		"a stop, while the last step ends": {`- {id: last, set: {target: web, members: [a1], weight: 0}}`, []journal.Ask{journal.AskStop}, journal.OutcomeDone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, one+"steps:\n  "+test.steps+"\n")
				l.wrap["web"] = func(d driver.Driver) driver.Driver { return &slowApply{d, time.Second} }
				asked := false
				l.onRecord = func(r journal.Record) {
					if r.Type == journal.TypeIntent && !asked {
						asked = true
						for _, a := range test.asks {
							_, err := journal.Post(l.runDir(), journal.Message{Kind: a, By: "ann"})
							must(t, err)
							time.Sleep(time.Millisecond)
						}
					}
				}
				l.run(test.want)
			})
		})
	}
}
