package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

// abKey is the key of STS that a flip of an abLab has.
var abKey = slbtest.Key{ID: "STS.NobodyMaySeeThisId", Secret: "secretThatNobodyMaySee", Token: "CAISTokenThatNobodyMaySee"}

// Who logs in at Nacos.
const abUser, abPassword = "flipAtNacos", "passwordThatNobodyMaySee"

// squad are the applications of an A/B release, by name ("gw-a1"): healthy,
// with nothing in flight, and without any memory, so that many labs share them.
type squad map[string]string

func newSquad(tb testing.TB) squad {
	s := squad{}
	for _, kind := range []string{"gw", "ws", "user"} {
		for _, who := range []string{"a1", "a2", "b1", "b2"} {
			app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"in_flight":0}`)
			}))
			tb.Cleanup(app.Close)
			s[kind+"-"+who] = app.Listener.Addr().String()
		}
	}
	return s
}

// backends are a kind as the cloud knows it.
func (s squad) backends(kind string) []slbtest.Member {
	var all []slbtest.Member
	for _, who := range []string{"a1", "a2", "b1", "b2"} {
		_, port, _ := net.SplitHostPort(s[kind+"-"+who])
		n, _ := strconv.Atoi(port)
		all = append(all, slbtest.Member{ServerID: "i-" + kind + "-" + who, ServerIP: "127.0.0.1", Port: n, Weight: 100})
	}
	return all
}

// abLab is an A/B release without clients: the stand-ins of the cloud and of
// Nacos, and a deploy command that keeps a diary. Both sides are in traffic,
// and flip is told that a is the live one, so that every step that can change
// something does.
type abLab struct {
	*home
	cloud *slbtest.Server
	users *nacostest.Fake
	squad squad
	diary string
	args  []string // of flip run
	end   func()   // stops the stand-ins; they go with the test otherwise
	keys  int      // that were renewed
	back  func()   // called when the way back begins
}

// abTiming is a quick cloud. Health is not looked at often: labs are many.
var abTiming = slbtest.Timing{Job: 10 * time.Millisecond, Lag: time.Millisecond, Probe: 500 * time.Millisecond, ProbeTimeout: 10 * time.Second}

// abPlan is plans/ab-release.yaml with the patience of a test.
func abPlan(tb testing.TB) string {
	tb.Helper()
	return edited(tb, "../plans/ab-release.yaml",
		`endpoint: "${{ vars.endpoint }}"`, `endpoint: "${{ vars.endpoint }}", access_key_id: "${file:ID}", access_key_secret: "${file:SECRET}", `+
			`security_token: "${file:TOKEN}", timeout: "${{ vars.patience }}", retry_for: 2m, rate: 1000`,
		`consumer_cache: "${{ vars.cache }}"`, `consumer_cache: "${{ vars.cache }}", timeout: "${{ vars.patience }}", username: "${env:FLIP_T_USER}", password: "${env:FLIP_T_PASSWORD}"`,
		"vars:\n", "vars:\n  patience: {type: duration, default: 10s}\n",
		"passes: 3,", "passes: 1, every: 10ms,",
		"drain:\n", "drain:\n      interval: 20ms\n      samples: 2\n",
		"drain: {", "drain: {interval: 20ms, samples: 2, ")
}

func newABLab(tb testing.TB, dir string, s squad) *abLab {
	tb.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	check := slbtest.Check{Path: "/health", Healthy: 1}
	l := &abLab{home: newHome(tb, dir), squad: s, diary: filepath.Join(dir, "diary")}
	var err error
	l.cloud, err = slbtest.New(slbtest.Options{
		PlainHTTP: true, Keys: []slbtest.Key{abKey}, Timing: abTiming,
		Estate: slbtest.Estate{
			CLB: []slbtest.CLB{{
				ID: "lb-web", Groups: []slbtest.Group{{ID: "rsp-gw", Members: s.backends("gw"), Check: check}},
				Listeners: []slbtest.CLBListener{{Port: 80, Protocol: "http", Group: "rsp-gw", Check: check}},
			}},
			ALB:       []slbtest.ALB{{ID: "alb-ws", Listeners: []slbtest.ALBListener{{ID: "lsn-ws", Port: 80, Group: "sgp-ws"}}}},
			ALBGroups: []slbtest.Group{{ID: "sgp-ws", Members: s.backends("ws"), Check: check}},
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	var stop func()
	l.users, stop, err = nacostest.RunFake(nacostest.Options{PushDelay: time.Millisecond, Username: abUser, Password: abPassword})
	if err != nil {
		tb.Fatal(err)
	}
	l.end = sync.OnceFunc(func() {
		stop()
		_ = l.cloud.Close() // it has no planes
	})
	tb.Cleanup(l.end)
	for _, who := range []string{"a1", "a2", "b1", "b2"} {
		l.users.Register("user-service", nacostest.Instance{Address: s["user-"+who], Weight: 1, Metadata: map[string]string{"side": who[:1]}})
	}
	l.has(abKey)
	l.env["FLIP_T_USER"], l.env["FLIP_T_PASSWORD"] = abUser, abPassword
	deploy := filepath.Join(dir, "deploy")
	if err := os.WriteFile(deploy, []byte("#!/bin/sh\necho \"$@\" >> "+l.diary+"\n"), 0o700); err != nil { //nolint:gosec // it is to be run
		tb.Fatal(err)
	}
	l.args = []string{"run", "--yes", "--live", "a", l.file("plan.yaml", l.keyed(abPlan(tb)))}
	for _, v := range []string{"version=v2", "endpoint=" + l.cloud.URL(), "nacos=" + l.users.Servers()[0], "cache=none", "deploy=" + deploy, "hold=10ms", "drain=30s", "healthy=30s"} {
		l.args = append(l.args, "--var", v)
	}
	return l
}

// has gives flip a key: files, so that it can be renewed while a flip runs.
func (l *abLab) has(k slbtest.Key) {
	for name, text := range map[string]string{"id": k.ID, "secret": k.Secret, "token": k.Token} {
		l.file(name, text)
	}
}

// keyed is a plan that knows where these files are.
func (l *abLab) keyed(plan string) string {
	return strings.NewReplacer("file:ID", "file:"+filepath.Join(l.dir, "id"), "file:SECRET", "file:"+filepath.Join(l.dir, "secret"), "file:TOKEN", "file:"+filepath.Join(l.dir, "token")).Replace(plan)
}

// sight is everything that a release changes: weights, what consumers get, and
// versions, by the application's name.
func (l *abLab) sight() map[string]string {
	l.Helper()
	if err := l.cloud.Quiet(l.Context()); err != nil {
		l.Fatal(err)
	}
	all := map[string]string{}
	for _, group := range []string{"rsp-gw", "sgp-ws"} {
		for key, weight := range l.cloud.Weights(group) {
			id, _, _ := net.SplitHostPort(key)
			all[strings.TrimPrefix(id, "i-")] = fmt.Sprint("weight ", weight)
		}
	}
	for name, addr := range l.squad {
		if i, ok := l.users.Get("user-service", addr); ok {
			all[name] = fmt.Sprintf("enabled %t weight %g", !i.Disabled, i.Weight)
		}
		all[name] += " " + l.version(addr)
	}
	return all
}

// version is what the diary says about an address.
func (l *abLab) version(addr string) string {
	text, _ := os.ReadFile(l.diary) // none yet
	version := "v1"
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && f[1] == addr {
			version = strings.Replace(f[0], "previous", "v1", 1)
		}
	}
	return version
}

// abBefore is what an abLab shows at first, abAfter what the plan leaves.
func abBefore() map[string]string { return abSight("weight 100", "enabled true weight 1", "v1") }

func abAfter() map[string]string {
	all := abSight("weight 100", "enabled true weight 1", "v2")
	for name, text := range abSight("weight 0", "enabled false weight 1", "v1") {
		if strings.Contains(name, "-a") {
			all[name] = text
		}
	}
	return all
}

func abSight(balanced, registered, version string) map[string]string {
	all := map[string]string{}
	for _, who := range []string{"a1", "a2", "b1", "b2"} {
		all["gw-"+who], all["ws-"+who], all["user-"+who] = balanced+" "+version, balanced+" "+version, registered+" "+version
	}
	return all
}

// seeded is what writes would have set to make an abLab as it is at first.
func (l *abLab) seeded() map[string]string {
	all := map[string]string{}
	for name, addr := range l.squad {
		all["i-"+name], all[addr] = "100", "true"
	}
	return all
}

// twice are the writes that left everything as it was: a write that was
// repeated although it had happened, or one that did not take effect the first
// time.
func (l *abLab) twice() []string {
	l.Helper()
	now, all := l.seeded(), []string{}
	note := func(changes map[string]string) {
		changed := false
		for id, value := range changes {
			changed = changed || now[id] != value
			now[id] = value
		}
		if !changed {
			all = append(all, fmt.Sprint(changes))
		}
	}
	for _, c := range l.cloud.Writes() {
		note(weightsOf(l.TB, c))
	}
	for _, w := range l.users.Writes() {
		_, query, _ := strings.Cut(w, "?")
		q, err := url.ParseQuery(query)
		if err != nil {
			l.Fatal(err)
		}
		note(map[string]string{q.Get("ip") + ":" + q.Get("port"): q.Get("enabled")})
	}
	return all
}

// weightsOf is what a write sets.
func weightsOf(tb testing.TB, c slbtest.Call) map[string]string {
	tb.Helper()
	weights := map[string]string{}
	if text := c.Params["BackendServers"]; text != "" {
		var all []struct{ ServerId, Weight string }
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			tb.Fatal(err)
		}
		for _, s := range all {
			weights[s.ServerId] = s.Weight
		}
		return weights
	}
	for i := 1; c.Params[fmt.Sprintf("Servers.%d.ServerId", i)] != ""; i++ {
		weights[c.Params[fmt.Sprintf("Servers.%d.ServerId", i)]] = c.Params[fmt.Sprintf("Servers.%d.Weight", i)]
	}
	return weights
}

// together calls f for 0..n-1, at most so many at a time.
func together(n, limit int, f func(i int)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, limit)
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	all.Wait()
}
