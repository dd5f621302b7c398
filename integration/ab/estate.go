// Package ab brings up what an A/B release of base services goes over, on
// loopback: SLB in front of gateways, ALB in front of websocket servers, Nacos
// between the gateways and the services, each of them on two sides, with
// clients on all of it.
//
// SLB and ALB are the stand-in of package slbtest; a real HAProxy carries the
// traffic by the weights that the stand-in has put into effect. Nacos is its
// stand-in or an official server. Every application is a process, and a deploy
// ends it with SIGKILL: only what was taken out of traffic in time loses nothing.
package ab

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/flip-cli/flip/integration/estate"
	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

// What the parts of the estate are called.
const (
	Service    = "user-service"
	CLB        = "lb-web"
	Gateways   = "rsp-gw" // the vserver group behind SLB
	ALB        = "alb-ws"
	ALBPort    = "lsn-ws"
	Websockets = "sgp-ws" // the server group behind ALB
)

// Registry is a Nacos server of either kind.
type Registry struct {
	Name string // for people
	URL  string
	// Join registers an instance until its owner leaves.
	Join func(ctx context.Context, service string, i nacostest.Instance) (*nacostest.Owner, error)
	// Set is an operator's raw write.
	Set func(ctx context.Context, service string, i nacostest.Instance, enabled bool) error
}

// Config says what to bring up.
type Config struct {
	Registry Registry
	// Cache is how long gateways use a list of instances.
	Cache time.Duration
	// BadVersions never become healthy.
	BadVersions []string
	// Timing is how slow the cloud is.
	Timing slbtest.Timing
	// Pause is between two requests of a client; default 10 ms.
	Pause time.Duration
}

// Estate is what runs. Side a is live at first, side b runs, out of traffic.
type Estate struct {
	Cloud    *slbtest.Server
	Registry Registry
	// Deploy is the command that installs: deploy VERSION IP:PORT.
	Deploy string
	// Web and Sockets are where the clients of SLB and of ALB connect.
	Web, Sockets string

	ctx      context.Context //nolint:containedctx // the processes live as long as it
	config   Config
	balancer []*haproxytest.Server
	control  *estate.Control

	mu      sync.Mutex
	members []*Member
}

// Start brings it all up, with version v1 everywhere. The calling program must
// begin with estate.Main.
func Start(ctx context.Context, dir string, c Config) (_ *Estate, err error) {
	e := &Estate{ctx: ctx, config: c, Registry: c.Registry, Deploy: filepath.Join(dir, "deploy")}
	defer func() {
		if err != nil {
			e.Stop()
		}
	}()
	// Services first: a gateway begins with a list of them.
	for _, kind := range []Kind{Services, GatewayApps, SocketApps} {
		for _, name := range []string{"a1", "a2", "b1", "b2"} {
			m := &Member{Kind: kind, Name: kind.prefix() + name, Side: name[:1], version: "v1"}
			e.members = append(e.members, m)
			if err := e.launch(m); err != nil {
				return nil, err
			}
		}
	}
	if err := e.balance(dir); err != nil {
		return nil, err
	}
	if e.control, err = estate.Listen(filepath.Join(dir, "control"), e.obey); err != nil {
		return nil, err
	}
	return e, e.control.Script(e.Deploy, "install")
}

// balance starts HAProxy in the place of both load balancers, and the cloud's
// API above them.
func (e *Estate) balance(dir string) error {
	web, err := e.haproxy(dir, "slb", "be_gw", GatewayApps)
	if err != nil {
		return err
	}
	sockets, err := e.haproxy(dir, "alb", "be_ws", SocketApps)
	if err != nil {
		return err
	}
	e.Web, e.Sockets = web.Front, sockets.Front
	e.Cloud, err = slbtest.New(slbtest.Options{
		PlainHTTP: true, Timing: e.config.Timing,
		Estate: slbtest.Estate{
			CLB: []slbtest.CLB{{
				ID: CLB, Groups: []slbtest.Group{{ID: Gateways, Members: e.backends(GatewayApps), Check: slbtest.Check{Path: "/health"}}},
				Listeners: []slbtest.CLBListener{{Port: 80, Protocol: "http", Group: Gateways, Check: slbtest.Check{Path: "/health"}}},
			}},
			ALB:       []slbtest.ALB{{ID: ALB, Listeners: []slbtest.ALBListener{{ID: ALBPort, Port: 80, Group: Websockets}}}},
			ALBGroups: []slbtest.Group{{ID: Websockets, Members: e.backends(SocketApps), Check: slbtest.Check{Path: "/health"}}},
		},
		Planes: []plane.Plane{
			plane.NewHAProxy(web.Socket, map[string]map[string]string{CLB + "/http:80": e.names(Gateways, "be_gw", GatewayApps)}),
			plane.NewHAProxy(sockets.Socket, map[string]map[string]string{ALBPort: e.names(Websockets, "be_ws", SocketApps)}),
		},
	})
	return err
}

