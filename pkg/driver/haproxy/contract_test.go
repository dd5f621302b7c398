package haproxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haproxytech/client-native/v5/runtime"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/haproxy"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/state"
)

// open makes a driver out of a configuration, as a plan would.
func open(t testing.TB, cfg haproxy.Config) driver.Driver {
	t.Helper()
	d, err := haproxy.Factory().Open(t.Context(), func(into any) error {
		*into.(*haproxy.Config) = cfg
		return nil
	}, driver.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func endpoints(addresses ...string) []haproxy.Endpoint {
	var all []haproxy.Endpoint
	for _, a := range addresses {
		all = append(all, haproxy.Endpoint{Address: a})
	}
	return all
}

// outside changes things as another tool does: through HAProxy's own Go
// client, which shares nothing with the driver.
func outside(socket string) func(*testing.T, state.Change) {
	return func(t *testing.T, c state.Change) {
		t.Helper()
		var client runtime.SingleRuntime
		if err := client.Init(socket, 0, 0); err != nil {
			t.Fatal(err)
		}
		parts := strings.SplitN(c.Object, "/", 3)
		var err error
		switch c.Attribute {
		case haproxy.Weight:
			err = client.SetServerWeight(parts[1], parts[2], string(c.To))
		case haproxy.State:
			err = client.SetServerState(parts[1], parts[2], c.To.Text())
		case haproxy.Address:
			host, port, _ := net.SplitHostPort(c.To.Text())
			n, _ := strconv.Atoi(port)
			err = client.SetServerAddr(parts[1], parts[2], host, n)
		case haproxy.Value:
			words := strings.Fields(strings.SplitN(c.Object, "/map ", 2)[1])
			err = client.SetMapEntry(words[0], words[1], c.To.Text())
		default:
			t.Fatalf("nobody changes %s from outside", c.Attribute)
		}
		if err != nil {
			t.Fatalf("from outside: %v", err)
		}
	}
}

func TestTheFakeFulfilsTheContract(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			drivertest.Run(t, drivertest.Harness{
				Info: haproxy.Info(),
				Open: func(t *testing.T) drivertest.Target {
					f := haproxytest.StartFake(t, haproxytest.FakeBackend{Name: "be", Servers: []haproxytest.FakeServer{
						{Name: "a", Address: "127.0.0.1:1001", Weight: 10, Check: true},
						{Name: "b", Address: "127.0.0.1:1002", Weight: 10},
						{Name: "c", Address: "[::1]:1003", Check: true, Agent: true},
					}})
					f.AddMap("/etc/hosts.map", [2]string{"a.example", "be_a"})
					address := "unix://" + f.Socket
					if network == "tcp" {
						address = "tcp://" + f.TCP
					}
					return drivertest.Target{
						Driver:  open(t, haproxy.Config{Endpoints: endpoints(address), Backend: haproxy.Names{"be"}, Maps: []string{"/etc/hosts.map"}, Timeout: 2 * time.Second}),
						Outside: outside(f.Socket),
						Break:   func(*testing.T) { f.Break() },
						Hang:    func(*testing.T) { f.Fault(haproxytest.Fault{Kind: haproxytest.Hang}) },
					}
				},
				Settable: settable("127.0.0.1:1001", "/etc/hosts.map"),
				Create: &drivertest.Creation{Kind: haproxy.KindServer, Name: "new", Attrs: map[string]state.Value{
					haproxy.Present: "true", haproxy.Address: state.Text("127.0.0.1:1009"), haproxy.Weight: state.Int(7),
					haproxy.State: state.Text("ready"), haproxy.Health: state.Text("enabled"),
				}},
				Unknown: "lb1/be/nobody",
			})
		})
	}
}

func settable(address, file string) []drivertest.Settable {
	enabled, disabled := state.Text("enabled"), state.Text("disabled")
	return []drivertest.Settable{
		{Objects: []string{"lb1/be/a", "lb1/be/b"}, Attribute: haproxy.Weight, A: state.Int(10), B: state.Int(0), C: state.Int(256)},
		{Objects: []string{"lb1/be/a", "lb1/be/b"}, Attribute: haproxy.State, A: state.Text("ready"), B: state.Text("maint"), C: state.Text("drain")},
		{Objects: []string{"lb1/be/a"}, Attribute: haproxy.Address, A: state.Text(address), B: state.Text("127.0.0.2" + address[strings.IndexByte(address, ':'):]), C: state.Text("[::1]:1")},
		{Objects: []string{"lb1/be/c"}, Attribute: haproxy.Health, A: enabled, B: disabled},
		{Objects: []string{"lb1/be/c"}, Attribute: haproxy.Agent, A: enabled, B: disabled},
		{Objects: []string{"lb1/map " + file + " a.example"}, Attribute: haproxy.Value, A: state.Text("be_a"), B: state.Text("be_b"), C: state.Text("be_c")},
	}
}

// upstream answers health checks with 200 while it is up.
type upstream struct {
	address string
	up      atomic.Bool
}

