package engine_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// refusal is a write that a system refuses for good.
func refusal(kind drivertest.FaultKind) drivertest.Fault {
	return drivertest.Fault{Kind: kind, Err: driver.Permanent(errors.New("no such weight"))}
}

func TestARunWhoseFirstWriteIsRefusedForGoodChangedNothing(t *testing.T) {
	const half = `{id: half, set: {target: web, members: [a1, a2], weight: 50}}`
	tests := map[string]struct {
		steps string
		fault map[int]drivertest.Fault
		want  journal.Outcome
	}{
		"it is the first step":                        {half, map[int]drivertest.Fault{1: refusal(drivertest.FailBefore)}, journal.OutcomeFailed},
		"steps before it looked and waited":           {`{id: up, gate: {script: {name: yes}}}, {id: rest, wait: 10s}, ` + half, map[int]drivertest.Fault{1: refusal(drivertest.FailBefore)}, journal.OutcomeFailed},
		"a step before it found all as it should be":  {`{id: same, set: {target: web, weight: 100}}, ` + half, map[int]drivertest.Fault{1: refusal(drivertest.FailBefore)}, journal.OutcomeFailed},
		"it is refused at every attempt":              {`{id: half, retry: 2, set: {target: web, members: [a1, a2], weight: 50}}`, map[int]drivertest.Fault{1: refusal(drivertest.FailBefore), 2: refusal(drivertest.FailBefore)}, journal.OutcomeFailed},
		"a part of it was made nevertheless":          {half, map[int]drivertest.Fault{1: refusal(drivertest.HalfBatch)}, journal.OutcomeRolledBack},
		"a try before it broke off":                   {half, map[int]drivertest.Fault{1: {Kind: drivertest.FailBefore}, 2: refusal(drivertest.FailBefore)}, journal.OutcomeRolledBack},
		"a command ran before it":                     {`{id: told, run: "true", undo: none}, ` + half, map[int]drivertest.Fault{1: refusal(drivertest.FailBefore)}, journal.OutcomeRolledBack},
		"a change was made before it":                 {`{id: first, set: {target: web, members: [a3], weight: 50}}, ` + half, map[int]drivertest.Fault{2: refusal(drivertest.FailBefore)}, journal.OutcomeRolledBack},
		"an attempt before it was refused after half": {`{id: half, retry: 2, set: {target: web, members: [a1, a2], weight: 50}}`, map[int]drivertest.Fault{1: refusal(drivertest.HalfBatch), 2: refusal(drivertest.FailBefore)}, journal.OutcomeRolledBack},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, one+"steps: ["+test.steps+"]\n")
				l.flaky("web", drivertest.Faults{Apply: test.fault})
				end := l.run(test.want)
				contains(t, end.Reason, "no such weight")
				same(t, "a system was not as the plan needs it", false, end.Unmet)
				l.shows("web", map[string]string{"a1": "100", "a2": "100", "a3": "100"})
				if test.want != journal.OutcomeFailed {
					return
				}
				same(t, "changed", 0, end.Changed)
				st, err := journal.Fold(l.records())
				must(t, err)
				same(t, "attributes of which the journal says that the run changed them", 0, len(st.Changed()))
				if _, err := l.rollback(engine.Options{}); !errors.Is(err, engine.ErrNothingToDo) {
					t.Errorf("a rollback found something to do: %v", err)
				}
			})
		})
	}
}

// edits makes somebody set a1 to 37 once: where is called with it.
func edits(t *testing.T, steps string, between string) *lab {
	l := newLab(t, one+"steps: ["+steps+"]\n")
	once := false
	do := func() {
		if !once {
			l.outside("web", "a1", "weight", state.Int(37))
		}
		once = true
	}
	if between == "reading and writing" {
		l.flaky("web", drivertest.Faults{Apply: map[int]drivertest.Fault{1: {Kind: drivertest.Outside, Do: do}}})
		return l
	}
	l.onRecord = func(r journal.Record) {
		if r.Type == journal.TypeIntent && r.Key == "/steps/half.web.lower" {
			do()
		}
	}
	return l
}

const halfOfTwo = `{id: half, set: {target: web, members: [a1, a2], weight: 50}, retry: 5}`

