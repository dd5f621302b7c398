package ab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

// Kind is a tier of the estate.
type Kind int

// The tiers.
const (
	Services Kind = iota
	GatewayApps
	SocketApps
)

func (k Kind) prefix() string { return [...]string{"user-", "gw-", "ws-"}[k] }

// Member is one application.
type Member struct {
	Kind Kind
	Name string // "gw-a1"
	Side string // "a"

	addr     string
	version  string
	previous string
	process  *traffic.Process
	owner    *nacostest.Owner // of a service's registration
}

func (m *Member) port() int {
	_, port, _ := net.SplitHostPort(m.addr)
	n, _ := strconv.Atoi(port)
	return n
}

func (m *Member) instance() nacostest.Instance {
	return nacostest.Instance{Address: m.addr, Weight: 1, Metadata: map[string]string{"side": m.Side}}
}

// end is the death of a process: its port refuses, its connections are reset,
// its registration goes.
func (m *Member) end() {
	if m.process != nil {
		m.process.Kill()
		m.process = nil
	}
	if m.owner != nil {
		m.owner.Leave()
		m.owner = nil
	}
}

// launch starts a member on its address, which stays the same.
func (e *Estate) launch(m *Member) error {
	if m.addr == "" {
		addr, err := freeAddr()
		if err != nil {
			return err
		}
		m.addr = addr
	}
	cfg := traffic.AppConfig{Name: m.Name, Version: m.version, Listen: m.addr}
	if m.Kind == GatewayApps {
		cfg.Registry = traffic.Registry{URL: e.Registry.URL, Service: Service, Cache: e.config.Cache}
	}
	if slices.Contains(e.config.BadVersions, m.version) {
		cfg.WarmUp = time.Hour
	}
	p, err := traffic.StartProcess(e.ctx, cfg)
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	m.process = p
	if m.Kind != Services {
		return nil
	}
	// A registration outlives the order that made it.
	if m.owner, err = e.Registry.Join(context.WithoutCancel(e.ctx), Service, m.instance()); err != nil {
		return fmt.Errorf("%s: register: %w", m.Name, err)
	}
	if m.Side == "b" && m.previous == "" {
		return e.Registry.Set(e.ctx, Service, m.instance(), false)
	}
	return nil
}

// obey carries out an order of the deploy command: install VERSION IP:PORT.
func (e *Estate) obey(words []string) error {
	if len(words) != 3 || words[0] != "install" {
		return fmt.Errorf("no order: %q", words)
	}
	return e.Install(words[1], words[2])
}

// Install kills what runs at an address and starts a version there; "previous"
// is what ran before.
func (e *Estate) Install(version, addr string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.IndexFunc(e.members, func(m *Member) bool { return m.addr == addr })
	if i < 0 {
		return fmt.Errorf("nobody is at %s", addr)
	}
	m := e.members[i]
	if version == "previous" {
		version = m.previous
	}
	if version == "" {
		return errors.New("there is no version before")
	}
	m.end()
	m.previous, m.version = m.version, version
	return e.launch(m)
}

// Addresses are where the members of a side listen.
func (e *Estate) Addresses(side string) []string {
	var all []string
	for _, m := range e.members {
		if m.Side == side {
			all = append(all, m.addr)
		}
	}
	return all
}

// freeAddr takes a port below those that systems give to clients, so that it
// is still free after a restart.
func freeAddr() (string, error) {
	for range 200 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000)))
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no free port")
}
