// Package mem is a target that lives in memory: a pool of servers on one or
// several nodes, and record sets. Tests run against it, `flip rehearse` lets a
// plan run against a twin of the real target, and plans can use it to try flip
// out. With a file it outlives the process and can be shared.
package mem

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
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

// Options configure a target; they are also the block of a plan.
type Options struct {
	Name        string            `yaml:"name"`          // tells targets apart in locks; made from the objects when empty
	Nodes       []string          `yaml:"nodes"`         // each holds every server; one nameless node when empty
	Pool        map[string]Member `yaml:"pool"`          // servers by name
	Records     map[string]RRset  `yaml:"records"`       // record sets by name and type, "www.example.com A"
	File        string            `yaml:"file"`          // keeps the state; created from pool and records when missing
	Settle      time.Duration     `yaml:"settle"`        // until consumers see a change
	MaxInFlight time.Duration     `yaml:"max_in_flight"` // how long a request of a dead process may still land
}

// Member is one server of a pool, the same on every node at first.
type Member struct {
	Weight  int    `yaml:"weight"`  // 0..256; 0 when left out
	State   string `yaml:"state"`   // ready, drain or maint; ready when empty
	Absent  bool   `yaml:"absent"`  // present is false at first
	Address string `yaml:"address"` // host:port
	Health  string `yaml:"health"`  // up, down or unknown; up when empty
	Load    `yaml:",inline"`
}

// Load is the traffic that a server pretends to have.
type Load struct {
	Sessions  int           `yaml:"sessions"`   // in flight while the server takes traffic
	Drains    time.Duration `yaml:"drains"`     // how long they take to end afterwards; negative: they never do
	Rate      float64       `yaml:"rate"`       // answers a second while the server takes traffic
	ErrorRate float64       `yaml:"error_rate"` // part of the answers that are errors, 0..1
}

// RRset is one record set at first.
type RRset struct {
	Values []string `yaml:"values"`
	TTL    int      `yaml:"ttl"` // seconds; 300 when left out
}

// Info describes the driver.
func Info() driver.Info {
	return driver.Info{
		Name:    Name,
		Summary: "a pool of servers and record sets in memory, to try plans on",
		Kinds: []driver.Kind{{
			Name: Server, Member: true,
			Attributes: []driver.Attribute{
				{Name: Weight, Type: driver.TypeInt, Min: 0, Max: 256, Doc: "share of the traffic; 0 takes no new sessions"},
				{Name: State, Type: driver.TypeEnum, Enum: []string{"ready", "drain", "maint"}, Doc: "ready takes traffic; drain only ends what it has; maint is off"},
				{Name: Present, Type: driver.TypeBool, Doc: "false takes the server out of the pool without forgetting it"},
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

// Capacity is the weight of a server that is present and ready, else 0.
func Capacity(attrs map[string]state.Value) float64 {
	if attrs[Present] == state.Bool(false) {
		return 0
	}
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

// Validate says what is wrong with the options.
func (o *Options) Validate() error {
	info := Info()
	server, record := info.Kinds[0], info.Kinds[1]
	for _, name := range slices.Sorted(maps.Keys(o.Pool)) {
		m := o.Pool[name]
		if err := check(server, m.attrs()); err != nil {
			return fmt.Errorf("pool: %s: %w", name, err)
		}
		if _, err := health(m.Health); err != nil {
			return fmt.Errorf("pool: %s: %w", name, err)
		}
		if strings.ContainsAny(name, "/ ") {
			return fmt.Errorf("pool: %q: a server's name has no slash and no space", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Records)) {
		if err := recordName(name); err != nil {
			return fmt.Errorf("records: %w", err)
		}
		if err := check(record, o.Records[name].attrs()); err != nil {
			return fmt.Errorf("records: %s: %w", name, err)
		}
	}
	for i, n := range o.Nodes {
		if n == "" || strings.ContainsAny(n, "/ ") || slices.Contains(o.Nodes[:i], n) {
			return fmt.Errorf("nodes: %q: nodes have different names without slash and space", n)
		}
	}
	return nil
}

func check(k driver.Kind, attrs map[string]state.Value) error {
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		a, ok := k.Attribute(name)
		if !ok {
			return hint.Wrap(fmt.Errorf("a %s has no attribute %s", k.Name, name), "a %s has %s", k.Name, attributeNames(k))
		}
		if err := a.Check(attrs[name]); err != nil {
			return err
		}
	}
	return nil
}

func attributeNames(k driver.Kind) string {
	var names []string
	for _, a := range k.Attributes {
		names = append(names, a.Name)
	}
	return strings.Join(names, ", ")
}

func recordName(name string) error {
	if len(strings.Fields(name)) != 2 || strings.Contains(name, "/") {
		return hint.Wrap(fmt.Errorf("%q does not name a record set", name), "name and type, as in \"www.example.com A\"")
	}
	return nil
}

func (m Member) attrs() map[string]state.Value {
	s := m.State
	if s == "" {
		s = "ready"
	}
	return map[string]state.Value{Weight: state.Int(m.Weight), State: state.Text(s), Present: state.Bool(!m.Absent)}
}

func (m Member) info() map[string]string {
	if m.Address == "" {
		return nil
	}
	info := map[string]string{"address": m.Address, "host": m.Address}
	if host, _, err := net.SplitHostPort(m.Address); err == nil {
		info["host"] = host
	}
	return info
}

func (r RRset) attrs() map[string]state.Value {
	ttl := r.TTL
	if ttl == 0 {
		ttl = 300
	}
	return map[string]state.Value{Values: state.List(r.Values), TTL: state.Int(ttl)}
}

func health(s string) (driver.HealthState, error) {
	for _, h := range []driver.HealthState{driver.Up, driver.Down, driver.Unknown} {
		if s == h.String() {
			return h, nil
		}
	}
	if s == "" {
		return driver.Up, nil
	}
	return driver.Unknown, fmt.Errorf("health is up, down or unknown, not %q", s)
}

// Target is the driver. Its exported methods beyond driver's interfaces are
// what an operator, a crash or the outside world does to a real one.
type Target struct {
	info        driver.Info
	store       store
	scopes      []string
	settle      time.Duration
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
	t := &Target{info: Info(), settle: o.Settle, maxInFlight: o.MaxInFlight}
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
	now := time.Now()
	for id, o := range s.Objects {
		w.Known[id] = bare(o)
		if k, ok := info.Kind(o.Kind); ok && k.Member {
			w.Members[id] = member{Health: driver.Up, Turned: now, Serving: serves(info, o)}
		}
	}
	return &Target{info: info, store: &memory{w: w}, scopes: slices.Clone(scopes)}
}

// LocateBy makes a twin name new objects as the real driver does.
func (t *Target) LocateBy(l driver.Locator) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.locator = l
}
