package recordset

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// conflicts is how often a change is planned anew because the provider saw
// another set than was just read.
const conflicts = 3

// Apply reads the sets, compares all of them, and only then swaps one host
// after the other, reading each back.
func (t *Target) Apply(ctx context.Context, changes []state.Change) error {
	if err := ctx.Err(); err != nil || len(changes) == 0 {
		return err
	}
	edits, err := t.edits(changes)
	if err != nil {
		return t.wrap(err)
	}
	if err := t.lock(ctx); err != nil {
		return err
	}
	defer t.unlock()
	limits, err := t.limits(ctx)
	if err != nil {
		return t.wrap(err)
	}
	for range conflicts {
		if err = t.once(ctx, edits, limits); !errors.Is(err, ErrConflict) {
			return t.wrap(err)
		}
		t.log.Debug("the record sets changed between reading and writing", "err", err)
	}
	return t.wrap(driver.Permanent(fmt.Errorf("%w, although reading shows no difference", err)))
}

func (t *Target) once(ctx context.Context, edits []edit, limits Limits) error {
	var names []Name
	for _, e := range edits {
		names = append(names, e.name)
	}
	now, err := t.get(ctx, names)
	if err != nil {
		return err
	}
	groups, err := t.plan(edits, now, limits, true)
	if err != nil {
		return err
	}
	for _, swaps := range groups {
		if len(swaps) == 0 {
			continue
		}
		if err := t.swap(ctx, swaps); err != nil {
			return err
		}
	}
	return nil
}

// swap sends the swaps of one host and reads them back. What the provider said
// counts for little: success without effect is an error, and an unknown outcome
// that is seen to have taken effect is none.
func (t *Target) swap(ctx context.Context, swaps []Swap) error {
	err := t.send(ctx, swaps)
	unknown := errors.Is(err, driver.ErrUnknown)
	if err != nil && !unknown {
		return err
	}
	seen, serr := t.shows(ctx, swaps)
	switch {
	case serr == nil && seen == "":
		return nil
	case unknown && serr != nil:
		return driver.Uncertain(fmt.Errorf("%w; reading back: %w", err, serr))
	case unknown:
		return driver.Uncertain(fmt.Errorf("%w; until now %s", err, seen))
	case serr != nil:
		return driver.Uncertain(fmt.Errorf("reading back: %w", serr))
	}
	return hint.Wrap(fmt.Errorf("the change was accepted but %s", seen), "another record of the name, a policy, or a second writer may stand in its way")
}

func (t *Target) send(ctx context.Context, swaps []Swap) error {
	ctx, cancel := context.WithTimeout(ctx, t.o.Timeout)
	defer cancel()
	return t.o.Provider.Swap(ctx, swaps)
}

// showsFirst is the pause before the second look; it doubles.
const showsFirst = 20 * time.Millisecond

// shows waits a moment until the provider shows the swaps. It returns what it
// shows otherwise, "" when nothing is.
func (t *Target) shows(ctx context.Context, swaps []Swap) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, t.o.Shows+t.o.Timeout)
	defer cancel()
	var names []Name
	for _, s := range swaps {
		names = append(names, s.Name)
	}
	end := time.Now().Add(t.o.Shows)
	for wait := showsFirst; ; wait *= 2 {
		now, err := t.get(ctx, names)
		if err != nil {
			return "", err
		}
		seen := differs(swaps, now)
		if seen == "" || time.Until(end) <= 0 {
			return seen, nil
		}
		if err := pause(ctx, min(wait, max(time.Until(end), time.Millisecond))); err != nil {
			return seen, err
		}
	}
}

func differs(swaps []Swap, now map[Name]Set) string {
	for _, s := range swaps {
		if live := now[s.Name]; !live.shows(s.New) {
			return fmt.Sprintf("%s is %s, not %s", s.Name, live, s.New)
		}
	}
	return ""
}

// shows reports whether s is what was wanted. Settings that nobody asked for
// are the provider's business.
func (s Set) shows(want Set) bool {
	seen := Set{Values: s.Values, TTL: s.TTL, Extra: map[string]state.Value{}}
	for name := range want.Extra {
		if v := s.Extra[name]; v.Present() {
			seen.Extra[name] = v
		}
	}
	return seen.Same(want)
}

// String is a set for people.
func (s Set) String() string {
	if s.Absent() {
		return "absent"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s with TTL %d", strings.Join(s.Values, " "), s.TTL)
	for _, name := range sortedKeys(s.Extra) {
		fmt.Fprintf(&text, ", %s %s", name, s.Extra[name])
	}
	return text.String()
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
