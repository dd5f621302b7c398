package nacos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Hold watches instances that were taken out. To Nacos a disable is a lease:
// it is forgotten when the owner was away for about a minute, when a server
// restarts, or (1.x) when the owner registers again, and the instance takes
// traffic the moment it registers. Hold takes it out again at once and says
// so, or returns an error where on_reappear is fail. It returns nil when ctx
// ends.
func (t *Target) Hold(ctx context.Context, changes []state.Change) error {
	held := map[subject]*absence{}
	for _, c := range changes {
		if c.Attribute != Enabled || c.To != "false" {
			continue
		}
		s, ok := parseID(c.Object)
		if !ok || !slices.Contains(t.services, s.service) {
			return fmt.Errorf("nacos: hold: %w", unknownID(c.Object))
		}
		held[s] = &absence{}
	}
	if len(held) == 0 {
		<-ctx.Done()
		return nil
	}
	for {
		if err := t.keepOut(ctx, held); err != nil {
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
	// 2.x and 3.x forget a disable.
	lease = time.Minute
)

// absence is since when an instance is gone; zero while it is there.
type absence struct{ since time.Time }

// keepOut looks once. What cannot be read now is looked at again.
func (t *Target) keepOut(ctx context.Context, held map[subject]*absence) error {
	var services []service
	for s := range held {
		if !slices.Contains(services, s.service) {
			services = append(services, s.service)
		}
	}
	snaps, err := t.snapshots(ctx, services)
	if err != nil {
		if ctx.Err() == nil {
			t.say(ctx, "cannot see whether instances stay out: "+err.Error())
		}
		return nil
	}
	ids := slices.SortedFunc(maps.Keys(held), func(a, b subject) int {
		if a.id() < b.id() {
			return -1
		}
		return 1
	})
	for _, s := range ids {
		live, there := snaps[s.service].instances[s.key]
		away := held[s]
		switch {
		case !there && away.since.IsZero():
			away.since = time.Now()
			t.say(ctx, fmt.Sprintf("%s is gone from Nacos, as when its process stops; it is taken out again if it comes back enabled", s.address()))
		case there && live.enabled:
			if err := t.reappeared(ctx, s, away); err != nil {
				return err
			}
			away.since = time.Time{}
		case there:
			away.since = time.Time{}
		}
	}
	return nil
}

// reappeared takes an instance out again, or fails the step.
func (t *Target) reappeared(ctx context.Context, s subject, away *absence) error {
	what := fmt.Sprintf("%s of service %s is enabled again although flip holds it out", s.address(), s.service)
	advice := "somebody enabled it, or a server forgot the disable: look at who"
	if !away.since.IsZero() {
		gone := time.Since(away.since).Round(time.Second)
		what += fmt.Sprintf(" (it was away for %s)", gone)
		if gone >= lease {
			advice = "Nacos forgets a disable after a minute's absence: raise nacos.naming.clean.expired-metadata.expired-time, or let the application register with instance-enabled=false"
		}
	}
	if t.cfg.OnReappear == fail {
		return hint.Wrap(errors.New(what), "%s", advice)
	}
	if err := t.takeOut(ctx, s); err != nil {
		if ctx.Err() == nil {
			t.say(ctx, what+"; taking it out again failed: "+err.Error())
		}
		return nil // seen again at the next look
	}
	t.say(ctx, what+": taken out again; "+advice)
	return nil
}

// takeOut disables an instance as it is now. Nothing is refused here: flip had
// taken it out before.
func (t *Target) takeOut(ctx context.Context, s subject) error {
	if err := t.lock(ctx); err != nil {
		return err
	}
	defer t.unlock()
	snap, err := t.snapshot(ctx, s.service)
	if err != nil {
		return err
	}
	live, there := snap.instances[s.key]
	if !there || !live.enabled {
		return nil
	}
	j := job{subject: s, old: live, want: live}
	j.want.enabled = false
	if err := t.write(ctx, j); err != nil {
		return err
	}
	return t.verify(ctx, []job{j})
}

// say tells whoever watches the step and the log.
func (t *Target) say(ctx context.Context, text string) {
	driver.Progress(ctx, text)
	t.log.WarnContext(ctx, text)
}
