package journal

import (
	"context"
	"errors"
	"os"
	"slices"
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
	held := &Held{l: l, o: o, mu: newLatch(), beat: l.o.Now()}
	now := l.now()
	held.until = now.Add(o.Lease)
	var before []LockInfo
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
		held.infos, before = append(held.infos, h), append(before, old)
	}
	for n, i := range held.infos {
		if err := l.write(i, true); err != nil {
			return nil, errors.Join(err, l.undo(held.infos[:n], before))
		}
	}
	return held, nil
}

// undo puts back what was there before the locks that were just written.
func (l *Locks) undo(written, before []LockInfo) error {
	var errs []error
	for n, i := range written {
		if before[n].Scope == "" {
			errs = append(errs, os.Remove(l.path(i.Scope)))
			continue
		}
		errs = append(errs, l.write(before[n], true))
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
