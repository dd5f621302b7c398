package slbtest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// What the tests of drivers need beside the server.

// References of a plan to the parts of a Key, see Env.
const (
	KeyRef    secret.Ref = "${env:KEY}"
	SecretRef secret.Ref = "${env:SECRET}"
	TokenRef  secret.Ref = "${env:TOKEN}"
)

// Env is what a driver lives in, with references that lead to k.
func Env(k Key) driver.Env {
	r := secret.NewResolver(&secret.Redactor{})
	r.Getenv = func(name string) (string, bool) {
		v, ok := map[string]string{"KEY": k.ID, "SECRET": k.Secret, "TOKEN": k.Token}[name]
		return v, ok
	}
	return driver.Env{Secrets: r}
}

// Open makes a driver out of a configuration, as a plan would. It is closed
// when the test ends.
func Open[Driver driver.Driver, Config any](t testing.TB, f driver.Factory, cfg Config, env driver.Env) Driver {
	t.Helper()
	d, err := f.Open(t.Context(), func(into any) error {
		*into.(*Config) = cfg
		return nil
	}, env)
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := d.(interface{ Close() error }); ok {
		t.Cleanup(func() { _ = c.Close() })
	}
	return d.(Driver)
}

// Alive is a server that health checks find, until down is called or the test
// ends.
func Alive(t testing.TB) (addr string, down func()) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	down = func() {
		_ = l.Close()
		<-done
	}
	t.Cleanup(down)
	return l.Addr().String(), down
}

// Dead is an address where nobody listens.
func Dead(t testing.TB) string {
	t.Helper()
	addr, down := Alive(t)
	down()
	return addr
}

// TwoSides are the members of a group: a1 and a2 serve, b1 and b2 are parked,
// i-two is there with two ports, and one is called by its address.
func TwoSides(addr, description string) []Member {
	ecs := func(id, ip string, port, weight int) Member {
		return Member{ServerID: id, ServerIP: ip, Port: port, Weight: weight, Address: addr, Description: description}
	}
	return []Member{
		ecs("i-a1", "10.0.0.1", 8080, 100), ecs("i-a2", "10.0.0.2", 8080, 100), ecs("i-b1", "10.0.0.11", 8080, 0), ecs("i-b2", "10.0.0.12", 8080, 0),
		{ServerID: "10.0.0.21", Port: 8080, Weight: 10, Type: "Ip", Address: addr},
		ecs("i-two", "10.0.0.31", 8080, 5), ecs("i-two", "10.0.0.31", 8081, 5),
	}
}

// Exchange are the changes of a group of two sides that go from a to b at once.
func Exchange(group string) []state.Change {
	set := func(id string, from, to int) state.Change { return Weight(group+"/"+id+":8080", from, to) }
	return []state.Change{set("i-a1", 100, 0), set("i-a2", 100, 0), set("i-b1", 0, 100), set("i-b2", 0, 100)}
}

// Crowd are n members at addr, every other one without weight.
func Crowd(n int, addr string) []Member {
	all := make([]Member, n)
	for i := range all {
		all[i] = Member{ServerID: fmt.Sprintf("i-%03d", i), ServerIP: "10.1.0.1", Port: 8080 + i, Weight: 100 * (i % 2), Address: addr}
	}
	return all
}

// Change is one of a target "t".
func Change(object, attribute string, from, to state.Value) state.Change {
	return state.Change{Target: "t", Object: object, Attribute: attribute, From: from, To: to}
}

// Weight is the change of a weight.
func Weight(object string, from, to int) state.Change {
	return Change(object, "weight", state.Int(from), state.Int(to))
}

func reversed(s state.State) []state.Change {
	var changes []state.Change
	for id, o := range s.Objects {
		from, _ := o.Attrs["weight"].Int()
		changes = append(changes, Weight(id, from, 100-from))
	}
	state.Sort(changes)
	return changes
}

// Mover is what Reverse needs of a driver.
type Mover interface {
	driver.Driver
	Settle(ctx context.Context, changes []state.Change) error
}

// Reverse turns every weight w of d's members into 100-w and returns how many
// calls that took, and how many of them wrote.
func (s *Server) Reverse(t testing.TB, d Mover) (calls, writes int) {
	t.Helper()
	live, err := d.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	changes := reversed(live)
	s.ForgetCalls()
	began := time.Now()
	if err := d.Apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	if err := d.Settle(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	calls, writes = len(s.Calls()), len(s.Writes())
	t.Logf("%d servers, half up and half down: %d calls, %d of them writes, %s", len(changes), calls, writes, time.Since(began).Round(time.Millisecond))
	return calls, writes
}

// Weigh gives the member that a driver calls object (GROUP/SERVER:PORT) a
// weight, as a person at the console does, and reports whether there is one.
func (s *Server) Weigh(object string, weight int) bool {
	found := false
	s.Edit(func(e *Estate) {
		groups := slices.Concat(e.ALBGroups, e.NLBGroups)
		for _, lb := range e.CLB {
			groups = append(append(groups, lb.Groups...), Group{ID: lb.ID, Members: lb.Default})
		}
		for _, g := range groups {
			for i, m := range g.Members {
				names := []string{m.Key(), fmt.Sprintf("%s/%s:%d", m.ServerID, m.ServerIP, m.Port)}
				if m.Port == 0 {
					names = []string{m.ServerID}
				}
				if slices.ContainsFunc(names, func(name string) bool { return g.ID+"/"+name == object }) {
					g.Members[i].Weight, found = weight, true
				}
			}
		}
	})
	return found
}

// Written are the actions of the writes that were accepted, in order.
func (s *Server) Written() []string {
	var all []string
	for _, c := range s.Writes() {
		all = append(all, c.Action)
	}
	return all
}

// Tokens are the different ClientTokens of all writes that were sent, in order;
// dry runs are none.
func (s *Server) Tokens() []string {
	var all []string
	for _, c := range s.Calls() {
		if c.Write && c.Params["DryRun"] == "" {
			all = append(all, c.Params["ClientToken"])
		}
	}
	return slices.Compact(all)
}

// Break ends the server, for a test of what a driver says then.
func (s *Server) Break(*testing.T) { _ = s.Close() }

// Hang makes every call take for ever.
func (s *Server) Hang(*testing.T) { s.Inject(Fault{Kind: Slow, After: 1 << 40}) }
