package plan_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	yaml "github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/flip-cli/flip/pkg/plan"
)

type httpGate struct {
	URL     string `yaml:"url,required"`
	Status  []int  `yaml:"status"`
	Connect string `yaml:"connect"`
}

type rateGate struct {
	Target       string        `yaml:"target"`
	MaxErrorRate *plan.Percent `yaml:"max_error_rate"`
}

type haproxyConfig struct {
	Endpoints []string `yaml:"endpoints,required" jsonschema_description:"every node"`
	Backend   string   `yaml:"backend"`
	Agent     string   `yaml:"agent" jsonschema:"enum=leave,enum=disable"`
}

var (
	weight = plan.SchemaAttribute{Name: "weight", Type: "int", Max: 256, Doc: "share of the traffic"}

	drivers = []plan.SchemaBlock{
		{Name: "haproxy", Config: haproxyConfig{}, Attributes: []plan.SchemaAttribute{weight, {Name: "state", Type: "enum", Enum: []string{"ready", "maint"}}}},
		{Name: "slb", Config: struct {
			Region string `yaml:"region"`
			Group  string `yaml:"vserver_group"`
		}{}, Attributes: []plan.SchemaAttribute{{Name: "weight", Type: "int", Max: 100}}},
		{Name: "alb", Config: struct {
			Region string `yaml:"region"`
			Group  string `yaml:"server_group"`
		}{}},
		{Name: "nacos", Config: &nacosConfig{}, Attributes: []plan.SchemaAttribute{{Name: "enabled", Type: "bool"}, {Name: "ratio", Type: "number"}, {Name: "note", Type: "text"}}},
		{Name: "cloudflare", Config: struct {
			Zone  string `yaml:"zone"`
			Token string `yaml:"token"`
		}{}, Attributes: []plan.SchemaAttribute{{Name: "values", Type: "list"}, {Name: "ttl", Type: "int"}}, Selectors: []string{"record"}},
	}
	gateKinds = []plan.SchemaBlock{
		{Name: "http", Config: httpGate{}},
		{Name: "haproxy", Config: rateGate{}},
		{Name: "alb", Config: rateGate{}},
		{Name: "resolve", Config: struct {
			Name string   `yaml:"name"`
			Set  []string `yaml:"set"`
			From []string `yaml:"from"`
		}{}},
		{Name: "anything"},
	}
)

type nacosConfig struct {
	shared `yaml:",inline"`

	Servers []string          `yaml:"servers"`
	Service string            `yaml:"service"`
	Cache   string            `yaml:"consumer_cache"`
	Labels  map[string]string `yaml:"labels"`
	Weights map[string]int    `yaml:"weights"`
	Raw     plan.Node         `yaml:"raw"`
}

// compiled is the schema for those drivers and gates.
func compiled(t *testing.T, drivers, gates []plan.SchemaBlock) *jsonschema.Schema {
	t.Helper()
	text, err := plan.Schema(drivers, gates)
	if err != nil {
		t.Fatal(err)
	}
	return compileSchema(t, text)
}

func compileSchema(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("plan.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("plan.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// valid says what the schema has against a plan.
func valid(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return err
	}
	asJSON, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

func TestEditorsAcceptTheExamplePlans(t *testing.T) {
	strict, loose := compiled(t, drivers, gateKinds), compiled(t, nil, nil)
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []*jsonschema.Schema{strict, loose} {
			if err := valid(t, s, text); err != nil {
				t.Errorf("%s: %#v", f, err)
			}
		}
	}
}

func TestEditorsSeeMistakes(t *testing.T) {
	s := compiled(t, drivers, gateKinds)
	const head = "flip: 1\nname: x\ntargets: {web: {driver: haproxy, endpoints: [a]}}\n"
	for name, text := range map[string]string{
		"an unknown key":              head + "stpes: []\nsteps: [{id: a, wait: 1s}]",
		"another version":             "flip: 2\nname: x\nsteps: [{id: a, wait: 1s}]",
		"two verbs":                   head + "steps: [{id: a, wait: 1s, run: x}]",
		"no verb":                     head + "steps: [{id: a}]",
		"no id":                       head + "steps: [{wait: 1s}]",
		"a badly formed id":           head + "steps: [{id: A b, wait: 1s}]",
		"a number for a duration":     head + "steps: [{id: a, wait: 30}]",
		"an attribute of no driver":   head + "steps: [{id: a, set: {group: g, wieght: 1}}]",
		"a weight out of range":       head + "steps: [{id: a, set: {group: g, weight: 257}}]",
		"a percent above 100":         head + "steps: [{id: a, ramp: {from: a, to: b, percent: [101]}}]",
		"an unknown driver":           "flip: 1\nname: x\ntargets: {web: {driver: haprxy}}\nsteps: [{id: a, wait: 1s}]",
		"a key of another driver":     "flip: 1\nname: x\ntargets: {web: {driver: haproxy, endpoints: [a], zone: z}}\nsteps: [{id: a, wait: 1s}]",
		"a required key that is gone": "flip: 1\nname: x\ntargets: {web: {driver: haproxy}}\nsteps: [{id: a, wait: 1s}]",
		"a word that is none":         "flip: 1\nname: x\ntargets: {web: {driver: haproxy, endpoints: a, agent: stop}}\nsteps: [{id: a, wait: 1s}]",
		"an unknown kind of gate":     head + "steps: [{id: a, gate: {htpp: {}}}]",
		"a gate without its url":      head + "steps: [{id: a, gate: {http: {}}}]",
		"undo of a set":               head + "steps: [{id: a, set: {group: g, weight: 1}, undo: none}]",
	} {
		if valid(t, s, []byte(text)) == nil {
			t.Errorf("%s is valid", name)
		}
	}
}

func TestEditorsAcceptWhatLoadAccepts(t *testing.T) {
	s := compiled(t, drivers, gateKinds)
	for name, body := range map[string]string{
		"templates for anything":  "steps: [{id: a, set: {group: g, weight: '${{ vars.w }}', values: '${{ vars.v }}'}, timeout: '${{ vars.t }}'}]",
		"one value for a list":    "targets: {web: {driver: haproxy, endpoints: a, agent: '${{ vars.a }}'}}\nsteps: [{id: a, gate: {http: {url: u, status: 200}}}]",
		"shares in both forms":    "steps: [{id: a, gate: [{haproxy: {target: web, max_error_rate: 1%}}, {alb: {max_error_rate: 0.01}}]}]",
		"inlined and open blocks": "targets: {n: {driver: nacos, retries: 3, labels: {a: 1}, weights: {a: '${{ vars.x }}'}, raw: [1]}}\nsteps: [{id: a, gate: {anything: [1, 2]}}]",
		"every form of a command": "steps: [{id: a, run: x, undo: none}, {id: b, run: [x, 1], undo: {shell: x, env: {A: 1}, timeout: 1m}}, {id: c, run: {argv: [x], dir: /}}]",
		"containers":              "steps: [{id: a, parallel: [{id: b, wait: {for: 1m}}], limit: 2}, {id: c, parallel: {steps: [{id: d, wait: {ttl: r, max: 1h}}], limit: 1}}, {id: e, each: g, on: web, do: [{id: f, approve: hi}]}]",
		"retry in both forms":     "defaults: {retry: 2}\nsteps: [{id: a, wait: 1s, retry: {attempts: 2, backoff: 1s}}]",
		"deleting a record":       "steps: [{id: a, set: {target: z, record: r A, values: null}}]",
	} {
		if err := valid(t, s, []byte("flip: 1\nname: x\n"+body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
