package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// arrivalLook is between two looks for objects that are to come back.
const arrivalLook = 500 * time.Millisecond

// missed are objects that were waited for in vain, by target and id, so that
// not every look waits for them again.
type missed struct {
	mu  sync.Mutex
	ids map[[2]string]bool
}

func (m *missed) has(target, id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ids[[2]string{target, id}]
}

func (m *missed) add(target string, ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ids == nil {
		m.ids = map[[2]string]bool{}
	}
	for _, id := range ids {
		m.ids[[2]string{target, id}] = true
	}
}

// forget: a command has run, which may bring back whoever was missed.
func (m *missed) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.ids)
}

// arrived returns s, or what the target shows later: whoever restarts an
// instance may see it healthy before it has registered (driver.Comer). It ends
// when all of ids are there, at the driver's limit or with ctx, whichever is
// first; what is missing then is missing.
func (x *Executor) arrived(ctx context.Context, key, target string, d driver.Driver, ids []string, s state.State) state.State {
	comer, ok := driver.As[driver.Comer](d)
	if !ok {
		return s
	}
	var limit time.Duration
	away := func() (gone []string) {
		for _, id := range ids {
			if _, there := s.Objects[id]; there || x.missed.has(target, id) {
				continue
			}
			if long := comer.Coming(id); long > 0 {
				limit = max(limit, long)
				gone = append(gone, id)
			}
		}
		slices.Sort(gone)
		return gone
	}
	gone := away()
	until := x.clock().Now().Add(limit)
	for said := false; len(gone) > 0; gone = away() {
		if !said {
			x.Look(key, journal.LookData{Text: "waiting for " + list(x.Program.names(target, gone)) + " to come back", Until: until})
			said = true
		}
		left := until.Sub(x.clock().Now())
		if left <= 0 || x.pause(ctx, min(arrivalLook, left)) != nil {
			x.missed.add(target, gone)
			return s
		}
		if now, err := d.Read(ctx); err == nil {
			s = now
		}
	}
	return s
}
