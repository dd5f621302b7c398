package mem_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/plan"
)

func TestEveryOptionCanBeWrittenInAPlan(t *testing.T) {
	p, err := plan.Load([]byte(`
flip: 1
name: try
targets:
  web:
    driver: mem
    name: web
    nodes: [lb1, lb2]
    file: /tmp/web.json
    settle: 2s
    max_in_flight: 5s
    pool:
      web1: {weight: 100, state: ready, address: "10.0.0.1:80", health: up, sessions: 20, drains: 2s, rate: 50, error_rate: 0.01}
      web2: {absent: true}
    records:
      www.example.com A: {values: 192.0.2.1, ttl: 60}
steps:
  - {id: off, set: {target: web, members: [web1], weight: 0}}
`), plan.Options{File: "try.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	var got mem.Options
	if err := p.Targets[0].Config.Decode(&got, plan.Scope{}); err != nil {
		t.Fatal(err)
	}
	want := mem.Options{
		Name: "web", Nodes: []string{"lb1", "lb2"}, File: "/tmp/web.json", Settle: 2 * time.Second, MaxInFlight: 5 * time.Second,
		Pool: map[string]mem.Member{
			"web1": {
				Weight: 100, State: "ready", Address: "10.0.0.1:80", Health: "up",
				Load: mem.Load{Sessions: 20, Drains: 2 * time.Second, Rate: 50, ErrorRate: 0.01},
			},
			"web2": {Absent: true},
		},
		Records: map[string]mem.RRset{"www.example.com A": {Values: []string{"192.0.2.1"}, TTL: 60}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}
