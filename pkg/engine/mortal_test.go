package engine_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// death ends a process of the lab without a word: from one moment on it writes
// no record, makes no change and lets go of no lock.
type death struct {
	mu   sync.Mutex
	dead bool
	// At the record of this number, before it is written or right after; 0 is
	// never.
	record  int
	after   bool
	records int // there were before
	// In the middle of this call of Apply, counted over all targets: what it
	// sent lands late, whatever is there then.
	apply, applies int
	late           time.Duration
}

// errDead is what a dead process's calls return. It says that the journal took
// no record, after which nothing may be touched.
var errDead = fmt.Errorf("the process is dead: %w", journal.ErrNotDurable)

// revive lets the next process live for ever.
func (d *death) revive() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead, d.record, d.apply = false, 0, 0
}

// append is one at a time, so that no number is passed over.
func (d *death) append(l journal.Log, write func() (journal.Record, error)) (journal.Record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(l.Records()) + 1
	if d.dead || d.record == n && !d.after {
		d.dead = true
		return journal.Record{}, errDead
	}
	r, err := write()
	if d.record == n {
		d.dead = true
		return journal.Record{}, errDead
	}
	return r, err
}

// mortals is a store whose logs die.
type mortals struct {
	engine.Store
	d *death
}

func (m mortals) Create(c context.Context, id string, files map[string][]byte) (journal.Log, error) {
	l, err := m.Store.Create(c, id, files)
	return &mortalLog{l, m.d}, err
}

func (m mortals) Open(c context.Context, id string) (journal.Log, error) {
	l, err := m.Store.Open(c, id)
	return &mortalLog{l, m.d}, err
}

type mortalLog struct {
	journal.Log
	d *death
}

func (l *mortalLog) Append(c context.Context, r journal.Record) (journal.Record, error) {
	return l.d.append(l.Log, func() (journal.Record, error) { return l.Log.Append(c, r) })
}

// mortalDriver is a driver in a process that may die.
type mortalDriver struct {
	driver.Driver
	m *mem.Target
	d *death
}

func (m *mortalDriver) Unwrap() driver.Driver { return m.Driver }

func (m *mortalDriver) Apply(c context.Context, changes []state.Change) error {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	if m.d.dead {
		return errDead
	}
	m.d.applies++
	if m.d.apply == m.d.applies {
		m.d.dead = true
		time.AfterFunc(m.d.late, func() {
			for _, ch := range changes {
				_ = m.m.Set(ch.Object, ch.Attribute, ch.To)
			}
		})
		return errDead
	}
	return m.Driver.Apply(c, changes)
}

// mortal makes every process of the lab die when d says so.
func (l *lab) mortal(d *death, targets ...string) {
	l.store = func(s engine.Store) engine.Store { return mortals{s, d} }
	for _, name := range targets {
		l.wrap[name] = func(inner driver.Driver) driver.Driver {
			return &mortalDriver{inner, inner.(*witness).Target, d}
		}
	}
}
