package engine

import (
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// recent is what was just read of targets whose driver compares by itself
// (driver.Comparer), so that one look serves the binding of a plan, the
// observation of its first step and the decision what to write. It is dropped
// as soon as an activity may change anything. The zero value is ready.
type recent struct {
	mu    sync.Mutex
	looks map[string]look
	busy  int // activities that may change something now
	turns int // of busy
}

// look is a target's state at a moment.
type look struct {
	state state.State
	at    time.Time
}

// recentFor bounds what counts as just read.
const recentFor = time.Second

// recent reports whether the look was taken within recentFor.
func (l look) recent(now time.Time) bool {
	return !l.at.IsZero() && now.Sub(l.at).Abs() < recentFor
}

// disturb begins an activity that may change something, and returns what was
// known before; settle ends it.
func (r *recent) disturb() map[string]look {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.looks
	r.looks = nil
	r.busy++
	r.turns++
	return known
}

func (r *recent) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy--
	r.turns++
}

func (r *recent) get(target string) (l look, turn int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.looks[target], r.turns
}

// put keeps a look unless something may have changed since turn.
func (r *recent) put(target string, l look, turn int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy > 0 || r.turns != turn {
		return
	}
	if r.looks == nil {
		r.looks = map[string]look{}
	}
	r.looks[target] = l
}

// saw keeps what a plan was bound to.
func (x *Executor) saw(states map[string]state.State, at time.Time) {
	for target, s := range states {
		if compares(x.Program.Targets[target]) {
			x.recent.put(target, look{s, at}, 0)
		}
	}
}

func compares(d driver.Driver) bool {
	_, ok := driver.As[driver.Comparer](d)
	return ok
}

// enough returns the look when it can stand for reading the target again
// before the changes are written: it is recent, it agrees with all of them,
// and no guard has to count on it.
func (x *Executor) enough(target string, l look, changes []state.Change) (state.State, bool) {
	if !l.recent(x.clock().Now()) || GuardOf(x.Program.Plan, target) > 0 {
		return state.State{}, false
	}
	todo, drift := x.pending(changes, l.state)
	return l.state, len(todo) == len(changes) && len(drift) == 0
}
