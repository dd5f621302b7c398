package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/plan"
)

const fleet = "flip: 1\nname: x\ntargets: {web: {driver: d}}\ngroups: {a: {web: [w1]}}\n"

func TestADrainAsksTheMembersThemselves(t *testing.T) {
	p := load(t, groups+`
steps:
  - id: old
    drain:
      group: live
      count: &stats {http: {url: "http://${{ member.address }}/stats", value: body.in_flight}}
      ask: {http: {url: "http://${{ member.address }}/drain", method: PUT}, every: 30s, optional: true, timeout: 3s}
      kill: {run: [./kill, "${{ member.host }}"]}
      then: kill
      timeout: 20m
  - {id: new, drain: {group: idle, interval: 2s, samples: 4, count: *stats, ask: {run: "./close.sh ${{ member.name }}"}}}
  - {id: sum, drain: {group: idle, count: {metrics: {url: u, sum: ['ws{kind="user"}', ws_admin]}}}}
`)
	old, fresh, sum := p.Steps[0].Drain, p.Steps[1].Drain, p.Steps[2].Drain
	want := []any{
		"http", "http http://${{ member.address }}/stats body.in_flight", time.Second, 3,
		"PUT http://${{ member.address }}/drain", 30 * time.Second, true, 3 * time.Second,
		"run ./kill ${{ member.host }}",
		[]string{"./kill", "${{ member.host }}"},
		"kill",
		2 * time.Second, old.Count.What(), "run ./close.sh ${{ member.name }}", "metrics u ws{kind=\"user\"} + ws_admin",
	}
	got := []any{
		old.Count.Kind, old.Count.What(), old.Interval, old.Samples,
		old.Ask.What(), old.Ask.Every, old.Ask.Optional, old.Ask.Timeout,
		old.Kill.What(), old.Kill.Run.Argv, old.Then,
		fresh.Interval, fresh.Count.What(), fresh.Ask.What(), sum.Count.What(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var c struct {
		URL   string `yaml:"url"`
		Value string `yaml:"value"`
	}
	scope := plan.Scope{"member": plan.MemberValue{Name: "w1", Address: "10.0.0.1:80"}}
	if err := old.Count.Config.Decode(&c, scope); err != nil || c.URL != "http://10.0.0.1:80/stats" {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestAMistakeInWhatADrainAsksHasItsPlace(t *testing.T) {
	const stats = "count: {http: {url: u}}"
	for step, want := range map[string]string{
		"count: yes":                                           `p.yaml:5:42: count must be a map with its kind, not "yes"`,
		"count: {}":                                            "p.yaml:5:42: count does not say its kind",
		"count: {http: {}, metrics: {}}":                       "p.yaml:5:53: count has one kind, this one has also metrics",
		stats + ", metric: {tcp: {port: 1}}":                   "p.yaml:5:42: drain has a count and a metric",
		"count: {http: {url: '${{ membr.host }}'}}":            `p.yaml:5:60: unknown name "membr"; did you mean "member"?`,
		"ask: ./close":                                         `p.yaml:5:40: ask must be a map, not "./close"`,
		"ask: {}":                                              "p.yaml:5:40: ask does not say what to do",
		"ask: {http: {}, run: x}":                              "p.yaml:5:56: ask has http and run",
		"ask: {htp: {}}":                                       `p.yaml:5:41: unknown key "htp" in ask; did you mean "http"?`,
		"ask: {http: {}, every: 100ms}":                        "p.yaml:5:58: every is at least 1s",
		"ask: {http: {}, every: 0s}":                           "p.yaml:5:58: every must be more than nothing",
		stats + ", ask: {http: {}, every: 3s}":                 "p.yaml:5:83: every 3s is no longer than the 3 looks that tell whether it is quiet",
		"ask: {http: {}}, metric: {tcp: {port: 1}}":            "p.yaml:5:40: ask needs the members of the drain",
		"ask: {run: {shell: x, timeout: 1s}}":                  "p.yaml:5:66: the timeout of ask stands in it twice",
		"kill: {run: x}":                                       "p.yaml:5:41: kill is done at the deadline with then: kill only",
		"then: kill, kill: {run: x, every: 1m}":                "p.yaml:5:69: every belongs to ask; a kill is done once",
		"then: kill, kill: {run: x}, metric: {tcp: {port: 1}}": "p.yaml:5:53: kill needs the members of the drain",
	} {
		_, err := plan.Load([]byte(fleet+"steps: [{id: s, drain: {group: a, "+step+"}}]\n"), plan.Options{File: "p.yaml"})
		var lines []string
		for _, e := range all(err) {
			lines = append(lines, e.Error())
		}
		if got := strings.Join(lines, "\n"); !strings.HasPrefix(got, want) {
			t.Errorf("%s:\n  got  %s\n  want %s", step, got, want)
		}
	}
}

func TestTheSidesMayDifferInWeightWhereThePlanSaysSo(t *testing.T) {
	const steps = "flip: 1\nname: x\ntargets: {web: {driver: d}}\ngroups: {a: {web: [w1]}, b: {web: [w2]}}\nsteps: [{id: s, set: {group: idle, weight: 0}}]\nalternate: "
	for text, want := range map[string]string{
		"[a, b]":                          "a b false",
		"{groups: [a, b]}":                "a b false",
		"{groups: [a, b], unequal: true}": "a b true",
		"{unequal: true}":                 `"groups" is missing in alternate`,
		"{groups: [a, c]}":                `unknown group "c"`,
		"{groups: [a, b], equal: true}":   `unknown key "equal" in alternate`,
	} {
		p, err := plan.Load([]byte(steps+text+"\n"), plan.Options{File: "p.yaml"})
		got := fmt.Sprint(strings.Join(p.Alternate, " "), " ", p.Unequal)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestEditorsKnowWhatADrainAsks(t *testing.T) {
	type stats struct {
		URL   string `yaml:"url"`
		Value string `yaml:"value"`
	}
	text, err := plan.Schema(drivers, gateKinds, plan.SchemaBlock{Name: plan.SchemaCount + "http", Config: stats{}}, plan.SchemaBlock{Name: plan.SchemaAsk, Config: stats{}})
	if err != nil {
		t.Fatal(err)
	}
	s := compileSchema(t, text)
	for drain, ok := range map[string]bool{
		"count: {http: {url: u, value: v}}":  true,
		"count: {http: {urll: u}}":           false,
		"count: {metrics: {}}":               false,
		"count: {http: {}, other: {}}":       false,
		"ask: {http: {url: u}, every: 30s}":  true,
		"ask: {run: ./x, optional: true}":    true,
		"ask: {run: [./x, y], timeout: 1m}":  true,
		"ask: {run: x, http: {}}":            false,
		"ask: {every: 1s}":                   false,
		"then: kill, kill: {http: {url: u}}": true,
	} {
		err := valid(t, s, []byte("flip: 1\nname: x\nsteps: [{id: a, drain: {group: g, "+drain+"}}]"))
		if (err == nil) != ok {
			t.Errorf("%s: %v", drain, err)
		}
	}
	if err := valid(t, s, []byte("flip: 1\nname: x\nalternate: {groups: [a, b], unequal: true}\nsteps: [{id: a, wait: 1s}]")); err != nil {
		t.Error(err)
	}
}
