package nacos_test

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/nacos"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// TestTheOfficialServerFulfilsTheContract runs the stand-in's contract on one
// official server of each generation. Every check has a namespace of its own
// and reaches the server through a relay that it can break.
func TestTheOfficialServerFulfilsTheContract(t *testing.T) {
	for _, version := range nacostest.RealVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			r := nacostest.StartReal(t, version, nacostest.WithAuth())
			opened := 0
			drivertest.Run(t, drivertest.Harness{
				Info: nacos.Info(),
				Open: func(t *testing.T) drivertest.Target {
					opened++
					r.Namespace = fmt.Sprintf("check-%d", opened)
					populate(t, r)
					web, push := newRelay(t, strings.TrimPrefix(r.URL, "http://")), newRelay(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(r.GRPCPort)))
					cfg := nacos.Config{
						Servers: nacos.Names{"http://" + web.address()}, GRPCPort: push.port(), Namespace: r.Namespace,
						Service: nacos.Names{"users", "LEGACY@@orders"}, ConsumerCache: "none", Timeout: 20 * time.Second, // the machine is busy
						Username: secret.Ref(r.Username), Password: secret.Ref(r.Password),
					}
					return drivertest.Target{
						Driver:  open(t, cfg, driver.Env{Secrets: secret.NewResolver(&secret.Redactor{})}),
						Outside: func(t *testing.T, c state.Change) { outsideReal(t, r, c) },
						Break:   func(*testing.T) { web.close(); push.close() },
						Hang:    func(*testing.T) { web.hang(); push.hang() },
					}
				},
				Settable: contractSettable,
				Create:   contractCreation,
				Unknown:  id("10.9.9.9:1"),
				Shows:    20 * time.Second,
			})
		})
	}
}

func populate(t *testing.T, r *nacostest.Real) {
	t.Helper()
	users := []nacostest.Instance{
		{Address: a1, Weight: 10, Metadata: map[string]string{"version": "1", "zone": "hz"}},
		{Address: a2, Weight: 10},
		{Address: b1, Weight: 10},
		{Address: "[fd00::1]:8080", Weight: 0.5, Cluster: "hz"},
	}
	orders := []nacostest.Instance{
		{Address: "10.1.0.31:9090", Weight: 1, Persistent: true, Metadata: map[string]string{"k": "ü=,&"}},
		{Address: "10.1.0.32:9090", Weight: 1, Persistent: true},
	}
	for _, i := range users {
		r.Own(t, "users", i)
	}
	for _, i := range orders {
		r.Persist(t, "LEGACY@@orders", i)
	}
	for _, i := range users {
		viewed(t, r, "users", i)
	}
	for _, i := range orders {
		viewed(t, r, "LEGACY@@orders", i)
	}
}

// viewed waits until the server's view has the instance as it was registered.
func viewed(t *testing.T, r *nacostest.Real, service string, i nacostest.Instance) {
	t.Helper()
	cluster := i.Cluster
	if cluster == "" {
		cluster = "DEFAULT"
	}
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got, ok := r.Get(t, service, cluster, i.Address)
		if ok && got.Disabled == i.Disabled && got.Weight == i.Weight {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s of %s never shows as %+v, it is %+v", i.Address, service, i, got)
		case <-tick.C:
		}
	}
}

// outsideReal changes an instance as another operator does, and waits until
// the change is read: the server shows it half a second later.
func outsideReal(t *testing.T, r *nacostest.Real, c state.Change) {
	t.Helper()
	service, rest, _ := strings.Cut(c.Object, "/")
	cluster, address, _ := strings.Cut(rest, "/")
	i, ok := r.Get(t, service, cluster, address)
	if !ok {
		t.Fatalf("nobody knows %s", c.Object)
	}
	switch c.Attribute {
	case nacos.Enabled:
		i.Disabled = !c.To.Bool()
	case nacos.Weight:
		i.Weight, _ = c.To.Float()
	default:
		t.Fatalf("nobody changes %s from outside", c.Attribute)
	}
	r.Set(t, service, i)
	viewed(t, r, service, i)
}

// relay passes bytes on to a server until it is told not to.
type relay struct {
	l     net.Listener
	to    string
	wg    sync.WaitGroup
	mu    sync.Mutex
	conns map[net.Conn]bool
	hung  bool
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{l: l, to: to, conns: map[net.Conn]bool{}}
	r.wg.Go(r.accept)
	t.Cleanup(r.close)
	return r
}

func (r *relay) address() string { return r.l.Addr().String() }
func (r *relay) port() int       { return r.l.Addr().(*net.TCPAddr).Port }

func (r *relay) accept() {
	for {
		from, err := r.l.Accept()
		if err != nil {
			return
		}
		r.wg.Go(func() { r.pass(from) })
	}
}

func (r *relay) pass(from net.Conn) {
	defer from.Close()
	to, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer to.Close()
	if !r.keep(from, to) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { r.copy(to, from) })
	both.Go(func() { r.copy(from, to) })
	both.Wait()
}

// copy holds back what it reads while the relay hangs.
func (r *relay) copy(to, from net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		r.mu.Lock()
		hung := r.hung
		r.mu.Unlock()
		if hung {
			_, _ = io.Copy(io.Discard, from)
			return
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (r *relay) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns == nil {
		return false
	}
	for _, c := range conns {
		r.conns[c] = true
	}
	return true
}

func (r *relay) hang() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hung = true
}

// close refuses new connections and cuts the open ones.
func (r *relay) close() {
	_ = r.l.Close()
	r.mu.Lock()
	conns := r.conns
	r.conns = nil
	r.mu.Unlock()
	for c := range conns {
		_ = c.Close()
	}
	r.wg.Wait()
}

// What the contract changes and makes, on the stand-in and on real servers.
var (
	contractSettable = []drivertest.Settable{
		{Objects: []string{id(a1), id(a2)}, Attribute: nacos.Enabled, A: "true", B: "false"},
		{Objects: []string{id(a1), id(b1)}, Attribute: nacos.Weight, A: "10", B: "0.25", C: "77"},
		{Objects: []string{"DEFAULT_GROUP@@users/hz/[fd00::1]:8080"}, Attribute: nacos.Weight, A: "0.5", B: "10000", C: "3"},
		{Objects: []string{"LEGACY@@orders/DEFAULT/10.1.0.31:9090"}, Attribute: nacos.Enabled, A: "true", B: "false"},
	}
	contractCreation = &drivertest.Creation{Kind: nacos.KindInstance, Name: "orders/10.1.0.33:9090", Attrs: map[string]state.Value{
		nacos.Registered: "true", nacos.Enabled: "true", nacos.Weight: "2.5", nacos.Ephemeral: "false", nacos.Metadata: state.Text(`{"a":"b","ü":"=,"}`),
	}}
)
