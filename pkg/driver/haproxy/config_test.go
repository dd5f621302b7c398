package haproxy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/haproxy"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/state"
)

func decode(text string) func(any) error {
	return func(into any) error { return yaml.UnmarshalWithOptions([]byte(text), into, yaml.Strict()) }
}

func TestABlockOfAPlanIsUnderstood(t *testing.T) {
	for _, c := range []struct {
		name, yaml string
		scopes     []string
	}{
		{"one node", `{endpoints: ["unix:///run/haproxy/admin.sock"], backend: be_web}`, []string{"haproxy:///run/haproxy/admin.sock/be_web"}},
		{
			"every kind of endpoint, several backends and a map",
			`{endpoints: [/a/../b.sock, "tcp://LB2:9999", "master:///m.sock@1", {name: x, address: /x.sock}, y=/y.sock], backend: [one, two], maps: [/h.map], agent: disable, timeout: 2s}`,
			[]string{
				"haproxy:///b.sock/one", "haproxy:///b.sock/two", "haproxy:///b.sock/map /h.map",
				"haproxy://lb2:9999/one", "haproxy://lb2:9999/two", "haproxy://lb2:9999/map /h.map",
				"haproxy:///m.sock/one", "haproxy:///m.sock/two", "haproxy:///m.sock/map /h.map",
				"haproxy:///x.sock/one", "haproxy:///x.sock/two", "haproxy:///x.sock/map /h.map",
				"haproxy:///y.sock/one", "haproxy:///y.sock/two", "haproxy:///y.sock/map /h.map",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := haproxy.Factory().Open(t.Context(), decode(c.yaml), driver.Env{})
			if err != nil {
				t.Fatal(err)
			}
			s, _ := driver.As[driver.Scoper](d)
			if diff := cmp.Diff(c.scopes, s.Scopes()); diff != "" {
				t.Errorf("scopes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestABlockThatIsWrongIsRefused(t *testing.T) {
	for _, c := range []struct{ name, yaml, want string }{
		{"no endpoints", `{backend: be}`, "endpoints is empty"},
		{"no backend", `{endpoints: [/a]}`, "backend is empty"},
		{"an unknown scheme", `{endpoints: ["http://a"], backend: be}`, `"http://a" is not an endpoint`},
		{"a relative path", `{endpoints: [a.sock], backend: be}`, `"a.sock" is not an endpoint`},
		{"no port", `{endpoints: ["tcp://a"], backend: be}`, `"tcp://a" is not tcp://host:port`},
		{"a worker that is no number", `{endpoints: ["master:///m@x"], backend: be}`, "number of a worker"},
		{"the same endpoint twice", `{endpoints: [/a, "unix:///b/../a"], backend: be}`, "endpoint 2: unix:///a is listed twice"},
		{"the same name twice", `{endpoints: [x=/a, x=/b], backend: be}`, "two nodes named x"},
		{"a name that another node gets", `{endpoints: [lb2=/a, /b], backend: be}`, "two nodes named lb2"},
		{"a name with a space", `{endpoints: ["x y=/a"], backend: be}`, `"x y" is not a name`},
		{"an unknown key of an endpoint", `{endpoints: [{name: x, adrss: /a}], backend: be}`, "adrss"},
		{"an unknown key", `{endpoints: [/a], backend: be, maxconn: 3}`, "maxconn"},
		{"a backend that is two commands", `{endpoints: [/a], backend: "be; show info"}`, "is not a name of HAProxy"},
		{"a backend twice", `{endpoints: [/a], backend: [be, be]}`, "listed twice"},
		{"a map that is two commands", `{endpoints: [/a], backend: be, maps: ["/m;x"]}`, "is not a file"},
		{"an unknown policy", `{endpoints: [/a], backend: be, agent: kill}`, "agent is leave|disable"},
		{"a negative time", `{endpoints: [/a], backend: be, timeout: -1s}`, "negative"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := haproxy.Factory().Check(decode(c.yaml))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %v", c.want, err)
			}
		})
	}
}

func TestCapacityIsTheWeightOfAReadyServer(t *testing.T) {
	k, _ := haproxy.Info().Member()
	for _, c := range []struct {
		name  string
		attrs map[string]state.Value
		want  float64
	}{
		{"ready", map[string]state.Value{"state": state.Text("ready"), "weight": "7"}, 7},
		{"no state", map[string]state.Value{"weight": "7"}, 7},
		{"drain", map[string]state.Value{"state": state.Text("drain"), "weight": "7"}, 0},
		{"no weight", map[string]state.Value{"state": state.Text("ready")}, 0},
		{"nothing", nil, 0},
	} {
		if got := k.Capacity(c.attrs); got != c.want {
			t.Errorf("%s: %g, want %g", c.name, got, c.want)
		}
	}
}

func TestAPolicyForCrashesFollowsTheTimeout(t *testing.T) {
	for cfg, want := range map[*haproxy.Config]time.Duration{{}: 5 * time.Second, {Timeout: time.Second}: time.Second, {MaxInFlight: time.Minute}: time.Minute} {
		cfg.Endpoints, cfg.Backend = endpoints("/a"), haproxy.Names{"be"}
		b, _ := driver.As[driver.Bounded](open(t, *cfg))
		if got := b.MaxInFlight(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestNamesNeedABackendOnlyWhenThereAreSeveral(t *testing.T) {
	one := open(t, haproxy.Config{Endpoints: endpoints("/a", "/b"), Backend: haproxy.Names{"be"}, Maps: []string{"/m"}})
	two := open(t, haproxy.Config{Endpoints: endpoints("/a"), Backend: haproxy.Names{"be", "api"}})
	for _, c := range []struct {
		d          driver.Driver
		kind, name string
		ids        []string
	}{
		{one, "server", "web1", []string{"lb1/be/web1", "lb2/be/web1"}},
		{one, "server", "be/web1", nil},
		{one, "map", "/m key", []string{"lb1/map /m key", "lb2/map /m key"}},
		{one, "map", "/other key", nil},
		{one, "map", "/m", nil},
		{one, "record", "x", nil},
		{two, "server", "api/web1", []string{"lb1/api/web1"}},
		{two, "server", "web1", nil},
	} {
		l, _ := driver.As[driver.Locator](c.d)
		found, err := l.Locate(c.kind, c.name)
		if diff := cmp.Diff(c.ids, state.State{Objects: found}.IDs()); diff != "" || (err == nil) != (c.ids != nil) {
			t.Errorf("%s %q: %v (-want +got):\n%s", c.kind, c.name, err, diff)
		}
	}
}

func BenchmarkTenThousandWeights(b *testing.B) {
	var all []haproxytest.FakeServer
	var up, down []state.Change
	for i := range 10_000 {
		name := "s" + strings.Repeat("0", 4) + state.Int(i).Text()
		all = append(all, haproxytest.FakeServer{Name: name, Address: "127.0.0.1:80"})
		up = append(up, change("lb1/be/"+name, "weight", "1", "9"))
		down = append(down, change("lb1/be/"+name, "weight", "9", "1"))
	}
	f := haproxytest.StartFake(b, haproxytest.FakeBackend{Name: "be", Servers: all})
	d := open(b, haproxy.Config{Endpoints: endpoints(f.Socket), Backend: haproxy.Names{"be"}})
	b.Run("apply", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if err := d.Apply(b.Context(), [][]state.Change{up, down}[i%2]); err != nil {
				b.Fatal(err)
			}
			f.Forget()
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.Read(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
