package plan_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/secret"
)

// block is the target t of a plan with that configuration.
func block(t *testing.T, body string) plan.Node {
	t.Helper()
	p := load(t, "vars: {port: {type: int, default: 8080}, host: {default: h1}, hosts: {type: list, default: [a, b]}, text: {default: '12'}, share: {default: 5%}}\n"+
		"targets:\n  t:\n    driver: d\n    "+strings.ReplaceAll(strings.TrimSpace(body), "\n", "\n    ")+"\nsteps: [{id: a, wait: 1s}]\n")
	return p.Targets[0].Config
}

// pair decodes itself from "left:right".
type pair struct{ left, right string }

func (p *pair) UnmarshalPlan(n plan.Node) error {
	if n.IsMap() {
		var both struct {
			Left  string `yaml:"left,required"`
			Right string `yaml:"right"`
		}
		err := n.Decode(&both, nil)
		*p = pair{both.Left, both.Right}
		return err
	}
	left, right, ok := strings.Cut(n.Text(), ":")
	if !ok {
		return hint.Wrap(fmt.Errorf("%q has no colon", n.Text()), "left:right")
	}
	*p = pair{left, right}
	return nil
}

// names is a type that knows YAML libraries, but not this package.
type names []string

func (n *names) UnmarshalYAML(decode func(any) error) error {
	var one string
	if decode(&one) == nil {
		*n = strings.Split(one, "+")
		return nil
	}
	return decode((*[]string)(n))
}

type shared struct {
	Retries int `yaml:"retries"`
}

type config struct {
	shared   `yaml:",inline"`
	URL      string            `yaml:"url"`
	Port     uint16            `yaml:"port"`
	Weight   *int              `yaml:"weight"`
	Ratio    float64           `yaml:"ratio"`
	On       bool              `yaml:"on"`
	Timeout  time.Duration     `yaml:"timeout"`
	MaxRate  plan.Percent      `yaml:"max_rate"`
	Token    secret.Ref        `yaml:"token"`
	Servers  []string          `yaml:"servers"`
	Labels   map[string]string `yaml:"labels"`
	Nested   *shared           `yaml:"nested"`
	List     []shared          `yaml:"list"`
	Address  netip.Addr        `yaml:"address"`
	Pair     pair              `yaml:"pair"`
	Names    names             `yaml:"names"`
	Anything any               `yaml:"anything"`
	Raw      plan.Node         `yaml:"raw"`
	Later    plan.Template     `yaml:"later"`
	If       *plan.Expr        `yaml:"if"`
	Hidden   string            `yaml:"-"`
	Untagged string
}

const everything = `
retries: 3
url: http://${{ vars.host }}:80
port: ${{ vars.port }}
weight: 0
ratio: 0.5
on: true
timeout: 1m30s
max_rate: ${{ vars.share }}
token: ${env:TOKEN}
servers: one
labels: {a: 1, b: "${{ vars.host }}"}
nested: {retries: 1}
list: {retries: 2}
address: 10.0.0.1
pair: a:b
names: x+y
anything: {n: 1, f: 1.5, b: false, s: [t, ~], v: "${{ vars.port }}"}
raw: [1, {k: v}]
later: ${{ vars.port }}
if: vars.port > 80
untagged: u
`

func TestABlockBecomesAStruct(t *testing.T) {
	zero := 0
	want := config{
		shared: shared{3}, URL: "http://h1:80", Port: 8080, Weight: &zero, Ratio: 0.5, On: true,
		Timeout: 90 * time.Second, MaxRate: 0.05, Token: "${env:TOKEN}", Servers: []string{"one"},
		Labels: map[string]string{"a": "1", "b": "h1"}, Nested: &shared{1}, List: []shared{{2}},
		Address: netip.MustParseAddr("10.0.0.1"), Pair: pair{"a", "b"}, Names: names{"x", "y"},
		Anything: map[string]any{"n": int64(1), "f": 1.5, "b": false, "s": []any{"t", nil}, "v": int64(8080)},
		Untagged: "u",
	}
	var got config
	scope := plan.Scope{"vars": map[string]any{"port": 8080, "host": "h1", "share": "5%"}}
	if err := block(t, everything).Decode(&got, scope); err != nil {
		t.Fatal(said(err))
	}
	if v, err := got.Later.Eval(scope); v != 8080 || err != nil {
		t.Errorf("the template is %v, %v", v, err)
	}
	if ok, err := got.If.Bool(scope); !ok || err != nil {
		t.Errorf("the expression is %v, %v", ok, err)
	}
	if items := got.Raw.Items(); len(items) != 2 || items[0].Text() != "1" || !items[1].IsMap() || !got.Raw.IsList() {
		t.Errorf("the raw block is %v", items)
	}
	got.Later, got.If, got.Raw = plan.Template{}, nil, plan.Node{}
	compare := cmp.AllowUnexported(config{}, shared{}, pair{})
	if diff := cmp.Diff(want, got, compare, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), ignore); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckingNeedsNoValues(t *testing.T) {
	var got config
	if err := block(t, everything).Decode(&got, nil); err != nil {
		t.Fatal(said(err))
	}
	if got.URL != "http://${{ vars.host }}:80" || got.Port != 0 || got.MaxRate != 0 || got.Labels["b"] != "${{ vars.host }}" {
		t.Errorf("without a scope: %+v", got)
	}
}

