package mem

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// What follows is done to a target from outside: by other operators, by its
// servers, by accidents. Each returns an error only for a file that cannot be
// used or an object that does not exist.

// Set writes one attribute as another operator would, without comparing.
// Absent deletes it.
func (t *Target) Set(object, attribute string, v state.Value) error {
	return t.outside(func(w *world) error {
		if _, ok := w.locate(object); !ok {
			return fmt.Errorf("no object %q: %w", object, driver.ErrNotFound)
		}
		if _, live := w.State.Objects[object]; !live {
			if _, err := t.newborn(w, []state.Change{{Object: object}}); err != nil {
				return err
			}
		}
		w.write(t.info, []state.Change{{Object: object, Attribute: attribute, To: v}}, time.Now())
		return nil
	})
}

// SetHealth makes a member up, down or unknown.
func (t *Target) SetHealth(id string, h driver.HealthState, detail string) error {
	return t.members(context.Background(), []string{id}, func(m member) member {
		m.Health, m.Detail = h, detail
		return m
	})
}

// SetLoad changes the traffic that a member pretends to have from now on.
func (t *Target) SetLoad(id string, l Load) error {
	return t.members(context.Background(), []string{id}, func(m member) member {
		m.Load = l
		return m
	})
}

// AddTraffic adds answers, some of them errors, to a member's totals.
func (t *Target) AddTraffic(id string, answers, errors int64) error {
	return t.members(context.Background(), []string{id}, func(m member) member {
		m.Answers, m.Errors = m.Answers+answers, m.Errors+errors
		return m
	})
}

// Break makes a node stop answering, "" where there is only one.
func (t *Target) Break(node, why string) error {
	return t.outside(func(w *world) error {
		down := map[string]string{node: why}
		for n, reason := range w.Down {
			if n != node {
				down[n] = reason
			}
		}
		w.Down = down
		return nil
	})
}

// Mend makes a node answer again, with the state that it had.
func (t *Target) Mend(node string) error {
	return t.outside(func(w *world) error {
		down := map[string]string{}
		for n, reason := range w.Down {
			if n != node {
				down[n] = reason
			}
		}
		w.Down = down
		return nil
	})
}

// Restart begins a new life of a node: its servers are as they were at first,
// as after a reload that forgets runtime changes.
func (t *Target) Restart(node string) error {
	return t.outside(func(w *world) error {
		var changes []state.Change
		for id, o := range w.State.Objects {
			if o.Node == node && o.Kind != Record {
				for a := range o.Attrs {
					changes = append(changes, state.Change{Object: id, Attribute: a, To: w.Seed.Get(id, a)})
				}
			}
		}
		for id, o := range w.Seed.Objects {
			if o.Node == node && o.Kind != Record {
				for a, v := range o.Attrs {
					changes = append(changes, state.Change{Object: id, Attribute: a, To: v})
				}
			}
		}
		w.write(t.info, changes, time.Now())
		w.State = clone(w.State)
		life, _ := strconv.Atoi(w.State.Nodes[node].ID) // a twin's node may count otherwise; it starts at 1
		w.State.Nodes[node] = state.Incarnation{ID: strconv.Itoa(life + 1), Since: time.Now().UTC().Round(0)}
		return nil
	})
}

func (t *Target) outside(f func(w *world) error) error {
	return t.store.do(context.Background(), true, f)
}
