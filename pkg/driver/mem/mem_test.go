package mem_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/state"
)

func set(t *testing.T, d driver.Driver, id, attr string, from, to state.Value) {
	t.Helper()
	if err := d.Apply(t.Context(), []state.Change{{Object: id, Attribute: attr, From: from, To: to}}); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAPoolIsReadAsItWasConfigured(t *testing.T) {
	o := pool()
	o.Nodes = nil
	s, err := mem.New(o).Read(t.Context())
	must(t, err)
	want := map[string]state.Object{
		"web1": {
			Kind: "server", Name: "web1", Info: map[string]string{"address": "10.0.0.1:80", "host": "10.0.0.1"},
			Attrs: map[string]state.Value{"weight": "100", "state": `"ready"`, "present": "true"},
		},
		"web2": {
			Kind: "server", Name: "web2", Info: map[string]string{"address": "10.0.0.2:80", "host": "10.0.0.2"},
			Attrs: map[string]state.Value{"weight": "0", "state": `"maint"`, "present": "true"},
		},
	}
	if diff := cmp.Diff(want, s.Objects); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestWhatTheCallerDoesToAReadingStaysWithTheCaller(t *testing.T) {
	m := mem.New(pool())
	s, err := m.Read(t.Context())
	must(t, err)
	s.Objects["lb1/web1"].Attrs["weight"] = "1"
	delete(s.Objects, "lb2/web1")
	again, err := m.Read(t.Context())
	must(t, err)
	if got := again.Get("lb1/web1", "weight"); got != "100" || len(again.Objects) != 4 {
		t.Errorf("weight %s, %d objects", got, len(again.Objects))
	}
}

func TestOnlyAReadyAndPresentServerHasCapacity(t *testing.T) {
	type attrs = map[string]state.Value
	tests := map[string]struct {
		attrs attrs
		want  float64
	}{
		"ready":                {attrs{"weight": "7", "state": `"ready"`, "present": "true"}, 7},
		"ready without weight": {attrs{"weight": "0", "state": `"ready"`, "present": "true"}, 0},
		"draining":             {attrs{"weight": "7", "state": `"drain"`, "present": "true"}, 0},
		"in maintenance":       {attrs{"weight": "7", "state": `"maint"`, "present": "true"}, 0},
		"absent":               {nil, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := mem.Capacity(test.attrs); got != test.want {
				t.Errorf("got %g, want %g", got, test.want)
			}
		})
	}
}

func TestHealthIsWhatItWasSetTo(t *testing.T) {
	m := mem.New(mem.Options{Pool: map[string]mem.Member{"web1": {}, "web2": {Health: "unknown"}}})
	must(t, m.SetHealth("web1", driver.Down, "L7STS 503"))
	got, err := m.Health(t.Context(), []string{"web1", "web2"})
	must(t, err)
	want := map[string]driver.Health{"web1": {State: driver.Down, Detail: "L7STS 503"}, "web2": {State: driver.Unknown}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("health (-want +got):\n%s", diff)
	}
	if _, err := m.Health(t.Context(), []string{"web3"}); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("the health of nobody: %v", err)
	}
}

func TestANodeThatIsDownIsMissingAndCannotBeCounted(t *testing.T) {
	m := mem.New(pool())
	must(t, m.Break("lb2", "connection refused"))
	s, err := m.Read(t.Context())
	if partial, ok := errors.AsType[*driver.PartialError](err); !ok || partial.Nodes["lb2"] == nil {
		t.Errorf("want a *PartialError about lb2, got %v", err)
	}
	if diff := cmp.Diff([]string{"lb1/web1", "lb1/web2"}, s.IDs()); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	if _, err := m.InFlight(t.Context(), []string{"lb1/web1", "lb2/web1"}); err == nil {
		t.Error("counted what cannot be seen")
	}
	must(t, m.Mend("lb2"))
	if s, err := m.Read(t.Context()); err != nil || len(s.Objects) != 4 {
		t.Errorf("after mending: %v, %v", s.IDs(), err)
	}
}