func startUpstream(t testing.TB) *upstream {
	t.Helper()
	u := &upstream{}
	u.up.Store(true)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !u.up.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, "hello")
	}))
	t.Cleanup(srv.Close)
	u.address = srv.Listener.Addr().String()
	return u
}

func TestHAProxyFulfilsTheContract(t *testing.T) {
	up := startUpstream(t)
	config := haproxytest.Config{
		CheckInterval: 30 * time.Millisecond,
		Backends: []haproxytest.Backend{{Name: "be", Servers: []haproxytest.Member{
			{Name: "a", Address: up.address, Weight: 10},
			{Name: "b", Address: up.address, Weight: 10, Params: []string{"no-check"}},
			{Name: "c", Address: up.address, Params: []string{"agent-check", "agent-port", "1", "agent-inter", "1h"}},
		}}},
	}
	drivertest.Run(t, drivertest.Harness{
		Info: haproxy.Info(),
		Open: func(t *testing.T) drivertest.Target {
			s := haproxytest.Start(t, config)
			return drivertest.Target{
				Driver:  open(t, haproxy.Config{Endpoints: endpoints(s.Socket), Backend: haproxy.Names{"be"}, Timeout: 2 * time.Second}),
				Outside: outside(s.Socket),
				Break:   func(*testing.T) { s.Kill() },
			}
		},
		Settable: settable(up.address, "")[:5],
		Create: &drivertest.Creation{Kind: haproxy.KindServer, Name: "new", Attrs: map[string]state.Value{
			haproxy.Present: "true", haproxy.Address: state.Text(up.address), haproxy.Weight: state.Int(7),
			haproxy.State: state.Text("ready"), haproxy.Health: state.Text("enabled"),
		}},
		Unknown: "lb1/be/nobody",
	})
}

// The fake is only worth something if it speaks like HAProxy.
func TestTheFakeAnswersAsHAProxyDoes(t *testing.T) {
	up := startUpstream(t)
	s := haproxytest.Start(t, haproxytest.Config{
		CheckInterval: time.Hour,
		Map:           &haproxytest.Map{Entries: []string{"a.example be_a"}},
		Backends: []haproxytest.Backend{
			{Name: "be", Servers: []haproxytest.Member{{Name: "a", Address: up.address, Weight: 10}, {Name: "b", Address: up.address, Params: []string{"no-check"}}}},
			{Name: "st", Balance: "source", NoCheck: true, Servers: []haproxytest.Member{{Name: "a", Address: up.address, Weight: 10}}},
		},
	})
	f := haproxytest.StartFake(t,
		haproxytest.FakeBackend{Name: "be", Servers: []haproxytest.FakeServer{{Name: "a", Address: up.address, Weight: 10, Check: true}, {Name: "b", Address: up.address}}},
		haproxytest.FakeBackend{Name: "st", Static: true, Servers: []haproxytest.FakeServer{{Name: "a", Address: up.address, Weight: 10}}})
	f.AddMap(s.MapFile, [2]string{"a.example", "be_a"})
	for _, cmd := range []string{
		"set server be/a weight 5", "set server be/a weight 300", "set server be/a weight x", "set server be/x weight 5", "set server x/a weight 5",
		"set server st/a weight 5", "set server st/a weight 0", "set server st/a weight 10",
		"set server be/a state foo", "set server be/a state drain", "set server be/a health down", "set server be/b health down", "set server be/a state ready",
		"set server be/a addr " + strings.Replace(up.address, ":", " port ", 1), "set server be/a addr 127.0.0.9 port 80",
		"set server be/a addr 127.0.0.9 port 81", "set server be/a addr 127.0.0.1 port 81",
		"enable health be/a", "disable health be/a", "enable health be/b", "disable health be/b", "enable agent be/a", "disable agent be/a",
		"add server be/a 127.0.0.1:1", "add server x/n 127.0.0.1:1", "add server st/n 127.0.0.1:1", "add server be/n 127.0.0.1:1 check weight 7", "del server be/x",
		"enable health be/n", "set server be/n state drain", "del server be/n", "set server be/n state maint", "shutdown sessions server be/a", "shutdown sessions server be/x",
		"show servers state nope", "show map nope", "del map " + s.MapFile + " nope", "set map " + s.MapFile + " nope v", "add map " + s.MapFile + ` k a\ b\;c`, "set map " + s.MapFile + " k d", "del map " + s.MapFile + " k",
		"add map nope k v", "show backend",
	} {
		var said [2]string
		for i, socket := range []string{s.Socket, f.Socket} {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "set severity-output number;%s\n", cmd)
			answer, err := io.ReadAll(conn)
			conn.Close()
			if err != nil {
				t.Fatal(err)
			}
			said[i] = string(answer)
		}
		if said[0] != said[1] {
			t.Errorf("%s:\nHAProxy: %q\nfake:    %q", cmd, said[0], said[1])
		}
	}
}
