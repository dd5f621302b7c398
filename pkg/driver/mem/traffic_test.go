package mem_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/mem"
)

func inFlight(t *testing.T, m *mem.Target, id string) driver.Flight {
	t.Helper()
	flights, err := m.InFlight(t.Context(), []string{id})
	must(t, err)
	return flights[id]
}

func TestSessionsFallOnceAServerTakesNoTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mem.New(mem.Options{Pool: map[string]mem.Member{
			"web1": {Weight: 100, Load: mem.Load{Sessions: 20, Drains: 10 * time.Second, Rate: 2}},
		}})
		var got []driver.Flight
		look := func() { got = append(got, inFlight(t, m, "web1")) }
		<-time.After(10 * time.Second)
		look()
		set(t, m, "web1", "state", `"ready"`, `"drain"`)
		look()
		<-time.After(5 * time.Second)
		look()
		<-time.After(5 * time.Second)
		look()
		<-time.After(time.Hour)
		set(t, m, "web1", "state", `"drain"`, `"ready"`)
		look()
		want := []driver.Flight{{Now: 20, Total: 40}, {Now: 20, Total: 40}, {Now: 10, Total: 40}, {Now: 0, Total: 40}, {Now: 20, Total: 40}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("flights (-want +got):\n%s", diff)
		}
	})
}

func TestSessionsStartToFallAtTheMomentOfTheChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mem.New(mem.Options{Pool: map[string]mem.Member{
			"web1": {Weight: 100, Load: mem.Load{Sessions: 4, Drains: time.Second}},
			"web2": {Weight: 0, Load: mem.Load{Sessions: 4, Drains: time.Second}},
		}})
		set(t, m, "web1", "weight", "100", "0")
		if got := inFlight(t, m, "web1").Now; got != 4 {
			t.Errorf("web1 has %d left, want 4", got)
		}
		if got := inFlight(t, m, "web2").Now; got != 0 {
			t.Errorf("web2, which never served, has %d", got)
		}
	})
}

func TestKillEndsSessionsThatNeverEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mem.New(mem.Options{Pool: map[string]mem.Member{"web1": {Weight: 100, Load: mem.Load{Sessions: 3, Drains: -1}}}})
		<-time.After(time.Second)
		must(t, m.Kill(t.Context(), []string{"web1"}))
		if got := inFlight(t, m, "web1").Now; got != 3 {
			t.Errorf("a server that takes traffic has %d new sessions, want 3", got)
		}
		set(t, m, "web1", "weight", "100", "0")
		<-time.After(time.Hour)
		if got := inFlight(t, m, "web1").Now; got != 3 {
			t.Errorf("after an hour %d are left, want 3", got)
		}
		must(t, m.Kill(t.Context(), []string{"web1"}))
		if got := inFlight(t, m, "web1").Now; got != 0 {
			t.Errorf("after the kill %d are left", got)
		}
	})
}

func TestTrafficGrowsWhileAServerServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mem.New(mem.Options{Pool: map[string]mem.Member{"web1": {Weight: 100, Load: mem.Load{Rate: 50, ErrorRate: 0.1}}}})
		<-time.After(2 * time.Second)
		set(t, m, "web1", "weight", "100", "0")
		<-time.After(time.Hour)
		must(t, m.AddTraffic("web1", 7, 2))
		got, err := m.Traffic(t.Context(), []string{"web1"})
		must(t, err)
		if diff := cmp.Diff(map[string]driver.Traffic{"web1": {Answers: 107, Errors: 12}}, got); diff != "" {
			t.Errorf("traffic (-want +got):\n%s", diff)
		}
	})
}
