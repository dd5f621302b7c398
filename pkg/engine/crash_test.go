package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// everything is a plan with every verb, on two targets, one of them with two
// nodes.
const everything = `
flip: 1
name: everything
targets:
  edge: {driver: mem, name: edge, max_in_flight: 5s, pool: {a1: {weight: 100, sessions: 2, drains: 2s}, a2: {weight: 100}, b1: {weight: 0}, b2: {weight: 0}}}
  web:  {driver: mem, name: web, max_in_flight: 5s, settle: 1s, nodes: [lb1, lb2], pool: {a1: {weight: 100}, b1: {weight: 0, state: maint}, c1: {absent: true}}}
groups:
  a: {edge: [a1, a2], web: [a1]}
  b: {edge: [b1, b2], web: [b1]}
alternate: [a, b]
guards: [{target: edge, min_serving: 1}, {target: web, min_serving: 1}]
gates:
  up: {script: {name: up}, each: idle, every: 1s, passes: 2}
steps:
  - {id: prepare, set: {group: idle, on: web, state: ready}}
  - {id: new, set: {target: web, members: [c1], present: true, weight: 5, state: ready}}
  - {id: install, run: "echo install >> FILE", undo: "echo back >> FILE"}
  - {id: healthy, gate: up}
  - {id: ok, approve: go on, timeout: 1h}
  - {id: shift, ramp: {from: live, to: idle, percent: [50, 100], hold: 3s}, gate: {script: {name: errors}, every: 1s}}
  - id: both
    parallel:
      - {id: quiet, drain: {group: live, on: edge, timeout: 1m}}
      - {id: tail, set: {target: web, members: [c1], weight: 9}, retry: 2}
  - {id: rolling, each: live, do: [{id: "off", set: {state: maint}}]}
  - {id: nap, wait: 2s}
  - {id: inner, steps: [{id: last, set: {target: edge, members: [b1], weight: 101}}], timeout: 1m}
`

const thenFail = `
  - {id: bad, gate: {script: {name: bad}, timeout: 5s}}
`

// image is all that targets hold.
type image map[string]map[string]map[string]state.Value

func (l *lab) image() image {
	img := image{}
	for name, m := range l.mems {
		s, err := m.Read(context.Background())
		must(l.t, err)
		img[name] = map[string]map[string]state.Value{}
		for id, o := range s.Objects {
			img[name][id] = o.Attrs
		}
	}
	return img
}

// newEverything is a lab whose process dies as d says.
func newEverything(t *testing.T, steps string, d *death) (l *lab, commands func() []string) {
	file := filepath.Join(quickDir(t), "commands")
	l = newLab(t, strings.ReplaceAll(everything, "FILE", file)+steps)
	l.mortal(d, "edge", "web")
	l.gates["bad"] = func(int) (gate.Result, error) { return no("bad") }
	asked := false
	l.onRecord = func(r journal.Record) {
		if r.Type == journal.TypeAwait && !asked {
			asked = true
			if _, err := journal.Post(filepath.Join(l.dir, "runs", l.id), journal.Message{Kind: journal.AskApprove, Key: "ok", By: "ann"}); err != nil {
				t.Error(err)
			}
		}
	}
	return l, func() []string {
		b, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		must(t, err)
		return strings.Fields(string(b))
	}
}

// baseline is an undisturbed run.
type baseline struct {
	before, after image
	writes        []string
	records       []journal.Record
	applies       int
}

func undisturbed(t *testing.T, steps string, want journal.Outcome) (b baseline) {
	synctest.Test(t, func(t *testing.T) {
		d := &death{}
		l, _ := newEverything(t, steps, d)
		l.program().Close() // opens the targets
		b.before = l.image()
		l.run(want)
		b.after, b.writes, b.records, b.applies = l.image(), l.writes(), l.records(), d.applies
	})
	return b
}

// matrix runs check once for every death; it returns what was wrong.
type matrix struct {
	points int
	wrong  []string
}

func (m *matrix) at(point string, wrong string) {
	m.points++
	if wrong != "" {
		m.wrong = append(m.wrong, point+": "+wrong)
	}
}

func (m *matrix) report(t *testing.T) {
	t.Helper()
	t.Logf("points %d, wrong %d", m.points, len(m.wrong))
	for _, w := range m.wrong {
		t.Error(w)
	}
}

// deaths are before and after every record, of every fifth in short tests.
func deaths(b baseline, run func(name string, d *death, at journal.Record)) {
	step := 1
	if testing.Short() {
		step = 5
	}
	for n := 1; n <= len(b.records); n += step {
		for _, after := range []bool{false, true} {
			r := b.records[n-1]
			name := fmt.Sprintf("%s record %d (%s %s %s)", map[bool]string{false: "before", true: "after"}[after], n, r.Type, r.Activity, r.Key)
			run(name, &death{record: n, after: after}, r)
		}
	}
}

// die drives the run to its death.
func die(t *testing.T, l *lab, d *death) {
	t.Helper()
	if _, err := l.start(engine.Options{}); !errors.Is(err, journal.ErrNotDurable) {
		t.Fatalf("the process did not die: %v\n%s", err, l.story())
	}
	d.revive()
}

func differs(want, got image) string { return cmp.Diff(want, got) }

