package driver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/flip-cli/flip/pkg/state"
)

// Decorators wrap Read and Apply. Optional interfaces are found through them
// by As and act on the wrapped driver directly.

// Policy says how often Retry tries. The zero value tries once.
type Policy struct {
	Attempts int           // in all; below 1 is 1
	Backoff  time.Duration // before the second; doubles; 200ms when 0
	Max      time.Duration // longest pause; 30s when 0
}

// pause is the time before the attempt after the n-th: between half and all of
// the doubled backoff, so that many clients do not come back at once.
func (p Policy) pause(n int) time.Duration {
	backoff, longest := p.Backoff, p.Max
	if backoff <= 0 {
		backoff = 200 * time.Millisecond
	}
	if longest <= 0 {
		longest = 30 * time.Second
	}
	for ; n > 1 && backoff < longest; n-- {
		backoff *= 2
	}
	backoff = min(backoff, longest)
	return backoff/2 + rand.N(backoff/2+1)
}

// Retry repeats calls that fail for a passing reason. Apply may be repeated
// only because applying again is harmless; when its outcome is unknown, the
// target is read first, and what took effect is not sent again. Permanent
// errors and drift are returned at once.
func Retry(d Driver, p Policy, log *slog.Logger) Driver { return &retry{d, p, log} }

type retry struct {
	inner  Driver
	policy Policy
	log    *slog.Logger
}

func (r *retry) Unwrap() Driver { return r.inner }

func (r *retry) Read(ctx context.Context) (state.State, error) {
	var s state.State
	err := r.again(ctx, "read", func() (err error) {
		s, err = r.inner.Read(ctx)
		return err
	})
	return s, err
}

func (r *retry) Apply(ctx context.Context, changes []state.Change) error {
	var last error
	return r.again(ctx, "apply", func() error {
		if errors.Is(last, ErrUnknown) {
			now, err := r.inner.Read(ctx)
			if err != nil {
				// Still unknown: the next attempt looks again before it writes.
				return fmt.Errorf("%w; reading back: %w", last, err)
			}
			if shows(now, changes) {
				return nil
			}
		}
		last = r.inner.Apply(ctx, changes)
		return last
	})
}

// again calls f until it succeeds, must not be repeated, or the policy or ctx
// ends.
func (r *retry) again(ctx context.Context, call string, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if err == nil || !transient(err) || ctx.Err() != nil {
			return err
		}
		if n >= r.policy.Attempts {
			if n > 1 {
				return fmt.Errorf("%d attempts: %w", n, err)
			}
			return err
		}
		pause := r.policy.pause(n)
		r.log.Debug("trying again", "call", call, "attempt", n, "pause", pause, "err", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; then %w while waiting to try again", err, ctx.Err())
		case <-time.After(pause):
		}
	}
}

func transient(err error) bool {
	_, drift := errors.AsType[*DriftError](err)
	return !drift && !errors.Is(err, ErrPermanent)
}

func shows(s state.State, changes []state.Change) bool {
	for _, c := range changes {
		if s.Get(c.Object, c.Attribute) != c.To {
			return false
		}
	}
	return true
}

// Limit lets at most n calls of Read and Apply run at once.
func Limit(d Driver, n int) Driver { return &limit{d, make(chan struct{}, max(n, 1))} }

type limit struct {
	inner Driver
	slots chan struct{}
}

func (l *limit) Unwrap() Driver { return l.inner }

func (l *limit) Read(ctx context.Context) (state.State, error) {
	if err := l.enter(ctx); err != nil {
		return state.State{}, err
	}
	defer l.leave()
	return l.inner.Read(ctx)
}

func (l *limit) Apply(ctx context.Context, changes []state.Change) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	return l.inner.Apply(ctx, changes)
}

func (l *limit) enter(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *limit) leave() { <-l.slots }

// Trace logs every call of Read and Apply with its duration, at debug level.
// It logs what changes, never the target's configuration.
func Trace(d Driver, log *slog.Logger, name string) Driver {
	return &trace{d, log.With("target", name)}
}

type trace struct {
	inner Driver
	log   *slog.Logger
}

func (t *trace) Unwrap() Driver { return t.inner }

func (t *trace) Read(ctx context.Context) (state.State, error) {
	begin := time.Now()
	s, err := t.inner.Read(ctx)
	t.log.DebugContext(ctx, "read", "objects", len(s.Objects), "took", time.Since(begin), "err", err)
	return s, err
}

func (t *trace) Apply(ctx context.Context, changes []state.Change) error {
	begin := time.Now()
	err := t.inner.Apply(ctx, changes)
	for _, c := range changes {
		t.log.DebugContext(ctx, "change", "object", c.Object, "attribute", c.Attribute, "from", c.From.String(), "to", c.To.String())
	}
	t.log.DebugContext(ctx, "apply", "changes", len(changes), "took", time.Since(begin), "err", err)
	return err
}
