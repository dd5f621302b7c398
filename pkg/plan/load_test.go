package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flip-cli/flip/pkg/plan"
)

// given are the variables that the plans of testdata/good need.
var given = map[string]string{"version": "v42", "new": "192.0.2.20"}

// good reads a plan of testdata/good.
func good(t *testing.T, name string) plan.Plan {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "good", name))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{}
	for k, v := range given {
		if strings.Contains(string(text), "  "+k+":") {
			vars[k] = v
		}
	}
	p, err := plan.Load(text, plan.Options{File: name, Vars: vars})
	if err != nil {
		t.Fatal(said(err))
	}
	return p
}

// load reads a plan that must be good; its header is added.
func load(t *testing.T, body string) plan.Plan {
	t.Helper()
	p, err := plan.Load([]byte("flip: 1\nname: x\n"+body), plan.Options{File: "p.yaml"})
	if err != nil {
		t.Fatal(said(err))
	}
	return p
}

// refused reads a plan that must be bad.
func refused(t *testing.T, body string) string {
	t.Helper()
	_, err := plan.Load([]byte("flip: 1\nname: x\n"+body), plan.Options{File: "p.yaml"})
	if err == nil {
		t.Fatal("the plan was accepted")
	}
	return said(err)
}

const groups = `targets:
  web: {driver: haproxy}
groups:
  blue: {web: [web1, web2]}
  green: {web: [web3, web4]}
alternate: [blue, green]
`

// ignore compares plans without positions and blocks.
var ignore = cmp.Options{
	cmpopts.IgnoreTypes(plan.Pos{}, []plan.Pos{}, plan.Node{}),
	cmpopts.EquateEmpty(),
}

var usual = plan.Retry{Attempts: 1, Backoff: time.Second, Max: 30 * time.Second}

