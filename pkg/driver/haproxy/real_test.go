package haproxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/haproxy"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// check is how often HAProxy checks in these tests.
const check = 40 * time.Millisecond

func change(object, attribute, from, to string) state.Change {
	value := func(s string) state.Value {
		switch {
		case s == "":
			return state.Absent
		case attribute == haproxy.Weight, attribute == haproxy.Present:
			return state.Value(s)
		}
		return state.Text(s)
	}
	return state.Change{Target: "web", Object: object, Attribute: attribute, From: value(from), To: value(to)}
}

func apply(t *testing.T, d driver.Driver, changes ...state.Change) {
	t.Helper()
	if err := d.Apply(t.Context(), changes); err != nil {
		t.Fatalf("apply: %v (hints: %q)", err, hint.Of(err))
	}
}

// want compares "object attribute" with what is read.
func want(t *testing.T, d driver.Driver, values map[string]string) {
	t.Helper()
	s, err := d.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for key := range values {
		object, attribute, _ := strings.Cut(key, " ")
		if strings.Contains(key, "/map ") {
			object, attribute = key[:strings.LastIndexByte(key, ' ')], key[strings.LastIndexByte(key, ' ')+1:]
		}
		got[key] = s.Get(object, attribute).String()
	}
	if diff := cmp.Diff(values, got); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

func server(name, address string, params ...string) haproxytest.Member {
	return haproxytest.Member{Name: name, Address: address, Params: params}
}

func start(t *testing.T, be haproxytest.Backend, more ...haproxytest.Backend) *haproxytest.Server {
	t.Helper()
	return haproxytest.Start(t, haproxytest.Config{CheckInterval: check, Backends: append([]haproxytest.Backend{be}, more...)})
}

func must(t *testing.T, s *haproxytest.Server, cmd string) string {
	t.Helper()
	out, err := s.Command(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestADeadServerIsNeverRaised(t *testing.T) {
	for _, fall := range []int{1, 2} {
		t.Run(fmt.Sprintf("fall %d", fall), func(t *testing.T) {
			a, b := startUpstream(t), startUpstream(t)
			s := haproxytest.Start(t, haproxytest.Config{CheckInterval: check, Fall: fall, Backends: []haproxytest.Backend{
				{Name: "be", Servers: []haproxytest.Member{server("a", a.address), server("b", b.address)}},
			}})
			d := open(t, haproxy.Config{Endpoints: endpoints(s.Socket), Backend: haproxy.Names{"be"}, HealthTimeout: 2 * time.Second})
			waitHealth(t, d, "lb1/be/b", driver.Up)
			apply(t, d, change("lb1/be/b", "state", "ready", "maint"))
			b.up.Store(false) // after its last check passed: HAProxy still shows L7OK

			err := d.Apply(t.Context(), []state.Change{change("lb1/be/b", "state", "maint", "ready")})
			if err == nil || !strings.Contains(err.Error(), "be/b is DOWN") || !strings.Contains(err.Error(), "L7STS") {
				t.Errorf("want an error that tells b's last status, got %v", err)
			}
			want(t, d, map[string]string{"lb1/be/b state": "drain"})

			b.up.Store(true)
			apply(t, d, change("lb1/be/b", "state", "maint", "ready"))
			want(t, d, map[string]string{"lb1/be/b state": "ready"})
		})
	}
}

func waitHealth(t *testing.T, d driver.Driver, id string, want driver.HealthState) {
	t.Helper()
	h, _ := driver.As[driver.Healther](d)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		health, err := h.Health(ctx, []string{id})
		if err != nil {
			t.Fatal(err)
		}
		if health[id].State == want {
			return
		}
		<-tick.C
	}
}

// The control for the test above: what HAProxy says right after maint is not
// true, and Health does not believe it.
func TestRightAfterMaintHAProxyCallsADeadServerUpAndHealthDoesNot(t *testing.T) {
	b := startUpstream(t)
	s := haproxytest.Start(t, haproxytest.Config{CheckInterval: 30 * time.Second, Backends: []haproxytest.Backend{
		{Name: "be", Servers: []haproxytest.Member{server("b", b.address, "fastinter", "20ms")}},
	}})
	d := open(t, haproxy.Config{Endpoints: endpoints(s.Socket), Backend: haproxy.Names{"be"}})
	waitHealth(t, d, "lb1/be/b", driver.Up)
	b.up.Store(false)
	h, _ := driver.As[driver.Healther](d)
	for range 20 { // a check may come between raising and looking
		must(t, s, "set server be/b state maint; set server be/b state ready")
		health, err := h.Health(t.Context(), []string{"lb1/be/b"})
		if err != nil {
			t.Fatal(err)
		}
		got := health["lb1/be/b"]
		if !strings.HasPrefix(got.Detail, "UP") || strings.Contains(got.Detail, "L7STS") {
			continue
		}
		if got.State != driver.Unknown {
			t.Errorf("HAProxy says %s of a dead server and Health says %s", got.Detail, got.State)
		}
		return
	}
	t.Error("HAProxy never called the dead server up: the test shows nothing")
}

func TestTwoNodesRaiseTogetherOrNotAtAll(t *testing.T) {
	good, bad := startUpstream(t), startUpstream(t)
	one := start(t, haproxytest.Backend{Name: "be", Servers: []haproxytest.Member{server("b", good.address, "disabled")}})
	two := start(t, haproxytest.Backend{Name: "be", Servers: []haproxytest.Member{server("b", bad.address, "disabled")}})
	d := open(t, haproxy.Config{
		Endpoints: []haproxy.Endpoint{{Name: "x", Address: one.Socket}, {Name: "y", Address: "tcp://" + two.TCPSocket}},
		Backend:   haproxy.Names{"be"}, HealthTimeout: 2 * time.Second,
	})
	bad.up.Store(false)
	raise := []state.Change{change("x/be/b", "state", "maint", "ready"), change("y/be/b", "state", "maint", "ready")}
	if err := d.Apply(t.Context(), raise); err == nil || !strings.Contains(err.Error(), "on node y") {
		t.Errorf("want an error that names node y, got %v", err)
	}
	want(t, d, map[string]string{"x/be/b state": "drain", "y/be/b state": "drain"})
	bad.up.Store(true)
	apply(t, d, raise...)
	want(t, d, map[string]string{"x/be/b state": "ready", "y/be/b state": "ready"})

	two.Kill()
	s, err := d.Read(t.Context())
	if _, ok := errors.AsType[*driver.PartialError](err); !ok || len(s.Objects) != 1 {
		t.Errorf("want the objects of x and a *PartialError, got %v, %v", s.Objects, err)
	}
	err = d.Apply(t.Context(), []state.Change{change("x/be/b", "weight", "1", "5"), change("y/be/b", "weight", "1", "5")})
	if err == nil || !strings.Contains(err.Error(), "nothing was written") || errors.Is(err, driver.ErrUnknown) {
		t.Errorf("want an error that says that nothing was written, got %v", err)
	}
	if got := must(t, one, "get weight be/b"); got != "1 (initial 1)" {
		t.Errorf("x was written although y is gone: %s", got)
	}
	if c, _ := driver.As[driver.Counter](d); c != nil {
		if f, err := c.InFlight(t.Context(), []string{"x/be/b", "y/be/b"}); err == nil {
			t.Errorf("what cannot be seen is not drained, but InFlight says %v", f)
		}
	}
}

func TestATrackingServerKeepsItsOwnStateOnly(t *testing.T) {
	up := startUpstream(t)
	s := start(t, haproxytest.Backend{Name: "be", Servers: []haproxytest.Member{server("a", up.address)}},
		haproxytest.Backend{Name: "tr", NoCheck: true, Servers: []haproxytest.Member{server("t", up.address, "track", "be/a")}})
	d := open(t, haproxy.Config{Endpoints: endpoints(s.Socket), Backend: haproxy.Names{"be", "tr"}})
	apply(t, d, change("lb1/be/a", "state", "ready", "maint"))
	now, err := d.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := now.Objects["lb1/tr/t"]; got.Name != "tr/t" || got.Attrs["state"] != state.Text("ready") || got.Info["inherited"] == "" {
		t.Errorf("want tr/t ready with something inherited, got %+v", got)
	}
	err = d.Apply(t.Context(), []state.Change{change("lb1/tr/t", "state", "ready", "drain")})
	if !errors.Is(err, driver.ErrPermanent) || !strings.Contains(err.Error(), "tracked server") {
		t.Errorf("want a refusal that tells of the tracked server, got %v", err)
	}
}

func TestRefusalsComeWithAdvice(t *testing.T) {
	up := startUpstream(t)
	s := haproxytest.Start(t, haproxytest.Config{Backends: []haproxytest.Backend{
		{Name: "be", Balance: "source", Servers: []haproxytest.Member{{Name: "a", Address: up.address, Weight: 10}}},
	}})
	of := func(backend string) driver.Driver {
		return open(t, haproxy.Config{Endpoints: endpoints(s.Socket), Backend: haproxy.Names{backend}})
	}
	d := of("be")
	for _, c := range []struct {
		name, want, hint string
		err              error
	}{
		{"a static algorithm", "set weight be/a: Backend is using a static LB algorithm", "balance", d.Apply(t.Context(), []state.Change{change("lb1/be/a", "weight", "10", "5")})},
		{"an unknown server", "no server be/x", "servers in be: a", d.Apply(t.Context(), []state.Change{change("lb1/be/x", "weight", "10", "5")})},
		{"an unknown backend", "nope: Can't find backend.", "backends: be", readErr(t, of("nope"))},
		{"a server at runtime with a static algorithm", "must use a dynamic load balancing", "balance", d.Apply(t.Context(), []state.Change{change("lb1/be/n", "present", "", "true"), change("lb1/be/n", "address", "", up.address)})},
		{"an address without a port", `"10.0.0.1" is not ip:port`, "", d.Apply(t.Context(), []state.Change{change("lb1/be/a", "address", up.address, "10.0.0.1")})},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.err == nil || !strings.Contains(c.err.Error(), c.want) || !errors.Is(c.err, driver.ErrPermanent) {
				t.Errorf("want a permanent error with %q, got %v", c.want, c.err)
			}
			if got := strings.Join(hint.Of(c.err), "; "); !strings.Contains(got, c.hint) {
				t.Errorf("want a hint with %q, got %q", c.hint, got)
			}
		})
	}
	apply(t, d, change("lb1/be/a", "weight", "10", "0"))
	want(t, d, map[string]string{"lb1/be/a weight": "0"})
}