func TestTemplatesGiveListsAndNumbers(t *testing.T) {
	var got struct {
		Servers []string `yaml:"servers"`
		Count   int      `yaml:"count"`
		Texts   []string `yaml:"texts"`
	}
	scope := plan.Scope{"vars": map[string]any{"hosts": []string{"a", "b"}, "text": "12", "port": 1}}
	err := block(t, "servers: ${{ vars.hosts }}\ncount: ${{ vars.text }}\ntexts: [\"${{ vars.port }}\"]").Decode(&got, scope)
	if err != nil {
		t.Fatal(said(err))
	}
	if diff := cmp.Diff([]any{[]string{"a", "b"}, 12, []string{"1"}}, []any{got.Servers, got.Count, got.Texts}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAWrongBlockIsToldValueByValue(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"an unknown key gets the nearest":    {"prot: 1", `7:5 unknown key "prot" in target t; did you mean "port"?`},
		"an unknown key deep inside":         {"nested: {retires: 1}", `7:14 unknown key "retires" in target t; did you mean "retries"?`},
		"a number that does not fit":         {"port: 65536", "7:11 65536 is not between 0 and the largest number"},
		"a negative number where none goes":  {"port: -1", "7:11 -1 is not between 0 and the largest number"},
		"an int that is too large":           {"weight: 9223372036854775808", "7:13 9223372036854775808 is too large"},
		"a fraction for a whole number":      {"weight: 1.5", `7:13 weight must be a whole number, not 1.5`},
		"text for a number":                  {`weight: "1"`, `7:13 weight must be a whole number, not "1" | leave the quotes out`},
		"an octal number":                    {"weight: 010", `7:13 010 is not a plain decimal number; YAML readers disagree about it | write the number in decimal, or quote it if it is text: "010"`},
		"yes for a boolean":                  {"on: yes", `7:9 on must be true or false, not "yes" | write true`},
		"off for a boolean":                  {"on: off", `7:9 on must be true or false, not "off" | write false`},
		"a word for a boolean":               {"on: maybe", `7:9 on must be true or false, not "maybe" | write true or false`},
		"a duration without a unit":          {"timeout: 30", `7:14 timeout must be a duration, not 30 | write 30s`},
		"a zero without a unit":              {"timeout: 0", `7:14 timeout must be a duration, not 0 | write 0s`},
		"a share above everything":           {"max_rate: 5", "7:15 5 is more than everything: 1 is 100% | write 5%"},
		"a share that is none":               {"max_rate: lots", `7:15 max_rate must be a share like "1%" or 0.01, not "lots"`},
		"a list for text":                    {"url: [a]", "7:10 url must be text, not a list"},
		"nothing for text":                   {"url:", "7:5 url must be text, not nothing"},
		"a map for a list of texts":          {"servers: {a: b}", "7:14 servers must be a list, not a map"},
		"a scalar for a map":                 {"labels: x", `7:13 labels must be a map, not "x"`},
		"a scalar for a struct":              {"nested: x", `7:13 nested must be a map, not "x" | keys: retries`},
		"a version that YAML cuts":           {"url: 1.10", `7:10 1.10 is the number 1.1 in YAML | quote it if it is text: "1.10"`},
		"an address that is none":            {"address: 10.0.0.300", `7:14 ParseAddr("10.0.0.300"): IPv4 field has value >255`},
		"an error of the type itself":        {"pair: x", `7:11 "x" has no colon | left:right`},
		"an error inside such a type":        {"pair: {right: x}", `7:11 "left" is missing in target t`},
		"an error of a YAML type":            {"names: {a: b}", "7:12 names must be a list, not a map"},
		"a template that is a list":          {"later: [a]", "7:12 later must be text, not a list"},
		"a template where an expression is":  {"if: ${{ vars.port }}", "7:9 this is an expression already | write it without ${{ and }}"},
		"an expression that is no condition": {"if: vars.port", "7:9 the expression is int, not true or false | compare it: vars.port == ..."},
		"an error while it is evaluated":     {"url: x${{ vars.hosts[7] }}", "7:10 ${{ vars.hosts[7] }}: index out of range: 7 (array length is 2)"},
		"text where a number is computed":    {"weight: ${{ vars.host }}", `7:13 weight must be a whole number, not "h1"`},
	} {
		t.Run(name, func(t *testing.T) {
			n := block(t, c.body)
			err := n.Decode(&config{}, plan.Scope{"vars": map[string]any{"hosts": []string{"a", "b"}, "host": "h1", "port": 1}})
			var got []string
			for _, e := range all(err) {
				line := fmt.Sprintf("%d:%d %s", e.Pos.Line, e.Pos.Column, e.Text)
				if e.Hint != "" && !strings.HasPrefix(e.Hint, "keys: retries, url") && !strings.Contains(c.body, "retires") {
					line += " | " + e.Hint
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(c.want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequiredKeysAreMissedAlsoWithoutABlock(t *testing.T) {
	var out struct {
		URL string `yaml:"url,required"`
	}
	if err := (plan.Node{}).Decode(&out, nil); err == nil || err.Error() != `"url" is missing` {
		t.Errorf("an absent block: %v", err)
	}
	if err := block(t, "other: 1").Decode(&out, nil); err == nil || len(all(err)) != 2 {
		t.Errorf("a block without it: %v", err)
	}
}

func TestANodeTellsWhatItIs(t *testing.T) {
	n := block(t, "url: x\nport: 1")
	if diff := cmp.Diff([]string{"url", "port"}, n.Keys()); diff != "" {
		t.Errorf("keys without the driver (-want +got):\n%s", diff)
	}
	if n.KeyPos("port").Line != 8 || n.KeyPos("none") != n.Pos() || n.Pos().Line != 6 {
		t.Errorf("positions: %v %v", n.KeyPos("port"), n.Pos())
	}
	if _, ok := n.Get("driver"); ok {
		t.Error("the driver is part of its own block")
	}
	url, _ := n.Get("url")
	if one := url.Items(); len(one) != 1 || one[0].Text() != "x" || url.IsMap() || n.Text() != "" || n.Items() != nil {
		t.Errorf("the url is %v", one)
	}
	if e := url.Errorf("h", "bad %s", "url"); e.Error() != "p.yaml:7:10: bad url" || e.Hint != "h" || e.Excerpt() != "    7 |     url: x\n      |          ^\n" {
		t.Errorf("an error at it: %v\n%s", e, e.Excerpt())
	}
	var none plan.Node
	if !none.IsZero() || none.Pos() != (plan.Pos{}) || none.Text() != "" || none.Keys() != nil || none.Items() != nil || none.KeyPos("a") != (plan.Pos{}) || none.IsMap() || none.IsList() {
		t.Error("no node is something")
	}
	if _, ok := none.Get("a"); ok || none.Errorf("", "x").Error() != "x" {
		t.Error("no node has keys")
	}
	if diff := cmp.Diff([]string{"left", "right"}, plan.FieldNames(&struct {
		Left  string `yaml:"left"`
		Right string
	}{})); diff != "" {
		t.Errorf("field names (-want +got):\n%s", diff)
	}
	if plan.FieldNames(nil) != nil || plan.FieldNames(1) != nil {
		t.Error("what is no struct has fields")
	}
}

func TestOthersReportErrorsAtPlacesOfThePlan(t *testing.T) {
	p := load(t, groups+"steps:\n  - {id: a, set: {group: idle, wieght: 100}}\n")
	attr := p.Steps[0].Set.Attrs[0]
	err := error(p.Errorf(attr.Pos, len(attr.Name), "haproxy sets: weight (0..256)", "unknown attribute %q for haproxy; did you mean %q?", attr.Name, plan.Nearest(attr.Name, []string{"state", "weight"})))
	want := "p.yaml:10:32: unknown attribute \"wieght\" for haproxy; did you mean \"weight\"?\n" +
		"   10 |   - {id: a, set: {group: idle, wieght: 100}}\n      |                                ^^^^^^\n" +
		"  hint: haproxy sets: weight (0..256)\n"
	if diff := cmp.Diff(want, said(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	both := plan.Errors{p.Errorf(attr.Pos, 1, "", "one"), p.Errorf(plan.Pos{}, 1, "", "two")}
	if both.Error() != "p.yaml:10:32: one\ntwo" || both[1].Excerpt() != "" {
		t.Errorf("two errors: %s", both.Error())
	}
	if one, ok := errors.AsType[*plan.Error](error(both)); !ok || one.Text != "one" {
		t.Errorf("the first of two is %v", one)
	}
}

func TestALongLineIsCutAroundTheMistake(t *testing.T) {
	said := refused(t, "steps:\n  - {id: a, run: '"+strings.Repeat("x", 200)+"', wieght: 1, on_fail: "+strings.Repeat("y", 200)+"}\n")
	lines := strings.Split(said, "\n")
	if len([]rune(lines[1])) > 112 || !strings.Contains(lines[1], "… ") && !strings.Contains(lines[1], "…xxx") {
		t.Errorf("the excerpt is %q", lines[1])
	}
	from := strings.Index(lines[2], "^")
	if got := string([]rune(lines[1])[from : from+6]); got != "wieght" {
		t.Errorf("the carets stand below %q:\n%s", got, said)
	}
}

func TestNearestFindsTypingMistakesOnly(t *testing.T) {
	known := []string{"weight", "state", "enabled", "on", "ttl"}
	for word, want := range map[string]string{
		"wieght": "weight", "weigth": "weight", "Weight": "weight", "stat": "state", "enabeld": "enabled",
		"no": "on", "tt": "ttl", "zone": "", "address": "", "": "", strings.Repeat("w", 100): "",
	} {
		if got := plan.Nearest(word, known); got != want {
			t.Errorf("nearest to %q is %q, not %q", word, got, want)
		}
	}
}
