package mem_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/state"
)

func TestLocateNamesServersOnEveryNodeAndRecordSets(t *testing.T) {
	m := mem.New(pool())
	got, err := m.Locate(mem.Server, "web9")
	must(t, err)
	want := map[string]state.Object{
		"lb1/web9": {Kind: "server", Name: "web9", Node: "lb1"},
		"lb2/web9": {Kind: "server", Name: "web9", Node: "lb2"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("servers (-want +got):\n%s", diff)
	}
	got, err = m.Locate(mem.Record, "www.example.com A")
	must(t, err)
	if diff := cmp.Diff(map[string]state.Object{"www.example.com A": {Kind: "record", Name: "www.example.com A"}}, got); diff != "" {
		t.Errorf("record sets (-want +got):\n%s", diff)
	}
	for kind, name := range map[string]string{"server": "a/b", "record": "www", "map": "x"} {
		if _, err := m.Locate(kind, name); !errors.Is(err, driver.ErrPermanent) {
			t.Errorf("locate %s %s: %v", kind, name, err)
		}
	}
}

// instances stands in for a registry's driver: one instance of a service, with
// attributes that a pool of servers does not have.
func instances() (driver.Info, state.State) {
	info := driver.Info{Name: "registry", Kinds: []driver.Kind{{
		Name: "instance", Member: true,
		Attributes: []driver.Attribute{
			{Name: "weight", Type: driver.TypeNumber, Max: 10000},
			{Name: "enabled", Type: driver.TypeBool},
			{Name: "ephemeral", Type: driver.TypeBool, ReadOnly: true},
		},
		Capacity: func(a map[string]state.Value) float64 {
			w, _ := a["weight"].Float()
			if !a["enabled"].Bool() {
				return 0
			}
			return w
		},
	}}}
	return info, state.State{Objects: map[string]state.Object{
		"10.0.0.1:8080@DEFAULT": {Kind: "instance", Name: "10.0.0.1:8080", Attrs: map[string]state.Value{"weight": "1.5", "enabled": "true", "ephemeral": "true"}},
	}}
}

type locator struct{}

func (locator) Locate(kind, name string) (map[string]state.Object, error) {
	return map[string]state.Object{name + "@DEFAULT": {Kind: kind, Name: name}}, nil
}

func TestATwinStandsInForAnotherDriver(t *testing.T) {
	info, s := instances()
	twin := mem.Twin(info, s, []string{"registry://r1/users"})
	twin.LocateBy(locator{})
	const id = "10.0.0.1:8080@DEFAULT"
	set(t, twin, id, "enabled", "true", "false")
	if got := s.Get(id, "enabled"); got != "true" {
		t.Errorf("the original state is now %s", got)
	}
	must(t, twin.SetLoad(id, mem.Load{Sessions: 4}))
	if got := inFlight(t, twin, id).Now; got != 0 {
		t.Errorf("a disabled instance has %d in flight", got)
	}
	err := twin.Apply(t.Context(), []state.Change{{Object: id, Attribute: "ephemeral", From: "true", To: "false"}})
	if !errors.Is(err, driver.ErrPermanent) {
		t.Errorf("a read-only attribute was set: %v", err)
	}
	found, err := twin.Locate("instance", "10.0.0.2:8080")
	must(t, err)
	if diff := cmp.Diff(map[string]state.Object{"10.0.0.2:8080@DEFAULT": {Kind: "instance", Name: "10.0.0.2:8080"}}, found); diff != "" {
		t.Errorf("located (-want +got):\n%s", diff)
	}
	set(t, twin, "10.0.0.2:8080@DEFAULT", "weight", state.Absent, "1")
	now, err := twin.Read(t.Context())
	must(t, err)
	if got := now.Objects["10.0.0.2:8080@DEFAULT"]; got.Kind != "instance" || got.Name != "10.0.0.2:8080" {
		t.Errorf("created %+v", got)
	}
	if diff := cmp.Diff([]string{"registry://r1/users"}, twin.Scopes()); diff != "" {
		t.Errorf("scopes (-want +got):\n%s", diff)
	}
	if err := twin.Apply(t.Context(), []state.Change{{Object: "10.0.0.9:1@X", Attribute: "weight", From: "1", To: "2"}}); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("an unknown instance: %v", err)
	}
}

func TestAForkGoesItsOwnWay(t *testing.T) {
	one := mem.New(mem.Options{Pool: map[string]mem.Member{"web1": {Weight: 100}, "web2": {Weight: 100}}})
	two, err := one.Fork()
	if err != nil {
		t.Fatal(err)
	}
	if err := one.Apply(t.Context(), []state.Change{{Object: "web1", Attribute: mem.Weight, From: "100", To: "1"}}); err != nil {
		t.Fatal(err)
	}
	if err := two.Apply(t.Context(), []state.Change{{Object: "web2", Attribute: mem.Weight, From: "100", To: "2"}}); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[*mem.Target][2]state.Value{one: {"1", "100"}, two: {"100", "2"}} {
		s, err := target.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]state.Value{s.Get("web1", mem.Weight), s.Get("web2", mem.Weight)}; got != want {
			t.Errorf("weights %v, want %v", got, want)
		}
	}
}
