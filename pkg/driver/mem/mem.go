// Package mem is a target that lives in memory: a pool of servers on one or
// several nodes, and record sets. Tests run against it, `flip rehearse` lets a
// plan run against a twin of the real target, and plans can use it to try flip
// out. With a file it outlives the process and can be shared.
package mem

import (
	"context"
	"fmt"
	"hash/fnv"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// The names of what a mem target holds.
const (
	Name    = "mem"
	Server  = "server"
	Record  = "record"
	Weight  = "weight"
	State   = "state"
	Present = "present"
	Values  = "values"
	TTL     = "ttl"
)

// Info describes the driver.
func Info() driver.Info {
	return driver.Info{
		Name:    Name,
		Summary: "a pool of servers and record sets in memory, to try plans on",
		Counts:  true,
		Kills:   true,
		Kinds: []driver.Kind{{
			Name: Server, Member: true,
			Attributes: []driver.Attribute{
				{Name: Weight, Type: driver.TypeInt, Min: 0, Max: 256, Doc: "share of the traffic; 0 takes no new sessions"},
				{Name: State, Type: driver.TypeEnum, Enum: []string{"ready", "drain", "maint"}, Doc: "ready takes traffic; drain only ends what it has; maint is off"},
				{Name: Present, Type: driver.TypeBool, Doc: "true creates the server together with its other attributes; absent takes it away"},
			},
			Capacity: Capacity,
			Doc:      "A server of the pool, one object on each node.",
		}, {
			Name: Record, Selector: []string{Record},
			Attributes: []driver.Attribute{
				{Name: Values, Type: driver.TypeList, Doc: "the record set's values, in any order"},
				{Name: TTL, Type: driver.TypeInt, Min: 1, Max: 604800, Doc: "seconds that resolvers may keep the answer"},
			},
			Doc: "A record set, named by its name and type: \"www.example.com A\".",
		}},
	}
}

// Capacity is the weight of a server that is ready, else 0.
func Capacity(attrs map[string]state.Value) float64 {
	if s := attrs[State]; s.Present() && s.Text() != "ready" {
		return 0
	}
	w, _ := attrs[Weight].Float()
	return w
}

// Factory opens mem targets for plans.
func Factory() driver.Factory {
	return driver.Define(Info(), func(_ context.Context, o Options, _ driver.Env) (driver.Driver, error) {
		return New(o), nil
	})
}

// Target is the driver. Its exported methods beyond driver's interfaces are
// what an operator, a crash or the outside world does to a real one.
type Target struct {
	info        driver.Info
	store       store
	scopes      []string
	settle      time.Duration
	negative    time.Duration
	maxInFlight time.Duration

	mu      sync.Mutex
	locator driver.Locator
}

// New makes a target. It does not touch the file yet: the first call does.
// Options that Validate refuses are a programming error here and panic.
func New(o Options) *Target {
	if err := o.Validate(); err != nil {
		panic("mem: " + err.Error())
	}
	t := &Target{info: Info(), settle: o.Settle, negative: o.Negative, maxInFlight: o.MaxInFlight}
	if o.File == "" {
		w := seed(o)
		t.store = &memory{w: w}
		t.scopes = []string{"mem://" + scopeName(o, w)}
		return t
	}
	path, err := filepath.Abs(o.File)
	if err != nil {
		path = o.File
	}
	t.store = &file{path: path, seed: func() world { return seed(o) }}
	t.scopes = []string{"mem://" + filepath.ToSlash(path)}
	return t
}

func scopeName(o Options, w world) string {
	if o.Name != "" {
		return o.Name
	}
	h := fnv.New32a()
	for _, id := range w.State.IDs() {
		_, _ = h.Write([]byte(id + "\n")) // a hash never fails
	}
	return fmt.Sprintf("%08x", h.Sum32())
}

// Twin is a target that stands in for another driver's: it starts with s, has
// that driver's kinds and attributes, and compares and sets as a careful
// system would. Every member is up and has nothing in flight.
func Twin(info driver.Info, s state.State, scopes []string) *Target {
	s = clone(s)
	w := world{State: s, Seed: clone(s), Known: map[string]state.Object{}, Members: map[string]member{}, Down: map[string]string{}}
	now := time.Now().UTC().Round(0)
	for id, o := range s.Objects {
		w.Known[id] = bare(o)
		if k, ok := info.Kind(o.Kind); ok && k.Member {
			w.Members[id] = member{Health: driver.Up, Turned: now}.turn(serves(info, o), now)
		}
	}
	return &Target{info: info, store: &memory{w: w}, scopes: slices.Clone(scopes)}
}

// Fork returns a target in memory that stands where this one does and goes its
// own way from there. It costs next to nothing: both share what neither writes.
func (t *Target) Fork() (*Target, error) {
	f := &Target{info: t.info, scopes: t.scopes, settle: t.settle, negative: t.negative, maxInFlight: t.maxInFlight}
	t.mu.Lock()
	f.locator = t.locator
	t.mu.Unlock()
	err := t.store.do(context.Background(), false, func(w *world) error {
		f.store = &memory{w: *w}
		return nil
	})
	return f, err
}

// LocateBy makes a twin name new objects as the real driver does.
func (t *Target) LocateBy(l driver.Locator) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.locator = l
}
