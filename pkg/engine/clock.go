package engine

import (
	"context"
	"time"
)

// Clock is the time that a run lives in: wall-clock time, in UTC and without
// the monotonic reading, which stops while a machine is suspended. The way of
// a rehearsal through its time is another one.
type Clock interface {
	Now() time.Time
	// Sleep waits, or returns why it could not: the cause of ctx.
	Sleep(ctx context.Context, d time.Duration) error
	// WithDeadline bounds ctx by a moment of this clock.
	WithDeadline(ctx context.Context, at time.Time) (context.Context, context.CancelFunc)
}

// WallClock is the machine's own.
type WallClock struct{}

// Now returns the time now.
func (WallClock) Now() time.Time { return time.Now().UTC().Round(0) }

// Sleep waits.
func (WallClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// WithDeadline bounds ctx.
func (WallClock) WithDeadline(ctx context.Context, at time.Time) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Until(at.Round(0)))
}

// clock is the executor's, the machine's when it was not given one.
func (x *Executor) clock() Clock {
	if x.Clock == nil {
		return WallClock{}
	}
	return x.Clock
}

// withDeadline bounds ctx by a moment; zero is no bound.
func (x *Executor) withDeadline(ctx context.Context, at time.Time) (context.Context, context.CancelFunc) {
	if at.IsZero() {
		return context.WithCancel(ctx)
	}
	return x.clock().WithDeadline(ctx, at)
}

// withTimeout bounds ctx by a time from now.
func (x *Executor) withTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return x.clock().WithDeadline(ctx, x.clock().Now().Add(d))
}

// pause waits, or returns why it could not.
func (x *Executor) pause(ctx context.Context, d time.Duration) error {
	return x.clock().Sleep(ctx, d)
}
