package engine_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// counted counts the reads of a target. A comparing one says that its Apply
// compares first, which mem does.
type counted struct {
	driver.Driver
	reads *atomic.Int32
}

type comparing struct{ counted }

func (c counted) Read(ctx context.Context) (state.State, error) {
	c.reads.Add(1)
	return c.Driver.Read(ctx)
}

func (c counted) Unwrap() driver.Driver { return c.Driver }
func (comparing) ComparesFirst()        {}

const single = `
flip: 1
name: one
targets:
  web: {driver: mem, name: web, pool: {a1: {weight: 100}, a2: {weight: 100}}}
groups:
  a: {web: [a1]}
steps:
`

const setOne = "  - {id: one, set: {group: a, weight: 50}}\n"

func TestOneLookServesAllThatComesBeforeAWriteOfADriverThatCompares(t *testing.T) {
	tests := map[string]struct {
		text      string
		comparing bool
		reads     int32 // one of them is the last look of the run
	}{
		"binding, observation, write and read-back read for themselves": {single + setOne, false, 5},
		"only the read-back does when the driver compares":              {single + setOne, true, 3},
		"the next step looks again, once":                               {single + setOne + "  - {id: two, set: {group: a, weight: 51}}\n", true, 5},
		"a guard counts on what it sees itself": {
			strings.Replace(single, "steps:", "guards: [{target: web, min_serving: 1}]\nsteps:", 1) + setOne, true, 4,
		},
		"what a command may have changed is looked at again": {
			single + "  - {id: deploy, run: 'true', undo: none}\n" + setOne, true, 4,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, reads := newLab(t, test.text), new(atomic.Int32)
			l.wrap["web"] = func(d driver.Driver) driver.Driver {
				if test.comparing {
					return comparing{counted{d, reads}}
				}
				return counted{d, reads}
			}
			l.run(journal.OutcomeDone)
			same(t, "reads", test.reads, reads.Load())
		})
	}
}

func TestWhatSomebodyElseChangesAfterTheOneLookIsDrift(t *testing.T) {
	l := newLab(t, single+setOne)
	l.wrap["web"] = func(d driver.Driver) driver.Driver { return comparing{counted{d, new(atomic.Int32)}} }
	l.onRecord = func(r journal.Record) {
		if r.Type == journal.TypeIntent {
			l.outside("web", "a1", "weight", state.Int(37))
		}
	}
	end := l.run(journal.OutcomeFailed)
	same(t, "reason", "web: somebody else changed a1 weight: was 100, to be 50, now 37", end.Reason)
	same(t, "writes", []string(nil), l.writes())
	l.shows("web", map[string]string{"a1": "37", "a2": "100"})
}

func TestALookIsOldAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, reads := newLab(t, single+setOne), new(atomic.Int32)
		l.wrap["web"] = func(d driver.Driver) driver.Driver { return comparing{counted{d, reads}} }
		l.onRecord = func(r journal.Record) {
			if r.Type == journal.TypeTakeover || r.Type == journal.TypeIntent {
				time.Sleep(time.Second) // of the bubble
			}
		}
		l.run(journal.OutcomeDone)
		same(t, "reads", int32(5), reads.Load())
	})
}
