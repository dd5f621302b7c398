package rehearse

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
)

// runID is the id of every rehearsed run.
const runID = "00000000000000000000000000"

// memory is a journal of one run, in memory. It is its own store, log and
// view.
type memory struct {
	clock   *clock
	records []journal.Record
	// seen hears of every record, before and after it is written.
	seen func(r journal.Record, written bool)
}

// ID is the run's.
func (m *memory) ID() string { return runID }

// NewID is the run's too: there is one.
func (m *memory) NewID() string { return runID }

// Dir is empty: nothing is kept.
func (m *memory) Dir() string { return "" }

// Create begins the run.
func (m *memory) Create(context.Context, string, map[string][]byte) (journal.Log, error) {
	return m, nil
}

// Open goes on with the run.
func (m *memory) Open(context.Context, string) (journal.Log, error) { return m, nil }

// View shows the run.
func (m *memory) View(context.Context, string) (journal.View, error) { return m, nil }

// List knows one run.
func (m *memory) List(context.Context) ([]string, error) { return []string{runID}, nil }

// Records are the run's.
func (m *memory) Records() []journal.Record { return slices.Clip(m.records) }

// Looks are not kept.
func (m *memory) Looks() []journal.Record { return nil }

// Refresh has nothing to read.
func (m *memory) Refresh(context.Context) ([]journal.Record, error) { return nil, nil }

// Append writes a record, by the rules of the file store.
func (m *memory) Append(_ context.Context, r journal.Record) (journal.Record, error) {
	if n := len(m.records); n > 0 && m.records[n-1].Type == journal.TypeEnd && r.Type != journal.TypeTakeover && r.Type != journal.TypeRollback {
		return r, journal.ErrEnded
	}
	if (len(m.records) == 0) != (r.Type == journal.TypeRun) {
		return r, errors.New("rehearse: a run record comes first, and once")
	}
	r.Seq, r.Time = len(m.records)+1, m.clock.now.Truncate(time.Millisecond)
	if m.seen != nil {
		m.seen(r, false)
	}
	m.records = append(m.records, r)
	if m.seen != nil {
		m.seen(r, true)
	}
	return r, nil
}

// Look keeps nothing.
func (m *memory) Look(journal.Record) {}

// Close has nothing to close.
func (m *memory) Close() error { return nil }

// lease is a hold on twins: nobody else can have them.
type lease struct{}

func (lease) Valid(time.Duration) error  { return nil }
func (lease) Takeover() journal.Takeover { return journal.Takeover{} }
func (lease) Release() error             { return nil }
func (lease) Detach() error              { return nil }
func (lease) Abandon()                   {}
