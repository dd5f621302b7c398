package haproxy_test

import (
	"fmt"
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