func readErr(t *testing.T, d driver.Driver) error {
	t.Helper()
	_, err := d.Read(t.Context())
	return err
}

func TestAnAgentCheckIsNotFoughtWith(t *testing.T) {
	up := startUpstream(t)
	agent := startAgent(t, "60%")
	s := start(t, haproxytest.Backend{Name: "be", Servers: []haproxytest.Member{
		{Name: "g", Address: up.address, Weight: 10, Params: []string{"agent-check", "agent-port", agent, "agent-inter", "20ms"}},
	}})
	ep := endpoints(s.Socket)
	leave := open(t, haproxy.Config{Endpoints: ep, Backend: haproxy.Names{"be"}})
	waitAttr(t, leave, "lb1/be/g", "weight", "6")
	err := leave.Apply(t.Context(), []state.Change{change("lb1/be/g", "weight", "6", "3")})
	if !errors.Is(err, driver.ErrPermanent) || !strings.Contains(err.Error(), "agent") {
		t.Errorf("want a refusal because of the agent, got %v", err)
	}
	// Both together, whatever their order.
	apply(t, leave, change("lb1/be/g", "weight", "6", "3"), change("lb1/be/g", "agent", "enabled", "disabled"))
	want(t, leave, map[string]string{"lb1/be/g weight": "3", "lb1/be/g agent": "disabled"})
	apply(t, leave, change("lb1/be/g", "agent", "disabled", "enabled"), change("lb1/be/g", "weight", "3", "7"))
	waitAttr(t, leave, "lb1/be/g", "weight", "6")

	disable := open(t, haproxy.Config{Endpoints: ep, Backend: haproxy.Names{"be"}, Agent: "disable"})
	apply(t, disable, change("lb1/be/g", "weight", "6", "3"))
	want(t, disable, map[string]string{"lb1/be/g weight": "3", "lb1/be/g agent": "disabled"})
	apply(t, disable, change("lb1/be/g", "weight", "3", "6"))
	want(t, disable, map[string]string{"lb1/be/g weight": "6", "lb1/be/g agent": "enabled"})
}

