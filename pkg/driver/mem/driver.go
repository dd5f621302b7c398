package mem

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

// Read returns all objects of the nodes that answer.
func (t *Target) Read(ctx context.Context) (state.State, error) {
	var s state.State
	err := t.store.do(ctx, false, func(w *world) error {
		s = clone(w.State)
		if len(w.Down) == 0 {
			return nil
		}
		partial := &driver.PartialError{Nodes: map[string]error{}}
		for node, why := range w.Down {
			delete(s.Nodes, node)
			partial.Nodes[node] = errors.New(why)
		}
		for id, o := range s.Objects {
			if _, down := w.Down[o.Node]; down {
				delete(s.Objects, id)
			}
		}
		if len(s.Nodes) == 0 && len(s.Objects) == 0 {
			s = state.State{}
			return fmt.Errorf("no node answers: %w", errors.Join(partial.Unwrap()...))
		}
		return partial
	})
	return s, err
}

// Apply makes the changes object by object and stops at the first object that
// cannot be changed.
func (t *Target) Apply(ctx context.Context, changes []state.Change) error {
	return t.store.do(ctx, true, func(w *world) error {
		for _, group := range groups(changes) {
			if err := t.set(w, group); err != nil {
				return err
			}
		}
		return nil
	})
}

// set compares and writes the changes of one object, all or none.
func (t *Target) set(w *world, changes []state.Change) error {
	id := changes[0].Object
	o, live := w.State.Objects[id]
	if !live {
		var err error
		if o, err = t.newborn(w, changes); err != nil {
			return err
		}
	}
	if err := w.down(id); err != nil {
		return err
	}
	kind, ok := t.info.Kind(o.Kind)
	if !ok {
		return driver.Permanent(fmt.Errorf("%s: %s has no objects of kind %q", id, t.info.Name, o.Kind))
	}
	for _, c := range changes {
		if now := w.State.Get(id, c.Attribute); now != c.From && now != c.To {
			return &driver.DriftError{Change: c, Now: now}
		}
		if !c.To.Present() {
			continue
		}
		if err := check(kind, map[string]state.Value{c.Attribute: c.To}); err != nil {
			return driver.Permanent(fmt.Errorf("%s: %w", id, err))
		}
	}
	if err := t.whole(*w, o, changes); err != nil {
		return err
	}
	w.write(t.info, changes, time.Now())
	return nil
}

// whole refuses to make or leave half a server: it exists with present true,
// or not at all. A twin leaves that to the real driver.
func (t *Target) whole(w world, o state.Object, changes []state.Change) error {
	if t.info.Name != Name || o.Kind != Server {
		return nil
	}
	id := changes[0].Object
	one := state.State{Objects: map[string]state.Object{}}
	was, live := w.State.Objects[id]
	if live {
		one.Objects[id] = was
	}
	next, lives := one.With(changes).Objects[id]
	loses := slices.ContainsFunc(changes, func(c state.Change) bool { return !c.To.Present() })
	switch {
	case !lives, next.Attrs[Present] == state.Bool(true) && !loses:
		return nil
	case !live:
		return notFound(w, id)
	}
	return driver.Permanent(hint.Wrap(fmt.Errorf("%s: a server is there as a whole or not at all", id), "set present"))
}

func notFound(w world, id string) error {
	err := fmt.Errorf("no object %q: %w", id, driver.ErrNotFound)
	return driver.Permanent(hint.Wrap(err, "there are: %s", w.names()))
}

// newborn returns the object that changes from absent create. A server that
// should be there and is not cannot be found; a record set that is not there
// is just another value, which the comparison sees.
func (t *Target) newborn(w *world, changes []state.Change) (state.Object, error) {
	id := changes[0].Object
	o, ok := w.locate(id)
	k, _ := t.info.Kind(o.Kind)
	from := slices.ContainsFunc(changes, func(c state.Change) bool { return c.From.Present() && c.To.Present() })
	if !ok || (k.Member && from) {
		return o, notFound(*w, id)
	}
	known := make(map[string]state.Object, len(w.Known)+1)
	maps.Copy(known, w.Known)
	known[id] = bare(o)
	w.Known = known
	return o, nil
}

// Locate names the objects of that kind and name on every node.
func (t *Target) Locate(kind, name string) (map[string]state.Object, error) {
	t.mu.Lock()
	locator := t.locator
	t.mu.Unlock()
	if locator != nil {
		found, err := locator.Locate(kind, name)
		if err != nil {
			return nil, err
		}
		return found, t.learn(found)
	}
	k, ok := t.info.Kind(kind)
	if !ok {
		return nil, driver.Permanent(fmt.Errorf("%s has no objects of kind %q", t.info.Name, kind))
	}
	if kind == Record && t.info.Name == Name {
		if err := recordName(name); err != nil {
			return nil, driver.Permanent(err)
		}
	}
	if name == "" || (k.Member && t.info.Name == Name && strings.ContainsAny(name, "/ ")) {
		return nil, driver.Permanent(fmt.Errorf("%q cannot be the name of a %s", name, kind))
	}
	found := map[string]state.Object{}
	err := t.store.do(context.Background(), false, func(w *world) error {
		for id, o := range w.Known {
			if o.Kind == kind && o.Name == name {
				found[id] = o
			}
		}
		for _, node := range w.nodesOf(k) {
			o := state.Object{Kind: kind, Name: name, Node: node}
			taken := func(other state.Object) bool { return other.Node == node }
			if !slices.ContainsFunc(values(found), taken) {
				found[serverID(node, name)] = o
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, t.learn(found)
}

// learn keeps the objects, so that an Apply which creates one knows its kind.
func (t *Target) learn(found map[string]state.Object) error {
	return t.store.do(context.Background(), true, func(w *world) error {
		known := make(map[string]state.Object, len(w.Known)+len(found))
		for id, o := range found {
			known[id] = bare(o)
		}
		maps.Copy(known, w.Known)
		w.Known = known
		return nil
	})
}

// nodesOf tells which nodes hold objects of a kind: members are on every node;
// others are where their like are.
func (w world) nodesOf(k driver.Kind) []string {
	var nodes []string
	for _, o := range w.Known {
		if o.Kind == k.Name && !slices.Contains(nodes, o.Node) {
			nodes = append(nodes, o.Node)
		}
	}
	if k.Member {
		for node := range w.State.Nodes {
			if !slices.Contains(nodes, node) {
				nodes = append(nodes, node)
			}
		}
	}
	if len(nodes) == 0 {
		nodes = []string{""}
	}
	slices.Sort(nodes)
	return nodes
}

func values(m map[string]state.Object) []state.Object {
	all := make([]state.Object, 0, len(m))
	for _, o := range m {
		all = append(all, o)
	}
	return all
}
