package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// lookLimit ends the looks of gates that set no limit of their own.
const lookLimit = 10 * time.Second

const never = time.Duration(math.MaxInt64)

// track follows one gate. Times are the loop's: since it began.
type track struct {
	Named
	limit time.Duration

	due      time.Duration // of the next look
	deadline time.Duration // without a verdict by then the verdict is no
	since    time.Duration // what the deadline counts from

	looking bool
	started time.Duration // of the look in the air, or the last one
	epoch   int           // looks begun in an earlier one do not count
	cancel  context.CancelFunc

	passes, failures int
	held             time.Duration
	passing          bool          // the last look passed
	passedAt         time.Duration // the start of that look
	sighted          time.Duration // when a look last could look, or tracking began

	last   Look
	looked bool // at least one look could look
	seen   Result
}

func newTrack(n Named) *track {
	n.Policy = n.Policy.withDefaults()
	t := &track{Named: n, limit: lookLimit, deadline: never}
	if l, ok := n.Gate.(Limiter); ok {
		t.limit = cmp.Or(l.LookLimit(), lookLimit)
	}
	return t
}

// check makes one look, cut off at the limit.
func (t *track) check(ctx context.Context) (Result, error) {
	res, err := t.Gate.Check(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errSlow) {
		return Result{}, fmt.Errorf("no result within %s", brief(t.limit))
	}
	return res, err
}

// record counts one look that ended.
func (t *track) record(now time.Duration, res Result, err error) Look {
	wasPassing := t.passing
	t.passing = false
	if err == nil {
		t.looked, t.seen, t.sighted = true, res, now
	}
	switch {
	case err != nil, res.Undecided:
	case res.Pass:
		if wasPassing {
			t.held += t.started - t.passedAt
		}
		t.passes, t.failures = t.passes+1, 0
		t.passing, t.passedAt = true, t.started
	default:
		t.passes, t.held = 0, 0
		t.failures++
	}
	t.last = Look{
		Gate: t.Name, Member: t.Member, Result: res, Err: err,
		Passes: t.passes, Failures: t.failures, Held: t.held,
	}
	return t.last
}

// satisfied reports whether the looks so far are what the policy asks for.
func (t *track) satisfied() bool {
	return t.passing && t.passes >= t.Policy.Passes && t.held >= t.Policy.For
}

// forget starts over after the machine was suspended or its clock set: rows
// have a hole, a look in the air says more about the suspend than about what
// it looks at, and a deadline that was slept through leaves time to look.
func (t *track) forget(now time.Duration) {
	t.epoch++
	if t.looking {
		t.cancel()
	} else {
		t.due = now
	}
	t.passes, t.failures, t.held, t.passing = 0, 0, 0, false
	t.sighted = now
	if need := t.Policy.atLeast() + t.limit; t.deadline < now+need {
		t.deadline = now + need
	}
}

// overdue is the error of a gate that has not passed by its deadline.
func (t *track) overdue(now time.Duration) error {
	return &TimeoutError{
		Gate: t.Name, Member: t.Member, Last: t.last, Seen: t.seen,
		NeverLooked: !t.looked, After: now - t.since, Policy: t.Policy,
	}
}