func TestARestartForgetsChangesAndBeginsANewLife(t *testing.T) {
	m := mem.New(pool())
	before, err := m.Read(t.Context())
	must(t, err)
	for _, id := range []string{"lb1/web1", "lb2/web1"} {
		set(t, m, id, "weight", "100", "0")
	}
	must(t, m.Set("lb1/web9", "weight", "5"))
	must(t, m.Restart("lb1"))
	after, err := m.Read(t.Context())
	must(t, err)
	got := map[string]state.Value{"lb1": after.Get("lb1/web1", "weight"), "lb2": after.Get("lb2/web1", "weight"), "new": after.Get("lb1/web9", "weight")}
	if diff := cmp.Diff(map[string]state.Value{"lb1": "100", "lb2": "0", "new": state.Absent}, got); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
	if before.Nodes["lb1"].Same(after.Nodes["lb1"]) {
		t.Error("lb1 lives on")
	}
	if !before.Nodes["lb2"].Same(after.Nodes["lb2"]) {
		t.Error("lb2 was restarted as well")
	}
}

func TestAServerThatWasAbsentKeepsItsAddress(t *testing.T) {
	m := mem.New(mem.Options{Pool: map[string]mem.Member{"web1": {Weight: 100}, "web2": {Absent: true, Address: "10.0.0.2:80"}}})
	s, err := m.Read(t.Context())
	must(t, err)
	if diff := cmp.Diff([]string{"web1"}, s.IDs()); diff != "" {
		t.Errorf("objects at first (-want +got):\n%s", diff)
	}
	must(t, m.Apply(t.Context(), []state.Change{
		{Object: "web2", Attribute: "present", To: "true"}, {Object: "web2", Attribute: "weight", To: "5"},
	}))
	s, err = m.Read(t.Context())
	must(t, err)
	if got := s.Objects["web2"]; got.Info["host"] != "10.0.0.2" || got.Kind != mem.Server {
		t.Errorf("created %+v", got)
	}
	health, err := m.Health(t.Context(), []string{"web2"})
	if err != nil || health["web2"].State != driver.Up {
		t.Errorf("health %v, %v", health, err)
	}
}

