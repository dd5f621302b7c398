package rehearse

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// answer is what somebody may still have who looked a record set up right
// before it was changed.
type answer struct {
	target, record string
	values         []string
	until          time.Time
}

// isRecord reports whether objects of a kind are record sets.
func isRecord(k driver.Kind) bool {
	_, ok := k.Attribute("values")
	return ok && slices.Contains(k.Selector, "record")
}

// watch notes what changes mean to those who keep answers: the sets that were
// replaced, and members that lose their traffic while an answer that was taken
// back still names them. before is the target before the changes.
func (w *world) watch(t *twin, before state.State, changes []state.Change) {
	info := w.prog.Infos[t.name]
	after := before.With(changes)
	seen := map[string]bool{}
	for _, c := range changes {
		if seen[c.Object] {
			continue
		}
		seen[c.Object] = true
		was, is := before.Objects[c.Object], after.Objects[c.Object]
		k, _ := info.Kind(was.Kind)
		switch {
		case isRecord(k):
			ttl, _ := was.Attrs["ttl"].Int()
			w.answers = append(slices.Clip(w.answers), answer{t.name, c.Object, was.Attrs["values"].List(), w.clock.now.Add(time.Duration(ttl) * time.Second)})
		case k.Capacity != nil && k.Capacity(was.Attrs) > 0 && k.Capacity(is.Attrs) == 0:
			w.loses(w.prog.Name(t.name, c.Object), was.Info["host"])
		}
	}
}

// loses is told of a member that loses its traffic.
func (w *world) loses(name, host string) {
	for _, a := range w.answers {
		if host == "" || w.broken != "" || !a.until.After(w.clock.now) || !slices.Contains(a.values, host) {
			continue
		}
		s, err := w.twins[a.target].Read(context.Background())
		if err != nil || slices.Contains(s.Get(a.record, "values").List(), host) {
			continue // it is published; that is not about caches
		}
		w.broken = fmt.Sprintf("%s is %s, which caches may answer for %s for %s more", name, host, a.record, a.until.Sub(w.clock.now))
	}
}
