package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/resolve"
)

// quick is the move with shorter times, behind a command whose undo ends the
// new server.
func quick(steps string) string {
	start := `
  - {id: start-b,  run: "true", undo: "true"}`
	text := strings.ReplaceAll(dnsWorld+start+steps, "ttl: 600}", "ttl: 60}")
	return strings.ReplaceAll(text, "www.example.com A, ttl: 60}}\n  - {id: old", "www.example.com A, ttl: 20}}\n  - {id: old")
}

const atOnce = `
  - {id: up,       set: {target: web, members: [b1], weight: 100}}
  - {id: only-new, set: {target: zone, record: www.example.com A, values: [192.0.2.2]}}
  - {id: long,     set: {target: zone, record: www.example.com A, ttl: 90}}
`

// moving is a lab with clients, whose process dies as d says.
func moving(t *testing.T, steps string, d *death) (*lab, *internet) {
	t.Helper()
	l := newLab(t, quick(steps))
	l.mortal(d, "zone", "web")
	l.gates["bad"] = func(int) (gate.Result, error) { return no("bad") }
	l.sees(map[string]resolve.View{"isp": nil})
	n := online(t, l)
	n.stops("192.0.2.2")
	l.sees(map[string]resolve.View{"isp": n.isp()})
	return l, n
}

func TestAWayBackTakesNoServerAwayBeforeItsClientsAreGone(t *testing.T) {
	for name, test := range map[string]struct {
		steps    string
		noCaches bool
	}{
		"from the end":        {steps: moveSteps},
		"from both":           {steps: without(moveSteps, map[string]string{"only-new": "", "caches": "", "stop-old": "", "long": ""})},
		"a move without care": {steps: atOnce},
		"control: from the end, without the waits for caches":        {moveSteps, true},
		"control: a move without care, without the waits for caches": {atOnce, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// It fails when many have the new answer.
				l, n := moving(t, test.steps+strings.Replace(thenFail, "5s", "40s", 1), &death{})
				l.sim.NoCaches = test.noCaches
				before := l.image()
				time.Sleep(3 * time.Minute)
				careless := n.unserved()
				end, err := l.start(engine.Options{})
				time.Sleep(3 * time.Minute)
				served, failed := n.offline()
				l.ended(journal.OutcomeRolledBack, end, err)
				same(t, "what is there", before, l.image())
				failed -= careless
				t.Logf("%d served, %d failed %s", served, failed, n.first)
				if (failed > 0) != test.noCaches {
					t.Errorf("%d clients failed: %s\n%s", failed, n.first, l.story())
				}
			})
		})
	}
}

func TestTheWayBackWaitsLastForWhatItTookOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n := moving(t, moveSteps+thenFail, &death{})
		l.run(journal.OutcomeRolledBack)
		n.offline()
		var lines []string
		for _, line := range l.lines() {
			if strings.Contains(line, "/undo/") && !strings.Contains(line, "deadline") {
				lines = append(lines, line)
			}
		}
		want := []string{
			"intent restore /undo/1/0.web.raise", "done restore /undo/1/0.web.raise",
			"intent restore /undo/1/0.records.zone.lower", "done restore /undo/1/0.records.zone.lower",
			"sleep /undo/1/0.caches", "done sleep /undo/1/0.caches",
			"done views /undo/1/0.views",
			"intent restore /undo/1/0.web.lower", "done restore /undo/1/0.web.lower",
			"done drain /undo/1/1.web.drain",
			"intent run /undo/1/1.run", "done run /undo/1/1.run",
		}
		same(t, "the way back", want, lines)
		var floor journal.Until
		var restored journal.Restored
		for _, r := range l.records() {
			switch {
			case r.Type == journal.TypeSleep && r.Key == "/undo/1/0.caches":
				floor, _ = journal.Decode[journal.Until](r)
			case r.Type == journal.TypeDone && r.Key == "/undo/1/0.records.zone.lower":
				restored, _ = journal.Decode[journal.Restored](r)
			}
		}
		same(t, "versions replaced", 1, len(restored.Replaced))
		gone := restored.Replaced[0]
		same(t, "the floor", gone.At.Add(62*time.Second), floor.Until)
		same(t, "it says why", "caches may hold 192.0.2.2: ttl 60 of "+gone.At.Format("15:04:05Z"), floor.Message)
	})
}

