package mem

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// world is everything that a target knows, as it is kept in the file.
type world struct {
	State state.State `json:"state"`
	// Seed is what a node falls back to when it restarts.
	Seed state.State `json:"seed"`
	// Known are all objects that ever were, without attributes.
	Known   map[string]state.Object `json:"known"`
	Members map[string]member       `json:"members"`
	// Down are nodes that do not answer, and why.
	Down map[string]string `json:"down,omitempty"`
	// Past are the versions of record sets that were changed, the newest last.
	Past map[string][]version `json:"past,omitempty"`
	// own: the maps of State and Members are this call's, nobody else sees them.
	own bool
}

// member is the traffic side of one server.
type member struct {
	Health  driver.HealthState `json:"health"`
	Detail  string             `json:"detail,omitempty"`
	Load    Load               `json:"load"`
	Serving bool               `json:"serving"`
	Ever    bool               `json:"ever"`             // it was serving once
	Turned  time.Time          `json:"turned"`           // when Serving last changed
	Served  time.Duration      `json:"served"`           // before Turned
	Killed  bool               `json:"killed,omitempty"` // sessions were ended since Turned
	Answers int64              `json:"answers,omitempty"`
	Errors  int64              `json:"errors,omitempty"`
}

func seed(o Options) world {
	now := time.Now().UTC().Round(0)
	s := state.State{Objects: map[string]state.Object{}, Nodes: map[string]state.Incarnation{}}
	w := world{Known: map[string]state.Object{}, Members: map[string]member{}, Down: map[string]string{}}
	nodes := o.Nodes
	if len(nodes) == 0 {
		nodes = []string{""}
	}
	for _, node := range nodes {
		s.Nodes[node] = state.Incarnation{ID: "1", Since: now}
		for name, m := range o.Pool {
			obj := state.Object{Kind: Server, Name: name, Node: node, Attrs: m.attrs(), Info: m.info()}
			h, _ := health(m.Health) // Validate has looked
			id := serverID(node, name)
			w.Known[id] = bare(obj)
			w.Members[id] = member{Health: h, Load: m.Load, Turned: now}.turn(!m.Absent && Capacity(obj.Attrs) > 0, now)
			if !m.Absent {
				s.Objects[id] = obj
			}
		}
	}
	for name, r := range o.Records {
		s.Objects[name] = state.Object{Kind: Record, Name: name, Attrs: r.attrs()}
	}
	for id, obj := range s.Objects {
		w.Known[id] = bare(obj)
	}
	w.State, w.Seed = s, clone(s)
	return w
}

func serverID(node, name string) string {
	if node == "" {
		return name
	}
	return node + "/" + name
}

func bare(o state.Object) state.Object {
	o.Attrs = nil
	return o
}

func clone(s state.State) state.State {
	c := state.State{Objects: make(map[string]state.Object, len(s.Objects)), Nodes: map[string]state.Incarnation{}}
	maps.Copy(c.Nodes, s.Nodes)
	for id, o := range s.Objects {
		o.Attrs, o.Info = maps.Clone(o.Attrs), maps.Clone(o.Info)
		c.Objects[id] = o
	}
	return c
}

func serves(info driver.Info, o state.Object) bool {
	k, ok := info.Kind(o.Kind)
	return ok && k.Capacity != nil && k.Capacity(o.Attrs) > 0
}

// write makes changes without asking what was there, and turns the traffic of
// members on or off. Maps that others may see are replaced, never written to.
func (w *world) write(info driver.Info, changes []state.Change, now time.Time) {
	if !w.own {
		w.State.Objects, w.Members, w.own = maps.Clone(w.State.Objects), maps.Clone(w.Members), true
	}
	for _, group := range groups(changes) {
		w.remember(group[0].Object, now)
		w.change(group)
	}
	for _, c := range changes {
		o, ok := w.State.Objects[c.Object]
		m, known := w.Members[c.Object]
		if k, isMember := info.Member(); !known && (!isMember || k.Name != o.Kind) {
			continue
		}
		if !known {
			m = member{Health: driver.Up, Turned: now}
		}
		w.Members[c.Object] = m.turn(ok && serves(info, o), now)
	}
}

