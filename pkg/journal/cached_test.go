package journal_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

func TestAnEffectKnowsTheAnswersThatItReplaced(t *testing.T) {
	there := journal.Replaced{Target: "zone", Object: "www.example.com A", Values: []string{"192.0.2.1"}, Next: []string{"192.0.2.2"}, Keep: 60, At: at(9)}
	back := journal.Replaced{Target: "zone", Object: "www.example.com A", Values: []string{"192.0.2.2"}, Next: []string{"192.0.2.1"}, Keep: 20, At: at(12)}
	change := state.Change{Target: "zone", Object: "www.example.com A", Attribute: "values", From: state.List(there.Values), To: state.List(there.Next)}
	s := fold(t, start,
		act(journal.TypeIntent, "/steps/a", "apply", journal.Apply{Target: "zone", Changes: []state.Change{change}}),
		act(journal.TypeDone, "/steps/a", "apply", journal.Applied{Nodes: 1, Replaced: []journal.Replaced{there}}),
		rec(journal.TypeRollback, "", journal.Rollback{Attempt: 1}),
		act(journal.TypeIntent, "/undo/1/0.records.zone.lower", "restore", journal.Restore{Target: "zone"}),
		act(journal.TypeDone, "/undo/1/0.records.zone.lower", "restore", journal.Restored{Changes: []state.Change{change.Inverse()}, Replaced: []journal.Replaced{back}}),
	)
	var got []journal.Replaced
	for _, e := range s.Effects {
		got = append(got, e.Replaced...)
	}
	if diff := cmp.Diff([]journal.Replaced{there, back}, got); diff != "" {
		t.Errorf("replaced (-want +got):\n%s", diff)
	}
	if want := at(9).Add(time.Minute); !there.Until().Equal(want) {
		t.Errorf("kept until %s, not %s", there.Until(), want)
	}
}