func TestADeadRunIsResumedToThePlansEndWithoutDoingAnythingTwice(t *testing.T) {
	b := undisturbed(t, "", journal.OutcomeDone)
	var m matrix
	deaths(b, func(name string, d *death, at journal.Record) {
		synctest.Test(t, func(t *testing.T) {
			again := at.Type == journal.TypeDone && at.Activity == "run" && !d.after
			l, commands := newEverything(t, "", d)
			die(t, l, d)
			end, err := l.resume(engine.Options{})
			switch {
			case errors.Is(err, engine.ErrNothingToDo) && at.Seq == 1 && !d.after:
				m.at(name, differs(b.before, l.image())) // nothing was recorded, nothing was done
				return
			case errors.Is(err, engine.ErrNothingToDo) && at.Type == journal.TypeEnd && d.after:
			case err != nil || end.Outcome != journal.OutcomeDone:
				m.at(name, fmt.Sprintf("%s %v %s", end.Outcome, err, end.Reason))
				return
			}
			wrong := differs(b.after, l.image()) + cmp.Diff(b.writes, l.writes())
			want := []string{"install"}
			if again {
				want = append(want, "install") // nobody can know that it ran
			}
			m.at(name, wrong+cmp.Diff(want, commands()))
		})
	})
	m.report(t)
}

func TestADeadRunIsRolledBackToWhatItFound(t *testing.T) {
	b := undisturbed(t, "", journal.OutcomeDone)
	var m matrix
	deaths(b, func(name string, d *death, at journal.Record) {
		synctest.Test(t, func(t *testing.T) {
			l, commands := newEverything(t, "", d)
			die(t, l, d)
			end, err := l.rollback(engine.Options{})
			switch {
			case errors.Is(err, engine.ErrNothingToDo) && at.Seq == 1 && !d.after:
			case err != nil || end.Outcome != journal.OutcomeRolledBack:
				m.at(name, fmt.Sprintf("%s %v %s", end.Outcome, err, end.Reason))
				return
			}
			wrong := differs(b.before, l.image())
			if c := commands(); slices.Contains(c, "install") && !slices.Contains(c, "back") {
				wrong += "the command was not undone"
			}
			if locked := l.locked(); end.Outcome != "" && len(locked) > 0 {
				wrong += fmt.Sprintf("locked: %v", locked)
			}
			m.at(name, wrong)
		})
	})
	m.report(t)
}

func TestARunThatDiesOnItsWayBackComesToItsEnd(t *testing.T) {
	b := undisturbed(t, thenFail, journal.OutcomeRolledBack)
	same(t, "an undisturbed way back", b.before, b.after)
	for verb, again := range map[string]func(*lab) (journal.End, error){
		"resume":   func(l *lab) (journal.End, error) { return l.resume(engine.Options{}) },
		"rollback": func(l *lab) (journal.End, error) { return l.rollback(engine.Options{}) },
	} {
		t.Run(verb, func(t *testing.T) {
			var m matrix
			deaths(b, func(name string, d *death, at journal.Record) {
				if !strings.HasPrefix(at.Key, "/undo") && at.Type != journal.TypeRollback && at.Type != journal.TypeEnd && !strings.HasPrefix(at.Key, "/steps/bad") {
					return // the same as in the tests above
				}
				synctest.Test(t, func(t *testing.T) {
					l, commands := newEverything(t, thenFail, d)
					die(t, l, d)
					end, err := again(l)
					over := errors.Is(err, engine.ErrNothingToDo) && at.Type == journal.TypeEnd && d.after
					if !over && (err != nil || end.Outcome != journal.OutcomeRolledBack) {
						m.at(name, fmt.Sprintf("%s %v %s", end.Outcome, err, end.Reason))
						return
					}
					wrong := differs(b.before, l.image())
					if n := strings.Count(strings.Join(commands(), " "), "back"); n < 1 || n > 2 {
						wrong += fmt.Sprintf("the command was undone %d times", n)
					}
					m.at(name, wrong)
				})
			})
			m.report(t)
		})
	}
}

// lateMatrix dies in every call of Apply; what the call sent lands 4 s later.
func lateMatrix(t *testing.T, b baseline, again func(*lab) (journal.End, error), want image, broken bool) *matrix {
	m := &matrix{}
	for n := 1; n <= b.applies; n++ {
		synctest.Test(t, func(t *testing.T) {
			d := &death{apply: n, late: 4 * time.Second}
			l, _ := newEverything(t, "", d)
			l.sim.NoSweep = broken
			die(t, l, d)
			end, err := again(l)
			time.Sleep(time.Minute)
			wrong := differs(want, l.image())
			if wrong != "" || err != nil {
				wrong += fmt.Sprintf("%s: %s, %v\n%s", end.Outcome, end.Reason, err, l.story())
			}
			m.at(fmt.Sprintf("in call %d of Apply", n), wrong)
		})
	}
	return m
}

func TestWhatADeadProcessSentLandsLateAndHarmsNobody(t *testing.T) {
	b := undisturbed(t, "", journal.OutcomeDone)
	back := func(l *lab) (journal.End, error) { return l.rollback(engine.Options{}) }
	resume := func(l *lab) (journal.End, error) { return l.resume(engine.Options{}) }
	t.Run("rollback", func(t *testing.T) { lateMatrix(t, b, back, b.before, false).report(t) })
	t.Run("resume", func(t *testing.T) { lateMatrix(t, b, resume, b.after, false).report(t) })
	t.Run("without a sweep it would", func(t *testing.T) {
		m := lateMatrix(t, b, back, b.before, true)
		t.Logf("points %d, wrong %d", m.points, len(m.wrong))
		if len(m.wrong) == 0 {
			t.Error("a way back without its sweep was not found wrong: this test cannot fail")
		}
	})
}