// change makes the changes of one object, which appears with its first
// attribute and goes with its last.
func (w *world) change(changes []state.Change) {
	id := changes[0].Object
	one := state.State{Objects: map[string]state.Object{}}
	if o, ok := w.State.Objects[id]; ok {
		one.Objects[id] = o
	}
	o, ok := one.With(changes).Objects[id]
	if !ok {
		delete(w.State.Objects, id)
		return
	}
	if o.Kind == "" {
		born := w.Known[id]
		born.Attrs = o.Attrs
		o = born
	}
	w.State.Objects[id] = o
}

func (m member) turn(serving bool, now time.Time) member {
	if serving == m.Serving {
		return m
	}
	if m.Serving {
		m.Served += now.Sub(m.Turned)
	}
	m.Serving, m.Turned, m.Killed = serving, now.UTC().Round(0), false
	m.Ever = m.Ever || serving
	return m
}

func (m member) served(now time.Time) time.Duration {
	if m.Serving {
		return m.Served + now.Sub(m.Turned)
	}
	return m.Served
}

// flight tells the sessions now: all of them while the server takes traffic,
// then falling evenly to none. A server that never served has none.
func (m member) flight(now time.Time) driver.Flight {
	total := int64(m.Load.Sessions) + int64(m.Load.Rate*m.served(now).Seconds())
	switch gone := now.Sub(m.Turned); {
	case m.Serving, m.Load.Drains < 0 && !m.Killed && m.Ever:
		return driver.Flight{Now: m.Load.Sessions, Total: total}
	case m.Killed || !m.Ever || gone >= m.Load.Drains:
		return driver.Flight{Total: total}
	default:
		left := float64(m.Load.Drains-gone) / float64(m.Load.Drains)
		return driver.Flight{Now: ceil(float64(m.Load.Sessions) * left), Total: total}
	}
}

func ceil(f float64) int {
	n := int(f)
	if float64(n) < f {
		n++
	}
	return n
}

func (m member) traffic(now time.Time) driver.Traffic {
	answers := m.Load.Rate * m.served(now).Seconds()
	return driver.Traffic{
		Answers: m.Answers + int64(answers),
		Errors:  m.Errors + int64(answers*m.Load.ErrorRate),
	}
}

// down tells why an object's node does not answer.
func (w world) down(id string) error {
	if why, ok := w.Down[w.Known[id].Node]; ok {
		return &nodeError{w.Known[id].Node, why}
	}
	return nil
}

type nodeError struct{ node, why string }

func (e *nodeError) Error() string {
	if e.node == "" {
		return e.why
	}
	return fmt.Sprintf("node %s: %s", e.node, e.why)
}

// groups splits changes by object, in the order of first appearance.
func groups(changes []state.Change) [][]state.Change {
	var all [][]state.Change
	at := map[string]int{}
	for _, c := range changes {
		i, ok := at[c.Object]
		if !ok {
			i = len(all)
			at[c.Object] = i
			all = append(all, nil)
		}
		all[i] = append(all[i], c)
	}
	return all
}

// locate derives an object from the shape of its id: "node/name", or "name"
// on a nameless node, is a server; "name TYPE" is a record set.
func (w world) locate(id string) (state.Object, bool) {
	if o, ok := w.Known[id]; ok {
		return o, true
	}
	if strings.Contains(id, " ") {
		return state.Object{Kind: Record, Name: id}, recordName(id) == nil
	}
	node, name, found := strings.Cut(id, "/")
	if !found {
		node, name = "", id
	}
	_, ok := w.State.Nodes[node]
	return state.Object{Kind: Server, Name: name, Node: node}, ok && name != ""
}

// names lists what is there, for hints.
func (w world) names() string {
	var names []string
	for _, o := range w.State.Objects {
		names = append(names, o.Name)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}
