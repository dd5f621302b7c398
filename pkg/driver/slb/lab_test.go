package slb_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/driver/slb"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// open makes a driver out of a configuration, as a plan would.
func open(t testing.TB, cfg slb.Config, env driver.Env) *pool.Target {
	t.Helper()
	d, err := slb.Factory().Open(t.Context(), func(into any) error {
		*into.(*slb.Config) = cfg
		return nil
	}, env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.(*pool.Target).Close() })
	return d.(*pool.Target)
}

// env resolves references to the stand-in's key.
func env() driver.Env { return envOf(slbtest.DefaultKey) }

func envOf(k slbtest.Key) driver.Env {
	r := secret.NewResolver(&secret.Redactor{})
	r.Getenv = func(name string) (string, bool) {
		v, ok := map[string]string{"KEY": k.ID, "SECRET": k.Secret, "TOKEN": k.Token}[name]
		return v, ok
	}
	return driver.Env{Secrets: r}
}

func account(s *slbtest.Server) aliyun.Account {
	return aliyun.Account{
		Region: s.Region(), Endpoint: s.URL(), AccessKeyID: "${env:KEY}", AccessKeySecret: "${env:SECRET}",
		Timeout: 2 * time.Second, Rate: 10000, RetryFor: 20 * time.Second,
	}
}

// alive listens, so that health checks pass, until it is called down.
func alive(t *testing.T) (addr string, down func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
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

// estate is a load balancer with a group that serves and one that is parked.
func estate(addr string) slbtest.Estate {
	member := func(id, ip string, weight int) slbtest.Member {
		return slbtest.Member{ServerID: id, ServerIP: ip, Port: 8080, Weight: weight, Address: addr, Description: id + ", a \"server\""}
	}
	return slbtest.Estate{CLB: []slbtest.CLB{{
		ID: "lb-1",
		Default: []slbtest.Member{
			{ServerID: "i-a1", ServerIP: "10.0.0.1", Weight: 100, Address: addr}, {ServerID: "i-b1", ServerIP: "10.0.0.11", Weight: 0, Address: addr},
		},
		Groups: []slbtest.Group{
			{ID: "rsp-web", Name: "web", Members: []slbtest.Member{
				member("i-a1", "10.0.0.1", 100), member("i-a2", "10.0.0.2", 100), member("i-b1", "10.0.0.11", 0), member("i-b2", "10.0.0.12", 0),
				{ServerID: "eni-1", ServerIP: "10.0.0.21", Port: 8080, Weight: 10, Type: "eni", Address: addr},
				{ServerID: "i-two", ServerIP: "10.0.0.31", Port: 8080, Weight: 5, Address: addr},
				{ServerID: "i-two", ServerIP: "10.0.0.31", Port: 8081, Weight: 5, Address: addr},
			}},
			{ID: "rsp-other", Members: []slbtest.Member{member("i-c1", "10.0.0.41", 100)}},
			{ID: "rsp-parked", Members: []slbtest.Member{member("i-d1", "10.0.0.51", 0)}},
		},
		MasterSlave: []slbtest.MasterSlaveGroup{{ID: "rsp-ms", Master: member("i-m", "10.0.0.61", 100), Slave: member("i-s", "10.0.0.62", 0)}},
		Listeners: []slbtest.CLBListener{
			{Port: 80, Protocol: "http", Group: "rsp-web", Rules: []slbtest.CLBRule{{ID: "rule-1", Domain: "a.example.com", Group: "rsp-web"}}},
			{Port: 443, Protocol: "https", Forward: false, Group: "rsp-web"},
			{Port: 81, Protocol: "http", Forward: true},
			{Port: 3306, Protocol: "tcp", MasterSlave: "rsp-ms"},
			{Port: 9000, Protocol: "tcp", BackendPort: 9000},
		},
	}}}
}

// lab is a stand-in with the estate and a target on rsp-web.
type lab struct {
	*slbtest.Server
	*pool.Target
	down func() // ends the servers
}

func newLab(t *testing.T, edit func(*slbtest.Options, *slb.Config)) lab {
	t.Helper()
	addr, down := alive(t)
	o := slbtest.Options{PlainHTTP: true, Estate: estate(addr)}
	cfg := slb.Config{VServerGroup: "rsp-web"}
	if edit != nil {
		edit(&o, &cfg)
	}
	s := slbtest.Start(t, o)
	mine := account(s)
	if cfg.Timeout != 0 {
		mine.Timeout = cfg.Timeout
	}
	cfg.Account = mine
	return lab{s, open(t, cfg, env()), down}
}

// set is the change of a weight of rsp-web.
func set(key string, from, to int) state.Change {
	return state.Change{Target: "t", Object: "rsp-web/" + key, Attribute: slb.Weight, From: state.Int(from), To: state.Int(to)}
}

func change(id, attr string, from, to state.Value) state.Change {
	return state.Change{Target: "t", Object: id, Attribute: attr, From: from, To: to}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// failsWith wants an error with those words, and a hint with advice unless it
// is empty.
func failsWith(t *testing.T, err error, words, advice string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("want an error with %q, got %v", words, err)
		return
	}
	if hints := strings.Join(hint.Of(err), "\n"); !strings.Contains(hints, advice) {
		t.Errorf("want a hint with %q, got %q of %v", advice, hints, err)
	}
}

// actions are the writes that were accepted, in order.
func (l lab) written() []string {
	var all []string
	for _, c := range l.Writes() {
		all = append(all, c.Action)
	}
	return all
}
