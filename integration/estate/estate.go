// Package estate brings up what a plan needs to be run for real: HAProxy, an
// app behind each of its servers, and a command that installs versions.
package estate

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
)

// Server is one app behind HAProxy.
type Server struct {
	Name    string
	Backend string
	Version string
	Weight  int // in HAProxy's configuration; 0 is no traffic
	WarmUp  time.Duration
	// NotRunning: the server is configured, but nothing listens yet.
	NotRunning bool
}

// Config says what to bring up.
type Config struct {
	Servers []Server
	// Nodes is how many HAProxy stand in front of the same servers; default 1.
	Nodes int
	// HAProxy is the configuration without backends; Backend is what all
	// backends have in common.
	HAProxy haproxytest.Config
	Backend haproxytest.Backend
	// BadVersions fail this share of their answers.
	BadVersions map[string]float64
}

// Estate is what runs.
type Estate struct {
	Nodes []*haproxytest.Server
	// Deploy is the command that installs: deploy VERSION SERVER...
	Deploy string
	// Polite is the command that has servers close their websockets: goodbye SERVER...
	Polite string

	ctx     context.Context //nolint:containedctx // the processes live as long as it
	dir     string
	config  Config
	control *Control

	mu   sync.Mutex
	apps map[string]*app
}

// app is a server's process, with what it ran before.
type app struct {
	Server
	addr     string
	process  *traffic.Process
	previous string
}

// Start brings up apps first, then HAProxy. The calling program must begin
// with Main, since apps and the deploy command are this program again.
func Start(ctx context.Context, dir string, c Config) (*Estate, error) {
	e := &Estate{ctx: ctx, dir: dir, config: c, apps: map[string]*app{}}
	backends := map[string]*haproxytest.Backend{}
	var order []string
	for _, s := range c.Servers {
		if s.Backend == "" {
			s.Backend = "be_web"
		}
		a := &app{Server: s}
		e.apps[s.Name] = a
		if err := e.launch(a); err != nil {
			e.Stop()
			return nil, err
		}
		b := backends[s.Backend]
		if b == nil {
			copied := c.Backend
			b = &copied
			b.Name, b.Servers = s.Backend, nil
			backends[s.Backend] = b
			order = append(order, s.Backend)
		}
		m := haproxytest.Member{Name: s.Name, Address: a.addr, Weight: s.Weight}
		if s.Weight == 0 {
			m.Params = []string{"weight 0"}
		}
		b.Servers = append(b.Servers, m)
	}
	hc := c.HAProxy
	for _, name := range order {
		hc.Backends = append(hc.Backends, *backends[name])
	}
	for i := range max(1, c.Nodes) {
		hc.Name = fmt.Sprintf("lb%d", i+1)
		node, err := haproxytest.Run(ctx, "", hc)
		if err != nil {
			e.Stop()
			return nil, err
		}
		e.Nodes = append(e.Nodes, node)
	}
	var err error
	if e.control, err = Listen(filepath.Join(dir, "control.sock"), e.obey); err != nil {
		e.Stop()
		return nil, err
	}
	e.Deploy, e.Polite = filepath.Join(dir, "deploy"), filepath.Join(dir, "goodbye")
	if err = e.control.Script(e.Deploy, "install"); err == nil {
		err = e.control.Script(e.Polite, "goodbye")
	}
	if err != nil {
		e.Stop()
		return nil, err
	}
	return e, e.Ready(ctx)
}

// launch starts an app's process on its address, which stays the same.
func (e *Estate) launch(a *app) error {
	if a.addr == "" {
		addr, err := traffic.FreeAddr()
		if err != nil {
			return err
		}
		a.addr = addr
	}
	if a.NotRunning {
		return nil
	}
	p, err := traffic.StartProcess(e.ctx, traffic.AppConfig{
		Name: a.Name, Version: a.Version, Listen: a.addr, WarmUp: a.WarmUp, ErrorRate: e.config.BadVersions[a.Version],
	})
	if err != nil {
		return fmt.Errorf("app %s: %w", a.Name, err)
	}
	a.process = p
	return nil
}

// Install replaces what runs on servers by a version; "previous" is what ran
// before the last install.
func (e *Estate) Install(version string, names ...string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range names {
		a, ok := e.apps[name]
		if !ok {
			return fmt.Errorf("no server %q", name)
		}
		if a.process != nil {
			a.process.Terminate()
		}
		v := version
		if v == "previous" {
			v = a.previous
		}
		a.previous, a.Version, a.NotRunning = a.Version, v, false
		if err := e.launch(a); err != nil {
			return err
		}
	}
	return nil
}

// Goodbye has servers end their websockets with close frames.
func (e *Estate) Goodbye(names ...string) error {
	for _, name := range names {
		a, ok := e.apps[name]
		if !ok {
			return fmt.Errorf("no server %q", name)
		}
		if err := traffic.Drain(e.ctx, a.addr); err != nil {
			return err
		}
	}
	return nil
}

// KillApps ends servers the hard way.
func (e *Estate) KillApps(names ...string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range names {
		if a := e.apps[name]; a != nil && a.process != nil {
			a.process.Kill()
			a.process = nil
		}
	}
}

// Addr is where a server listens.
func (e *Estate) Addr(name string) string { return e.apps[name].addr }

// Version is what a server runs.
func (e *Estate) Version(name string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.apps[name].Version
}

// Front is where clients of the first node connect.
func (e *Estate) Front() string { return e.Nodes[0].Front }

// Socket is the admin socket of the first node.
func (e *Estate) Socket() string { return e.Nodes[0].Socket }

// Stop ends everything.
func (e *Estate) Stop() {
	for _, n := range e.Nodes {
		n.Stop()
	}
	if e.control != nil {
		e.control.Close()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range e.apps {
		if a.process != nil {
			a.process.Kill()
		}
	}
}