func TestAWayBackFromAnyDeathTakesNoServerAwayBeforeItsClientsAreGone(t *testing.T) {
	// Clients of the dead process may find nobody only if the wait is missing.
	var b baseline
	synctest.Test(t, func(t *testing.T) {
		l, n := moving(t, moveSteps, &death{})
		b.before = l.image()
		l.run(journal.OutcomeDone)
		b.records = l.records()
		n.offline()
	})
	matrixOf := func(t *testing.T, noCaches bool) *matrix {
		m := &matrix{}
		deaths(b, func(name string, d *death, at journal.Record) {
			synctest.Test(t, func(t *testing.T) {
				l, n := moving(t, moveSteps, d)
				l.sim.NoCaches = noCaches
				die(t, l, d)
				time.Sleep(7 * time.Second)
				end, err := l.rollback(engine.Options{})
				time.Sleep(2 * time.Minute)
				_, failed := n.offline()
				wrong := differs(b.before, l.image())
				over := errors.Is(err, engine.ErrNothingToDo) && at.Seq == 1 && !d.after
				if !over && (err != nil || end.Outcome != journal.OutcomeRolledBack) {
					wrong += fmt.Sprintf("%s %v %s", end.Outcome, err, end.Reason)
				}
				if failed > 0 {
					wrong += fmt.Sprintf("%d clients failed, %s", failed, n.first)
				}
				m.at(name, wrong)
			})
		})
		return m
	}
	t.Run("with the waits", func(t *testing.T) { matrixOf(t, false).report(t) })
	t.Run("control: without them", func(t *testing.T) {
		m := matrixOf(t, true)
		t.Logf("points %d, wrong %d", m.points, len(m.wrong))
		if len(m.wrong) == 0 {
			t.Error("nothing was found wrong: this test cannot fail")
		}
	})
}

func TestAWayBackThatDiesAndGoesOnTakesNoServerAwayBeforeItsClientsAreGone(t *testing.T) {
	var b baseline
	synctest.Test(t, func(t *testing.T) {
		l, n := moving(t, moveSteps+thenFail, &death{})
		b.before = l.image()
		l.run(journal.OutcomeRolledBack)
		b.records = l.records()
		n.offline()
	})
	m := &matrix{}
	deaths(b, func(name string, d *death, at journal.Record) {
		if !strings.HasPrefix(at.Key, "/undo") {
			return // the same as in the test above
		}
		synctest.Test(t, func(t *testing.T) {
			l, n := moving(t, moveSteps+thenFail, d)
			die(t, l, d)
			time.Sleep(11 * time.Second)
			end, err := l.resume(engine.Options{})
			time.Sleep(2 * time.Minute)
			_, failed := n.offline()
			wrong := differs(b.before, l.image())
			if err != nil || end.Outcome != journal.OutcomeRolledBack {
				wrong += fmt.Sprintf("%s %v %s", end.Outcome, err, end.Reason)
			}
			if failed > 0 {
				wrong += fmt.Sprintf("%d clients failed, %s\n%s", failed, n.first, l.story())
			}
			m.at(name, wrong)
		})
	})
	m.report(t)
}

func TestALateWriteToARecordHarmsNoClientOnTheWayBack(t *testing.T) {
	var b baseline
	synctest.Test(t, func(t *testing.T) {
		d := &death{}
		l, n := moving(t, moveSteps, d)
		b.before = l.image()
		l.run(journal.OutcomeDone)
		b.applies = d.applies
		n.offline()
	})
	m := &matrix{}
	for call := 1; call <= b.applies; call++ {
		synctest.Test(t, func(t *testing.T) {
			d := &death{apply: call, late: 4 * time.Second}
			l, n := moving(t, moveSteps, d)
			die(t, l, d)
			end, err := l.rollback(engine.Options{})
			time.Sleep(2 * time.Minute)
			_, failed := n.offline()
			wrong := differs(b.before, l.image())
			if err != nil || end.Outcome != journal.OutcomeRolledBack {
				wrong += fmt.Sprintf("%s %v %s", end.Outcome, err, end.Reason)
			}
			if failed > 0 {
				wrong += fmt.Sprintf("%d clients failed, %s\n%s", failed, n.first, l.story())
			}
			m.at(fmt.Sprintf("in call %d of Apply", call), wrong)
		})
	}
	m.report(t)
}

func TestAWayBackThatWaitsLongGoesOnInAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, n := moving(t, moveSteps+thenFail, &death{})
		before := l.image()
		end, err := l.start(engine.Options{Detach: 50 * time.Second}) // the way forward waits for less than that, but for the first time
		l.ended(journal.OutcomeWaiting, end, err)
		time.Sleep(12 * time.Second)
		end, err = l.resume(engine.Options{Detach: 50 * time.Second})
		l.ended(journal.OutcomeWaiting, end, err)
		contains(t, end.Reason, "the wait of the way back")
		floor := func(attempt string) (until time.Time) {
			for _, r := range l.records() {
				if r.Type == journal.TypeSleep && r.Key == "/undo/"+attempt+"/0.caches" {
					u, _ := journal.Decode[journal.Until](r)
					until = u.Until
				}
			}
			return until
		}
		first := floor("1")
		time.Sleep(20 * time.Second)
		end, err = l.rollback(engine.Options{})
		l.ended(journal.OutcomeRolledBack, end, err)
		same(t, "the wait is the same", first, floor("2"))
		time.Sleep(2 * time.Minute)
		_, failed := n.offline()
		same(t, "failed", 0, failed)
		same(t, "what is there", before, l.image())
	})
}

func TestTheEndOfAWayBackSaysWhatCachesMayStillAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, zoneOf(thenFail))
		l.gates["bad"] = func(int) (gate.Result, error) { return no("bad") }
		end := l.run(journal.OutcomeRolledBack)
		if end.Cached == nil {
			t.Fatal("it says nothing")
		}
		same(t, "values", []string{"192.0.2.2"}, end.Cached.Values)
		same(t, "for as long as their TTL", 48*time.Hour+2*time.Second, time.Until(end.Cached.Until))
	})
}
