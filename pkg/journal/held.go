package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// FrozenError says that this process stood still long enough for others to
// think that it is gone: stopped, suspended, starved. Nobody took over, so it
// may go on, after it observed again what it is about to change. Each freeze
// is reported once.
type FrozenError struct{ For time.Duration }

func (e *FrozenError) Error() string {
	return fmt.Sprintf("this process stood still for %s", e.For.Round(time.Second))
}

// clockJump is how far the wall clock may run ahead of the monotonic one
// before the machine counts as having slept.
const clockJump = 5 * time.Second

// Held are the locks of a run, held by this process. It is safe for concurrent
// use.
type Held struct {
	l    *Locks
	o    LockOptions
	take Takeover
	stop context.CancelFunc
	done sync.WaitGroup

	mu     latch
	infos  []LockInfo
	until  time.Time // of the lease, wall clock
	beat   time.Time // last renewal, with the monotonic reading
	frozen time.Duration
	lost   error // fenced
	last   error // of the last renewal
}

// Takeover says who held the locks before.
func (h *Held) Takeover() Takeover { return h.take }

// Infos returns the locks as this process last wrote them.
func (h *Held) Infos() []LockInfo {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.infos)
}

func (h *Held) start() {
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	h.done.Go(func() {
		t := time.NewTicker(h.o.Beat)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				if err := h.Renew(ctx); err != nil && ctx.Err() == nil {
					h.l.o.Log.Warn("the locks of the run could not be renewed", "error", err)
				}
			}
		}
	})
}

// Renew gives a sign of life now. It fails with ErrFenced when a lock is no
// longer this process's.
func (h *Held) Renew(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.thaw()
	h.last = h.renew(ctx)
	return h.last
}

func (h *Held) renew(ctx context.Context) error {
	if h.lost != nil {
		return h.lost
	}
	free, err := h.l.guard(ctx)
	if err != nil {
		return err
	}
	defer free()
	if err := h.owned(); err != nil {
		return err
	}
	now := h.l.now()
	for n := range h.infos {
		i := h.infos[n]
		i.Beat, i.LeaseUntil = now, now.Add(h.o.Lease)
		if err := h.l.write(i, false); err != nil {
			return err
		}
		h.infos[n] = i
	}
	h.until, h.beat = now.Add(h.o.Lease), h.l.o.Now()
	return nil
}

// thaw notes when the process stood still: its lease ran out unrenewed, or the
// wall clock went ahead of the monotonic one, which stops in suspend.
func (h *Held) thaw() {
	now := h.l.o.Now()
	wall := now.Round(0).Sub(h.beat.Round(0))
	if wall >= h.o.Lease || wall-now.Sub(h.beat) > clockJump {
		h.frozen = max(h.frozen, wall)
		h.beat = now
	}
}

// owned makes sure that every lock still names this process.
func (h *Held) owned() error {
	for _, mine := range h.infos {
		i, ok, err := h.l.read(mine.Scope)
		if err != nil {
			return err
		}
		switch {
		case !ok:
			h.lost = fmt.Errorf("%w: the lock on %s was broken (flip unlock)", ErrFenced, mine.Scope)
		case i.Run != mine.Run:
			h.lost = fmt.Errorf("%w: the lock on %s is run %s's now", ErrFenced, mine.Scope, i.named())
		case i.Epoch != mine.Epoch || i.Process != mine.Process:
			h.lost = fmt.Errorf("%w: %s on %s (pid %d) drives this run since %s", ErrFenced, i.Who, i.Host, i.PID, i.Since.Format(time.RFC3339))
		}
		if h.lost != nil {
			h.lost = hint.Wrap(h.lost, "nothing was touched after that; see flip status")
			return h.lost
		}
	}
	return nil
}

// Valid returns nil when a call that takes effect within maxInFlight may be
// sent: the lease outlives it, and every lock still is this process's. Call it
// before every change. It fails with ErrFenced when another process took over,
// and with a *FrozenError when this one stood still.
func (h *Held) Valid(maxInFlight time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost != nil {
		return h.lost
	}
	if err := h.owned(); err != nil {
		return err
	}
	h.thaw()
	if !h.l.now().Before(h.until.Add(-maxInFlight)) {
		if err := h.renew(context.Background()); err != nil {
			h.last = err
		}
	}
	if f := h.frozen; f > 0 {
		h.frozen = 0
		return &FrozenError{For: f}
	}
	if h.l.now().Before(h.until.Add(-maxInFlight)) {
		return nil
	}
	if h.last != nil {
		return fmt.Errorf("the locks of the run could not be renewed: %w", h.last)
	}
	return fmt.Errorf("a call may take effect %s after it was sent, longer than the lease of %s", maxInFlight, h.o.Lease)
}

// Release frees the locks: the run has its terminal record.
func (h *Held) Release() error {
	return h.end(func(i LockInfo) error { return disk(os.Remove(h.l.path(i.Scope)), h.l.dir) })
}

// Detach leaves the locks to the run without a process: it stands at a safe
// point. Whoever goes on with it need not wait.
func (h *Held) Detach() error {
	return h.end(func(i LockInfo) error {
		i.Detached, i.Beat, i.LeaseUntil = true, h.l.now(), h.l.now()
		return h.l.write(i, true)
	})
}

// Abandon stops renewing and leaves the locks as a process does that dies.
func (h *Held) Abandon() {
	h.stop()
	h.done.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost == nil {
		h.lost = fmt.Errorf("%w: this process gave up its locks", ErrFenced)
	}
}

func (h *Held) end(each func(LockInfo) error) error {
	h.stop()
	h.done.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost != nil {
		return h.lost
	}
	free, err := h.l.guard(context.Background())
	if err != nil {
		return err
	}
	defer free()
	if err := h.owned(); err != nil {
		return err
	}
	var errs []error
	for _, i := range h.infos {
		errs = append(errs, each(i))
	}
	h.lost = fmt.Errorf("%w: this process let go of its locks", ErrFenced)
	return errors.Join(errs...)
}
