// Package pool changes the weights of what stands behind a load balancer of
// Aliyun, and where its listeners and rules point, for the drivers of all its
// products. It holds the order that keeps traffic served: weights rise before
// any falls, health is seen in between, and nothing falls when no healthy
// member with a weight would be left.
package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Weight is the attribute of every member.
const Weight = "weight"

// The range of weights of all products.
const (
	MinWeight = 0
	MaxWeight = 100
)

// Member is a server of a group, or a server group of a rule.
type Member struct {
	ID     string // of the object: rsp-web/i-a1:8080
	Name   string // what plans call it
	Weight int
	// Busy is the system's word for a member that it is still changing.
	Busy string
	Info map[string]string
	Ref  any // what the members' backend knows it by
}

// Members is a product's way to read and set weights.
type Members interface {
	// List reads all members.
	List(ctx context.Context) ([]Member, error)
	// Refuse says why flip must not set weights here, nil if nothing is in the
	// way: what manages the group, what would ignore a weight.
	Refuse(ctx context.Context) error
	// Health tells what health checks say about members, by id.
	Health(ctx context.Context, members []Member) (map[string]aliyun.Check, error)
	// Write gives the members their weights and returns when the system says
	// that it did. It may be repeated with the same token.
	Write(ctx context.Context, members []Member, token string) error
	// Settled is nil when the system is changing nothing here.
	Settled(ctx context.Context) error
}

// Bound is where a listener or a rule points.
type Bound struct {
	ID    string
	Kind  string
	Name  string // what plans call it
	Attr  string
	Value state.Value
	Info  map[string]string
	Ref   any
}

// Bindings is a product's way to read and set what listeners and rules do.
type Bindings interface {
	// IDs are the ids of all bindings of the target; each is an object without
	// attributes.
	IDs() map[string]state.Object
	// Read reads all of them, by id.
	Read(ctx context.Context) (map[string]Bound, error)
	// Refuse says why one must not get that value.
	Refuse(ctx context.Context, b Bound, to state.Value) error
	// Write makes the change, in as many steps as it takes, and returns when
	// the system says that it did.
	Write(ctx context.Context, b Bound, to state.Value, token string) error
	// Settled is nil when the system is changing nothing there, and what it
	// points at is healthy.
	Settled(ctx context.Context, b Bound) error
}

// Options are how a product's target is to be handled.
type Options struct {
	Driver   string
	Kind     driver.Kind   // of members
	Batch    int           // members of one write
	Tokens   bool          // a repeated write with the same token is the same write
	Again    time.Duration // pause before the second read-back; 0 is none
	Flight   time.Duration // how long a request may take effect
	Health   time.Duration // how long a member may take to become healthy
	Settle   time.Duration // how long the system may take to finish
	ScopeIDs []string
}

// Target is one load balancer's part that a plan is about. Members or Bindings
// may be nil.
type Target struct {
	Options
	members  Members
	bindings Bindings
	close    func()

	// writing is held from reading to the end of writing: the API has no
	// compare-and-set.
	writing chan struct{}

	mu    sync.Mutex
	known map[string]state.Object // members that were seen, by id
}

// New makes a target.
func New(o Options, m Members, b Bindings, closing func()) *Target {
	return &Target{
		Options: o, members: m, bindings: b, close: closing, writing: make(chan struct{}, 1),
		known: map[string]state.Object{},
	}
}

// MaxInFlight is how long a request that was sent before a crash may still
// take effect, with the job that it began.
func (t *Target) MaxInFlight() time.Duration { return t.Flight }

// Scopes names what the target changes.
func (t *Target) Scopes() []string { return slices.Clone(t.ScopeIDs) }

// ComparesFirst says that Apply does, see there.
func (t *Target) ComparesFirst() {}

// Close lets connections go.
func (t *Target) Close() error {
	t.close()
	return nil
}

