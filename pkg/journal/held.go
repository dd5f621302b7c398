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

// LockOptions say how locks are held. Zero durations take the defaults.
type LockOptions struct {
	// Wait is how long to wait for another run; not at all by default.
	Wait time.Duration
	// Lease is how long a sign of life counts; by default 30 s, and longer
	// than MaxInFlight.
	Lease time.Duration
	// Beat is how often one is given; 10 s by default.
	Beat time.Duration
	// MaxInFlight is how long a call of a dead process may still take effect:
	// the longest of the drivers that the run uses.
	MaxInFlight time.Duration
}

// Defaults of LockOptions.
const (
	DefaultLease = 30 * time.Second
	DefaultBeat  = 10 * time.Second
	// lockRetry is how often a waiting Acquire looks again.
	lockRetry = 500 * time.Millisecond
	// clockJump is how far the wall clock may run ahead of the monotonic one
	// before the machine counts as having slept.
	clockJump = 5 * time.Second
)

func (o LockOptions) filled() LockOptions {
	if o.Beat <= 0 {
		o.Beat = DefaultBeat
	}
	if o.Lease <= 0 {
		o.Lease = max(DefaultLease, o.MaxInFlight+2*o.Beat)
	}
	return o
}

// Takeover says from whom a run's locks were taken over.
type Takeover struct {
	// Unclean: the process before died, or fell silent, without letting go.
	// What it had sent may still land: wait, observe again, and sweep.
	Unclean bool
	// SinceBeat is how long ago it gave its last sign of life.
	SinceBeat time.Duration
	// From is the process before; zero when the locks are new to the run.
	From LockInfo
}

// FrozenError says that this process stood still long enough for others to
// think that it is gone: stopped, suspended, starved. Nobody took over, so it
// may go on, after it observed again what it is about to change. Each freeze
// is reported once.
type FrozenError struct{ For time.Duration }

func (e *FrozenError) Error() string {
	return fmt.Sprintf("this process stood still for %s", e.For.Round(time.Second))
}

// Held are the locks of a run, held by this process. It is safe for concurrent
// use.
type Held struct {
	l    *Locks
	o    LockOptions
	take Takeover
	stop context.CancelFunc
	done sync.WaitGroup

	mu     sync.Mutex
	infos  []LockInfo
	until  time.Time // of the lease, wall clock
	beat   time.Time // last renewal, with the monotonic reading
	frozen time.Duration
	lost   error // fenced
	last   error // of the last renewal
}

// Acquire takes the locks on scopes for the run in h, all or none, and keeps
// renewing them until Release, Detach or Abandon. h says Run, Plan and Who; the
// rest is filled in.
//
// A scope of another run is a *LockedError, after o.Wait. A scope that this
// run has already is taken over when its process is this one, let go of it, is
// dead on this host, or gave no sign of life for its lease and o.MaxInFlight;
// until then it is a *LockedError too.
func (l *Locks) Acquire(ctx context.Context, scopes []string, h LockInfo, o LockOptions) (*Held, error) {
	o = o.filled()
	scopes = slices.Compact(slices.Sorted(slices.Values(scopes)))
	deadline := l.now().Add(o.Wait)
	for {
		held, err := l.try(ctx, scopes, h, o)
		if err == nil {
			held.start()
			return held, nil
		}
		left := deadline.Sub(l.now())
		if _, locked := errors.AsType[*LockedError](err); !locked || left <= 0 {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(min(left, lockRetry)):
		}
	}
}

func (l *Locks) try(ctx context.Context, scopes []string, h LockInfo, o LockOptions) (*Held, error) {
	free, err := l.guard(ctx)
	if err != nil {
		return nil, err
	}
	defer free()
	held := &Held{l: l, o: o, beat: l.o.Now()}
	now := l.now()
	held.until = now.Add(o.Lease)
	for _, scope := range scopes {
		old, ok, err := l.read(scope)
		if err != nil {
			return nil, err
		}
		if ok {
			if err := l.yields(old, h.Run, o.MaxInFlight); err != nil {
				return nil, err
			}
			held.from(old, h.Run, l.o.Self, now)
		}
		h.Scope, h.Process, h.Since, h.Beat, h.LeaseUntil, h.Detached = scope, l.o.Self, now, now, held.until, false
		h.Epoch = old.Epoch + 1
		held.infos = append(held.infos, h)
	}
	for n, i := range held.infos {
		if err := l.write(i, true); err != nil {
			return nil, errors.Join(err, l.undo(held.infos[:n]))
		}
	}
	return held, nil
}

// undo gives back locks that were just written. What the run held before stays
// its own, without a process.
func (l *Locks) undo(written []LockInfo) error {
	var errs []error
	for _, i := range written {
		if i.Epoch > 1 {
			i.Detached = true
			errs = append(errs, l.write(i, true))
			continue
		}
		errs = append(errs, os.Remove(l.path(i.Scope)))
	}
	return errors.Join(errs...)
}

// yields returns why old cannot be taken for run.
func (l *Locks) yields(old LockInfo, run string, maxInFlight time.Duration) error {
	if old.Run != run {
		alive := l.alive(old, maxInFlight)
		if !alive && l.o.Ended != nil && l.o.Ended(old.Run) {
			l.o.Log.Info("the lock of a run that has ended is free", "scope", old.Scope, "run", old.Run)
			return nil
		}
		return (&LockedError{Info: old, Alive: alive}).hinted()
	}
	if old.Process == l.o.Self || !l.alive(old, maxInFlight) {
		return nil
	}
	e := &LockedError{Info: old, Alive: true}
	return hint.Wrap(e, "that process drives this run; it counts as gone at %s if it stays silent",
		old.LeaseUntil.Add(maxInFlight).Format(time.RFC3339))
}

// from notes the process before; the worst of several counts.
func (h *Held) from(old LockInfo, run string, self Process, now time.Time) {
	if old.Run != run {
		return
	}
	unclean := !old.Detached && old.Process != self
	since := now.Sub(old.Beat)
	if h.take.From.Scope == "" || unclean && !h.take.Unclean || unclean == h.take.Unclean && since < h.take.SinceBeat {
		h.take = Takeover{Unclean: unclean, SinceBeat: since, From: old}
	}
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
			return hint.Wrap(h.lost, "nothing was touched after that; see flip status")
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
