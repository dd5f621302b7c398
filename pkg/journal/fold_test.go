package journal_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// story numbers records and gives each its own second.
func story(records ...journal.Record) []journal.Record {
	for n := range records {
		records[n].Seq, records[n].Time = n+1, at(n+1)
	}
	return records
}

func at(n int) time.Time { return began.Add(time.Duration(n) * time.Second) }

func rec(t journal.Type, key string, data any) journal.Record {
	r := journal.Record{Type: t, Key: key}
	if data != nil {
		r.Data = journal.Encode(data)
	}
	return r
}

func act(t journal.Type, key, activity string, data any) journal.Record {
	r := rec(t, key, data)
	r.Activity = activity
	return r
}

func fold(t *testing.T, records ...journal.Record) journal.Status {
	t.Helper()
	s, err := journal.Fold(story(records...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	web1  = state.Key{Target: "web", Object: "web1", Attribute: "weight"}
	start = rec(journal.TypeRun, "", journal.Meta{Plan: "shop-web"})
	taken = rec(journal.TypeTakeover, "", journal.Holder{Who: "ann", Verb: "run"})
)

func weight(from, to int) state.Change {
	return state.Change{Target: "web", Object: "web1", Attribute: "weight", From: state.Int(from), To: state.Int(to)}
}

func applies(key string, c ...state.Change) journal.Record {
	return act(journal.TypeIntent, key, "apply", journal.Apply{Target: "web", Changes: c})
}

func stepped(id, status string) journal.Record {
	return rec(journal.TypeStep, "/steps/"+id, journal.Step{ID: id, Verb: "ramp", Status: status, Took: 1.5})
}

func finished(t journal.Type, o journal.Outcome, step string) journal.Record {
	return rec(t, "", journal.End{Outcome: o, Step: step})
}

func TestWhereARunStands(t *testing.T) {
	sleep := rec(journal.TypeSleep, "/steps/a.wait", journal.Until{Until: at(100), Message: "ttl"})
	back := rec(journal.TypeRollback, "", journal.Rollback{Attempt: 1, Step: "a"})
	type stand struct {
		Outcome journal.Outcome
		Open    bool
		Step    string
		Since   int // second
	}
	for name, tc := range map[string]struct {
		records []journal.Record
		want    stand
	}{
		"without a record nothing was changed":      {nil, stand{journal.OutcomeFailed, false, "", -1}},
		"a run that began runs":                     {[]journal.Record{start}, stand{journal.OutcomeRunning, true, "", 1}},
		"it is in the step that began last":         {[]journal.Record{start, taken, stepped("a", "begin"), stepped("b", "begin")}, stand{journal.OutcomeRunning, true, "b", 4}},
		"but not in one that is done":               {[]journal.Record{start, taken, stepped("a", "begin"), stepped("b", "begin"), stepped("b", "done")}, stand{journal.OutcomeRunning, true, "a", 4}},
		"it waits since the wait began":             {[]journal.Record{start, stepped("a", "begin"), sleep}, stand{journal.OutcomeRunning, true, "a", 3}},
		"it paused":                                 {[]journal.Record{start, stepped("a", "begin"), finished(journal.TypePause, journal.OutcomePaused, "a")}, stand{journal.OutcomePaused, true, "a", 3}},
		"it runs again after a pause":               {[]journal.Record{start, stepped("a", "begin"), finished(journal.TypePause, journal.OutcomeInterrupted, "a"), taken}, stand{journal.OutcomeRunning, true, "a", 4}},
		"it goes back from the step that failed":    {[]journal.Record{start, stepped("a", "begin"), stepped("a", "failed"), back}, stand{journal.OutcomeRunning, true, "a", 4}},
		"it is done":                                {[]journal.Record{start, stepped("a", "begin"), stepped("a", "done"), finished(journal.TypeEnd, journal.OutcomeDone, "")}, stand{journal.OutcomeDone, false, "", 4}},
		"its terminal record is final":              {[]journal.Record{start, finished(journal.TypeEnd, journal.OutcomeDone, ""), stepped("x", "done")}, stand{journal.OutcomeDone, false, "", 2}},
		"but for a rollback":                        {[]journal.Record{start, finished(journal.TypeEnd, journal.OutcomeDone, ""), back}, stand{journal.OutcomeRunning, true, "a", 3}},
		"and for who tries an incomplete one again": {[]journal.Record{start, finished(journal.TypeEnd, journal.OutcomeIncomplete, ""), taken}, stand{journal.OutcomeRunning, true, "", 3}},
	} {
		t.Run(name, func(t *testing.T) {
			s := fold(t, tc.records...)
			got := stand{s.Outcome, s.Open, s.Step, int(s.Since.Sub(began) / time.Second)}
			if s.Since.IsZero() {
				got.Since = -1
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("stand (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHolderEpochsMetaAndSteps(t *testing.T) {
	s := fold(t, start, taken, stepped("a", "begin"), stepped("b", "skipped"),
		rec(journal.TypeStep, "/steps/a", journal.Step{ID: "a", Status: "done", Took: 1.5, Text: "3 passes", Commit: true}),
		rec(journal.TypeTakeover, "", journal.Holder{Who: "bob", Verb: "resume"}))
	if s.Meta.Plan != "shop-web" || s.Holder.Who != "bob" || s.Epochs != 2 || s.Commit != 5 || s.Seq != 6 || s.Updated != at(6) {
		t.Errorf("got %+v", s)
	}
	want := []journal.StepState{
		{Key: "/steps/a", ID: "a", Verb: "ramp", Status: "done", Text: "3 passes", Began: at(3), Took: 1500 * time.Millisecond},
		{Key: "/steps/b", ID: "b", Verb: "ramp", Status: "skipped", Began: at(4), Took: 1500 * time.Millisecond},
	}
	if diff := cmp.Diff(want, s.Steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestAnIntentWithoutAResultIsPending(t *testing.T) {
	s := fold(t, start, applies("/steps/a.1", weight(100, 95)), act(journal.TypeIntent, "/steps/b.run", "run", journal.Command{Shell: "x"}),
		act(journal.TypeDone, "/steps/a.1", "", journal.Applied{Nodes: 2}), applies("/steps/a.2", weight(95, 75)))
	want := []journal.Intent{
		{Seq: 3, Key: "/steps/b.run", Activity: "run", Time: at(3)},
		{Seq: 5, Key: "/steps/a.2", Activity: "apply", Time: at(5)},
	}
	if diff := cmp.Diff(want, s.Pending); diff != "" {
		t.Errorf("pending (-want +got):\n%s", diff)
	}
	wantResults := map[string]journal.Result{"/steps/a.1": {Done: true, Data: []byte(`{"nodes":2}`), Activity: "apply", Seq: 4}}
	if diff := cmp.Diff(wantResults, s.Results); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

func TestARetryForgetsResultsButNotWhatWasMeant(t *testing.T) {
	fail := act(journal.TypeFailed, "/steps/a.gate", "gate", nil)
	fail.Error = &journal.Error{Class: "gate", Text: "503"}
	s := fold(t, start,
		applies("/steps/a.apply", weight(100, 95)), act(journal.TypeDone, "/steps/a.apply", "apply", nil), fail,
		act(journal.TypeDone, "/steps/a", "x", nil), act(journal.TypeDone, "/steps/a/b.run", "run", nil),
		act(journal.TypeDone, "/steps/ab.run", "run", nil),
		rec(journal.TypeSleep, "/steps/a.wait", journal.Until{Until: at(50)}),
		applies("/steps/a.again", weight(95, 80)),
		rec(journal.TypeRetry, "/steps/a", nil))
	var keys []string
	for k := range s.Results {
		keys = append(keys, k)
	}
	if diff := cmp.Diff([]string{"/steps/ab.run"}, keys); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if len(s.Pending) != 0 || len(s.Waiting) != 0 || len(s.Sleeps) != 0 {
		t.Errorf("still there: %v %v %v", s.Pending, s.Waiting, s.Sleeps)
	}
	if len(s.Effects) != 2 || !s.Effects[0].Done || s.Effects[1].Done {
		t.Errorf("effects %+v", s.Effects)
	}
	if diff := cmp.Diff([]state.Value{"95", "80"}, s.Ours(web1)); diff != "" {
		t.Errorf("ours (-want +got):\n%s", diff)
	}
}

func TestOursIsEveryValueEverMeantAndBeforeIsTheFirst(t *testing.T) {
	s := fold(t, start,
		applies("/1", weight(100, 95)), act(journal.TypeDone, "/1", "apply", nil),
		applies("/2", weight(95, 75)), act(journal.TypeFailed, "/2", "apply", nil),
		rec(journal.TypeRollback, "", journal.Rollback{Attempt: 1}),
		act(journal.TypeIntent, "/r1", "restore", journal.Restore{Target: "web", Items: []journal.Before{{Object: "web1", Attribute: "weight", Before: "100"}}}),
		act(journal.TypeDone, "/r1", "restore", journal.Restored{Changes: []state.Change{weight(75, 99)}}),
		applies("/3", weight(99, 95)))
	if diff := cmp.Diff([]state.Value{"95", "75", "100", "99"}, s.Ours(web1)); diff != "" {
		t.Errorf("ours (-want +got):\n%s", diff)
	}
	if v, ok := s.FirstBefore(web1); v != "100" || !ok {
		t.Errorf("before: %v, %v", v, ok)
	}
	if v, ok := s.FirstBefore(state.Key{Target: "web", Object: "web2", Attribute: "weight"}); ok {
		t.Errorf("an attribute that was never changed has a before: %v", v)
	}
	if diff := cmp.Diff([]state.Key{web1}, s.Changed()); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	type effect struct {
		Seq          int
		Kind         string
		Done, Failed bool
		Rollback     int
	}
	var got []effect
	for _, e := range s.Effects {
		got = append(got, effect{e.Seq, e.Kind, e.Done, e.Failed, e.Rollback})
	}
	want := []effect{{2, "apply", true, false, 0}, {4, "apply", false, true, 0}, {7, "restore", true, false, 1}, {9, "apply", false, false, 1}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}

func TestAWaitEndsWithItsResultItsSignalOrTheWayBack(t *testing.T) {
	sleep := rec(journal.TypeSleep, "/s", journal.Until{Until: at(100), Message: "ttl 37s"})
	await := rec(journal.TypeAwait, "/a", journal.Until{Until: at(200)})
	s := fold(t, start, sleep, await)
	want := []journal.Wait{
		{Key: "/s", Type: journal.TypeSleep, Seq: 2, Since: at(2), Until: at(100), Message: "ttl 37s"},
		{Key: "/a", Type: journal.TypeAwait, Seq: 3, Since: at(3), Until: at(200)},
	}
	if diff := cmp.Diff(want, s.Waiting); diff != "" {
		t.Errorf("waiting (-want +got):\n%s", diff)
	}
	s = fold(t, start, sleep, await, act(journal.TypeDone, "/s", "", nil),
		rec(journal.TypeSignal, "/a", journal.Signal{Approved: true, By: "ann", Message: "m1"}))
	if len(s.Waiting) != 0 || s.Sleeps["/s"] != at(100) || !s.Consumed["m1"] {
		t.Errorf("got %+v", s)
	}
	var answer journal.Signal
	if err := json.Unmarshal(s.Results["/a"].Data, &answer); err != nil || !answer.Approved {
		t.Errorf("the answer %+v, %v", answer, err)
	}
	if s = fold(t, start, sleep, rec(journal.TypeRollback, "", journal.Rollback{Attempt: 1})); len(s.Waiting) != 0 || !s.RollingBack || len(s.Rollbacks) != 1 {
		t.Errorf("on the way back: %+v", s)
	}
}

func TestTheDriftOfTheLastEndIsKept(t *testing.T) {
	drift := []journal.Drift{{Key: web1, Before: "100", Ours: []state.Value{"0"}, Now: "37"}}
	s := fold(t, start, rec(journal.TypeEnd, "", journal.End{Outcome: journal.OutcomeIncomplete, Drift: drift}))
	if diff := cmp.Diff(drift, s.End.Drift); diff != "" {
		t.Errorf("drift (-want +got):\n%s", diff)
	}
}

func TestWhatFoldDoesNotUnderstandIsRefused(t *testing.T) {
	_, err := journal.Fold(story(start, rec("dance", "", nil)))
	if _, ok := errors.AsType[*journal.NewerError](err); !ok {
		t.Errorf("an unknown type: %v", err)
	}
	_, err = journal.Fold(story(start, journal.Record{Type: journal.TypeIntent, Key: "/a", Activity: "apply", Data: []byte(`{"changes":7}`)}))
	if err == nil {
		t.Fatal("an intent that cannot be read was passed over")
	}
	mentions(t, "the error", err.Error(), "record 2", "/a")
}

func TestWhatARunMadeHadNothingBefore(t *testing.T) {
	key := func(attribute string) state.Key {
		return state.Key{Target: "zone", Object: "new A", Attribute: attribute}
	}
	set := func(attribute string, from, to state.Value) state.Change {
		k := key(attribute)
		return state.Change{Target: k.Target, Object: k.Object, Attribute: attribute, From: from, To: to}
	}
	for name, test := range map[string]struct {
		creates []string
		before  state.Value
		ours    []state.Value
	}{
		"not even what the system gave it":           {[]string{"new A"}, state.Absent, []state.Value{"600", "60", "30"}},
		"what was there had what it had":             {nil, "600", []state.Value{"60", "30"}},
		"another object that it made is another one": {[]string{"newer A"}, "600", []state.Value{"60", "30"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := fold(t, start, taken,
				act(journal.TypeIntent, "/steps/make", "apply", journal.Apply{Target: "zone", Changes: []state.Change{set("values", state.Absent, "1")}, Creates: test.creates}),
				act(journal.TypeDone, "/steps/make", "apply", journal.Applied{}),
				act(journal.TypeIntent, "/steps/ttl", "apply", journal.Apply{Target: "zone", Changes: []state.Change{set("ttl", "600", "60")}}),
				act(journal.TypeDone, "/steps/ttl", "apply", journal.Applied{}),
				act(journal.TypeIntent, "/steps/again", "apply", journal.Apply{Target: "zone", Changes: []state.Change{set("ttl", "60", "30")}}),
			)
			before, known := s.FirstBefore(key("ttl"))
			if !known || before != test.before {
				t.Errorf("before: %s, want %s", before, test.before)
			}
			if diff := cmp.Diff(test.ours, s.Ours(key("ttl"))); diff != "" {
				t.Errorf("ours (-want +got):\n%s", diff)
			}
		})
	}
}