func TestTheReleasePlanSaysWhatItsAuthorMeant(t *testing.T) {
	p := good(t, "shop-web.yaml")
	want := []plan.Step{
		{
			ID: "install", Retry: usual, OnFail: "rollback",
			Run:  &plan.Command{Shell: `./deploy.sh ${{ vars.version }} ${{ join(idle.addresses, " ") }}`},
			Undo: &plan.Command{Shell: `./deploy.sh --previous ${{ join(idle.addresses, " ") }}`},
		},
		{ID: "healthy", Retry: usual, OnFail: "rollback", Gate: []plan.GateRef{{Name: "up"}}},
		{
			ID: "shift", Retry: usual, OnFail: "rollback", Gates: []plan.GateRef{{Name: "errors"}},
			Ramp: &plan.Ramp{From: "live", To: "idle", Percent: []int{5, 25, 50, 100}, Hold: time.Minute},
		},
		{
			ID: "drain-old", Retry: usual, OnFail: "rollback", Timeout: 10 * time.Minute,
			Drain: &plan.Drain{
				Selection: plan.Selection{Group: "live"}, Then: "continue",
				Interval: 100 * time.Millisecond, Samples: 3,
			},
		},
	}
	if diff := cmp.Diff(want, p.Steps, ignore); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	gates := []plan.Gate{
		{Name: "up", Kind: "http", Each: "idle", Passes: 3, Timeout: 2 * time.Minute},
		{Name: "errors", Kind: "haproxy", For: 30 * time.Second, Timeout: 5 * time.Minute},
	}
	if diff := cmp.Diff(gates, p.Gates, ignore); diff != "" {
		t.Errorf("gates (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"blue", "green"}, p.Alternate); diff != "" {
		t.Errorf("alternate (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]plan.Guard{{Target: "web", MinServing: 2}}, p.Guards, ignore); diff != "" {
		t.Errorf("guards (-want +got):\n%s", diff)
	}
	if len(p.Warnings) > 0 {
		t.Errorf("a careful plan has warnings: %v", p.Warnings)
	}
	var verbs []string
	p.Walk(func(s plan.Step) { verbs = append(verbs, s.Verb()) })
	if diff := cmp.Diff([]string{"run", "gate", "ramp", "drain"}, verbs); diff != "" {
		t.Errorf("verbs (-want +got):\n%s", diff)
	}
}

func TestTheABReleaseKeepsTargetsApartAndRunsOncePerMember(t *testing.T) {
	p := good(t, "base-services.yaml")
	if diff := cmp.Diff([]string{"slb", "ws"}, p.Steps[0].Set.On); diff != "" {
		t.Errorf("edge-out is on (-want +got):\n%s", diff)
	}
	want := &plan.Each{Group: "idle", Limit: 1, Do: []plan.Step{{
		ID: "one", Retry: usual, OnFail: "rollback",
		Run:  &plan.Command{Shell: "./upgrade.sh ${{ member.host }}"},
		Undo: &plan.Command{Shell: "./upgrade.sh --back ${{ member.host }}"},
	}}}
	if diff := cmp.Diff(want, p.Steps[3].Each, ignore); diff != "" {
		t.Errorf("upgrade (-want +got):\n%s", diff)
	}
	attrs := []plan.Attr{{Name: "enabled", Value: false}}
	if diff := cmp.Diff(attrs, p.Steps[1].Set.Attrs, ignore); diff != "" {
		t.Errorf("registry-out (-want +got):\n%s", diff)
	}
}

func TestTheDNSMoveKeepsRecordsAndRulesForTheDriver(t *testing.T) {
	p := good(t, "dns-move.yaml")
	set := p.Steps[3].Set
	values, err := set.Attrs[1].Value.([]any)[1].(plan.Template).Eval(plan.Scope{"vars": p.Vars})
	if err != nil || values != "192.0.2.20" {
		t.Errorf("the second value is %v, %v", values, err)
	}
	if set.Attrs[0].Name != "record" || set.Attrs[0].Value != "www.example.com A" {
		t.Errorf("the record is %+v", set.Attrs[0])
	}
	rule := &plan.TTL{
		Records: []plan.Record{{Name: "www.example.com A"}}, From: []string{"auth", "isp", "app"}, Max: 24 * time.Hour, OnMax: "pause",
		Slack: 2 * time.Second, Every: 5 * time.Second, Passes: 2,
	}
	if diff := cmp.Diff(rule, p.Steps[6].Wait.TTL, ignore); diff != "" {
		t.Errorf("the ttl rule (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"auth", "isp", "app"}, p.Views.Keys()); diff != "" {
		t.Errorf("views (-want +got):\n%s", diff)
	}
	if token, _ := p.Targets[0].Config.Get("token"); token.Text() != "${env:CF_API_TOKEN}" {
		t.Errorf("the secret is %q, not the reference", token.Text())
	}
	if got := p.Steps[4].Gate[0].Inline.Timeout; got != 30*time.Minute {
		t.Errorf("the gate has %s", got)
	}
}

func TestEveryFormOfEveryVerbIsRead(t *testing.T) {
	p := load(t, groups+`
vars:
  soak: {type: duration, default: 90s}
  steps: {type: list, default: [10%, "50"]}
  tries: {type: int, default: 4}
defaults: {timeout: 20m, retry: {attempts: 2, max: 5s}, on_fail: pause}
gates:
  up: {tcp: {port: 80}, failures: 2, every: 1s}
steps:
  - {id: argv, run: [echo, "${{ idle.addresses }}"], undo: [echo, no], retry: "${{ vars.tries }}"}
  - id: whole
    run: {shell: "make x", env: {A: 1, B: true, C: "${{ run.id }}"}, dir: /srv, timeout: 3m}
    undo: {argv: [make, y], timeout: 10s}
  - {id: meant, run: "true", undo: none, when: vars.tries > 3, on_fail: continue}
  - {id: soak, wait: "${{ vars.soak }}", gate: [up, {cmd: {shell: x}, passes: 2}]}
  - {id: pause, wait: {for: 2s}}
  - {id: ask, approve: "Swap to ${{ idle.name }}?"}
  - {id: ask-soon, approve: {message: now, timeout: 4h}}
  - {id: ask-late, timeout: 2h, approve: later}
  - {id: shift, ramp: {from: blue, to: green, on: web, percent: "${{ vars.steps }}", full: 100, gate: up, timeout: 1h}, gate: {cmd: {shell: y}}}
  - {id: named, drain: {target: web, members: web*, sessions: 2, then: kill, interval: 1s, samples: 5, metric: {prometheus: {query: q}}}}
  - id: together
    limit: 2
    parallel:
      - {id: left, set: {target: web, members: [web1], weight: 10, note: "a b", ratio: 0.5, big: 18446744073709551615, gone: null, tags: [a, 1]}}
      - {id: right, steps: [{id: inner, set: {group: idle, weight: "${{ vars.tries }}"}}]}
  - {id: bounded, parallel: {steps: [{id: b1, wait: 1s}], limit: 1}}
  - {id: rolling, each: green, on: web, limit: 2, do: [{id: out, set: {weight: 0}}, {id: in, set: {group: member, weight: 1}}, {id: is-up, gate: {http: {url: "http://${{ member.address }}"}}}]}
  - {id: done, set: {group: live, weight: 1}, commit: true}
`)
	want := map[string]plan.Step{
		"argv":     {Retry: plan.Retry{Attempts: 4, Backoff: time.Second, Max: 5 * time.Second}, Run: &plan.Command{Argv: []string{"echo", "${{ idle.addresses }}"}}, Undo: &plan.Command{Argv: []string{"echo", "no"}}},
		"whole":    {Timeout: 3 * time.Minute, Run: &plan.Command{Shell: "make x", Env: map[string]string{"A": "1", "B": "true", "C": "${{ run.id }}"}, Dir: "/srv", Timeout: 3 * time.Minute}, Undo: &plan.Command{Argv: []string{"make", "y"}, Timeout: 10 * time.Second}},
		"meant":    {Run: &plan.Command{Shell: "true"}, NoUndo: true, When: &plan.Expr{Source: "vars.tries > 3"}, OnFail: "continue"},
		"soak":     {Wait: &plan.Wait{For: 90 * time.Second}, Gates: []plan.GateRef{{Name: "up"}, {Inline: &plan.Gate{Name: "soak", Kind: "cmd", Passes: 2}}}},
		"pause":    {Wait: &plan.Wait{For: 2 * time.Second}},
		"ask":      {Approve: &plan.Approve{Message: "Swap to ${{ idle.name }}?"}},
		"ask-soon": {Timeout: 4 * time.Hour, Approve: &plan.Approve{Message: "now", Timeout: 4 * time.Hour}},
		"ask-late": {Timeout: 2 * time.Hour, Approve: &plan.Approve{Message: "later", Timeout: 2 * time.Hour}},
		"shift":    {Timeout: time.Hour, Ramp: &plan.Ramp{From: "blue", To: "green", On: []string{"web"}, Percent: []int{10, 50}, Full: 100}, Gates: []plan.GateRef{{Inline: &plan.Gate{Name: "shift", Kind: "cmd"}}, {Name: "up"}}},
		"named":    {Drain: &plan.Drain{Selection: plan.Selection{Target: "web", Members: []string{"web*"}}, Sessions: 2, Then: "kill", Interval: time.Second, Samples: 5, Metric: &plan.GateRef{Inline: &plan.Gate{Name: "named", Kind: "prometheus"}}}},
		"left": {Set: &plan.Set{Selection: plan.Selection{Target: "web", Members: []string{"web1"}}, Attrs: []plan.Attr{
			{Name: "weight", Value: int64(10)},
			{Name: "note", Value: "a b"},
			{Name: "ratio", Value: 0.5},
			{Name: "big", Value: uint64(18446744073709551615)},
			{Name: "gone"},
			{Name: "tags", Value: []any{"a", int64(1)}},
		}}},
		"b1":    {Wait: &plan.Wait{For: time.Second}},
		"out":   {Set: &plan.Set{Attrs: []plan.Attr{{Name: "weight", Value: int64(0)}}}},
		"in":    {Set: &plan.Set{Attrs: []plan.Attr{{Name: "weight", Value: int64(1)}}}},
		"is-up": {Gate: []plan.GateRef{{Inline: &plan.Gate{Name: "is-up", Kind: "http"}}}},
		"done":  {Set: &plan.Set{Selection: plan.Selection{Group: "live"}, Attrs: []plan.Attr{{Name: "weight", Value: int64(1)}}}, Commit: true},
	}
	containers := map[string]int{"together": 2, "bounded": 1, "rolling": 2, "right": 1, "inner": 0}
	p.Walk(func(s plan.Step) {
		if limit, ok := containers[s.ID]; ok {
			switch {
			case s.Parallel != nil && s.Parallel.Limit != limit, s.Each != nil && s.Each.Limit != limit:
				t.Errorf("step %s has limit %+v %+v", s.ID, s.Parallel, s.Each)
			}
			return
		}
		one := want[s.ID]
		one.ID = s.ID
		if one.Retry == (plan.Retry{}) {
			one.Retry = plan.Retry{Attempts: 2, Backoff: time.Second, Max: 5 * time.Second}
		}
		if one.OnFail == "" {
			one.OnFail = "pause"
		}
		if diff := cmp.Diff(one, s, ignore); diff != "" {
			t.Errorf("step %s (-want +got):\n%s", s.ID, diff)
		}
	})
	if p.Defaults.Timeout != 20*time.Minute {
		t.Errorf("the default timeout is %s", p.Defaults.Timeout)
	}
}

func TestAnchorsAndMergesSaveWritingAndNothingElse(t *testing.T) {
	p := load(t, groups+`
gates:
  a: &slow {tcp: {port: 80}, timeout: 9m, every: 5s}
  b: {<<: *slow, every: 1s}
  c: {<<: [*slow], passes: 2}
steps:
  - {id: up, gate: [a, b, c]}
`)
	want := []plan.Gate{
		{Name: "a", Kind: "tcp", Timeout: 9 * time.Minute, Every: 5 * time.Second},
		{Name: "b", Kind: "tcp", Timeout: 9 * time.Minute, Every: time.Second},
		{Name: "c", Kind: "tcp", Timeout: 9 * time.Minute, Every: 5 * time.Second, Passes: 2},
	}
	if diff := cmp.Diff(want, p.Gates, ignore); diff != "" {
		t.Errorf("gates (-want +got):\n%s", diff)
	}
}

func TestPositionsSurviveByteOrderMarksAndCarriageReturns(t *testing.T) {
	text := "\ufeffflip: 1\r\nname: x\r\nsteps:\r\n  - id: a\r\n    wiat: 1s\r\n"
	_, err := plan.Load([]byte(text), plan.Options{File: "p.yaml"})
	want := "p.yaml:5:5: unknown verb \"wiat\"; did you mean \"wait\"?\n" +
		"    5 |     wiat: 1s\n      |     ^^^^\n" +
		"  hint: verbs: set, ramp, drain, gate, wait, run, approve, steps, parallel, each\n"
	if diff := cmp.Diff(want, said(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatIsNoTextIsRefusedBeforeItIsParsed(t *testing.T) {
	big := append([]byte("flip: 1\n#"), make([]byte, 16<<20)...)
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"a file over 16 MiB":                   {big, "p.yaml: the plan has 16777225 bytes, more than 16777216\n"},
		"bytes that no text has":               {[]byte("flip: 1\nname: \xff\xfe\n"), "p.yaml:2:7: byte 0xff is not UTF-8 text\n    2 | name: \xff\xfe\n      |       ^\n  hint: save the file as UTF-8\n"},
		"a NUL byte":                           {[]byte("flip: 1\nname: \x00\n"), "p.yaml:2:7: a NUL byte: this is not a text file\n    2 | name: \x00\n      |       ^\n"},
		"a map that the parser could not take": {[]byte("flip: 1\nname: x\nviews:\n" + numbered("  k%d: 1\n", 10_001)), "p.yaml:10004:3: a map of more than 10000 keys\n10004 |   k10000: 1\n      |   ^\n  hint: write it as {a: ..., b: ...} or as a list\n"},
		"lists in lists in one line":           {[]byte("flip: 1\nname:\n" + strings.Repeat("- ", 5000)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plan.Load(c.text, plan.Options{File: "p.yaml"})
			if err == nil {
				t.Fatal("accepted")
			}
			if diff := cmp.Diff(c.want, said(err)); c.want != "" && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestManySmallMapsAreNoLargeOne(t *testing.T) {
	p := load(t, "steps:\n"+numbered("  - id: s%d\n    wait: 1s\n", 10_001))
	if len(p.Steps) != 10_001 {
		t.Errorf("%d steps", len(p.Steps))
	}
}

func TestOfThousandsOfErrorsTheFirstFiftyAreTold(t *testing.T) {
	_, err := plan.Load([]byte("flip: 1\nname: x\nsteps:\n"+strings.Repeat("  - wait: 1s\n", 1000)), plan.Options{File: "p.yaml"})
	got := all(err)
	if len(got) != 51 || got[49].Error() != "p.yaml:53:5: the step has no id" || got[50].Error() != "p.yaml: 950 more errors" {
		t.Errorf("%d errors, the last two %v", len(got), got[len(got)-2:])
	}
}

func TestLintNamesWhatIsAllowedButSeldomMeant(t *testing.T) {
	p := load(t, `vars:
  unused: {default: a}
  used: {default: b}
  in_when: {default: c}
`+groups+`gates:
  forgotten: {tcp: {port: 1}}
steps:
  - {id: deploy, run: "x ${{ vars.used }}", when: vars.in_when == "c"}
  - {id: shift, ramp: {from: live, to: idle, percent: [100]}, commit: true}
  - {id: quiet, drain: {group: live}}
  - {id: ask, approve: go?}
`)
	var got []string
	for _, w := range p.Warnings {
		got = append(got, fmt.Sprintf("%d %s", w.Pos.Line, w.Text))
	}
	want := []string{
		"1 the plan has no guards: nothing keeps a mistake from taking all members out",
		"4 variable unused is not used",
		"14 gate forgotten is not used",
		"16 step deploy runs a command without an undo; a rollback leaves what it did",
		"17 step shift ramps without a gate; it goes on whatever happens",
		"17 after step shift there is no automatic way back, and steps follow",
		"18 step quiet drains without a timeout; 10m is used",
		"19 step ask asks a person without a timeout; 10m is used",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestASecretInClearTextIsAWarning(t *testing.T) {
	p := load(t, `vars: {p: {default: x}}
targets:
  a: {driver: x, password: hunter2}
  b: {driver: x, tsig: {name: hunter2, secret: "c2VjcmV0"}}
  c: {driver: x, password: "${env:P}", token: "${{ vars.p }}"}
steps: [{id: s, wait: 1s}]
`)
	var got []string
	for _, w := range p.Warnings {
		got = append(got, fmt.Sprintf("%d:%d %s", w.Pos.Line, w.Pos.Column, w.Text))
	}
	want := []string{
		"5:28 password stands in the plan in clear text; runs keep a copy of the plan",
		"6:48 secret stands in the plan in clear text; runs keep a copy of the plan",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestAGroupThatNobodyNamesIsAWarning(t *testing.T) {
	p := load(t, "targets: {web: {driver: x}}\ngroups: {a: {web: [w1]}, b: {web: [w2]}}\nsteps: [{id: s, run: 'echo ${{ groups.b.name }}', undo: none}]\n")
	want := []plan.Warning{{Pos: plan.Pos{File: "p.yaml", Line: 4, Column: 10}, Text: "group a is not used"}}
	if diff := cmp.Diff(want, p.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// many is a plan with n members in two groups.
func many(n int) []byte {
	var b strings.Builder
	b.WriteString("flip: 1\nname: big\ntargets:\n  web: {driver: haproxy}\ngroups:\n")
	for _, g := range []string{"blue", "green"} {
		fmt.Fprintf(&b, "  %s:\n    web:\n", g)
		for i := range n / 2 {
			fmt.Fprintf(&b, "      - %s-%05d\n", g, i)
		}
	}
	b.WriteString("alternate: [blue, green]\nsteps:\n  - {id: out, set: {group: idle, weight: 0}}\n")
	return []byte(b.String())
}

func TestTenThousandMembersLoad(t *testing.T) {
	p, err := plan.Load(many(10_000), plan.Options{File: "big.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(p.Groups[1].Members[0].Names); got != 5000 {
		t.Errorf("green has %d members", got)
	}
}

func BenchmarkLoadTenThousandMembers(b *testing.B) {
	text := many(10_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := plan.Load(text, plan.Options{File: "big.yaml"}); err != nil {
			b.Fatal(err)
		}
	}
}
