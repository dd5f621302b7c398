// Package haproxy moves the traffic of HAProxy backends through the runtime
// API (management.txt, section 9.3): weights, administrative states, addresses,
// health and agent checks of servers, servers made at runtime, and map
// entries, on one or several nodes at once. It never touches configuration
// files; what it sets is lost when HAProxy reloads.
package haproxy

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// The names that plans use.
const (
	Name = "haproxy"

	KindServer = "server"
	KindMap    = "map"

	Weight  = "weight"
	State   = "state"
	Address = "address"
	Health  = "health"
	Agent   = "agent"
	Present = "present"
	Value   = "value"
)

// The values of enums, in their canonical form.
const (
	ready    state.Value = `"ready"`
	drain    state.Value = `"drain"`
	maint    state.Value = `"maint"`
	enabled  state.Value = `"enabled"`
	disabled state.Value = `"disabled"`
)

// Factory returns the driver's factory.
func Factory() driver.Factory { return driver.Define(Info(), open) }

// Info describes the driver.
func Info() driver.Info {
	return driver.Info{
		Name:    Name,
		Summary: "servers and maps of HAProxy through its runtime API, on one or several nodes",
		Kinds:   []driver.Kind{serverKind(), mapKind()},
		Counts:  true,
		Kills:   true,
	}
}

func serverKind() driver.Kind {
	checks := []string{"enabled", "disabled"}
	return driver.Kind{
		Name: KindServer, Member: true,
		Doc: "A server of a backend, called by its name; by backend/server when the target has several backends. Each node holds its own.",
		Attributes: []driver.Attribute{
			{Name: Weight, Type: driver.TypeInt, Min: 0, Max: 256, Doc: "the server's share; 0 takes no new sessions but keeps clients that a cookie pins"},
			{
				Name: State, Type: driver.TypeEnum, Enum: []string{"ready", "drain", "maint"}, Via: raisedThrough,
				Doc: "ready takes traffic, after genuine health checks on every node; drain keeps pinned clients only; maint ends those too and stops health checks",
			},
			{Name: Address, Type: driver.TypeText, Doc: "ip:port; sessions that are open stay where they are"},
			{Name: Health, Type: driver.TypeEnum, Enum: checks, Doc: "whether health checks run; absent for a server without `check`"},
			{Name: Agent, Type: driver.TypeEnum, Enum: checks, Doc: "whether the agent check runs; absent for a server without `agent-check`"},
			{Name: Present, Type: driver.TypeBool, Doc: "true creates the server at runtime, out of its other attributes (address is required, health adds a check, state is maint unless set); absent deletes it when nothing is connected any more"},
		},
		Capacity: capacity,
	}
}

func mapKind() driver.Kind {
	return driver.Kind{
		Name: KindMap, Selector: []string{"map", "key"},
		Doc:        "An entry of a map file that `maps` lists. The file itself is not written.",
		Attributes: []driver.Attribute{{Name: Value, Type: driver.TypeText, Doc: "what the key maps to; absent removes the entry"}},
	}
}

// raisedThrough: a server that leaves maint stands in drain until its checks
// have passed.
func raisedThrough(from, to state.Value) []state.Value {
	if from == maint && to == ready {
		return []state.Value{drain}
	}
	return nil
}

func capacity(attrs map[string]state.Value) float64 {
	if s := attrs[State]; s != ready && s.Present() {
		return 0
	}
	weight, _ := attrs[Weight].Float()
	return max(weight, 0)
}

// Target is one or several backends on one or several nodes.
type Target struct {
	cfg   Config
	log   *slog.Logger
	nodes []*node
	// What Info says of a server and a map entry.
	server, entry driver.Kind

	mu     sync.Mutex
	agents map[string]state.Value // weight of servers when this Target disabled their agent check
}

func open(_ context.Context, cfg Config, env driver.Env) (driver.Driver, error) {
	log := env.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	t := &Target{cfg: cfg, log: log, server: serverKind(), entry: mapKind(), agents: map[string]state.Value{}}
	eps, err := cfg.nodes()
	if err != nil {
		return nil, err
	}
	for _, ep := range eps {
		t.nodes = append(t.nodes, &node{name: ep.name, endpoint: ep.endpoint, timeout: cfg.timeout(), known: map[string]*known{}})
	}
	return t, nil
}

// MaxInFlight is how long a command in a socket's buffer may still take effect.
func (t *Target) MaxInFlight() time.Duration {
	if t.cfg.MaxInFlight > 0 {
		return t.cfg.MaxInFlight
	}
	return t.cfg.timeout()
}

// Scopes names every backend and map file on every node. An endpoint is part
// of the name: one HAProxy that is reached over a unix and a TCP socket has two.
func (t *Target) Scopes() []string {
	var scopes []string
	for _, n := range t.nodes {
		for _, be := range t.cfg.Backend {
			scopes = append(scopes, "haproxy://"+n.endpoint.scope()+"/"+be)
		}
		for _, file := range t.cfg.Maps {
			scopes = append(scopes, "haproxy://"+n.endpoint.scope()+"/map "+file)
		}
	}
	return scopes
}

// Close does nothing: connections last as long as a call.
func (t *Target) Close() error { return nil }

// at runs f for every node that it is given at the same time and returns their
// errors by node.
func at(nodes []*node, f func(*node) error) map[string]error {
	var mu sync.Mutex
	var wg sync.WaitGroup
	failed := map[string]error{}
	for _, n := range nodes {
		wg.Go(func() {
			if err := f(n); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[n.name] = err
			}
		})
	}
	wg.Wait()
	return failed
}

// failure joins what nodes said; node names are left out where there is one.
func (t *Target) failure(failed map[string]error) error {
	if len(failed) == 0 {
		return nil
	}
	if len(t.nodes) == 1 {
		return fmt.Errorf("haproxy: %w", failed[t.nodes[0].name])
	}
	return fmt.Errorf("haproxy: %w", &driver.PartialError{Nodes: failed})
}
