package nacos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Hold watches what flip wrote. To Nacos a disable is a lease: it is forgotten
// when the owner was away for about a minute, when a server restarts, or (1.x)
// when the owner registers again, and the instance takes traffic the moment it
// registers. Hold takes it out again at once and says so, or returns an error
// where on_reappear is fail. A weight is held likewise, over an absence of the
// owner only: what somebody else sets meanwhile is theirs. With hold_absent the
// disable of an instance that is gone is written again all the time; Release
// takes that back. Hold returns nil when ctx ends.
func (t *Target) Hold(ctx context.Context, changes []state.Change) error {
	held := map[subject]hold{}
	for _, c := range changes {
		s, ok := parseID(c.Object)
		if !ok || !slices.Contains(t.services, s.service) {
			return fmt.Errorf("nacos: hold: %w", unknownID(c.Object))
		}
		h := held[s]
		switch {
		case c.Attribute == Enabled && c.To == "false":
			h.out = true
		case c.Attribute == Weight && c.To.Present():
			h.weight = c.To
		}
		if h != (hold{}) {
			held[s] = h
		}
	}
	if len(held) == 0 {
		<-ctx.Done()
		return nil
	}
	for {
		if err := t.keep(ctx, held); err != nil {
			return fmt.Errorf("nacos: hold: %w", err)
		}
		if pause(ctx, holdEvery) != nil {
			return nil
		}
	}
}

const (
	// holdEvery bounds how long an instance that came back enabled can stay
	// in before flip notices.
	holdEvery = 500 * time.Millisecond
	// lease is nacos.naming.clean.expired-metadata.expired-time, after which
	// 2.x and 3.x forget what an operator wrote.
	lease = time.Minute
)

// hold is what is to stay of one instance.
type hold struct {
	out    bool
	weight state.Value // absent: not held
}

// keep looks once. What cannot be read now is looked at again.
func (t *Target) keep(ctx context.Context, held map[subject]hold) error {
	all := slices.SortedFunc(maps.Keys(held), func(a, b subject) int { return strings.Compare(a.id(), b.id()) })
	var services []service
	for _, s := range all {
		if !slices.Contains(services, s.service) {
			services = append(services, s.service)
		}
	}
	snaps, err := t.snapshots(ctx, services)
	if err != nil {
		if ctx.Err() == nil {
			t.say(ctx, "cannot see whether instances stay as flip left them: "+err.Error())
		}
		return nil
	}
	for _, s := range all {
		live, there := snaps[s.service].instances[s.key]
		gone := t.absence(s, there)
		if !there {
			if gone == 0 {
				t.say(ctx, s.address()+" is gone from Nacos, as when its process stops; "+t.absentPolicy(held[s]))
			}
			t.disableAbsent(ctx, s, held[s], gone)
			continue
		}
		t.returned(ctx, s, live)
		if (held[s].out && live.enabled) || (gone > 0 && held[s].weight.Present() && state.Float(live.weight) != held[s].weight) {
			if err := t.reappeared(ctx, s, held[s], live, gone); err != nil {
				return err
			}
		}
	}
	return nil
}

// absence notes that an instance is there or not. It returns how long it has
// been, or had been, away: 0 at the first look that misses it.
func (t *Target) absence(s subject, there bool) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	since, away := t.away[s]
	switch {
	case there:
		delete(t.away, s)
	case !away:
		t.away[s] = time.Now()
	}
	if !away {
		return 0
	}
	return max(time.Since(since), 1)
}

// stillAway makes the next look do what this one could not.
func (t *Target) stillAway(s subject, gone time.Duration) {
	if gone == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.away[s] = time.Now().Add(-gone)
}

// reappeared puts an instance back to what it is held at, or fails the step.
func (t *Target) reappeared(ctx context.Context, s subject, h hold, live instance, gone time.Duration) error {
	what := fmt.Sprintf("%s of service %s is enabled again although flip holds it out", s.address(), s.service)
	if !h.out || !live.enabled {
		what = fmt.Sprintf("%s of service %s came back with weight %g instead of %s", s.address(), s.service, live.weight, h.weight)
	}
	advice := "somebody enabled it, or a server forgot the disable: look at who"
	if gone > 0 {
		what += fmt.Sprintf(" (it was away for %s)", gone.Round(time.Second))
	}
	if gone >= lease {
		advice = "Nacos forgets what it was told after a minute's absence: raise nacos.naming.clean.expired-metadata.expired-time, or let the application register with instance-enabled=false"
	}
	if t.cfg.OnReappear == fail {
		return hint.Wrap(errors.New(what), "%s", advice)
	}
	if err := t.reassert(ctx, s, h); err != nil {
		t.stillAway(s, gone)
		if ctx.Err() == nil {
			t.say(ctx, what+"; putting it back failed: "+err.Error())
		}
		return nil // seen again at the next look
	}
	t.say(ctx, what+": put back at once; "+advice)
	return nil
}

// reassert writes what is held over the instance as it is now. Nothing is
// refused here: it was so before. What was begun is awaited, also when the hold
// ends: a write that nobody waits for could land behind the next one.
func (t *Target) reassert(ctx context.Context, s subject, h hold) error {
	if err := t.lock(ctx); err != nil {
		return err
	}
	defer t.unlock()
	ctx = context.WithoutCancel(ctx) // each call has its own deadline
	snap, err := t.snapshot(ctx, s.service)
	if err != nil {
		return err
	}
	live, there := snap.instances[s.key]
	if !there {
		return nil
	}
	j := job{subject: s, old: live, want: live}
	if h.out {
		j.want.enabled = false
	}
	if h.weight.Present() {
		j.want.weight, _ = h.weight.Float()
	}
	if err := t.write(ctx, j); err != nil {
		return err
	}
	return t.verify(ctx, []job{j})
}

// say tells whoever watches the step and the log.
func (t *Target) say(ctx context.Context, text string) {
	driver.Progress(ctx, text)
	t.log.WarnContext(ctx, "hold", "saw", text)
}
