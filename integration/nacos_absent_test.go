package integration

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

const nacosAbsentPlan = `flip: 1
name: nacos-absent
targets:
  users: {driver: nacos, servers: ["SERVER"], service: users, consumer_cache: none, max_in_flight: 100ms, hold_absent: true}
groups:
  one: {users: ["10.1.0.11:8080"]}
gates:
  ready: {http: {url: "READY", status: 200}, every: 50ms, passes: 1, timeout: 1m}
steps:
  - {id: out, set: {group: one, enabled: false}}
  - {id: up, gate: ready}
  - {id: in, set: {group: one, enabled: true}}
`

// absentee is a run over the stand-in whose instance has left, and for which
// flip has written behind the cleaner: that stays until somebody takes it back.
type absentee struct {
	*ledge
	ready atomic.Bool // the gate passes
	asked atomic.Bool // it was looked at
	run   *child
}

func newAbsentee(t *testing.T) *absentee {
	t.Helper()
	a := &absentee{ledge: &ledge{home: newHome(t, t.TempDir()), Fake: nacostest.StartFake(t, nacostest.Options{PushDelay: time.Millisecond, Keep: time.Millisecond})}}
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.asked.Store(true)
		if !a.ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(gate.Close)
	for _, address := range []string{crashA, crashB} {
		a.Register("users", nacostest.Instance{Address: address, Weight: 10})
	}
	a.run = a.start(childOrder{}, "run", "--yes", a.file("plan.yaml", strings.NewReplacer("SERVER", a.Servers()[0], "READY", gate.URL).Replace(nacosAbsentPlan)))
	a.until("the gate behind the disable", a.asked.Load)
	a.Leave("users", crashA)
	a.until("a write that stays", func() bool { return a.Phantoms() == 1 })
	return a
}

func (a *absentee) until(what string, seen func() bool) {
	a.Helper()
	for end := time.Now().Add(time.Minute); !seen(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			a.Fatalf("%s: never seen", what)
		}
	}
}

func (a *absentee) kill() {
	a.Helper()
	if err := a.run.Process.Kill(); err != nil {
		a.Fatal(err)
	}
	<-a.run.done
}

// comesBack registers the instance and says how it came: its application has
// another weight by now.
func (a *absentee) comesBack() string {
	a.Register("users", nacostest.Instance{Address: crashA, Weight: 3})
	i, _ := a.Get("users", crashA)
	return fmt.Sprintf("disabled %v, weight %g", i.Disabled, i.Weight)
}

// TestNothingIsLeftBehindForAnInstanceThatFlipHeldWhileItWasGone: whatever ends
// the run, an instance that registers afterwards takes traffic.
func TestNothingIsLeftBehindForAnInstanceThatFlipHeldWhileItWasGone(t *testing.T) {
	t.Parallel()
	t.Run("a kill leaves it, which is what the others are about", func(t *testing.T) {
		t.Parallel()
		a := newAbsentee(t)
		a.kill()
		expect.Same(t, "it comes back", "disabled true, weight 10", a.comesBack())
	})
	t.Run("a kill and a rollback", func(t *testing.T) {
		t.Parallel()
		a := newAbsentee(t)
		a.kill()
		a.wants([]int{12}, "rollback", "--yes") // it is not there: a person has to look
		expect.Same(t, "it comes back", "disabled false, weight 10", a.comesBack())
	})
	t.Run("a kill and a resume that it never comes back to", func(t *testing.T) {
		t.Parallel()
		a := newAbsentee(t)
		a.kill()
		a.ready.Store(true)
		a.wants([]int{12}, "resume", "--yes")
		expect.Same(t, "it comes back", "disabled false, weight 10", a.comesBack())
	})
	t.Run("a kill and a resume that it comes back to", func(t *testing.T) {
		t.Parallel()
		a := newAbsentee(t)
		a.kill()
		writes := len(a.Writes())
		next := a.start(childOrder{}, "resume", "--yes")
		a.until("a write of the next process", func() bool { return len(a.Writes()) > writes })
		expect.Same(t, "it comes back", "disabled true, weight 10", a.comesBack())
		a.ready.Store(true)
		if got := a.wait(next); got.code != 0 {
			t.Fatalf("resume: %s", got)
		}
		i, _ := a.Get("users", crashA)
		expect.Same(t, "disabled at the end", false, i.Disabled)
	})
	t.Run("a step that wants it in, and fails", func(t *testing.T) {
		t.Parallel()
		a := newAbsentee(t)
		a.ready.Store(true)
		got := a.wait(a.run)
		if got.code != 12 || !strings.Contains(a.flip("logs").out, "will be enabled with weight 10 when it registers") {
			t.Errorf("%s\n%s", got, a.flip("logs"))
		}
		expect.Same(t, "it comes back", "disabled false, weight 10", a.comesBack())
	})
	t.Run("a stop", func(t *testing.T) {
		t.Parallel()
		a := newAbsentee(t)
		a.wants([]int{0}, "stop")
		a.wait(a.run)
		expect.Same(t, "it comes back", "disabled false, weight 10", a.comesBack())
	})
}
