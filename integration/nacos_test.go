package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/journal"
)

// nacosPlans are the plans of the repository that the tests of this file run.
var nacosPlans = []string{"nacos-rolling", "nacos-ab"}

// registry is a stand-in for Nacos with instances behind it that answer, and
// flip beside it.
type registry struct {
	*site
	*nacostest.Fake
	service string
	apps    []string // addresses
	deploys string   // file with a line for each call of deploy
	unused  bool     // instances are healthy only while they are out
}

func newRegistry(t *testing.T, service string, apps int, o nacostest.Options) *registry {
	t.Helper()
	dir, err := os.MkdirTemp("", "flip")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &registry{
		site:    &site{TB: t, dir: dir, env: map[string]string{"FLIP_STATE_DIR": filepath.Join(dir, "state"), "FLIP_WHO": "ann", "NO_COLOR": "1"}},
		Fake:    nacostest.StartFake(t, o),
		service: service, deploys: filepath.Join(dir, "deploys"),
	}
	for range apps {
		app := httptest.NewServer(http.HandlerFunc(r.answer))
		t.Cleanup(app.Close)
		r.apps = append(r.apps, app.Listener.Addr().String())
	}
	slices.Sort(r.apps)
	script := filepath.Join(dir, "deploy.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"$@\" >> "+r.deploys+"\n"), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	return r
}

// answer is an instance that never has anything in flight. Where unused is set
// it is healthy only as long as nobody can find it.
func (r *registry) answer(w http.ResponseWriter, req *http.Request) {
	i, known := r.Get(r.service, req.Host)
	if r.unused && req.URL.Path == "/health" && (!known || !i.Disabled) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprint(w, `{"inflight":0}`)
}

func (r *registry) script() string { return filepath.Join(r.dir, "deploy.sh") }

// enabled is which apps consumers get, by index.
func (r *registry) enabled() string {
	var on []string
	for i, a := range r.apps {
		if inst, ok := r.Get(r.service, a); ok && !inst.Disabled {
			on = append(on, fmt.Sprint(i))
		}
	}
	return strings.Join(on, " ")
}

// calls are the deploys so far, with the apps by index.
func (r *registry) calls() string {
	text, _ := os.ReadFile(r.deploys) // none yet
	out := string(text)
	for i, a := range r.apps {
		out = strings.ReplaceAll(out, a, fmt.Sprint(i))
	}
	return strings.Join(strings.Split(strings.TrimSpace(out), "\n"), ", ")
}

func (r *registry) equal(what string, want, got any) {
	r.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		r.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestARollingRestartBehindNacosTakesOneInstanceOutAtATimeAndGoesBack(t *testing.T) {
	r := newRegistry(t, "user-service", 3, nacostest.Options{Nodes: 2, Keep: time.Millisecond})
	for _, a := range r.apps {
		r.Register("user-service", nacostest.Instance{Address: a, Weight: 7})
	}
	away := -1
	// Every restart takes longer than Nacos remembers: the instance comes back
	// enabled, and `up` passes only when flip has taken it out again.
	r.unused = true
	r.on = func(rec journal.Record) {
		step, err := journal.Decode[journal.Step](rec)
		if rec.Type != journal.TypeStep || err != nil || !strings.HasSuffix(step.ID, "restart") {
			return
		}
		for i, a := range r.apps {
			inst, _ := r.Get("user-service", a)
			switch {
			case step.Status == "begin" && inst.Disabled:
				r.Leave("user-service", a)
				away = i
			case step.Status == "done" && i == away:
				r.Register("user-service", nacostest.Instance{Address: a, Weight: 7})
			}
		}
	}
	r.want(0, r.run("nacos-rolling", "version=v2", "nacos="+strings.Join(r.Servers(), ","), "cache=none", "deploy="+r.script())...)
	r.equal("deploys", "v2 0, v2 1, v2 2", r.calls())
	r.equal("writes: out, out again after the restart, in", 9, len(r.Writes()))
	r.equal("enabled afterwards", "0 1 2", r.enabled())
	for _, a := range r.apps {
		i, _ := r.Get("user-service", a)
		r.equal("weight of "+a, 7.0, i.Weight)
	}
	if away != 2 {
		t.Errorf("no restart was seen of all instances: the last was %d", away)
	}
	r.want(0, "rollback", "--yes")
	r.equal("enabled after the rollback", "0 1 2", r.enabled())
}

func TestAnABReleaseBehindHAProxyAndNacosChangesSidesAndGoesBack(t *testing.T) {
	r := newRegistry(t, "user-service", 4, nacostest.Options{})
	var members []haproxytest.Member
	for i, a := range r.apps {
		side, m := "a", haproxytest.Member{Name: fmt.Sprintf("web%d", i+1), Address: a, Weight: 100}
		if i > 1 {
			side, m.Weight, m.Params = "b", 0, []string{"weight 0"}
		}
		members = append(members, m)
		r.Register("user-service", nacostest.Instance{Address: a, Weight: 1, Disabled: i > 1, Metadata: map[string]string{"side": side}})
	}
	ha := haproxytest.Start(t, haproxytest.Config{CheckInterval: 50 * time.Millisecond, Backends: []haproxytest.Backend{{Name: "be_web", Servers: members}}})
	vars := []string{"version=v2", "nacos=" + r.Servers()[0], "cache=none", "deploy=" + r.script(), "socket=" + ha.Socket, "hold=100ms", "drain=10s"}
	r.want(0, r.run("nacos-ab", vars...)...)
	r.equal("deploys", "v2 2, v2 3", r.calls())
	r.equal("enabled afterwards", "2 3", r.enabled())
	r.want(0, "rollback", "--yes")
	r.equal("enabled after the rollback", "0 1", r.enabled())
	r.equal("deploys after the rollback", "v2 2, v2 3, previous 3, previous 2", r.calls())
}
