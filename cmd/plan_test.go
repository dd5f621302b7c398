package cmd

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPlanSaysHowLongItsGatesTakeAtLeast(t *testing.T) {
	l := newLab(t, `flip: 1
name: shop
`+target+`steps:
  - {id: log, gate: {log: {path: access.log, window: 45s}, every: 10s, timeout: 5m}}
  - {id: log-for, gate: {log: {path: access.log, window: 30s}, every: 10s, for: 1m, timeout: 5m}}
  - {id: samples, gate: {prometheus: {url: "http://127.0.0.1:1", query: up, pass: value > 0, min_samples: 4}, every: 5s, timeout: 5m}}
  - {id: for, gate: {prometheus: {url: "http://127.0.0.1:1", query: up, pass: value > 0}, every: 5s, for: 20s, timeout: 5m}}
  - {id: passes, gate: {tcp: {address: "127.0.0.1:1"}, every: 5s, passes: 3, timeout: 5m}}
  - {id: held, wait: 20s, gate: {log: {path: access.log, window: 45s}, every: 5s}}
  - {id: held-longer, wait: 2m, gate: {log: {path: access.log, window: 45s}, every: 5s}}
`)
	if err := os.WriteFile("access.log", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l.must(0, "plan plan.yaml -o json")
	var told struct {
		Steps []struct {
			ID       string  `json:"id"`
			Shortest float64 `json:"shortest_s"`
		} `json:"steps"`
	}
	if err := json.Unmarshal([]byte(l.out.String()), &told); err != nil {
		t.Fatalf("%v\n%s", err, l.out.String())
	}
	got := map[string]float64{}
	for _, s := range told.Steps {
		got[s.ID] = s.Shortest
	}
	want := map[string]float64{"log": 50, "log-for": 90, "samples": 15, "for": 20, "passes": 10, "held": 45, "held-longer": 120}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seconds (-want +got):\n%s", diff)
	}
}
