// Package state holds what flip knows about a live system, as data: objects
// with attributes, and changes between two values of an attribute. Everything
// here is pure; reading and applying is the drivers' work.
package state

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// State is what a driver read from one target.
type State struct {
	// Objects by id. The id is unique in the target and stable between reads,
	// for instance "lb1/be_web/web1".
	Objects map[string]Object `json:"objects"`
	// Nodes are the processes or servers behind the target that answered.
	Nodes map[string]Incarnation `json:"nodes,omitempty"`
}

// Object is one thing of a target, on one node.
type Object struct {
	// Kind is the driver's word: server, instance, record, map.
	Kind string `json:"kind"`
	// Name is what a plan calls the object. Objects of different nodes that
	// stand for the same thing share it.
	Name string `json:"name"`
	// Node names the node that holds this object; empty where there is one.
	Node string `json:"node,omitempty"`
	// Attrs are the attributes that flip can set. A missing one is absent.
	Attrs map[string]Value `json:"attrs"`
	// Info are facts that nobody sets through flip: "host", "address", ...
	// "address" is host:port of a member, "host" its address alone.
	Info map[string]string `json:"info,omitempty"`
}

// Incarnation tells one life of a node from the next. Runtime state does not
// survive a new one.
type Incarnation struct {
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
}

// sameSince absorbs the rounding of uptimes that are told in whole seconds.
const sameSince = 3 * time.Second

// Same reports whether two readings are of one life of the node.
func (i Incarnation) Same(other Incarnation) bool {
	return i.ID == other.ID && i.Since.Sub(other.Since).Abs() <= sameSince
}

// Change is one attribute of one object going from one value to another.
type Change struct {
	Target    string `json:"target"`
	Object    string `json:"object"`
	Attribute string `json:"attribute"`
	From      Value  `json:"from"`
	To        Value  `json:"to"`
}

// Key names what the change is about, without its values.
func (c Change) Key() Key { return Key{c.Target, c.Object, c.Attribute} }

// Inverse undoes c.
func (c Change) Inverse() Change {
	c.From, c.To = c.To, c.From
	return c
}

// Key is one attribute of one object of one target.
type Key struct {
	Target    string `json:"target"`
	Object    string `json:"object"`
	Attribute string `json:"attribute"`
}

// Compare orders keys by target, object, attribute.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Target, o.Target), cmp.Compare(k.Object, o.Object), cmp.Compare(k.Attribute, o.Attribute))
}

// Get returns an attribute, Absent when the object or the attribute is missing.
func (s State) Get(object, attribute string) Value { return s.Objects[object].Attrs[attribute] }

// IDs returns the object ids in order.
func (s State) IDs() []string { return slices.Sorted(maps.Keys(s.Objects)) }

// Named returns the ids of all objects of that kind and name, one for each
// node, in order. An empty kind matches every kind.
func (s State) Named(kind, name string) []string {
	var ids []string
	for id, o := range s.Objects {
		if o.Name == name && (kind == "" || o.Kind == kind) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// With returns a copy of s in which the changes of one target are made. An
// object whose attributes are all absent is gone; an unknown one appears with
// the given attributes only.
func (s State) With(changes []Change) State {
	next := State{Objects: maps.Clone(s.Objects), Nodes: s.Nodes}
	if next.Objects == nil {
		next.Objects = map[string]Object{}
	}
	copied := map[string]bool{}
	for _, c := range changes {
		o := next.Objects[c.Object]
		if !copied[c.Object] {
			o.Attrs = maps.Clone(o.Attrs)
			if o.Attrs == nil {
				o.Attrs = map[string]Value{}
			}
			copied[c.Object] = true
		}
		if c.To == Absent {
			delete(o.Attrs, c.Attribute)
		} else {
			o.Attrs[c.Attribute] = c.To
		}
		next.Objects[c.Object] = o
	}
	for id := range copied {
		if len(next.Objects[id].Attrs) == 0 {
			delete(next.Objects, id)
		}
	}
	return next
}

// Diff returns the changes that lead from s to want for every attribute that
// want names, ordered by object and attribute. What want does not name is
// left alone: undoing a diff touches nothing else.
func Diff(target string, s, want State) []Change {
	var changes []Change
	for id, o := range want.Objects {
		for attr, to := range o.Attrs {
			if from := s.Get(id, attr); from != to {
				changes = append(changes, Change{target, id, attr, from, to})
			}
		}
	}
	Sort(changes)
	return changes
}

// Sort orders changes by target, object and attribute.
func Sort(changes []Change) {
	slices.SortFunc(changes, func(a, b Change) int { return a.Key().Compare(b.Key()) })
}
