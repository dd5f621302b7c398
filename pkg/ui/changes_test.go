package ui

import (
	"testing"

	"github.com/flip-cli/flip/pkg/state"
)

func TestAListIsHeldTogetherByOnePairOfBrackets(t *testing.T) {
	for want, v := range map[string]state.Value{
		"[]":     state.List(nil),
		"[a, b]": state.List([]string{"b", "a"}),
		"[b, a]": state.Sequence([]string{"b", "a"}),
		`""`:     state.Text(""),
		"absent": state.Absent,
	} {
		if got := value(v); got != want {
			t.Errorf("%q is shown as %s, want %s", string(v), got, want)
		}
	}
}
