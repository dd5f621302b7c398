package integration

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/integration/ab"
	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

// aside is a flip beside something under load.
func aside(t *testing.T, addr string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "flip")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &site{TB: t, dir: dir, env: map[string]string{"FLIP_STATE_DIR": filepath.Join(dir, "state"), "FLIP_WHO": "ann", "NO_COLOR": "1"}}
	cfg := strict(addr)
	cfg.Pause, cfg.DialTimeout = 10*time.Millisecond, 20*time.Second
	load := traffic.Start(context.WithoutCancel(t.Context()), cfg)
	s.loads = append(s.loads, load)
	t.Cleanup(func() { load.Stop() })
	s.until("load on every client", func() error { return enough(load.Now().Phase("start"), cfg, 100) })
	return s
}

// hurried is run with a copy of the plan that waits less between two looks.
func (s *site) hurried(args []string, oldnew ...string) []string {
	s.Helper()
	path := filepath.Join(s.dir, filepath.Base(args[2]))
	if err := os.WriteFile(path, []byte(edited(s.TB, args[2], oldnew...)), 0o600); err != nil {
		s.Fatal(err)
	}
	args[2] = path
	return args
}

// moved wants answers of exactly these versions, once the slow requests from
// before have ended.
func (s *site) moved(phase string, versions ...string) {
	s.Helper()
	try, name := 0, ""
	next := func() {
		try++
		name = fmt.Sprint(phase, try)
		s.phase(name)
	}
	next()
	s.until("answers of "+strings.Join(versions, ", "), func() error {
		p := s.loads[0].Now().Phase(name)
		if p.Requests < 300 {
			return fmt.Errorf("%d requests", p.Requests)
		}
		if got := slices.Sorted(maps.Keys(p.Versions)); !slices.Equal(got, versions) {
			next()
			return fmt.Errorf("versions %v", p.Versions)
		}
		return nil
	})
}