func TestValuesThatAreNotAcceptedAreRefusedForGood(t *testing.T) {
	tests := map[string]struct {
		change state.Change
		want   string
	}{
		"a weight above": {
			state.Change{Object: "lb1/web1", Attribute: "weight", From: "100", To: "257"},
			"lb1/web1: weight is 0..256, not 257",
		},
		"an attribute that servers lack": {
			state.Change{Object: "lb1/web1", Attribute: "ttl", To: "5"},
			"lb1/web1: a server has no attribute ttl",
		},
		"a server that is not there": {
			state.Change{Object: "lb1/web9", Attribute: "weight", From: "100", To: "0"},
			`no object "lb1/web9": not found`,
		},
		"a weight without a server": {
			state.Change{Object: "lb1/web9", Attribute: "weight", To: "5"},
			`no object "lb1/web9": not found`,
		},
		"a server without its presence": {
			state.Change{Object: "lb1/web1", Attribute: "present", From: "true", To: "false"},
			"lb1/web1: a server is there as a whole or not at all",
		},
		"half a server": {
			state.Change{Object: "lb1/web1", Attribute: "weight", From: "100"},
			"lb1/web1: a server is there as a whole or not at all",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := mem.New(pool()).Apply(t.Context(), []state.Change{test.change})
			if err == nil || err.Error() != test.want || !errors.Is(err, driver.ErrPermanent) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestARecordSetThatIsGoneIsDrift(t *testing.T) {
	m := mem.New(mem.Options{})
	err := m.Apply(t.Context(), []state.Change{{Object: "www.example.com A", Attribute: "ttl", From: "60", To: "5"}})
	if drift, ok := errors.AsType[*driver.DriftError](err); !ok || drift.Now != state.Absent {
		t.Errorf("got %v", err)
	}
}

func TestOptionsThatCannotBeAreRefused(t *testing.T) {
	tests := map[string]struct {
		o    mem.Options
		want string
	}{
		"a weight above":      {mem.Options{Pool: map[string]mem.Member{"a": {Weight: 300}}}, "pool: a: weight is 0..256, not 300"},
		"an unknown state":    {mem.Options{Pool: map[string]mem.Member{"a": {State: "off"}}}, "pool: a: state is ready|drain|maint, not off"},
		"an unknown health":   {mem.Options{Pool: map[string]mem.Member{"a": {Health: "ill"}}}, `pool: a: health is up, down or unknown, not "ill"`},
		"a name with a slash": {mem.Options{Pool: map[string]mem.Member{"a/b": {}}}, `pool: "a/b": a server's name has no slash and no space`},
		"a record set's name": {mem.Options{Records: map[string]mem.RRset{"www": {}}}, `records: "www" does not name a record set`},
		"a ttl below":         {mem.Options{Records: map[string]mem.RRset{"www A": {TTL: -1}}}, "records: www A: ttl is 1..604800, not -1"},
		"two nodes alike":     {mem.Options{Nodes: []string{"a", "a"}}, `nodes: "a": nodes have different names without slash and space`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.o.Validate()
			if err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestProcessesShareAFile(t *testing.T) {
	o := pool()
	o.File = filepath.Join(t.TempDir(), "pool.json")
	one, two := mem.New(o), mem.New(mem.Options{File: o.File}) // the file wins over the options
	if _, err := one.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	set(t, two, "lb1/web1", "weight", "100", "0")
	s, err := one.Read(t.Context())
	must(t, err)
	if got := s.Get("lb1/web1", "weight"); got != "0" {
		t.Errorf("the other one reads %s", got)
	}
	if diff := cmp.Diff(one.Scopes(), two.Scopes()); diff != "" {
		t.Errorf("they do not exclude each other (-one +two):\n%s", diff)
	}
	var wg sync.WaitGroup
	for _, m := range []*mem.Target{one, two} {
		wg.Go(func() {
			for range 20 {
				if err := m.AddTraffic("lb1/web1", 1, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got, err := one.Traffic(t.Context(), []string{"lb1/web1"})
	must(t, err)
	if got["lb1/web1"].Answers != 40 {
		t.Errorf("%d of 40 writes were kept", got["lb1/web1"].Answers)
	}
}

func TestAnEmptyFileIsAnEmptyTarget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pool.json")
	must(t, os.WriteFile(path, []byte("{}"), 0o600))
	m := mem.New(mem.Options{File: path})
	must(t, m.Restart(""))
	set(t, m, "www.example.com A", "ttl", state.Absent, "60")
	s, err := m.Read(t.Context())
	must(t, err)
	if diff := cmp.Diff([]string{"www.example.com A"}, s.IDs()); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestAFileThatIsNoStateIsAnErrorWithItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pool.json")
	must(t, os.WriteFile(path, []byte("weight: 100"), 0o600))
	_, err := mem.New(mem.Options{File: path}).Read(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "read "+path+": ") {
		t.Errorf("got %v", err)
	}
}

func TestSettleTakesAsLongAsTheOptionsSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mem.New(mem.Options{Settle: 30 * time.Second, MaxInFlight: time.Minute})
		begin := time.Now()
		must(t, m.Settle(t.Context(), nil))
		if took := time.Since(begin); took != 30*time.Second {
			t.Errorf("took %s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Settle(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if m.MaxInFlight() != time.Minute {
			t.Errorf("max in flight is %s", m.MaxInFlight())
		}
	})
}

func TestTheFactoryOpensATargetFromAPlansBlock(t *testing.T) {
	decode := func(into any) error {
		return json.Unmarshal([]byte(`{"Pool": {"web1": {"Weight": 7}}}`), into)
	}
	f := mem.Factory()
	must(t, f.Check(decode))
	d, err := f.Open(t.Context(), decode, driver.Env{})
	must(t, err)
	s, err := d.Read(t.Context())
	must(t, err)
	if got := s.Get("web1", "weight"); got != "7" || f.Name != "mem" {
		t.Errorf("%s: weight %s", f.Name, got)
	}
}
