package gate

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errSlow is why a look was cut off.
var errSlow = errors.New("the look took too long")

// Wait looks at all gates at once, each on its own interval and the first time
// immediately, until every one of them has passed as its policy asks. They
// must hold together: a gate that passed is looked at until the last one does.
//
// A gate that has not passed at its timeout, or no longer passes after it,
// ends the wait with a *TimeoutError. When ctx ends first, the error is its
// cause. observe, which may be nil, gets every look, one at a time. No gates
// are an error: there is no verdict without a look.
//
// A machine that was suspended starts its rows of passes again when it wakes,
// and a timeout that passed meanwhile leaves time to look once more.
func Wait(ctx context.Context, gates []Named, observe func(Look)) error {
	return newLoop(gates, observe, systemClock()).wait(ctx)
}

// Watch looks at all gates while something else holds until a time of the wall
// clock. It ends at once with a *FailedError when a gate says no as often in a
// row as its policy allows, or could not look for longer than its timeout.
//
// At until it ends well if every gate's looks so far are what its policy asks
// for. Otherwise it goes on until they are; a gate that is not there one
// timeout after until ends it with a *TimeoutError. The rest is as for Wait.
func Watch(ctx context.Context, gates []Named, until time.Time, observe func(Look)) error {
	return newLoop(gates, observe, systemClock()).watch(ctx, until)
}

// loop looks at gates. One goroutine decides; looks run in their own.
type loop struct {
	clock   clock
	observe func(Look)
	tracks  []*track

	wall  time.Time
	awake time.Duration
	// now is the time since the loop began, by whichever clock says more:
	// neither a suspend nor a clock that was set back makes a timeout longer.
	now time.Duration

	// closing: every gate is satisfied and only looks in the air are awaited.
	closing bool
	ended   chan outcome // one place a gate: a look's end never blocks
	looks   sync.WaitGroup
}

// outcome is a look that ended.
type outcome struct {
	track *track
	epoch int
	res   Result
	err   error
}

func newLoop(gates []Named, observe func(Look), c clock) *loop {
	l := &loop{clock: c, observe: observe, ended: make(chan outcome, len(gates))}
	if l.observe == nil {
		l.observe = func(Look) {}
	}
	l.wall, l.awake = c()
	for _, g := range gates {
		l.tracks = append(l.tracks, newTrack(g))
	}
	return l
}

func (l *loop) wait(ctx context.Context) error {
	for _, t := range l.tracks {
		t.deadline = t.Policy.Timeout
	}
	return l.run(ctx, l.settled, func() time.Duration { return never })
}

func (l *loop) watch(ctx context.Context, until time.Time) error {
	until = until.Round(0)
	over := false
	judge := func() (bool, error) {
		if err := l.failed(); err != nil {
			return true, err
		}
		if l.wall.Before(until) {
			return false, nil
		}
		if !over {
			over = true
			for _, t := range l.tracks {
				t.since, t.deadline = l.now, l.now+t.Policy.Timeout
			}
		}
		return l.settled()
	}
	wake := func() time.Duration {
		next := never
		if !over {
			next = until.Sub(l.wall)
		}
		for _, t := range l.tracks {
			next = min(next, t.sighted+t.Policy.Timeout-l.now)
		}
		return next
	}
	return l.run(ctx, judge, wake)
}

// run looks and sleeps until judge has a verdict. wake says how soon judge
// wants to be asked again even if no look ends.
func (l *loop) run(ctx context.Context, judge func() (bool, error), wake func() time.Duration) error {
	if len(l.tracks) == 0 {
		return errNoGates
	}
	looking, stop := context.WithCancel(ctx)
	defer l.looks.Wait()
	defer stop()
	var news []outcome
	for ctx.Err() == nil {
		l.advance()
		for _, o := range news {
			l.record(o)
		}
		if done, err := judge(); done {
			return err
		}
		l.lookWhereDue(looking)
		news = l.sleep(ctx, min(l.pause(), wake(), longestSleep))
	}
	return context.Cause(ctx)
}

// settled has the verdict once every gate is satisfied and no look is in the
// air, or one gate is not and its deadline has passed.
func (l *loop) settled() (bool, error) {
	all, air := true, false
	for _, t := range l.tracks {
		air = air || t.looking
		if t.satisfied() {
			continue
		}
		all = false
		if l.now >= t.deadline {
			return true, t.overdue(l.now)
		}
	}
	l.closing = all
	return all && !air, nil
}

// failed is the error of a gate that says no, or has said nothing for too long.
func (l *loop) failed() error {
	for _, t := range l.tracks {
		if t.failures >= t.Policy.Failures {
			return &FailedError{Gate: t.Name, Member: t.Member, Detail: t.seen.Detail}
		}
		if l.now-t.sighted < t.Policy.Timeout {
			continue
		}
		err := t.last.Err
		if err == nil {
			err = errors.New("no look ended within " + brief(t.Policy.Timeout))
		}
		return &FailedError{Gate: t.Name, Member: t.Member, Err: err}
	}
	return nil
}

// advance reads the clocks.
func (l *loop) advance() {
	wall, awake := l.clock()
	byWall, byAwake := wall.Sub(l.wall), awake-l.awake
	l.wall, l.awake = wall, awake
	l.now += max(byWall, byAwake)
	if (byWall - byAwake).Abs() <= jump {
		return
	}
	for _, t := range l.tracks {
		t.forget(l.now)
	}
}

func (l *loop) record(o outcome) {
	t := o.track
	t.looking = false
	if o.epoch != t.epoch {
		t.due = l.now
		return
	}
	t.due = t.started + t.Policy.Every
	l.observe(t.record(l.now, o.res, o.err))
}

func (l *loop) lookWhereDue(ctx context.Context) {
	for _, t := range l.tracks {
		if l.closing || t.looking || t.due > l.now {
			continue
		}
		look, cancel := context.WithTimeoutCause(ctx, t.limit, errSlow)
		t.looking, t.started, t.cancel = true, l.now, cancel
		epoch := t.epoch
		l.looks.Go(func() {
			defer cancel()
			res, err := t.check(look)
			l.ended <- outcome{t, epoch, res, err}
		})
	}
}

// pause is how long nothing needs to be done.
func (l *loop) pause() time.Duration {
	next := never
	for _, t := range l.tracks {
		if !t.looking && !l.closing {
			next = min(next, t.due-l.now)
		}
		if !t.satisfied() {
			next = min(next, t.deadline-l.now)
		}
	}
	return next
}

// sleep returns the looks that ended, after at most d.
func (l *loop) sleep(ctx context.Context, d time.Duration) []outcome {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-timer.C:
		return nil
	case o := <-l.ended:
		return []outcome{o}
	}
}