func (e *Estate) haproxy(dir, name, backend string, kind Kind) (*haproxytest.Server, error) {
	b := haproxytest.Backend{Name: backend}
	for _, m := range e.of(kind) {
		server := haproxytest.Member{Name: m.Name, Address: m.addr, Weight: 100}
		if m.Side != "a" {
			server.Weight, server.Params = 0, []string{"weight 0"}
		}
		b.Servers = append(b.Servers, server)
	}
	h, err := haproxytest.Run(e.ctx, "", haproxytest.Config{Name: name, CheckInterval: 100 * time.Millisecond, Backends: []haproxytest.Backend{b}})
	if err == nil {
		e.balancer = append(e.balancer, h)
	}
	return h, err
}

// backends are the members of a kind as the cloud knows them.
func (e *Estate) backends(kind Kind) []slbtest.Member {
	var all []slbtest.Member
	for _, m := range e.of(kind) {
		b := slbtest.Member{ServerID: "i-" + m.Name, ServerIP: "127.0.0.1", Port: m.port()}
		if m.Side == "a" {
			b.Weight = 100
		}
		all = append(all, b)
	}
	return all
}

// names gives HAProxy's names to the cloud's.
func (e *Estate) names(group, backend string, kind Kind) map[string]string {
	names := map[string]string{}
	for _, m := range e.of(kind) {
		names[group+"/i-"+m.Name+":"+strconv.Itoa(m.port())] = backend + "/" + m.Name
	}
	return names
}

func (e *Estate) of(kind Kind) []*Member {
	return slices.Collect(func(yield func(*Member) bool) {
		for _, m := range e.members {
			if m.Kind == kind && !yield(m) {
				return
			}
		}
	})
}

// Versions counts what a side runs, by version.
func (e *Estate) Versions(side string) map[string]int {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := map[string]int{}
	for _, m := range e.members {
		if m.Side == side {
			all[m.version]++
		}
	}
	return all
}

// Weights are those of both load balancers, by the member's name.
func (e *Estate) Weights() map[string]int {
	all := map[string]int{}
	for _, group := range []string{Gateways, Websockets} {
		for key, weight := range e.Cloud.Weights(group) {
			name, _, _ := net.SplitHostPort(key)
			all[name] = weight
		}
	}
	return maps.Clone(all)
}

// Stop ends everything.
func (e *Estate) Stop() {
	if e.control != nil {
		e.control.Close()
	}
	if e.Cloud != nil {
		_ = e.Cloud.Close() // the planes end with it
	}
	for _, h := range e.balancer {
		h.Stop()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.members {
		m.end()
	}
}

// Clients are the load on both load balancers.
type Clients struct{ Web, Sockets *traffic.Load }

// Load starts them: requests of all kinds, and that many websockets.
func (e *Estate) Load(ctx context.Context, websockets int) Clients {
	return Clients{
		Web: traffic.Start(ctx, traffic.Config{
			Addr: e.Web, KeepAlive: 4, Close: 4, Post: 2, Slow: 4, SlowFor: 1200 * time.Millisecond, Pause: cmp.Or(e.config.Pause, 10*time.Millisecond),
		}),
		Sockets: traffic.Start(ctx, traffic.Config{Addr: e.Sockets, Websockets: websockets, Ping: 500 * time.Millisecond}),
	}
}

// Phase starts new counters.
func (c Clients) Phase(name string) {
	c.Web.Phase(name)
	c.Sockets.Phase(name)
}

// Stop ends the clients and returns a row for each phase but the first.
func (c Clients) Stop() []Row {
	web, sockets := c.Web.Stop(), c.Sockets.Stop()
	var rows []Row
	for i, p := range web.Phases[1:] {
		s := sockets.Phases[i+1]
		rows = append(rows, Row{
			Name: p.Name, Requests: p.Requests + s.Requests, Failed: p.Failed + s.Failed, Dropped: s.Websockets.Cut,
			Closed: s.Websockets.Closed, Seconds: p.Seconds(), Versions: p.Versions, Examples: append(p.Examples, s.Examples...),
		})
	}
	return rows
}

// Row is what clients felt in one phase.
type Row struct {
	Name     string           `json:"name"`
	Requests int64            `json:"requests"`
	Failed   int64            `json:"failed"`
	Dropped  int64            `json:"websockets_dropped"` // without a close frame
	Closed   int64            `json:"websockets_closed"`  // with one
	Seconds  float64          `json:"seconds"`
	Versions map[string]int64 `json:"versions,omitempty"` // answers by the gateway's version
	Examples []string         `json:"examples,omitempty"` // the first failures
}

func (r Row) String() string {
	return fmt.Sprintf("%-22s requests %7d  failed %3d  websockets dropped %3d (closed politely %d)  %5.1f s", r.Name, r.Requests, r.Failed, r.Dropped, r.Closed, r.Seconds)
}
