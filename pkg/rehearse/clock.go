package rehearse

import (
	"context"
	"slices"
	"time"
)

// clock is a time that passes only where a run waits: a wait of a day costs
// nothing. One rehearsal uses it, one goroutine at a time.
type clock struct {
	now    time.Time
	events []event // what happens later, by time
}

type event struct {
	at time.Time
	do func()
}

// Now returns the rehearsed time.
func (c *clock) Now() time.Time { return c.now }

// Sleep lets time pass up to the end of ctx.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	until := c.now.Add(d)
	if end, ok := ctx.Deadline(); ok && end.Before(until) {
		c.advance(end)
		return context.DeadlineExceeded
	}
	c.advance(until)
	return nil
}

// WithDeadline bounds ctx by a rehearsed moment.
func (c *clock) WithDeadline(ctx context.Context, at time.Time) (context.Context, context.CancelFunc) {
	return bounded{ctx, c, at}, func() {}
}

// after makes something happen later.
func (c *clock) after(d time.Duration, do func()) {
	c.events = append(c.events, event{c.now.Add(d), do})
	slices.SortStableFunc(c.events, func(a, b event) int { return a.at.Compare(b.at) })
}

// advance lets time pass and everything happen that is due.
func (c *clock) advance(to time.Time) {
	for len(c.events) > 0 && !c.events[0].at.After(to) {
		e := c.events[0]
		c.events = c.events[1:]
		if e.at.After(c.now) {
			c.now = e.at
		}
		e.do()
	}
	if to.After(c.now) {
		c.now = to
	}
}

// settle lets everything happen that is still to come.
func (c *clock) settle() {
	for len(c.events) > 0 {
		c.advance(c.events[0].at)
	}
}

// bounded is a context that ends at a rehearsed moment. Nothing in a rehearsal
// waits on Done: Sleep asks for the deadline.
type bounded struct {
	context.Context
	clock *clock
	at    time.Time
}

// Deadline is the earlier of its own and its parent's.
func (b bounded) Deadline() (time.Time, bool) {
	if outer, ok := b.Context.Deadline(); ok && outer.Before(b.at) {
		return outer, true
	}
	return b.at, true
}

// Err tells whether the moment has come.
func (b bounded) Err() error {
	if err := b.Context.Err(); err != nil {
		return err
	}
	if !b.clock.now.Before(b.at) {
		return context.DeadlineExceeded
	}
	return nil
}
