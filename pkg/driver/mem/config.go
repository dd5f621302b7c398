package mem

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Options configure a target; they are also the block of a plan.
type Options struct {
	Name        string            `yaml:"name,omitempty" jsonschema_description:"tells targets apart in locks; made from the objects when left out"`
	Nodes       []string          `yaml:"nodes,omitempty" jsonschema_description:"each holds every server; one nameless node when left out"`
	Pool        map[string]Member `yaml:"pool,omitempty" jsonschema_description:"servers by name"`
	Records     map[string]RRset  `yaml:"records,omitempty" jsonschema_description:"record sets by name and type, as in \"www.example.com A\""`
	File        string            `yaml:"file,omitempty" jsonschema_description:"keeps the state for several processes; made from pool and records when it does not exist"`
	Settle      time.Duration     `yaml:"settle,omitempty" jsonschema_description:"until consumers see a change, and the last name server answers with it"`
	Negative    time.Duration     `yaml:"negative,omitempty" jsonschema_description:"how long others may keep that a name does not exist; 5m when left out"`
	MaxInFlight time.Duration     `yaml:"max_in_flight,omitempty" jsonschema_description:"how long a request of a dead process may still land"`
}

// Member is one server of a pool, the same on every node at first.
type Member struct {
	Weight  int    `yaml:"weight,omitempty" jsonschema_description:"0..256; 0 when left out"`
	State   string `yaml:"state,omitempty" jsonschema:"enum=ready,enum=drain,enum=maint" jsonschema_description:"ready when left out"`
	Absent  bool   `yaml:"absent,omitempty" jsonschema_description:"the server is known but does not exist at first; a plan can create it"`
	Address string `yaml:"address,omitempty" jsonschema_description:"host:port"`
	Health  string `yaml:"health,omitempty" jsonschema:"enum=up,enum=down,enum=unknown" jsonschema_description:"up when left out"`
	Load    `yaml:",inline"`
}

// Load is the traffic that a server pretends to have.
type Load struct {
	Sessions  int           `yaml:"sessions,omitempty" jsonschema_description:"in flight while the server takes traffic"`
	Drains    time.Duration `yaml:"drains,omitempty" jsonschema_description:"how long they take to end afterwards; negative: they never do"`
	Rate      float64       `yaml:"rate,omitempty" jsonschema_description:"answers a second while the server takes traffic"`
	ErrorRate float64       `yaml:"error_rate,omitempty" jsonschema_description:"part of the answers that are errors, 0..1"`
}

// RRset is one record set at first.
type RRset struct {
	Values []string `yaml:"values" jsonschema_description:"in any order"`
	TTL    int      `yaml:"ttl,omitempty" jsonschema_description:"seconds; 300 when left out"`
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
	return map[string]state.Value{Weight: state.Int(m.Weight), State: state.Text(s), Present: state.Bool(true)}
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
