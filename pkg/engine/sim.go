package engine

import (
	"context"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
)

// Performer does activities: what touches the world. in is the activity's own
// input type, what it returns its output type.
type Performer interface {
	Do(ctx context.Context, key, activity string, in any) (any, error)
}

// Store keeps runs and names new ones.
type Store interface {
	journal.Store
	NewID() string
}

// Lease is a hold on what a run may change. *journal.Held is one.
type Lease interface {
	// Valid says whether a call that takes effect within maxInFlight may be
	// sent now.
	Valid(maxInFlight time.Duration) error
	Takeover() journal.Takeover
	Release() error
	Detach() error
	Abandon()
}

// Sim is a world that a Runner drives instead of the real one, for rehearsals.
// The zero value is the real world.
type Sim struct {
	Clock Clock
	// Perform stands around the executor: it decides what is really done.
	Perform func(Performer) Performer
	// Hold takes the place of locks.
	Hold func(scopes []string) Lease
	// Program is what an existing run follows, instead of the copy in its
	// directory.
	Program *Program
	// Answer takes the place of the inbox: what somebody says to an approval,
	// nil for nothing yet.
	Answer func(key string) *journal.Signal
	// Turn picks which of n branches of a parallel step goes on next. They
	// then run one at a time and change at every record, so that a run is the
	// same every time. nil runs them at once.
	Turn func(n int) int
	// NoSweep leaves out the last look after an unclean death, to see that a
	// rehearsal finds what it is for.
	NoSweep bool
	// NoCaches leaves out the waits for caches on the way back, for the same
	// purpose.
	NoCaches bool
}

// clock is the runner's time.
func (r *Runner) clock() Clock {
	if r.Sim.Clock == nil {
		return WallClock{}
	}
	return r.Sim.Clock
}

// acquire takes the locks on what the program may change.
func (r *Runner) acquire(ctx context.Context, prog *Program, run, plan string, o Options) (Lease, error) {
	if r.Sim.Hold != nil {
		return r.Sim.Hold(scopesOf(prog)), nil
	}
	held, err := r.Locks.Acquire(ctx, scopesOf(prog), r.holder(run, plan), journal.LockOptions{Wait: o.LockWait, Lease: r.Lease, Beat: r.Beat, MaxInFlight: longestCall(prog)})
	if err != nil {
		return nil, err // a nil *Held is no nil Lease
	}
	return held, nil
}

// HoldEnd is implemented by inputs of activities that stay for a while.
type HoldEnd interface{ HoldsUntil() time.Time }

// HoldsUntil is when a hold ends; zero for a gate that is waited for.
func (g gateIn) HoldsUntil() time.Time { return g.Until }
