// Package nacos takes instances of Nacos services in and out of traffic:
// `enabled` and `weight` through the API of an operator, registration of
// persistent instances, on Nacos 1.x, 2.x and 3.x.
//
// An orchestrator does not own the instances, so nothing is written through
// the SDK: its UpdateInstance registers a second copy and its
// DeregisterInstance does nothing. The server resets every parameter that a
// write leaves out and answers "ok" also for an instance that does not exist.
// Hence each write is the whole tuple as it was just read, after the instance
// was found and before it is read again. On 2.x and 3.x the write makes an
// overlay that wins over what the owner registered and is forgotten about a
// minute after the owner is gone: see Hold.
package nacos

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// The names that plans use.
const (
	Name = "nacos"

	KindInstance = "instance"

	Enabled    = "enabled"
	Weight     = "weight"
	Ephemeral  = "ephemeral"
	Registered = "registered"
	Metadata   = "metadata"
)

// MaxWeight is Constants.MAX_WEIGHT_VALUE of the server.
const MaxWeight = 10000

// Factory returns the driver's factory.
func Factory() driver.Factory { return driver.Define(Info(), open) }

// Info describes the driver.
func Info() driver.Info {
	return driver.Info{
		Name:    Name,
		Summary: "instances of services in Nacos 1.x, 2.x and 3.x, seen as consumers see them",
		Kinds: []driver.Kind{{
			Name: KindInstance, Member: true,
			Doc: "An instance of a service, called ip:port; service/ip:port when the target has several services. " +
				"A pattern may be names with *, an address range (10.1.0.0/24), or terms that must all hold: cluster=hz, service=user, host=10.1.0.11, port=8080, metadata.version=v2, joined by commas.",
			Attributes: []driver.Attribute{
				{Name: Enabled, Type: driver.TypeBool, Doc: "false takes the instance out of what consumers see; the registration stays"},
				{Name: Weight, Type: driver.TypeNumber, Min: 0, Max: MaxWeight, Doc: "the instance's share, may be a fraction; 0 is no way to take it out: many consumers do not look at weights"},
				{Name: Registered, Type: driver.TypeBool, Doc: "of a persistent instance only: false removes the registration, true makes it again; an ephemeral instance belongs to its owner"},
				{Name: Ephemeral, Type: driver.TypeBool, ReadOnly: true, Doc: "the instance lives as long as its owner's connection or heartbeat"},
				{Name: Metadata, Type: driver.TypeText, ReadOnly: true, Doc: "of a persistent instance: what undoing its removal registers again, as JSON; every write keeps the metadata of every instance"},
			},
			Capacity: capacity,
		}},
	}
}

func capacity(attrs map[string]state.Value) float64 {
	if !attrs[Enabled].Bool() {
		return 0
	}
	weight, _ := attrs[Weight].Float()
	return max(weight, 0)
}

// Target is one or several services of one namespace.
type Target struct {
	cfg      Config
	log      *slog.Logger
	client   *client
	services []service

	// writing is held from reading a tuple to seeing it changed: the server
	// has no compare-and-set, and a tuple is written whole.
	writing chan struct{}

	mu        sync.Mutex
	known     map[string]state.Object  // instances that were seen, by id
	base      map[service]map[key]bool // enabled when flip last began to write
	away      map[subject]time.Time    // held, and gone since
	absentees map[subject]*absentee    // written for while they are gone
	subs      map[*node]*subscription  // open since before the change
	told      map[service]bool         // who hears of changes
}

func open(_ context.Context, cfg Config, env driver.Env) (driver.Driver, error) {
	log := env.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	services, err := cfg.services()
	if err != nil {
		return nil, err
	}
	c, err := newClient(cfg, env, log)
	if err != nil {
		return nil, err
	}
	return &Target{
		cfg: cfg, log: log, client: c, services: services, writing: make(chan struct{}, 1),
		known: map[string]state.Object{}, base: map[service]map[key]bool{}, away: map[subject]time.Time{},
		absentees: map[subject]*absentee{}, subs: map[*node]*subscription{}, told: map[service]bool{},
	}, nil
}

// MaxInFlight is how long a request that was sent before a crash may still
// take effect: max_in_flight, or the answer's timeout, after which the
// server's own Raft timeout has passed too.
func (t *Target) MaxInFlight() time.Duration { return orElse(t.cfg.MaxInFlight, t.cfg.timeout()) }

// Scopes names every service at every server, since targets may list
// different servers of one cluster.
func (t *Target) Scopes() []string {
	var scopes []string
	for _, n := range t.client.nodes {
		for _, s := range t.services {
			scopes = append(scopes, "nacos://"+n.name+"/"+t.cfg.namespace()+"/"+s.String())
		}
	}
	return scopes
}

// Close ends the subscriptions.
func (t *Target) Close() error {
	t.mu.Lock()
	subs := t.subs
	t.subs = map[*node]*subscription{}
	t.mu.Unlock()
	for _, s := range subs {
		s.close()
	}
	t.client.close()
	return nil
}

// lock waits for other writers of this process.
func (t *Target) lock(ctx context.Context) error {
	select {
	case t.writing <- struct{}{}:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Target) unlock() { <-t.writing }

// name is what plans call an instance: with its service exactly when the
// target has several, with the group too when two of them differ in it only.
func (t *Target) name(s subject) string {
	if len(t.services) == 1 {
		return s.address()
	}
	same := func(o service) bool { return o.name == s.service.name && o.group != s.service.group }
	if slices.ContainsFunc(t.services, same) {
		return s.service.String() + "/" + s.address()
	}
	return s.service.name + "/" + s.address()
}

// inCluster reports whether the target is about that cluster.
func (t *Target) inCluster(name string) bool {
	return len(t.cfg.Cluster) == 0 || slices.Contains(t.cfg.Cluster, name)
}

// Locate names the objects that an instance would be: one that was seen where
// it was seen, a new one in the first cluster of the target.
func (t *Target) Locate(kind, name string) (map[string]state.Object, error) {
	if kind != KindInstance {
		return nil, fmt.Errorf("nacos has no kind %q", kind)
	}
	found := map[string]state.Object{}
	t.mu.Lock()
	for id, o := range t.known {
		if o.Name == name {
			o.Attrs = nil
			found[id] = o
		}
	}
	t.mu.Unlock()
	if len(found) > 0 {
		return found, nil
	}
	_, address, several := cutLast(name, "/")
	if !several {
		address = name
	}
	ip, port, ok := parseAddress(address)
	if !ok {
		return nil, fmt.Errorf("%q is not ip:port", address)
	}
	cluster := defaultCluster
	if len(t.cfg.Cluster) > 0 {
		cluster = t.cfg.Cluster[0]
	}
	for _, svc := range t.services {
		s := subject{svc, key{cluster, ip, port}}
		if t.name(s) == name {
			i := instance{key: s.key}
			info := i.info(svc)
			delete(info, "healthy")
			found[s.id()] = state.Object{Kind: KindInstance, Name: name, Info: info}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%q is not service/ip:port of this target", name)
	}
	return found, nil
}
