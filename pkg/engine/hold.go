package engine

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// holds keep what systems may forget (driver.Holder): one watch for each
// target, over everything that the run has set there and not put back.
type holds struct {
	ctx  context.Context // ends with the process
	p    *Program
	look func(key string, d journal.LookData)
	// lost hears of a value that could not be kept.
	lost func(error)

	mu      sync.Mutex
	targets map[string]*kept
}

type kept struct {
	changes map[state.Key]state.Change
	stop    context.CancelFunc
	done    chan struct{}
}

// keep watches changes that were made and read back, instead of what was
// watched for the same attributes before.
func (h *holds) keep(target string, changes []state.Change) {
	h.update(target, func(now map[state.Key]state.Change) {
		for _, c := range changes {
			now[c.Key()] = c
		}
	})
}

// release ends the watch over attributes that were put back, or that are about
// to be changed.
func (h *holds) release(target string, changes []state.Change) {
	h.update(target, func(now map[state.Key]state.Change) {
		for _, c := range changes {
			delete(now, c.Key())
		}
	})
}

func (h *holds) update(target string, edit func(map[state.Key]state.Change)) {
	if h == nil {
		return
	}
	holder, ok := driver.As[driver.Holder](h.p.Targets[target])
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.targets[target]
	if t == nil {
		t = &kept{changes: map[state.Key]state.Change{}}
		h.targets[target] = t
	}
	t.end()
	edit(t.changes)
	if len(t.changes) == 0 {
		return
	}
	changes := slices.SortedFunc(maps.Values(t.changes), func(a, b state.Change) int { return a.Key().Compare(b.Key()) })
	ctx, stop := context.WithCancel(h.ctx)
	ctx = driver.WithProgress(ctx, func(text string) { h.look("/hold/"+target, journal.LookData{Text: text}) })
	t.stop, t.done = stop, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		if err := holder.Hold(ctx, changes); err != nil && ctx.Err() == nil {
			h.lost(fail(classDrift, "hold %s: %v", target, err))
		}
	}(t.done)
}

func (t *kept) end() {
	if t.stop != nil {
		t.stop()
		<-t.done
		t.stop = nil
	}
}

// close ends all watches and waits for them.
func (h *holds) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.targets {
		t.end()
	}
}