func TestAValueThatSomebodyEditsBeforeTheFirstWriteIsNoConcernOfTheRun(t *testing.T) {
	for _, between := range []string{"reading and writing", "looking and reading"} {
		t.Run(between, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := edits(t, halfOfTwo, between)
				end := l.run(journal.OutcomeFailed)
				contains(t, end.Reason, "somebody else changed")
				same(t, "a system was not as the plan needs it", true, end.Unmet)
				same(t, "drift", 0, len(end.Drift))
				same(t, "locks", 0, len(l.locked()))
				l.shows("web", map[string]string{"a1": "37", "a2": "100", "a3": "100"})
			})
		})
	}
}

func TestWithACommandBeforeItAnEditedValueIsDrift(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := edits(t, `{id: told, run: "true", undo: none}, `+halfOfTwo, "looking and reading")
		end := l.run(journal.OutcomeIncomplete)
		same(t, "drift", 1, len(end.Drift))
	})
}

func TestAPausedRunThatWroteNothingGoesBackWithoutMindingWhatOthersWrote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := edits(t, `{id: half, set: {target: web, members: [a1, a2], weight: 50}, on_fail: pause}`, "looking and reading")
		end, err := l.start(engine.Options{})
		same(t, "changed", 0, l.ended(journal.OutcomePaused, end, err).Changed)
		end, err = l.rollback(engine.Options{})
		same(t, "changed", 0, l.ended(journal.OutcomeRolledBack, end, err).Changed)
		l.shows("web", map[string]string{"a1": "37", "a2": "100", "a3": "100"})
	})
}

// recordOf is the number of a run's first record of that type and activity.
func recordOf(records []journal.Record, typ journal.Type, activity string) int {
	return 1 + slices.IndexFunc(records, func(r journal.Record) bool { return r.Type == typ && r.Activity == activity })
}

func TestAnIntentOfADeadProcessWhoseOutcomeNobodyKnowsIsNotNothing(t *testing.T) {
	const intent, failed = 5, 6
	tests := map[string]struct {
		record int
		after  bool
		want   journal.Outcome
		drift  int
	}{
		"it died behind its intent: the value may be its own late write": {intent, true, journal.OutcomeIncomplete, 1},
		"it died before it could say that it wrote nothing":              {failed, false, journal.OutcomeIncomplete, 1},
		"it said that it wrote nothing":                                  {failed, true, journal.OutcomeFailed, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := edits(t, `{id: half, set: {target: web, members: [a1, a2], weight: 50}}`, "looking and reading")
				d := &death{record: test.record, after: test.after}
				l.mortal(d, "web")
				die(t, l, d)
				end, err := l.resume(engine.Options{})
				same(t, "drift", test.drift, len(l.ended(test.want, end, err).Drift))
				same(t, "number of the intent", intent, recordOf(l.records(), journal.TypeIntent, "apply"))
			})
		})
	}
}

func TestADeadRunWhoseWritesAreRefusedGoesOnToAnEndThatIsTrue(t *testing.T) {
	refused := map[int]drivertest.Fault{}
	for n := range 20 {
		refused[n+1] = refusal(drivertest.FailBefore)
	}
	fresh := func(t *testing.T, d *death) *lab {
		l := newLab(t, one+"steps: [{id: up, gate: {script: {name: yes}}}, {id: half, set: {target: web, members: [a1, a2], weight: 50}}]\n")
		l.mortal(d, "web")
		mortal := l.wrap["web"]
		l.wrap["web"] = func(inner driver.Driver) driver.Driver {
			return drivertest.Faulty(mortal(inner), drivertest.Faults{Apply: refused})
		}
		return l
	}
	var b baseline
	synctest.Test(t, func(t *testing.T) {
		l := fresh(t, &death{})
		l.run(journal.OutcomeFailed)
		b.records = l.records()
	})
	intent, failed := recordOf(b.records, journal.TypeIntent, "apply"), recordOf(b.records, journal.TypeFailed, "apply")
	for n := 2; n <= len(b.records); n++ {
		for _, after := range []bool{false, true} {
			for _, back := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					d := &death{record: n, after: after}
					l := fresh(t, d)
					die(t, l, d)
					ended := n == len(b.records) && after
					doubt := n == intent && after || n == failed && !after
					want, again := journal.OutcomeFailed, l.resume
					if doubt {
						want = journal.OutcomeRolledBack
					}
					if back {
						want, again = journal.OutcomeRolledBack, l.rollback
					}
					end, err := again(engine.Options{})
					if ended {
						if !errors.Is(err, engine.ErrNothingToDo) {
							t.Errorf("a run that had ended went on: %v", err)
						}
						return
					}
					l.ended(want, end, err)
					l.shows("web", map[string]string{"a1": "100", "a2": "100", "a3": "100"})
				})
			}
		}
	}
}
