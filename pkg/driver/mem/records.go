package mem

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

var (
	_ driver.Cacher   = (*Target)(nil)
	_ driver.Expecter = (*Target)(nil)
)

// version is a record set as it was until a change took its place.
type version struct {
	Attrs map[string]state.Value `json:"attrs,omitempty"`
	Until time.Time              `json:"until"`
}

// negativeDefault is the time that "no such name" may be kept where the options
// are silent.
const negativeDefault = 5 * time.Minute

// CacheTime is the TTL of a record set, and of a name that does not exist what
// the options say.
func (t *Target) CacheTime(ctx context.Context, _ string, attrs map[string]state.Value) (time.Duration, error) {
	if s, ok := attrs[TTL].Int(); ok {
		return time.Duration(s) * time.Second, ctx.Err()
	}
	return cmp.Or(t.negative, negativeDefault), ctx.Err()
}

// Expect is how long Settle takes.
func (t *Target) Expect([]state.Change) time.Duration { return t.settle }

// Lookup is what a name server answers now about a record set: its values and
// how long they may be kept. The first name server knows of a change at once,
// the last when Settle's time has passed.
func (t *Target) Lookup(ctx context.Context, record string, last bool) (values []string, ttl time.Duration, err error) {
	var attrs map[string]state.Value
	err = t.store.do(ctx, false, func(w *world) error {
		at := time.Now()
		if last {
			at = at.Add(-t.settle)
		}
		attrs = w.at(record, at)
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	ttl, err = t.CacheTime(ctx, record, attrs)
	return attrs[Values].List(), ttl, err
}

// at is a record set as it was at a moment.
func (w world) at(record string, at time.Time) map[string]state.Value {
	for _, v := range w.Past[record] {
		if at.Before(v.Until) {
			return v.Attrs
		}
	}
	return w.State.Objects[record].Attrs
}

// rememberAtMost bounds how many versions of a record set are kept.
const rememberAtMost = 64

// remember keeps a record set as it is before it is changed.
func (w *world) remember(id string, now time.Time) {
	o, live := w.State.Objects[id]
	if kind := cmp.Or(o.Kind, w.Known[id].Kind); kind != Record {
		return
	}
	past := maps.Clone(w.Past)
	if past == nil {
		past = map[string][]version{}
	}
	v := version{Until: now.UTC().Round(0)}
	if live {
		v.Attrs = maps.Clone(o.Attrs)
	}
	was := past[id]
	was = append(slices.Clip(was), v)
	past[id] = was[max(0, len(was)-rememberAtMost):]
	w.Past = past
}
