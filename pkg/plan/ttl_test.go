package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/plan"
)

const zone = `
vars: {old: {type: string, default: 192.0.2.1}, wait: {type: duration, default: 90m}}
targets: {zone: {driver: mem}}
views: {isp: {dns: "10.0.0.2:53"}}
`

func TestEveryKeyOfATTLRuleIsRead(t *testing.T) {
	for name, test := range map[string]struct {
		rule string
		want plan.TTL
	}{
		"a name alone": {
			"{ttl: www.example.com A}",
			plan.TTL{Records: []plan.Record{{Name: "www.example.com A"}}, OnMax: "pause", Slack: 2 * time.Second, Every: 5 * time.Second, Passes: 2},
		},
		"both kinds of addresses as one": {
			"{ttl: www.example.com A+AAAA}",
			plan.TTL{Records: []plan.Record{{Name: "www.example.com A+AAAA"}}, OnMax: "pause", Slack: 2 * time.Second, Every: 5 * time.Second, Passes: 2},
		},
		"everything": {
			`{ttl: ["www.example.com A", www.example.com  AAAA], target: zone, from: isp, retire: "${{ vars.old }}", max: "${{ vars.wait }}", on_max: continue, slack: 0s, every: 1s, passes: 3}`,
			plan.TTL{
				Records: []plan.Record{{Name: "www.example.com A"}, {Name: "www.example.com AAAA"}}, Target: "zone", From: []string{"isp"}, Retire: []string{"192.0.2.1"},
				Max: 90 * time.Minute, OnMax: "continue", Every: time.Second, Passes: 3,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := load(t, zone+"steps: [{id: a, wait: "+test.rule+"}]")
			if diff := cmp.Diff(&test.want, p.Steps[0].Wait.TTL, ignore); diff != "" {
				t.Errorf("the rule (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAWrongTTLRuleIsRefusedAtItsPlace(t *testing.T) {
	for name, test := range map[string][2]string{
		"a name without a type":      {"{ttl: www.example.com}", `p.yaml:7:29: a record has a name and a type, not "www.example.com"`},
		"half of two types":          {"{ttl: www.example.com A+}", "a record has a name and a type"},
		"one record in two writings": {"{ttl: [www.example.com A, WWW.example.com. a]}", "p.yaml:7:49: record WWW.example.com. a is named twice"},
		"no record":                  {"{ttl: []}", "p.yaml:7:29: ttl names no record"},
		"an unknown view":            {"{ttl: w A, from: [ips]}", `p.yaml:7:41: unknown view "ips"; did you mean "isp"?`},
		"an unknown target":          {"{ttl: w A, target: zoen}", `p.yaml:7:42: unknown target "zoen"`},
		"a ceiling without views":    {"{ttl: w A, max: 1h}", "p.yaml:7:39: max is about views, and without from no view is asked"},
		"a ceiling of nothing":       {"{ttl: w A, from: isp, max: 0s}", "p.yaml:7:50: max cannot be 0s"},
		"another end":                {"{ttl: w A, from: isp, on_max: hold}", `on_max is pause, fail or continue, not "hold"`},
		"a duration beside it":       {"{ttl: w A, for: 1m}", "p.yaml:7:39: wait has a duration and a ttl"},
		"a key that does not exist":  {"{ttl: w A, slck: 1s}", `unknown key "slck" in wait; did you mean "slack"?`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refused(t, zone+"steps: [{id: a, wait: "+test[0]+"}]"); !strings.Contains(got, test[1]) {
				t.Errorf("got\n%s\nwant it to say %q", got, test[1])
			}
		})
	}
}

func TestRecordsAreComparedByNameAndType(t *testing.T) {
	for _, name := range []string{"www.example.com A", "WWW.Example.com. a", " www.example.com.  A "} {
		if got := plan.RecordKey(name); got != "www.example.com A" {
			t.Errorf("%q is %q", name, got)
		}
	}
}
