package engine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// provider does to record sets what providers do: one that is made without a TTL
// gets theirs, one that loses its values is gone, and a TTL belongs to a set
// that is there.
type provider struct {
	*mortalDriver
}

const providersTTL = "600"

func (p *provider) Unwrap() driver.Driver { return p.mortalDriver }

func (p *provider) Apply(c context.Context, changes []state.Change) error {
	s, err := p.Read(c)
	if err != nil {
		return err
	}
	var all []state.Change
	for _, object := range objectsOf(changes) {
		o, there := s.Objects[object]
		of := map[string]state.Change{}
		for _, ch := range changes {
			if ch.Object == object {
				of[ch.Attribute] = ch
			}
		}
		v, moved := of["values"]
		ttl, timed := of["ttl"]
		switch {
		case moved && !v.To.Present():
			if there {
				ttl = state.Change{Target: v.Target, Object: object, Attribute: "ttl", From: o.Attrs["ttl"]}
				all = append(all, v, ttl)
			}
			continue
		case !there && (!moved || !v.To.Present()):
			return driver.Permanent(errors.New(object + " does not exist"))
		case !there && !timed:
			ttl, timed = state.Change{Target: v.Target, Object: object, Attribute: "ttl", To: providersTTL}, true
		case there && timed && !ttl.To.Present():
			return driver.Permanent(errors.New(object + ": a record set has a TTL as long as it exists"))
		}
		if moved {
			all = append(all, v)
		}
		if timed {
			all = append(all, ttl)
		}
	}
	return p.mortalDriver.Apply(c, all)
}

func objectsOf(changes []state.Change) []string {
	var all []string
	for _, c := range changes {
		if len(all) == 0 || all[len(all)-1] != c.Object {
			all = append(all, c.Object)
		}
	}
	return all
}

const created = `
flip: 1
name: created
targets:
  zone: {driver: mem, name: zone, records: {"old.example.com A": {values: [192.0.2.1], ttl: 300}}}
steps:
  - {id: both, set: {target: zone, record: old.example.com A, values: [192.0.2.1, 192.0.2.2]}}
  - {id: make, set: {target: zone, record: new.example.com A, values: [192.0.2.1]}}
  - {id: more, set: {target: zone, record: new.example.com A, values: [192.0.2.1, 192.0.2.2]}}
%s
  - {id: shorter, set: {target: zone, record: new.example.com A, ttl: 60}}
  - {id: again, set: {target: zone, record: new.example.com A, ttl: 30}}
  - {id: old, set: {target: zone, record: old.example.com A, ttl: 60}}
`

func createdLab(t *testing.T, between, last string, d *death) *lab {
	l := newLab(t, fmt.Sprintf(created, between)+last)
	l.gates["bad"] = func(int) (gate.Result, error) { return no("bad") }
	l.mortal(d, "zone")
	inner := l.wrap["zone"]
	l.wrap["zone"] = func(w driver.Driver) driver.Driver { return &provider{inner(w).(*mortalDriver)} }
	return l
}

// TestARecordSetThatTheRunMadeIsGoneAfterTheWayBack: the TTL that the provider
// gave it, and that a later step changed, went with it.
func TestARecordSetThatTheRunMadeIsGoneAfterTheWayBack(t *testing.T) {
	for name, between := range map[string]string{
		"in one stretch":                    "",
		"with a command that is undone":     `  - {id: work, run: "true", undo: "true"}`,
		"with a command that is not undone": `  - {id: work, run: "true", undo: none}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := createdLab(t, between, thenFail, &death{})
				l.program().Close()
				before := l.image()
				end := l.run(journal.OutcomeRolledBack)
				same(t, "records", before, l.image())
				same(t, "drift", 0, len(end.Drift))
				same(t, "changed and restored", end.Changed, end.Restored)
				r := l.runner()
				v, err := r.Store.View(t.Context(), l.id)
				must(t, err)
				rep, err := r.Drift(t.Context(), v)
				must(t, err)
				same(t, "drift that is reported later", 0, len(rep.Drift))
			})
		})
	}
}

func TestWhatSomebodyElseDoesToSuchASetIsStillDrift(t *testing.T) {
	for name, test := range map[string]struct {
		attribute string
		value     state.Value
	}{"its values": {"values", state.List([]string{"203.0.113.9"})}, "its TTL": {"ttl", "17"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := createdLab(t, "", thenFail, &death{})
				l.atRollback(func(int) { l.outside("zone", "new.example.com A", test.attribute, test.value) })
				end, err := l.start(engine.Options{})
				l.ended(journal.OutcomeIncomplete, end, err)
				if len(end.Drift) == 0 {
					t.Error("no drift")
				}
			})
		})
	}
}

// TestASetThatWasThereKeepsWhatItHad: only what the run made goes. Somebody who
// deletes a set that was there is not taken for the way back.
func TestASetThatWasThereKeepsWhatItHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := createdLab(t, "", thenFail, &death{})
		l.atRollback(func(int) {
			l.outside("zone", "old.example.com A", "values", state.Absent)
			l.outside("zone", "old.example.com A", "ttl", state.Absent)
		})
		end, err := l.start(engine.Options{})
		l.ended(journal.OutcomeIncomplete, end, err)
		same(t, "drift", 2, len(end.Drift))
	})
}

func TestADeadRunThatMadeARecordSetIsRolledBackAndResumed(t *testing.T) {
	for name, between := range map[string]string{"in one stretch": "", "with a command between": `  - {id: work, run: "true", undo: "true"}`} {
		t.Run(name, func(t *testing.T) {
			var records []journal.Record
			var before, after image
			calls := 0
			synctest.Test(t, func(t *testing.T) {
				d := &death{}
				l := createdLab(t, between, "", d)
				l.program().Close()
				before = l.image()
				l.run(journal.OutcomeDone)
				after, records, calls = l.image(), l.records(), d.applies
			})
			var m matrix
			try := func(point string, d *death) {
				for verb, want := range map[string]image{"rollback": before, "resume": after} {
					synctest.Test(t, func(t *testing.T) {
						l := createdLab(t, between, "", d)
						_, err := l.start(engine.Options{})
						if !errors.Is(err, journal.ErrNotDurable) {
							t.Fatalf("the process did not die: %v", err)
						}
						record, after, apply := d.record, d.after, d.apply
						d.revive()
						again := l.rollback
						if verb == "resume" {
							again = l.resume
						}
						end, err := again(engine.Options{})
						over := errors.Is(err, engine.ErrNothingToDo)
						if over && verb == "resume" && record == 1 && !after {
							want = before // nothing was recorded, nothing was done
						}
						wrong := differs(want, l.image())
						if (err != nil && !over) || wrong != "" {
							m.at(verb+" "+point, fmt.Sprintf("%s %v %s\n%s", end.Outcome, err, end.Reason, wrong))
							return
						}
						m.at(verb+" "+point, "")
						d.record, d.after, d.apply, d.records, d.applies = record, after, apply, 0, 0
					})
				}
			}
			for n := 1; n <= len(records); n++ {
				try(fmt.Sprintf("before record %d (%s)", n, records[n-1].Key), &death{record: n})
				try(fmt.Sprintf("after record %d (%s)", n, records[n-1].Key), &death{record: n, after: true})
			}
			for n := 1; n <= calls; n++ {
				try(fmt.Sprintf("in call %d of Apply", n), &death{apply: n, late: 0})
			}
			m.report(t)
		})
	}
}
