package drivertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// FaultKind is one way in which a call goes wrong.
type FaultKind int

// The kinds of faults. Those that change what is written act on Apply only;
// on Read they are FailBefore.
const (
	// None: the call goes through.
	None FaultKind = iota
	// FailBefore: an error, and nothing happened.
	FailBefore
	// Throttle: as FailBefore, with the error of a system that asks for patience.
	Throttle
	// LoseReply: the call takes effect, then fails with an unknown outcome.
	LoseReply
	// LateWrite: the call fails with an unknown outcome; the changes land
	// after Delay, also when the caller's context has ended.
	LateWrite
	// HalfBatch: the first half of the changes takes effect, then an error.
	HalfBatch
	// Slow: the call takes Delay longer.
	Slow
	// NodeDown: what is on Node cannot be read or changed.
	NodeDown
	// Outside: Do runs first in Apply, after the reading in Read, which is
	// between the engine's look and its write.
	Outside
)

// Fault is what happens to one call.
type Fault struct {
	Kind  FaultKind
	Delay time.Duration // of LateWrite and Slow
	Node  string        // of NodeDown
	Do    func()        // of Outside
	Err   error         // instead of the kind's own error
}

// Faults say what happens to which call. Calls of Read and of Apply are
// counted apart, from 1.
type Faults struct {
	Read  map[int]Fault
	Apply map[int]Fault
	// Any other Apply suffers one of these, with probability Rate. The same
	// Seed gives the same faults to the same sequence of calls.
	Any  []Fault
	Rate float64
	Seed uint64
}

// ErrThrottled is the error of a throttled call.
var ErrThrottled = errors.New("429 too many requests")

// Flaky is a driver that suffers faults.
type Flaky struct {
	inner  driver.Driver
	faults Faults

	mu     sync.Mutex
	reads  int
	writes int
	rng    *rand.Rand
	late   sync.WaitGroup
}

// Faulty makes d suffer faults. Optional interfaces of d stay as they are.
func Faulty(d driver.Driver, f Faults) *Flaky {
	f.Read, f.Apply = maps.Clone(f.Read), maps.Clone(f.Apply)
	return &Flaky{inner: d, faults: f, rng: rand.New(rand.NewPCG(f.Seed, 0))}
}

// Unwrap returns the driver below.
func (f *Flaky) Unwrap() driver.Driver { return f.inner }

// Calls tells how often Read and Apply were called.
func (f *Flaky) Calls() (reads, applies int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads, f.writes
}

// Wait returns when all late writes have landed.
func (f *Flaky) Wait() { f.late.Wait() }

func (f *Flaky) nextRead() Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	return f.faults.Read[f.reads]
}

func (f *Flaky) nextApply() Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	if fault, ok := f.faults.Apply[f.writes]; ok {
		return fault
	}
	if len(f.faults.Any) > 0 && f.rng.Float64() < f.faults.Rate {
		return f.faults.Any[f.rng.IntN(len(f.faults.Any))]
	}
	return Fault{}
}

// Read reads, unless a fault is due.
func (f *Flaky) Read(ctx context.Context) (state.State, error) {
	fault := f.nextRead()
	switch fault.Kind {
	case None:
		return f.inner.Read(ctx)
	case Slow:
		if err := sleep(ctx, fault.Delay); err != nil {
			return state.State{}, err
		}
		return f.inner.Read(ctx)
	case NodeDown:
		s, err := f.inner.Read(ctx)
		if err != nil {
			return s, err
		}
		return without(s, fault)
	case Outside:
		s, err := f.inner.Read(ctx)
		fault.Do()
		return s, err
	default:
		return state.State{}, fault.err()
	}
}

// Apply makes the changes, unless a fault is due.
func (f *Flaky) Apply(ctx context.Context, changes []state.Change) error {
	fault := f.nextApply()
	switch fault.Kind {
	case LoseReply:
		if err := f.inner.Apply(ctx, changes); err != nil {
			return err
		}
		return driver.Uncertain(fault.err())
	case LateWrite:
		f.later(ctx, fault.Delay, changes)
		return driver.Uncertain(fault.err())
	case HalfBatch:
		if err := f.inner.Apply(ctx, changes[:len(changes)/2]); err != nil {
			return err
		}
		return fault.err()
	case Slow:
		if err := sleep(ctx, fault.Delay); err != nil {
			return err
		}
	case NodeDown:
		return f.applyWithout(ctx, changes, fault)
	case Outside:
		fault.Do()
	case FailBefore, Throttle:
		return fault.err()
	case None:
	}
	return f.inner.Apply(ctx, changes)
}

func (f *Flaky) later(ctx context.Context, d time.Duration, changes []state.Change) {
	ctx, changes = context.WithoutCancel(ctx), slices.Clone(changes)
	f.late.Add(1)
	time.AfterFunc(d, func() {
		defer f.late.Done()
		_ = f.inner.Apply(ctx, changes) // nobody is there to hear of it
	})
}

// applyWithout changes what is on other nodes, then fails.
func (f *Flaky) applyWithout(ctx context.Context, changes []state.Change, fault Fault) error {
	s, err := f.inner.Read(ctx)
	if err != nil {
		return err
	}
	var reachable []state.Change
	for _, c := range changes {
		if s.Objects[c.Object].Node != fault.Node {
			reachable = append(reachable, c)
		}
	}
	if err := f.inner.Apply(ctx, reachable); err != nil || len(reachable) == len(changes) {
		return err
	}
	return fmt.Errorf("node %s: %w", fault.Node, fault.err())
}

func without(s state.State, fault Fault) (state.State, error) {
	s.Objects, s.Nodes = maps.Clone(s.Objects), maps.Clone(s.Nodes)
	maps.DeleteFunc(s.Objects, func(_ string, o state.Object) bool { return o.Node == fault.Node })
	delete(s.Nodes, fault.Node)
	if len(s.Objects) == 0 {
		return state.State{}, fault.err()
	}
	return s, &driver.PartialError{Nodes: map[string]error{fault.Node: fault.err()}}
}

func (f Fault) err() error {
	switch {
	case f.Err != nil:
		return f.Err
	case f.Kind == Throttle:
		return ErrThrottled
	case f.Kind == LoseReply, f.Kind == LateWrite:
		return errors.New("connection closed before the answer came")
	default:
		return errors.New("connection refused")
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
