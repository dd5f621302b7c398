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

// What hold_absent does. 2.x and 3.x forget what was written for an instance a
// minute after its owner is gone: a mark that the leaving owner made is found
// by a cleaner, which takes what was written away together with the mark. A
// write replaces what is there and leaves the mark alone; after the cleaner it
// has no mark and stays until the instance has come and gone again. So a write
// every second leaves one gap, of at most a second, and something behind that
// disables whoever registers there, which has to be taken back.

// absentEvery is the pause between two writes for an instance that is gone.
const absentEvery = time.Second

// absentee is an instance that is held and gone.
type absentee struct {
	left  bool      // something may stand for it: flip wrote, or an earlier process of the run
	wrote time.Time // the last time that this process did
	said  string    // the last failure
}

func (t *Target) writesAbsent(h hold) bool {
	return t.cfg.HoldAbsent && h.out && t.client.known() != v1
}

// absentPolicy says what flip does about an instance that is gone.
func (t *Target) absentPolicy(h hold) string {
	if t.writesAbsent(h) {
		return "flip writes its disable every second until it is back"
	}
	return "flip watches how it comes back"
}

// disableAbsent writes the disable of an instance that is gone, where the plan
// wants it.
func (t *Target) disableAbsent(ctx context.Context, s subject, h hold, gone time.Duration) {
	if !t.writesAbsent(h) {
		return
	}
	t.mu.Lock()
	g := t.absentees[s]
	if g == nil {
		g = &absentee{}
		t.absentees[s] = g
	}
	t.mu.Unlock()
	if time.Since(g.wrote) < absentEvery {
		return
	}
	err := t.writeAbsent(ctx, s, g, h.weight, gone)
	if err != nil && err.Error() != g.said && ctx.Err() == nil {
		t.say(ctx, s.address()+" cannot be disabled in advance: "+err.Error())
	}
	if err == nil {
		g.wrote, g.said = time.Now(), ""
	} else {
		g.said = err.Error()
	}
}

// writeAbsent writes the disable. What was begun is awaited: it must not land
// behind the write that ends it.
func (t *Target) writeAbsent(ctx context.Context, s subject, g *absentee, weight state.Value, gone time.Duration) error {
	if err := t.lock(ctx); err != nil {
		return err
	}
	defer t.unlock()
	i, err := t.lastSeen(s, gone)
	if err != nil {
		return err
	}
	i.enabled = false
	if weight.Present() {
		i.weight, _ = weight.Float()
	}
	t.mu.Lock()
	g.left = true
	t.mu.Unlock()
	return t.write(context.WithoutCancel(ctx), job{subject: s, want: i})
}

// lastSeen is the tuple of an instance that is gone. Metadata that an operator
// wrote is kept as long as Nacos itself would; from then on the owner's own
// must show.
func (t *Target) lastSeen(s subject, gone time.Duration) (instance, error) {
	t.mu.Lock()
	o, seen := t.known[s.id()]
	t.mu.Unlock()
	weight, ok := o.Attrs[Weight].Float()
	if !seen || !ok {
		return instance{}, errors.New("nobody knows its weight")
	}
	if !o.Attrs[Ephemeral].Bool() {
		return instance{}, errors.New("it is persistent: somebody removed its registration")
	}
	i := instance{key: s.key, weight: weight, ephemeral: true, metadata: map[string]string{}}
	for name, v := range o.Info {
		if key, is := strings.CutPrefix(name, "metadata."); is && gone < lease {
			i.metadata[key] = v
		}
	}
	return i, nil
}

// returned notes an instance that is there.
func (t *Target) returned(ctx context.Context, s subject, live instance) {
	t.mu.Lock()
	t.known[s.id()] = state.Object{Kind: KindInstance, Name: t.name(s), Attrs: live.attrs(), Info: live.info(s.service)}
	g := t.absentees[s]
	delete(t.absentees, s)
	t.mu.Unlock()
	if g != nil && !g.wrote.IsZero() && !live.enabled {
		t.say(ctx, s.address()+" is back, disabled as flip holds it")
	}
}

// Inherit notes what an earlier process of the run had set: those instances
// are known, and it may have written for them while they were gone.
func (t *Target) Inherit(seen state.State, held []state.Change) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range held {
		s, ok := parseID(c.Object)
		if !ok || !slices.Contains(t.services, s.service) {
			continue
		}
		if _, known := t.known[c.Object]; !known {
			t.known[c.Object] = state.Object{Kind: KindInstance, Name: t.name(s), Attrs: maps.Clone(seen.Objects[c.Object].Attrs)}
		}
		if t.cfg.HoldAbsent && c.Attribute == Enabled && c.To == "false" {
			t.absentees[s] = &absentee{left: true}
		}
	}
}

// Release enables what is gone and was disabled in advance, with the weight
// that it had: from now on nobody would.
func (t *Target) Release(ctx context.Context) error {
	t.mu.Lock()
	left := slices.SortedFunc(maps.Keys(t.absentees), func(a, b subject) int { return strings.Compare(a.id(), b.id()) })
	t.mu.Unlock()
	if len(left) == 0 {
		return nil
	}
	if err := t.lock(ctx); err != nil {
		return err
	}
	defer t.unlock()
	return t.takeBack(ctx, left)
}

// takeBack does so for those of them that are still gone. Its caller writes
// nothing else meanwhile.
func (t *Target) takeBack(ctx context.Context, all []subject) error {
	var failed []error
	for _, s := range all {
		t.mu.Lock()
		g := t.absentees[s]
		left := g != nil && g.left
		t.mu.Unlock()
		if !left {
			continue
		}
		if err := t.enableAbsent(ctx, s); err != nil {
			failed = append(failed, fmt.Errorf("what flip wrote for %s of service %s while that was gone could not be taken back: %w", s.address(), s.service, err))
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return hint.Wrap(errors.Join(failed...), "it may be disabled when it registers: look at it then, and enable it in Nacos")
}

// enableAbsent looks before it writes: an instance that is there needs nothing.
func (t *Target) enableAbsent(ctx context.Context, s subject) error {
	snap, err := t.snapshot(ctx, s.service)
	if err != nil {
		return err
	}
	if _, there := snap.instances[s.key]; !there {
		t.mu.Lock()
		since, away := t.away[s]
		t.mu.Unlock()
		gone := lease // at least, as far as this process knows
		if away {
			gone = time.Since(since)
		}
		i, err := t.lastSeen(s, gone)
		if err != nil {
			return err
		}
		i.enabled = true
		if err := t.write(ctx, job{subject: s, want: i}); err != nil {
			return err
		}
		t.say(ctx, fmt.Sprintf("%s is still gone and no longer held: it will be enabled with weight %g when it registers", s.address(), i.weight))
	}
	t.mu.Lock()
	delete(t.absentees, s)
	t.mu.Unlock()
	return nil
}

// subjectsOf are the instances of changes, which nothing holds while they are made.
func subjectsOf(changes []state.Change) []subject {
	var all []subject
	for _, c := range changes {
		if s, ok := parseID(c.Object); ok && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// holdable refuses hold_absent where it cannot work.
func (t *Target) holdable() error {
	if !t.cfg.HoldAbsent || t.client.known() != v1 {
		return nil
	}
	return driver.Permanent(hint.Wrap(errors.New("hold_absent: Nacos 1.x keeps nothing for an instance that is gone"),
		"leave hold_absent out; let the application register with instance-enabled=false"))
}
