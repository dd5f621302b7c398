package drivertest

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

var memberChecks = []check{
	{name: "every member is asked for its health and answers", run: healthAnswers, when: hasMembers},
	{name: "every member is asked for what is in flight and answers", run: flightAnswers, when: hasMembers},
	{name: "every member is asked for its traffic and answers", run: trafficAnswers, when: hasMembers},
}

func hasMembers(h Harness) bool { _, ok := h.Info.Member(); return ok }

func members(h Harness, s state.State) []string {
	k, ok := h.Info.Member()
	if !ok {
		return nil
	}
	return slices.DeleteFunc(s.IDs(), func(id string) bool { return s.Objects[id].Kind != k.Name })
}

// answered fails unless there is one answer for every id.
func answered[T any](t *testing.T, ids []string, answers map[string]T, err error) {
	t.Helper()
	if len(ids) == 0 {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ids, slices.Sorted(maps.Keys(answers))); diff != "" {
		t.Errorf("answers (-asked +answered):\n%s", diff)
	}
}

func healthAnswers(t *testing.T, h Harness) {
	d := open(t, h).Driver
	asker, ok := driver.As[driver.Healther](d)
	if !ok {
		return
	}
	ids := members(h, read(t, d))
	health, err := asker.Health(t.Context(), ids)
	answered(t, ids, health, err)
}

func flightAnswers(t *testing.T, h Harness) {
	d := open(t, h).Driver
	asker, ok := driver.As[driver.Counter](d)
	_, kills := driver.As[driver.Killer](d)
	if ok != h.Info.Counts || kills != h.Info.Kills {
		t.Errorf("Info says that it counts: %t and kills: %t, its methods say %t and %t", h.Info.Counts, h.Info.Kills, ok, kills)
	}
	if !ok {
		return
	}
	ids := members(h, read(t, d))
	flights, err := asker.InFlight(t.Context(), ids)
	answered(t, ids, flights, err)
	for id, f := range flights {
		if f.Now < 0 || f.Total < -1 {
			t.Errorf("%s has %d in flight of %d", id, f.Now, f.Total)
		}
	}
}

func trafficAnswers(t *testing.T, h Harness) {
	d := open(t, h).Driver
	asker, ok := driver.As[driver.Meter](d)
	if !ok {
		return
	}
	ids := members(h, read(t, d))
	totals, err := asker.Traffic(t.Context(), ids)
	answered(t, ids, totals, err)
	for id, n := range totals {
		if n.Answers < 0 || n.Errors < 0 || n.Errors > n.Answers || n.Queue < 0 {
			t.Errorf("%s has %d errors in %d answers and %d waiting", id, n.Errors, n.Answers, n.Queue)
		}
	}
}
