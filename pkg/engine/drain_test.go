package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
)

// counter tells what is in flight as a test says.
type counter struct {
	driver.Driver
	n    int
	tell func(n int, ids []string) (map[string]driver.Flight, error)
}

func (c *counter) Unwrap() driver.Driver { return c.Driver }

func (c *counter) InFlight(_ context.Context, ids []string) (map[string]driver.Flight, error) {
	c.n++
	return c.tell(c.n, ids)
}

// quiet is a plan with one drain of a member that still serves: what is in
// flight is up to the counter.
func quiet(drain string) string {
	return `
flip: 1
name: quiet
targets: {web: {driver: mem, name: web, pool: {a1: {weight: 1}, a2: {weight: 1}}}}
groups: {a: {web: [a1, a2]}}
steps:
  - {id: out, set: {group: a, weight: 0}}
  - {id: drain, drain: {` + drain + `}}
`
}

func stepText(l *lab, id string) string {
	for _, r := range l.records() {
		if s, _ := journal.Decode[journal.Step](r); r.Type == journal.TypeStep && s.ID == id && s.Status != "begin" {
			return s.Text
		}
	}
	return ""
}

func TestADrainIsOverWhenNothingIsOrBeginsInFlight(t *testing.T) {
	flight := func(now int, total int64) map[string]driver.Flight {
		return map[string]driver.Flight{"a1": {Now: now, Total: total}, "a2": {Now: 0, Total: -1}}
	}
	tests := map[string]struct {
		drain string
		tell  func(n int) (map[string]driver.Flight, error)
		looks int // until it is quiet
	}{
		"three samples of zero":        {"group: a", func(int) (map[string]driver.Flight, error) { return flight(0, 7), nil }, 3},
		"as many as the plan asks for": {"group: a, samples: 5", func(int) (map[string]driver.Flight, error) { return flight(0, 7), nil }, 5},
		"sessions in between begin the row again": {"group: a", func(n int) (map[string]driver.Flight, error) {
			if n == 3 {
				return flight(1, 7), nil
			}
			return flight(0, 7), nil
		}, 6},
		"a zero with a total that rises is not quiet": {"group: a", func(n int) (map[string]driver.Flight, error) {
			return flight(0, int64(min(n, 10))), nil
		}, 12},
		"what cannot be read is not quiet": {"group: a", func(n int) (map[string]driver.Flight, error) {
			if n == 2 || n == 4 {
				return nil, errors.New("no route to host")
			}
			return flight(0, 7), nil
		}, 7},
		"a member that is not told about is not quiet": {"group: a", func(n int) (map[string]driver.Flight, error) {
			if n < 5 {
				return map[string]driver.Flight{"a1": {Total: 7}}, nil
			}
			return flight(0, 7), nil
		}, 7},
		"sessions that may stay count as quiet, whatever they ask": {"group: a, sessions: 2", func(n int) (map[string]driver.Flight, error) {
			return flight(max(2, 5-n), int64(n)), nil
		}, 5},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, quiet(test.drain))
				c := &counter{tell: func(n int, _ []string) (map[string]driver.Flight, error) { return test.tell(n) }}
				looks := 0
				l.wrap["web"] = func(d driver.Driver) driver.Driver { c.Driver = d; return c }
				l.onRecord = func(r journal.Record) {
					if r.Type == journal.TypeStep {
						looks, c.n = c.n, 0 // those of a preview do not count
					}
				}
				l.run(journal.OutcomeDone)
				same(t, "looks", test.looks, looks)
			})
		})
	}
}

func TestWhatADrainDoesAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const busy = `
flip: 1
name: busy
targets: {web: {driver: mem, name: web, nodes: [lb1, lb2], pool: {a1: {weight: 100, sessions: 4, drains: 10h}, a2: {weight: 100}}}}
steps:
  - {id: out, set: {target: web, members: [a1], weight: 0}}
  - {id: drain, drain: {target: web, members: [a1], timeout: 20s, then: THEN}}
`
		for then, test := range map[string]struct {
			want journal.Outcome
			says string
		}{
			"fail":     {journal.OutcomeRolledBack, "deadline passed: 8 in flight on 1 member after 20s"},
			"continue": {journal.OutcomeDone, "deadline passed: 8 in flight on 1 member after 20s; the plan goes on"},
			"kill":     {journal.OutcomeDone, "deadline passed: ended 8 in flight"},
		} {
			l := newLab(t, strings.Replace(busy, "THEN", then, 1))
			l.run(test.want)
			same(t, then, test.says, stepText(l, "drain"))
		}
	})
}

func TestADrainWaitsForSessionsToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, `
flip: 1
name: busy
targets: {web: {driver: mem, name: web, pool: {a1: {weight: 100, sessions: 40, drains: 30s}, a2: {weight: 100}}}}
groups: {a: {web: [a1]}}
steps:
  - {id: out, set: {group: a, weight: 0}}
  - {id: drain, drain: {group: a, interval: 1s, samples: 2, timeout: 5m}}
`)
		began := time.Now()
		var looks []int
		l.onRecord = func(r journal.Record) {
			if d, _ := journal.Decode[journal.LookData](r); r.Type == journal.TypeLook && d.InFlight != nil {
				looks = append(looks, d.InFlight["a1"])
			}
		}
		l.run(journal.OutcomeDone)
		same(t, "time", 31*time.Second, time.Since(began))
		same(t, "first looks", []int{40, 39, 38, 36}, looks[:4])
	})
}

func TestACounterThatCannotBeReadFailsTheDrainAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, quiet("group: a, timeout: 10s"))
		l.wrap["web"] = func(d driver.Driver) driver.Driver {
			return &counter{Driver: d, tell: func(int, []string) (map[string]driver.Flight, error) { return nil, errors.New("no route to host") }}
		}
		end := l.run(journal.OutcomeRolledBack)
		contains(t, end.Reason, "could not look at web: no route to host")
	})
}

func TestADriverThatCannotCountNeedsAMetric(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, quiet("group: a, timeout: 10s"))
		l.wrap["web"] = func(d driver.Driver) driver.Driver { return plain{d} }
		end := l.run(journal.OutcomeRolledBack)
		contains(t, end.Reason, "driver mem cannot tell what is in flight")

		l = newLab(t, quiet("group: a, timeout: 10s, metric: {script: {name: open}}"))
		l.wrap["web"] = func(d driver.Driver) driver.Driver { return plain{d} }
		l.gates["open"] = func(n int) (gate.Result, error) {
			if n < 3 {
				return no("2 open")
			}
			return yes("0 open")
		}
		l.run(journal.OutcomeDone)
		same(t, "looks", 3, l.looks["open"])

		l = newLab(t, quiet("group: a, timeout: 10s, then: continue, metric: {script: {name: open}}"))
		l.gates["open"] = func(int) (gate.Result, error) { return no("2 open") }
		l.run(journal.OutcomeDone)
		contains(t, stepText(l, "drain"), "the plan goes on")
	})
}

// plain hides everything that a driver can do beyond reading and applying.
type plain struct{ driver.Driver }