// Read returns every member with its weight and every binding.
func (t *Target) Read(ctx context.Context) (state.State, error) {
	s := state.State{Objects: map[string]state.Object{}}
	members, err := t.list(ctx)
	if err != nil {
		return state.State{}, t.failed(err)
	}
	for _, m := range members {
		s.Objects[m.ID] = m.object(t.Kind.Name)
	}
	bound, err := t.bound(ctx)
	if err != nil {
		return state.State{}, t.failed(err)
	}
	for id, b := range bound {
		s.Objects[id] = state.Object{Kind: b.Kind, Name: b.Name, Attrs: map[string]state.Value{b.Attr: b.Value}, Info: b.Info}
	}
	return s, nil
}

func (m Member) object(kind string) state.Object {
	return state.Object{Kind: kind, Name: m.Name, Attrs: map[string]state.Value{Weight: state.Int(m.Weight)}, Info: m.Info}
}

// list reads the members, none where the target has bindings only.
func (t *Target) list(ctx context.Context) ([]Member, error) {
	if t.members == nil {
		return nil, ctx.Err()
	}
	members, err := t.members.List(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[string]state.Object, len(members))
	for _, m := range members {
		o := m.object(t.Kind.Name)
		o.Attrs = nil
		known[m.ID] = o
	}
	if len(known) != len(members) {
		return nil, errors.New("two members have the same id")
	}
	t.mu.Lock()
	t.known = known
	t.mu.Unlock()
	return members, nil
}

func (t *Target) bound(ctx context.Context) (map[string]Bound, error) {
	if t.bindings == nil {
		return nil, ctx.Err()
	}
	return t.bindings.Read(ctx)
}

// Locate names the objects that a name stands for. Members are made by other
// means, so only those that were seen have objects.
func (t *Target) Locate(kind, name string) (map[string]state.Object, error) {
	found := map[string]state.Object{}
	t.mu.Lock()
	maps.Copy(found, t.known)
	t.mu.Unlock()
	if t.bindings != nil {
		maps.Copy(found, t.bindings.IDs())
	}
	var names []string
	maps.DeleteFunc(found, func(_ string, o state.Object) bool {
		if o.Kind == kind {
			names = append(names, o.Name)
		}
		return o.Kind != kind || o.Name != name
	})
	if len(found) == 0 {
		slices.Sort(names)
		return nil, hint.Wrap(fmt.Errorf("the target has no %s %q", kind, name), "it has: %s. flip sets what is there, and what the target's block names", some(names))
	}
	return found, nil
}

// Health tells what the load balancer's checks say.
func (t *Target) Health(ctx context.Context, ids []string) (map[string]driver.Health, error) {
	members, err := t.list(ctx)
	if err != nil {
		return nil, t.failed(err)
	}
	wanted := make([]Member, 0, len(ids))
	by := index(members)
	for _, id := range ids {
		m, ok := by[id]
		if !ok {
			return nil, t.failed(t.unknown(id, members))
		}
		wanted = append(wanted, m)
	}
	if len(wanted) == 0 {
		return map[string]driver.Health{}, nil
	}
	checks, err := t.members.Health(ctx, wanted)
	if err != nil {
		return nil, t.failed(err)
	}
	health := make(map[string]driver.Health, len(ids))
	for _, id := range ids {
		c := checks[id]
		health[id] = driver.Health{State: [...]driver.HealthState{driver.Unknown, driver.Unknown, driver.Up, driver.Down}[c.State], Detail: c.Detail}
	}
	return health, nil
}

// failed marks and names an error for the engine.
func (t *Target) failed(err error) error { return driver.Named(t.Driver, aliyun.ForDriver(err)) }

func index(members []Member) map[string]Member {
	by := make(map[string]Member, len(members))
	for _, m := range members {
		by[m.ID] = m
	}
	return by
}

// unknown is the error for an id that nothing has.
func (t *Target) unknown(id string, members []Member) error {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Name
	}
	slices.Sort(names)
	_, short, _ := strings.Cut(id, "/")
	return Missing(hint.Wrap(fmt.Errorf("the load balancer has no member %s", short), "members: %s", some(names)))
}

// Missing marks err: what it is about does not exist, and will not by waiting.
func Missing(err error) error { return driver.Permanent(missing{err}) }

type missing struct{ error }

func (m missing) Unwrap() []error { return []error{m.error, driver.ErrNotFound} }

// some lists up to twenty names.
func some(names []string) string {
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
