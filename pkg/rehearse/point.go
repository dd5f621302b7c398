package rehearse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// point is one moment at which the process dies: its journal and its world.
type point struct {
	records []journal.Record
	world   *world
	// record is the one that was just written, or about to be.
	record  journal.Record
	written bool
	step    string
	// flying are the writes that were on their way: what the process did
	// between this point and its next record.
	flying []call
	// doing is a command that had begun.
	doing *command
	// states are the world's where a step of the plan was done.
	states map[string]state.State
	// same is the number of an earlier point that is the same to everybody who
	// comes after, else -1.
	same int
	// foreign is what another operator could write here, without notice of
	// which it would be lost.
	foreign *state.Change
}

// where says which moment it is, for people.
func (p point) where() string {
	side := "after"
	if !p.written {
		side = "before"
	}
	text := fmt.Sprintf("%s record %d (%s", side, p.record.Seq, p.record.Type)
	if p.record.Key != "" {
		text += " " + p.record.Key
	}
	return text + ")"
}

// tape is one rehearsed run with every moment of it.
type tape struct {
	points []point
	end    journal.End
	world  *world
	log    *memory
	states map[string]state.State
}

// record drives a run and keeps every moment of it.
func record(ctx context.Context, w *world, log *memory, drive func(*engine.Runner) (journal.End, error)) (tape, error) {
	t := tape{world: w, log: log}
	began := len(w.calls)
	var failed error
	log.seen = func(r journal.Record, written bool) {
		p := point{records: slices.Clip(log.records), record: r, written: written, step: stepOf(r.Key), same: -1}
		if n := len(t.points); n > 0 {
			t.points[n-1].flying = slices.Clip(w.calls[began:])
			if p.step == "" {
				p.step = t.points[n-1].step
			}
			if !written && len(w.calls) == began && len(w.commands) == len(t.points[n-1].world.commands) {
				p.same = n - 1
			}
		}
		began = len(w.calls)
		if written && r.Type == journal.TypeIntent && r.Activity == journal.ActivityRun {
			p.doing = commandOf(r)
		}
		var err error
		if p.world, err = w.fork(w.rng); err != nil {
			failed = err
		}
		t.points = append(t.points, p)
	}
	var err error
	t.end, err = drive(w.runner(log))
	log.seen = nil
	if err == nil {
		err = failed
	}
	if err != nil {
		return t, err
	}
	w.clock.settle()
	t.states, err = w.states(ctx)
	return t, err
}

func commandOf(r journal.Record) *command {
	in, err := journal.Decode[journal.Command](r)
	if err != nil {
		return nil
	}
	c := command{step: in.Env["FLIP_STEP"], text: text(in), back: strings.HasPrefix(r.Key, "/undo/")}
	if in.Undo != nil {
		c.undo = text(*in.Undo)
	}
	return &c
}

// milestones are the points at which a step of the plan, not one inside
// another, was just done, by its key.
func (t tape) milestones(ctx context.Context) (map[string]int, error) {
	at := map[string]int{}
	for i := range t.points {
		p := &t.points[i]
		if !p.written || p.record.Type != journal.TypeStep || strings.Count(p.record.Key, "/") != 2 {
			continue
		}
		s, err := journal.Decode[journal.Step](p.record)
		if err != nil || s.Status != "done" {
			continue
		}
		if p.states, err = p.world.states(ctx); err != nil {
			return nil, err
		}
		at[p.record.Key] = i
	}
	return at, nil
}

// findForeign chooses, for every point, a value that another operator could
// leave there: of an attribute that the run has changed by then, and one that
// neither the run nor its beginning explains.
func (t tape) findForeign(rng *rand.Rand) {
	meant := map[state.Key][]state.Value{}
	var keys []state.Key
	for i := range t.points {
		p := &t.points[i]
		if p.written && p.record.Type == journal.TypeIntent && p.record.Activity == journal.ActivityApply {
			in, err := journal.Decode[journal.Apply](p.record)
			if err != nil {
				continue
			}
			for _, c := range in.Changes {
				if len(meant[c.Key()]) == 0 {
					keys = append(keys, c.Key())
				}
				meant[c.Key()] = append(meant[c.Key()], c.From, c.To)
			}
		}
		if len(keys) == 0 {
			continue
		}
		k := keys[rng.IntN(len(keys))]
		now := p.world.state(k)
		if v, ok := foreign(p.world.attribute(k), meant[k]); ok && now.Present() {
			p.foreign = &state.Change{Target: k.Target, Object: k.Object, Attribute: k.Attribute, From: now, To: v}
		}
	}
}

func (w *world) state(k state.Key) state.Value {
	s, err := w.twins[k.Target].Read(context.Background())
	if err != nil {
		return state.Absent
	}
	return s.Get(k.Object, k.Attribute)
}

func (w *world) attribute(k state.Key) driver.Attribute {
	kind, _ := w.prog.Infos[k.Target].Kind(w.prog.Pins.Targets[k.Target].Objects[k.Object].Kind)
	a, _ := kind.Attribute(k.Attribute)
	return a
}

// foreign is a valid value that is none of the known ones. Attributes with two
// values have none: whatever an operator writes is what somebody wrote before.
func foreign(a driver.Attribute, known []state.Value) (state.Value, bool) {
	if a.ReadOnly {
		return state.Absent, false
	}
	taken := slices.Clone(known)
	if a.Via != nil {
		for i := 0; i+1 < len(known); i += 2 {
			taken = append(taken, a.Via(known[i], known[i+1])...)
			taken = append(taken, a.Via(known[i+1], known[i])...)
		}
	}
	var options []state.Value
	switch a.Type {
	case driver.TypeInt, driver.TypeNumber:
		for _, n := range []int{37, 41, 43, 3, 7, 1} {
			options = append(options, state.Int(n))
		}
	case driver.TypeEnum:
		for _, e := range a.Enum {
			options = append(options, state.Text(e))
		}
	case driver.TypeList:
		options = append(options, state.List([]string{"203.0.113.99"}))
	case driver.TypeText:
		options = append(options, state.Text("somebody else's"))
	case driver.TypeBool:
	}
	for _, v := range options {
		if !slices.Contains(taken, v) && a.Check(v) == nil {
			return v, true
		}
	}
	return state.Absent, false
}
