package rehearse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/state"
)

// twin stands in for one real target. It holds a copy of its state, can do
// what the real driver can do, and suffers faults.
type twin struct {
	*mem.Target
	real        driver.Driver
	maxInFlight time.Duration
	world       *world
	name        string
	fault       Fault // of the next Apply
	throttled   int
}

// lateByDefault is how long a call may be in flight where the driver does not
// say; the engine counts with the same.
const lateByDefault = time.Second

func newTwin(name string, info driver.Info, real driver.Driver, s state.State) *twin {
	t := &twin{Target: mem.Twin(info, s, nil), real: real, name: name, maxInFlight: lateByDefault}
	if l, ok := locator(real); ok {
		t.LocateBy(l)
	}
	if b, ok := driver.As[driver.Bounded](real); ok {
		t.maxInFlight = b.MaxInFlight()
	}
	return t
}

// fork is the same twin in another world.
func (t *twin) fork(w *world) (*twin, error) {
	m, err := t.Fork()
	if err != nil {
		return nil, err
	}
	return &twin{Target: m, real: t.real, maxInFlight: t.maxInFlight, world: w, name: t.name}, nil
}

// driver shows of the twin what the real driver has.
func (t *twin) driver() driver.Driver {
	var d driver.Driver = core{t}
	if _, ok := driver.As[driver.Counter](t.real); ok {
		d = struct {
			driver.Driver
			driver.Counter
			outer
		}{d, t.Target, outer{d}}
	}
	if _, ok := driver.As[driver.Killer](t.real); ok {
		d = struct {
			driver.Driver
			driver.Killer
			outer
		}{d, t.Target, outer{d}}
	}
	if _, ok := driver.As[driver.Healther](t.real); ok {
		d = struct {
			driver.Driver
			driver.Healther
			outer
		}{d, t.Target, outer{d}}
	}
	if _, ok := driver.As[driver.Locator](t.real); ok {
		d = struct {
			driver.Driver
			driver.Locator
			outer
		}{d, t.Target, outer{d}}
	}
	return d
}

// outer is how As looks below a layer.
type outer struct{ below driver.Driver }

func (o outer) Unwrap() driver.Driver { return o.below }

// core is the least that every driver is.
type core struct{ t *twin }

func (c core) Read(ctx context.Context) (state.State, error) { return c.t.Read(ctx) }
func (c core) Apply(ctx context.Context, changes []state.Change) error {
	return c.t.apply(ctx, changes)
}
func (c core) MaxInFlight() time.Duration { return c.t.maxInFlight }

var (
	errLost      = errors.New("rehearsed: the connection closed before the answer came")
	errThrottled = errors.New("rehearsed: 429 too many requests")
	errHalf      = errors.New("rehearsed: the connection closed in the middle of the batch")
)

// slowCall is how long a slow call takes.
const slowCall = 20 * time.Second

// apply makes changes, or suffers the fault that is due.
func (t *twin) apply(ctx context.Context, changes []state.Change) error {
	fault := t.fault
	t.fault = ""
	switch fault {
	case Throttle:
		if t.throttled++; t.throttled < 2 {
			t.fault = Throttle // once more
		}
		return errThrottled
	case LateWrite:
		if t.maxInFlight > 0 {
			t.world.late(t.name, changes)
			return driver.Uncertain(errLost)
		}
	case Partial:
		if err := t.write(ctx, changes[:len(changes)/2]); err != nil {
			return err
		}
		return errHalf
	case Slow:
		if err := t.world.clock.Sleep(ctx, slowCall); err != nil {
			return driver.Uncertain(fmt.Errorf("rehearsed: the answer is too slow: %w", err))
		}
	case LostReply:
		if err := t.write(ctx, changes); err != nil {
			return err
		}
		return driver.Uncertain(errLost)
	}
	return t.write(ctx, changes)
}

func (t *twin) write(ctx context.Context, changes []state.Change) error {
	if len(changes) == 0 {
		return nil
	}
	t.world.calls = append(t.world.calls, call{t.name, slices.Clone(changes)})
	if len(t.world.answers) == 0 && !slices.ContainsFunc(t.world.prog.Infos[t.name].Kinds, isRecord) {
		return t.Apply(ctx, changes)
	}
	before, err := t.Read(ctx)
	if err == nil {
		err = t.Apply(ctx, changes)
	}
	if err == nil {
		t.world.watch(t, before, changes)
	}
	return err
}

// land makes changes without comparing, as a request does that was on its way
// when its sender died.
func (t *twin) land(changes []state.Change) {
	for _, c := range changes {
		// What cannot be written any more is refused by real systems as well.
		_ = t.Set(c.Object, c.Attribute, c.To)
	}
}

// locator is how the real driver names objects. A mem target's own would
// write to it; its twin knows how.
func locator(real driver.Driver) (driver.Locator, bool) {
	if _, own := driver.As[*mem.Target](real); own {
		return nil, false
	}
	return driver.As[driver.Locator](real)
}