func waitAttr(t *testing.T, d driver.Driver, id, attribute, value string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		s, err := d.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if s.Get(id, attribute).String() == value {
			return
		}
		<-tick.C
	}
}

// startAgent answers every connect with a text and returns its port.
func startAgent(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, text+"\n")
			conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func TestAServerDisabledInTheConfigurationIsInMaintUntilItIsRaised(t *testing.T) {
	up := startUpstream(t)
	s := start(t, haproxytest.Backend{Name: "be", Servers: []haproxytest.Member{server("b", up.address, "disabled")}})
	d := open(t, haproxy.Config{Endpoints: endpoints(s.Socket), Backend: haproxy.Names{"be"}})
	want(t, d, map[string]string{"lb1/be/b state": "maint"})
	apply(t, d, change("lb1/be/b", "state", "maint", "ready"))
	want(t, d, map[string]string{"lb1/be/b state": "ready"}) // HAProxy shows bit 4 still
	waitHealth(t, d, "lb1/be/b", driver.Up)
}

func TestAThrottledServerIsUp(t *testing.T) {
	up := startUpstream(t)
	s := start(t, haproxytest.Backend{Name: "be", Servers: []haproxytest.Member{
		{Name: "b", Address: up.address, Weight: 100, Params: []string{"disabled", "slowstart", "20s"}},
	}})
	d := open(t, haproxy.Config{Endpoints: endpoints(s.Socket), Backend: haproxy.Names{"be"}})
	apply(t, d, change("lb1/be/b", "state", "maint", "ready"))
	waitHealth(t, d, "lb1/be/b", driver.Up)
	h, _ := driver.As[driver.Healther](d)
	health, err := h.Health(t.Context(), []string{"lb1/be/b"})
	if err != nil || !strings.Contains(health["lb1/be/b"].Detail, "throttled") {
		t.Errorf("want a detail that tells of the throttle, got %v, %v", health, err)
	}
	want(t, d, map[string]string{"lb1/be/b weight": "100"})
}
