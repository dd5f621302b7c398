package engine

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// The names that every driver of record sets uses.
const (
	recordKey    = "record" // the selector
	recordValues = "values"
	recordTTL    = "ttl"
)

// isRecord reports whether objects of that kind are answers to questions of
// others, who keep them for a while.
func isRecord(k driver.Kind) bool {
	_, ok := k.Attribute(recordValues)
	return ok && slices.Contains(k.Selector, recordKey)
}

// records are the objects of changes that are record sets, in order.
func (p *Program) records(target string, changes []state.Change) []string {
	if !slices.ContainsFunc(p.Infos[target].Kinds, isRecord) {
		return nil
	}
	var ids []string
	for _, c := range changes {
		if !slices.Contains(ids, c.Object) && isRecord(p.kindOf(target, c.Object)) {
			ids = append(ids, c.Object)
		}
	}
	return ids
}

// longestNegative is how long "no such name" is taken to be kept where a driver
// cannot say: RFC 2308, section 5, finds one to three hours sensible and more
// than a day problematic.
const longestNegative = 3 * time.Hour

// keep is how long whoever asked may keep an answer with these attributes.
func keep(ctx context.Context, d driver.Driver, id string, attrs map[string]state.Value) time.Duration {
	if c, ok := driver.As[driver.Cacher](d); ok {
		if t, err := c.CacheTime(ctx, id, attrs); err == nil {
			return t
		}
		// The attributes say it as well, and where they do not, too long is safe.
	}
	if s, ok := attrs[recordTTL].Float(); ok {
		return time.Duration(s * float64(time.Second))
	}
	return longestNegative
}

// seconds rounds up: a cache counts whole seconds.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// overlay is an object's attributes with what changes say of them: their
// beginning or their end.
func overlay(attrs map[string]state.Value, id string, changes []state.Change, side func(state.Change) state.Value) map[string]state.Value {
	attrs = maps.Clone(attrs)
	if attrs == nil {
		attrs = map[string]state.Value{}
	}
	for _, c := range changes {
		if c.Object != id {
			continue
		}
		if v := side(c); v.Present() {
			attrs[c.Attribute] = v
		} else {
			delete(attrs, c.Attribute)
		}
	}
	return attrs
}

func from(c state.Change) state.Value { return c.From }
func to(c state.Change) state.Value   { return c.To }

// replaced are the versions of record sets that changes put an end to, now. s
// is the target before or after them.
func (p *Program) replaced(ctx context.Context, target string, s state.State, changes []state.Change, now time.Time) []journal.Replaced {
	var out []journal.Replaced
	for _, id := range p.records(target, changes) {
		was := overlay(s.Objects[id].Attrs, id, changes, from)
		is := overlay(s.Objects[id].Attrs, id, changes, to)
		gone := journal.Replaced{
			Target: target, Object: id, Values: was[recordValues].List(), Next: is[recordValues].List(),
			Keep: seconds(keep(ctx, p.Targets[target], id, was)), At: now,
		}
		out = append(out, gone)
		if firstOfAKind(p.Pins.Targets[target].Objects[id].Name, gone) {
			gone.Values, gone.Keep = nil, seconds(keep(ctx, p.Targets[target], id, nil))
			out = append(out, gone)
		}
	}
	return out
}

// replacedSince are the versions that changes put an end to, with those that
// were found in between: half of a call may have been served for a moment.
func (p *Program) replacedSince(ctx context.Context, target string, found []state.State, changes []state.Change, now time.Time) []journal.Replaced {
	out := p.replaced(ctx, target, found[0], changes, now)
	for i, r := range slices.Clone(out) {
		if i > 0 && out[i-1].Object == r.Object {
			continue // the same change, see firstOfAKind
		}
		was := overlay(found[0].Objects[r.Object].Attrs, r.Object, changes, from)
		is := overlay(found[0].Objects[r.Object].Attrs, r.Object, changes, to)
		for _, s := range found {
			half := s.Objects[r.Object].Attrs
			if maps.Equal(half, was) || maps.Equal(half, is) {
				continue
			}
			r.Values = half[recordValues].List()
			r.Keep = seconds(keep(ctx, p.Targets[target], r.Object, half))
			out = append(out, r)
		}
	}
	return out
}

// versions reads record sets as they are now. A change that may have been made
// is taken to have been made just now: later than the truth is safe.
func (x *Executor) versions(ctx context.Context, in journal.Versions) (journal.Versioned, error) {
	d, err := x.target(in.Target)
	if err != nil {
		return journal.Versioned{}, err
	}
	s, dead, err := x.readForUndo(ctx, in.Target, d)
	if err != nil {
		return journal.Versioned{}, err
	}
	if why, silent := dead[""]; silent {
		s = state.State{}
		x.Log.WarnContext(ctx, "record sets cannot be read", "target", in.Target, "error", why)
	}
	out := journal.Versioned{Objects: map[string]map[string]state.Value{}}
	for _, id := range in.IDs {
		if _, silent := x.unreadable(in.Target, id, dead); !silent {
			out.Objects[id] = s.Objects[id].Attrs
		}
	}
	out.Replaced = x.Program.replaced(ctx, in.Target, s, in.Unsure, x.clock().Now())
	out.Hidden = hidden(ctx, d, in.IDs)
	return out, nil
}

// hidden are the objects whose names answer with something else than what is
// set, and why.
func hidden(ctx context.Context, d driver.Driver, ids []string) map[string]string {
	r, ok := driver.As[driver.Resolvable](d)
	if !ok {
		return nil
	}
	out := map[string]string{}
	for _, id := range ids {
		if err := r.Resolvable(ctx, id); err != nil && !errors.Is(err, driver.ErrUnknown) {
			out[id] = err.Error()
		}
	}
	return out
}
