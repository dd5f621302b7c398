package nacos_test

import (
	"context"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/nacos"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// keep is how long the real servers of these tests remember what an operator
// set on an instance whose owner is gone.
const keep = 3 * time.Second

func TestTheOfficialServer(t *testing.T) {
	for _, version := range nacostest.RealVersions {
		t.Run(version, func(t *testing.T) {
			r := nacostest.StartReal(t, version, nacostest.WithKeep(keep))
			t.Run("fulfils the contract", func(t *testing.T) { realContract(t, r) })
			t.Run("pushes what it was told", func(t *testing.T) { realPush(t, r) })
			t.Run("forgets a disable, and flip does not", func(t *testing.T) { realHold(t, r) })
			t.Run("loses no overlay to a removal that is undone", func(t *testing.T) { realRegistration(t, r) })
			t.Run("proves nothing when it has just started", func(t *testing.T) { realRestart(t, r) })
		})
	}
}

// realConfig reaches the server through a door that a test can shut.
func realConfig(t *testing.T, r *nacostest.Real, service ...string) (nacos.Config, *httptest.Server) {
	t.Helper()
	u, err := url.Parse(r.URL)
	must(t, err)
	door := httptest.NewServer(httputil.NewSingleHostReverseProxy(u))
	t.Cleanup(door.Close)
	return nacos.Config{
		Servers: nacos.Names{door.URL}, GRPCPort: r.GRPCPort, Service: service, ConsumerCache: "none", Timeout: 5 * time.Second,
		Username: secret.Ref(r.Username), Password: secret.Ref(r.Password),
	}, door
}

func realTarget(t *testing.T, r *nacostest.Real, service string) *nacos.Target {
	t.Helper()
	cfg, _ := realConfig(t, r, service)
	d := open(t, cfg, driver.Env{})
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// listed waits until the target reads so many instances.
func listed(t *testing.T, d driver.Driver, want int) state.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		s, err := d.Read(ctx)
		if err == nil && len(s.Objects) == want {
			return s
		}
		select {
		case <-ctx.Done():
			t.Fatalf("want %d instances, got %v, %v", want, s.IDs(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// until reads with a target of its own, which knows nothing of before.
func until(t *testing.T, cfg nacos.Config, what string, so func(state.State, error) bool) {
	t.Helper()
	d := open(t, cfg, driver.Env{})
	defer d.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		s, err := d.Read(ctx)
		if so(s, err) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: never: %v, %v", what, s.Objects, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func realContract(t *testing.T, r *nacostest.Real) {
	users := []nacostest.Instance{
		{Address: a1, Weight: 10, Metadata: map[string]string{"version": "1", "zone": "hz"}},
		{Address: a2, Weight: 10},
		{Address: b1, Weight: 10},
		{Address: "10.1.0.22:8080", Weight: 0.5, Cluster: "hz"},
	}
	orders := []nacostest.Instance{
		{Address: "10.1.0.31:9090", Weight: 1, Persistent: true, Metadata: map[string]string{"k": "ü=,&"}},
		{Address: "10.1.0.32:9090", Weight: 1, Persistent: true},
	}
	drivertest.Run(t, drivertest.Harness{
		Info: nacos.Info(),
		Open: func(t *testing.T) drivertest.Target {
			cfg, door := realConfig(t, r, "users", "LEGACY@@orders")
			// The owners of the last check have to be gone: the server marks what
			// an operator set when it hears of that, whoever owns it by then.
			until(t, cfg, "the last owners are gone", func(s state.State, err error) bool {
				return err != nil || s.Get(id(a1), nacos.Enabled)+s.Get(id(a2), nacos.Enabled)+s.Get(id(b1), nacos.Enabled) == ""
			})
			for _, i := range orders {
				r.Persist(t, "LEGACY@@orders", i)
				r.Set(t, "LEGACY@@orders", i)
			}
			r.Remove(t, "LEGACY@@orders", nacostest.Instance{Address: "10.1.0.33:9090", Persistent: true})
			for _, i := range users {
				r.Own(t, "users", i)
				r.Set(t, "users", i)
			}
			until(t, cfg, "all is as it was", func(s state.State, _ error) bool {
				n := 0
				for _, o := range s.Objects {
					if o.Attrs[nacos.Enabled] == "true" && slices.Contains([]string{"10", "0.5", "1"}, o.Attrs[nacos.Weight].Text()) {
						n++
					}
				}
				return n == len(users)+len(orders) && len(s.Objects) == n && s.Get(id(b1), nacos.Weight) == "10" && s.Get(id(a1), nacos.Weight) == "10"
			})
			d := open(t, cfg, driver.Env{})
			return drivertest.Target{
				Driver: d,
				Outside: func(t *testing.T, c state.Change) {
					i := users[slices.IndexFunc(users, func(i nacostest.Instance) bool { return c.Object[len(c.Object)-len(i.Address):] == i.Address })]
					i.Weight, _ = c.To.Float()
					r.Set(t, "users", i)
				},
				Break: func(*testing.T) { door.Close() },
			}
		},
		Settable: []drivertest.Settable{
			{Objects: []string{id(a1), id(a2)}, Attribute: nacos.Enabled, A: "true", B: "false"},
			{Objects: []string{id(a1), id(b1)}, Attribute: nacos.Weight, A: "10", B: "0.25", C: "77"},
			{Objects: []string{"DEFAULT_GROUP@@users/hz/10.1.0.22:8080"}, Attribute: nacos.Weight, A: "0.5", B: "10000", C: "3"},
			{Objects: []string{"LEGACY@@orders/DEFAULT/10.1.0.31:9090"}, Attribute: nacos.Enabled, A: "true", B: "false"},
		},
		Create: &drivertest.Creation{Kind: nacos.KindInstance, Name: "orders/10.1.0.33:9090", Attrs: map[string]state.Value{
			nacos.Registered: "true", nacos.Enabled: "true", nacos.Weight: "2.5", nacos.Ephemeral: "false", nacos.Metadata: state.Text(`{"a":"b","ü":"=,"}`),
		}},
		Unknown: id("10.9.9.9:1"),
		Shows:   30 * time.Second,
	})
}

func realPush(t *testing.T, r *nacostest.Real) {
	const service = "pushed"
	r.Own(t, service, nacostest.Instance{Address: a1, Weight: 10})
	r.Own(t, service, nacostest.Instance{Address: a2, Weight: 10})
	d := realTarget(t, r, service)
	listed(t, d, 2)
	object := "DEFAULT_GROUP@@pushed/DEFAULT/" + a1
	var took []time.Duration
	for n := range 10 {
		change := set(object, nacos.Enabled, "true", "false")
		if n%2 == 1 {
			change = change.Inverse()
		}
		begin := time.Now()
		must(t, d.Apply(t.Context(), []state.Change{change}))
		must(t, d.Settle(t.Context(), []state.Change{change}))
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	t.Logf("nacos %s: from the write to the push, list and read-back of 10 changes: min %s, median %s, max %s", r.Version,
		took[0].Round(time.Millisecond), took[5].Round(time.Millisecond), took[9].Round(time.Millisecond))
}

func realHold(t *testing.T, r *nacostest.Real) {
	const service = "held"
	object := "DEFAULT_GROUP@@held/DEFAULT/" + a1
	i := nacostest.Instance{Address: a1, Weight: 10, Metadata: map[string]string{"version": "1"}}
	owner := r.Own(t, service, i)
	r.Own(t, service, nacostest.Instance{Address: a2, Weight: 10})
	d := realTarget(t, r, service)
	listed(t, d, 2)
	out := []state.Change{set(object, nacos.Enabled, "true", "false")}
	must(t, d.Apply(t.Context(), out))
	must(t, d.Settle(t.Context(), out))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	again := make(chan string, 1000)
	ended := make(chan error, 1)
	go func() {
		ended <- d.Hold(driver.WithProgress(ctx, func(text string) { again <- text }), out)
	}()
	owner.Leave()
	listed(t, d, 1)
	waitFor(t, again, "is gone from Nacos")
	time.Sleep(4 * keep) // what the server forgets meanwhile cannot be seen
	r.Own(t, service, i)
	t.Log(waitFor(t, again, "put back at once"))
	cancel()
	must(t, <-ended)
	s := listed(t, d, 2)
	same(t, "enabled", state.Value("false"), s.Get(object, nacos.Enabled))
	same(t, "weight", state.Value("10"), s.Get(object, nacos.Weight))
	same(t, "metadata", "1", s.Objects[object].Info["metadata.version"])
}

func waitFor(t *testing.T, texts <-chan string, part string) string {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case text := <-texts:
			if strings.Contains(text, part) {
				return text
			}
		case <-limit:
			t.Fatalf("nobody said %q", part)
		}
	}
}

func realRegistration(t *testing.T, r *nacostest.Real) {
	const service = "persistent"
	object := "DEFAULT_GROUP@@persistent/DEFAULT/" + a1
	r.Persist(t, service, nacostest.Instance{Address: a1, Weight: 5, Persistent: true, Metadata: map[string]string{"ü": "=,&"}})
	r.Persist(t, service, nacostest.Instance{Address: a2, Weight: 5, Persistent: true})
	d := realTarget(t, r, service)
	before := listed(t, d, 2)
	var gone, back []state.Change
	for attr, v := range before.Objects[object].Attrs {
		gone = append(gone, set(object, attr, v, state.Absent))
		back = append(back, set(object, attr, state.Absent, v))
	}
	for _, changes := range [][]state.Change{gone, back} {
		must(t, d.Apply(t.Context(), changes))
		must(t, d.Settle(t.Context(), changes))
	}
	same(t, "what came back", before.Objects[object].Attrs, listed(t, d, 2).Objects[object].Attrs)
}

func realRestart(t *testing.T, r *nacostest.Real) {
	const service = "restarted"
	r.Own(t, service, nacostest.Instance{Address: a1, Weight: 10})
	r.Own(t, service, nacostest.Instance{Address: a2, Weight: 10})
	d := realTarget(t, r, service)
	listed(t, d, 2)
	out := []state.Change{set("DEFAULT_GROUP@@restarted/DEFAULT/"+a1, nacos.Enabled, "true", "false")}
	must(t, d.Apply(t.Context(), out))
	must(t, r.Restart(t.Context()))
	_, err := d.Read(t.Context())
	failsWith(t, err, "no instance is listed where there were 2", "until their owners register again")
	r.Own(t, service, nacostest.Instance{Address: a2, Weight: 10})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	failsWith(t, d.Settle(ctx, out), "is absent, not false", "")
	r.Own(t, service, nacostest.Instance{Address: a1, Weight: 10})
	must(t, d.Settle(t.Context(), out))
}
