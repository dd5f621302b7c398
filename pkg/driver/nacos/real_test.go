package nacos_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/nacos"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// keep is how long the real servers of these tests remember what an operator
// set on an instance whose owner is gone.
const keep = 3 * time.Second

func TestTheOfficialServerAsFlipMeetsIt(t *testing.T) {
	for _, version := range nacostest.RealVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			r := nacostest.StartReal(t, version, nacostest.WithAuth(), nacostest.WithKeep(keep))
			t.Run("refuses whom it does not know", func(t *testing.T) { realLogin(t, r) })
			t.Run("pushes what it was told", func(t *testing.T) { realPush(t, r) })
			t.Run("forgets a disable, and flip does not", func(t *testing.T) { realHold(t, r) })
			t.Run("is told while an instance is gone, and told otherwise at the end", func(t *testing.T) { realHoldAbsent(t, r) })
			t.Run("loses no overlay to a removal that is undone", func(t *testing.T) { realRegistration(t, r) })
			t.Run("proves nothing when it has just started", func(t *testing.T) { realRestart(t, r) })
		})
	}
}

// TestRNacosListsNoDisabledInstanceAndIsRefused: consumers see what is written,
// operators do not, so nothing that flip did could be seen or put back.
func TestRNacosListsNoDisabledInstanceAndIsRefused(t *testing.T) {
	r := nacostest.StartRNacos(t)
	i := nacostest.Instance{Address: a1, Weight: 10, Metadata: map[string]string{"version": "1"}}
	r.Own(t, "users", i)
	r.Own(t, "users", nacostest.Instance{Address: a2, Weight: 10})
	viewed(t, r, "users", i)
	i.Disabled = true
	r.Set(t, "users", i)
	gone := func() bool { _, listed := r.Get(t, "users", "DEFAULT", a1); return !listed }
	for end := time.Now().Add(20 * time.Second); !gone(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("r-nacos lists disabled instances to operators: flip need not refuse it any more")
		}
	}
	d := open(t, nacos.Config{Servers: nacos.Names{r.URL}, Service: nacos.Names{"users"}}, driver.Env{})
	t.Cleanup(func() { _ = d.Close() })
	_, err := d.Read(t.Context())
	expect.Error(t, err, "is r-nacos, which lists no disabled instances to operators", "Nacos 1.x, 2.x and 3.x")
	i.Disabled = false
	r.Set(t, "users", i)
	viewed(t, r, "users", i)
}

