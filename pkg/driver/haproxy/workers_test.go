package haproxy_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/haproxy"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

func TestAReloadIsAnotherLife(t *testing.T) {
	up := startUpstream(t)
	s := haproxytest.Start(t, haproxytest.Config{CheckInterval: check, MasterWorker: true, Backends: []haproxytest.Backend{
		{Name: "be", Servers: []haproxytest.Member{server("a", up.address), server("b", up.address)}},
	}})
	for _, ep := range []string{s.Socket, "master://" + s.Master + "@1"} {
		d := open(t, haproxy.Config{Endpoints: endpoints(ep), Backend: haproxy.Names{"be"}})
		before, err := d.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		after, err := d.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if before.Nodes["lb1"].Same(after.Nodes["lb1"]) {
			t.Errorf("%s: the same life before and after a reload: %v", ep, after.Nodes["lb1"])
		}
	}
}

func TestTheMasterSocketWorksLikeAWorkersOwn(t *testing.T) {
	up := startUpstream(t)
	s := haproxytest.Start(t, haproxytest.Config{CheckInterval: check, MasterWorker: true, Backends: []haproxytest.Backend{
		{Name: "be", Servers: []haproxytest.Member{server("a", up.address), server("b", up.address, "disabled")}},
	}})
	d := open(t, haproxy.Config{Endpoints: endpoints("master://" + s.Master), Backend: haproxy.Names{"be"}})
	apply(t, d, change("lb1/be/a", "weight", "1", "9"), change("lb1/be/a", "address", up.address, "127.0.0.1:9"),
		change("lb1/be/b", "state", "maint", "ready"))
	want(t, d, map[string]string{"lb1/be/a weight": "9", "lb1/be/a address": "127.0.0.1:9", "lb1/be/b state": "ready"})
	create := []state.Change{change("lb1/be/n", "address", "", up.address), change("lb1/be/n", "present", "", "true")}
	apply(t, d, create...)
	want(t, d, map[string]string{"lb1/be/n state": "maint", "lb1/be/n present": "true"})
	apply(t, d, create[1].Inverse())
	want(t, d, map[string]string{"lb1/be/n present": "absent"})
}

func TestOldWorkersCountBehindAMasterSocket(t *testing.T) {
	hold := make(chan struct{})
	began := make(chan struct{}, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			began <- struct{}{}
			<-hold
		}
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	s := haproxytest.Start(t, haproxytest.Config{CheckInterval: check, MasterWorker: true, Backends: []haproxytest.Backend{
		{Name: "be", Servers: []haproxytest.Member{server("a", l.Addr().String())}},
	}})
	d := open(t, haproxy.Config{Endpoints: endpoints("master://" + s.Master), Backend: haproxy.Names{"be"}})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if resp, err := http.Get("http://" + s.Front + "/slow"); err == nil {
			resp.Body.Close()
		}
	}()
	<-began
	if err := s.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, _ := driver.As[driver.Counter](d)
	f, err := c.InFlight(t.Context(), []string{"lb1/be/a"})
	if err != nil || f["lb1/be/a"].Now != 1 {
		t.Errorf("want the request that the old worker still serves, got %v, %v", f, err)
	}
	close(hold)
	<-answered
}

func TestMapEntriesComeAndGo(t *testing.T) {
	up := startUpstream(t)
	s := haproxytest.Start(t, haproxytest.Config{
		Backends: []haproxytest.Backend{{Name: "be", Servers: []haproxytest.Member{server("a", up.address)}}},
		Map:      &haproxytest.Map{Entries: []string{"a.example be", "b.example be"}},
	})
	d := open(t, haproxy.Config{Endpoints: endpoints(s.Socket), Backend: haproxy.Names{"be"}, Maps: []string{s.MapFile}})
	entry := func(key string) string { return "lb1/map " + s.MapFile + " " + key }
	odd := `x; "y" \z #1`
	apply(t, d, change(entry("a.example"), "value", "be", "other"), change(entry("c.example"), "value", "", odd), change(entry("b.example"), "value", "be", ""))
	now := map[string]string{entry("a.example") + " value": "other", entry("c.example") + " value": odd, entry("b.example") + " value": "absent"}
	want(t, d, now)
	apply(t, d, change(entry("c.example"), "value", "", odd))
	want(t, d, now)
	if got := must(t, s, "show map "+s.MapFile); strings.Count(got, "c.example") != 1 {
		t.Errorf("adding again made a second entry:\n%s", got)
	}
	err := d.Apply(t.Context(), []state.Change{change("lb1/map /nope k", "value", "", "v")})
	if !errors.Is(err, driver.ErrNotFound) || !slices.ContainsFunc(hint.Of(err), func(h string) bool { return strings.Contains(h, "maps") }) {
		t.Errorf("want not found with advice, got %v (%q)", err, hint.Of(err))
	}
}

func TestTrafficIsCountedAndSessionsCanBeEnded(t *testing.T) {
	up := startUpstream(t)
	s := start(t, haproxytest.Backend{Name: "be", NoCheck: true, Servers: []haproxytest.Member{server("a", up.address)}})
	d := open(t, haproxy.Config{Endpoints: endpoints(s.Socket), Backend: haproxy.Names{"be"}})
	for _, good := range []bool{true, false} {
		up.up.Store(good)
		resp, err := http.Get("http://" + s.Front + "/")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	m, _ := driver.As[driver.Meter](d)
	got, err := m.Traffic(t.Context(), []string{"lb1/be/a"})
	if diff := cmp.Diff(map[string]driver.Traffic{"lb1/be/a": {Answers: 2, Errors: 1}}, got); err != nil || diff != "" {
		t.Errorf("traffic (-want +got): %v\n%s", err, diff)
	}
	k, _ := driver.As[driver.Killer](d)
	if err := k.Kill(t.Context(), []string{"lb1/be/a"}); err != nil {
		t.Error(err)
	}
	if err := k.Kill(t.Context(), []string{"lb1/be/x"}); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("want not found, got %v", err)
	}
}