func TestOneTierBehindSLBChangesSidesAndGoesBackWithoutALoss(t *testing.T) {
	t.Parallel()
	registry, stop, err := ab.StandIn()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	dir, err := os.MkdirTemp("", "flip")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	e, err := ab.Start(context.WithoutCancel(t.Context()), dir, ab.Config{
		Registry: registry, Cache: time.Second, Timing: slbtest.Timing{Lag: 100 * time.Millisecond, Overlap: 100 * time.Millisecond, ProbeTimeout: 10 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	before := e.Weights()
	s := aside(t, e.Web)
	s.phase("run")
	s.want(0, s.hurried(s.run("ab-one-tier", "version=v2", "endpoint="+e.Cloud.URL(), "deploy="+e.Deploy, "canary=500ms", "hold=200ms", "drain=30s", "healthy=20s"),
		"passes: 3,", "passes: 3, every: 50ms,", `endpoint: "${{`, `rate: 50, endpoint: "${{`)...)
	s.moved("b", "v2")
	after := maps.Clone(before)
	for _, n := range []string{"1", "2"} {
		after["i-gw-a"+n], after["i-gw-b"+n] = 0, 100
	}
	if diff := cmp.Diff(after, e.Weights()); diff != "" {
		t.Errorf("after the run (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"v1": 6}, e.Versions("a")); diff != "" {
		t.Errorf("the old side (-want +got):\n%s", diff)
	}
	s.phase("rollback")
	s.want(0, "rollback", "--yes")
	s.moved("a", "v1")
	if diff := cmp.Diff(before, e.Weights()); diff != "" {
		t.Errorf("after the rollback (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"v1": 6}, e.Versions("b")); diff != "" {
		t.Errorf("side b after the rollback (-want +got):\n%s", diff)
	}
	s.lostNothing()
}

// metrics is a Prometheus that knows what the data plane of an ALB counts, for
// the queries of alb-rule-switch.
func metrics(t *testing.T, p *plane.Proxy) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.FormValue("query")
		_, group, _ := strings.Cut(query, `server_group="`)
		group, _, known := strings.Cut(group, `"`)
		var sum plane.Count
		for member, c := range p.Counts("lsn-api") {
			if strings.HasPrefix(member, group+"/") {
				sum.Requests, sum.Failures, sum.Open = sum.Requests+c.Requests, sum.Failures+c.Failures, sum.Open+c.Open
			}
		}
		value := strconv.Itoa(sum.Open)
		switch {
		case !known || group == "" || strings.Contains(query, "${{"):
			w.WriteHeader(http.StatusUnprocessableEntity)
		case strings.Contains(query, "alb_5xx_total"):
			value = fmt.Sprint(float64(sum.Failures) / float64(sum.Requests)) // NaN without a request, as Prometheus has it
		}
		fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[0,%q]}]}}`, value)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestAnALBRuleIsSwitchedInStepsAndGoesBackWithoutALoss(t *testing.T) {
	t.Parallel()
	var groups []slbtest.Group
	probe := map[string]string{}
	for _, side := range []string{"a", "b"} {
		g := slbtest.Group{ID: "sgp-api-" + side, Check: slbtest.Check{Path: "/health"}}
		for _, n := range []string{"1", "2"} {
			app, err := traffic.StartApp(traffic.AppConfig{Name: "api-" + side + n, Version: map[string]string{"a": "v1", "b": "v2"}[side]})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(app.Kill)
			_, port, _ := net.SplitHostPort(app.Addr())
			number, _ := strconv.Atoi(port)
			g.Members = append(g.Members, slbtest.Member{ServerID: "i-api-" + side + n, ServerIP: "127.0.0.1", Port: number, Weight: 100})
			probe[side] = "http://" + app.Addr() + "/health"
		}
		groups = append(groups, g)
	}
	proxy := plane.NewProxy(plane.ProxyOptions{DialTimeout: 20 * time.Second})
	cloud := slbtest.Start(t, slbtest.Options{
		PlainHTTP: true, Planes: []plane.Plane{proxy}, Timing: slbtest.Timing{Job: 200 * time.Millisecond, Lag: 100 * time.Millisecond, ProbeTimeout: 10 * time.Second},
		Estate: slbtest.Estate{
			ALBGroups: groups,
			ALB: []slbtest.ALB{{ID: "alb-api", Listeners: []slbtest.ALBListener{{ID: "lsn-api", Port: 80, Group: "sgp-api-a", Rules: []slbtest.ALBRule{{
				ID: "rule-api", Priority: 1, Conditions: []slbtest.Condition{{Type: "Path", PathConfig: &slbtest.Values{Values: []string{"/*"}}}},
				Actions: []slbtest.Action{
					{Order: 1, Type: "InsertHeader", InsertHeaderConfig: &slbtest.InsertHeaderConfig{Key: "X-By", Value: "rule", ValueType: "UserDefined"}},
					slbtest.Forward(2, slbtest.To("sgp-api-a", 100), slbtest.To("sgp-api-b", 0)),
				},
			}}}}}},
		},
	})
	s := aside(t, proxy.Addr("lsn-api"))
	before := cloud.Estate().ALB[0].Listeners[0].Rules[0]
	s.phase("run")
	s.want(0, s.hurried(s.run("alb-rule-switch", "probe="+probe["b"], "endpoint="+cloud.URL(), "prometheus="+metrics(t, proxy), "hold=300ms", "drain=20s"),
		"every: 1s", "every: 50ms", "every: 5s", "every: 50ms", `endpoint: "${{`, `rate: 50, endpoint: "${{`)...)
	s.moved("b", "v2")
	after := before
	after.Actions = []slbtest.Action{before.Actions[0], slbtest.Forward(2, slbtest.To("sgp-api-a", 0), slbtest.To("sgp-api-b", 100))}
	if diff := cmp.Diff(after, cloud.Estate().ALB[0].Listeners[0].Rules[0]); diff != "" {
		t.Errorf("the rule after the run (-want +got):\n%s", diff)
	}
	s.phase("rollback")
	s.want(0, "rollback", "--yes")
	s.moved("a", "v1")
	if diff := cmp.Diff(before, cloud.Estate().ALB[0].Listeners[0].Rules[0]); diff != "" {
		t.Errorf("the rule after the rollback (-want +got):\n%s", diff)
	}
	s.lostNothing()
}