func realTarget(t *testing.T, r *nacostest.Real, service string) *nacos.Target {
	t.Helper()
	d := open(t, nacos.Config{
		Servers: nacos.Names{r.URL}, Service: nacos.Names{service}, ConsumerCache: "none", Username: secret.Ref(r.Username), Password: secret.Ref(r.Password),
	}, driver.Env{})
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

func realLogin(t *testing.T, r *nacostest.Real) {
	for _, who := range []secret.Ref{"nobody", secret.Ref(r.Username)} {
		d := open(t, nacos.Config{Servers: nacos.Names{r.URL}, Service: nacos.Names{"users"}, Username: who, Password: "wrong"}, driver.Env{})
		_, err := d.Read(t.Context())
		expect.Error(t, err, "log in: server ", "look at username and password of the target")
		expect.Is(t, err, driver.ErrPermanent, true)
		t.Logf("nacos %s to %s: %v", r.Version, who, err)
		expect.Nil(t, d.Close())
	}
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
		expect.Nil(t, d.Apply(t.Context(), []state.Change{change}))
		expect.Nil(t, d.Settle(t.Context(), []state.Change{change}))
		took = append(took, time.Since(begin))
	}
	path := "/v1/ns/service/subscribers"
	if r.Version[0] == '3' {
		path = "/v3/admin/ns/service/subscribers"
	}
	answer, _, err := r.Call(t.Context(), http.MethodGet, path, url.Values{"serviceName": {service}, "groupName": {"DEFAULT_GROUP"}, "pageNo": {"1"}, "pageSize": {"10"}})
	if err != nil || !strings.Contains(answer, `"flip"`) {
		t.Errorf("flip is not among the subscribers: %v %s", err, answer)
	}
	ctx, progress := told(t.Context())
	other := realTarget(t, r, service)
	listed(t, other, 2)
	expect.Nil(t, other.Apply(ctx, []state.Change{set(object, nacos.Enabled, "true", "false")}))
	if !strings.HasPrefix(progress(), "nobody is subscribed to DEFAULT_GROUP@@pushed") {
		t.Errorf("it said %q, although only flip subscribes: %s", progress(), answer)
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
	expect.Nil(t, d.Apply(t.Context(), out))
	expect.Nil(t, d.Settle(t.Context(), out))
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
	expect.Nil(t, <-ended)
	s := listed(t, d, 2)
	expect.Same(t, "enabled", state.Value("false"), s.Get(object, nacos.Enabled))
	expect.Same(t, "weight", state.Value("10"), s.Get(object, nacos.Weight))
	expect.Same(t, "metadata", "1", s.Objects[object].Info["metadata.version"])
}

func realHoldAbsent(t *testing.T, r *nacostest.Real) {
	const service = "absent"
	object := "DEFAULT_GROUP@@absent/DEFAULT/" + a1
	i := nacostest.Instance{Address: a1, Weight: 10}
	owner := r.Own(t, service, i)
	r.Own(t, service, nacostest.Instance{Address: a2, Weight: 10})
	d := open(t, nacos.Config{
		Servers: nacos.Names{r.URL}, Service: nacos.Names{service}, ConsumerCache: "none", HoldAbsent: true, Username: secret.Ref(r.Username), Password: secret.Ref(r.Password),
	}, driver.Env{})
	t.Cleanup(func() { _ = d.Close() })
	listed(t, d, 2)
	out := []state.Change{set(object, nacos.Enabled, "true", "false")}
	expect.Nil(t, d.Apply(t.Context(), out))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said := make(chan string, 1000)
	ended := make(chan error, 1)
	go func() { ended <- d.Hold(driver.WithProgress(ctx, func(text string) { said <- text }), out) }()
	owner.Leave()
	waitFor(t, said, "flip writes its disable every second")
	time.Sleep(4 * keep) // what the server forgets meanwhile cannot be seen
	i.Weight = 3
	owner = r.Own(t, service, i)
	waitFor(t, said, "is back, disabled as flip holds it")
	expect.Same(t, "weight", state.Value("10"), listed(t, d, 2).Get(object, nacos.Weight))
	owner.Leave()
	waitFor(t, said, "flip writes its disable every second")
	time.Sleep(4 * keep)
	cancel()
	expect.Nil(t, <-ended)
	expect.Nil(t, d.Release(t.Context()))
	r.Own(t, service, i)
	s := listed(t, d, 2)
	expect.Same(t, "enabled", state.Value("true"), s.Get(object, nacos.Enabled))
	expect.Same(t, "weight", state.Value("10"), s.Get(object, nacos.Weight))
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
		expect.Nil(t, d.Apply(t.Context(), changes))
		expect.Nil(t, d.Settle(t.Context(), changes))
	}
	expect.Same(t, "what came back", before.Objects[object].Attrs, listed(t, d, 2).Objects[object].Attrs)
}

func realRestart(t *testing.T, r *nacostest.Real) {
	const service = "restarted"
	r.Own(t, service, nacostest.Instance{Address: a1, Weight: 10})
	r.Own(t, service, nacostest.Instance{Address: a2, Weight: 10})
	d := realTarget(t, r, service)
	listed(t, d, 2)
	out := []state.Change{set("DEFAULT_GROUP@@restarted/DEFAULT/"+a1, nacos.Enabled, "true", "false")}
	expect.Nil(t, d.Apply(t.Context(), out))
	expect.Nil(t, r.Restart(t.Context()))
	_, err := d.Read(t.Context())
	expect.Error(t, err, "no instance is listed where there were 2", "until their owners register again")
	r.Own(t, service, nacostest.Instance{Address: a2, Weight: 10})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	expect.Error(t, d.Settle(ctx, out), "is absent, not false", "")
	r.Own(t, service, nacostest.Instance{Address: a1, Weight: 10})
	expect.Nil(t, d.Settle(t.Context(), out))
}
