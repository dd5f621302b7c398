package plan_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/plan"
)

// scope is what the engine would fill in for the plan of templates.
func scope() plan.Scope {
	one := plan.MemberValue{Name: "web1", Address: "10.0.0.1:80", Host: "10.0.0.1", Port: 80, Targets: []string{"web"}}
	two := plan.MemberValue{Name: "web2", Address: "10.0.0.2:80", Host: "10.0.0.2", Port: 80, Targets: []string{"web"}}
	blue := plan.GroupValue{Name: "blue", Members: []plan.MemberValue{one, two}, Addresses: []string{"10.0.0.1", "10.0.0.2"}, Names: []string{"web1", "web2"}}
	return plan.Scope{
		"vars":    map[string]any{"version": "it's v42", "count": 3, "soak": 90 * time.Minute, "hosts": []string{"a", "b"}, "ratio": 0.25, "dry": true},
		"live":    blue,
		"idle":    plan.GroupValue{Name: "green"},
		"groups":  map[string]plan.GroupValue{"blue": blue},
		"steps":   map[string]plan.StepValue{"a-b": {Outputs: map[string]any{"url": "http://x", "n": 2.0, "none": nil, "map": map[string]any{}}}},
		"run":     plan.RunValue{ID: "01K9"},
		"attempt": 2,
		"member":  one,
	}
}

// templates is a plan that knows all those names.
func templates(t *testing.T) plan.Plan {
	return load(t, `vars:
  version: {default: v1}
  count: {type: int}
  soak: {type: duration}
  hosts: {type: list}
  ratio: {type: number}
  dry: {type: bool}
`+groups+`steps:
  - {id: a-b, run: "true", undo: none, when: vars.count == 3 and live.name == "blue"}
  - {id: c, set: {group: idle, both: "v-${{ vars.version }}", typed: "${{ vars.count + 1 }}", secret: "${env:TOKEN} ${file:/x} ${cmd:y}", values: ["${{ attempt }}", b]}}
`)
}

func TestTemplatesFillInText(t *testing.T) {
	p := templates(t)
	for text, want := range map[string]string{
		"plain":                              "plain",
		"x ${{ vars.version }} y":            "x it's v42 y",
		"${{ vars.count }}${{ vars.count }}": "33",
		"${{ vars.soak }} ${{ vars.ratio }} ${{ vars.dry }}": "1h30m 0.25 true",
		`${{ join(live.addresses, ",") }}`:                   "10.0.0.1,10.0.0.2",
		"${{ vars.hosts }}":                                  "a b",
		`${{ map(live.members, .name) | join("+") }}`:        "web1+web2",
		"${{ live.members[1].port }}":                        "80",
		"${{ groups.blue.names[0] }} ${{ member.host }}":     "web1 10.0.0.1",
		`${{ steps["a-b"].outputs.url }}/`:                   "http://x/",
		`${{ steps["a-b"].outputs.n }}`:                      "2",
		"${{ run.id }}-${{ attempt }}":                       "01K9-2",
		`${{ quote(vars.version) }}`:                         `'it'\''s v42'`,
		`${{ {"a": {"b": "}}"}}.a.b }}`:                      "}}",
		`${{ "quoted \" and }}" }}`:                          `quoted " and }}`,
		"${{ upper(live.name) }}":                            "BLUE",
		"$${{ not.a.template }} ${{ attempt }}":              "${{ not.a.template }} 2",
		"${env:TOKEN}${file:/x}${cmd:date}":                  "${env:TOKEN}${file:/x}${cmd:date}",
		"${env:TOKEN} ${{ attempt }}":                        "${env:TOKEN} 2",
		"日本 ${{ attempt }}":                                  "日本 2",
	} {
		got, err := p.Text(text, scope())
		if err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestATemplateThatIsOneExpressionKeepsItsType(t *testing.T) {
	p := templates(t)
	for text, want := range map[string]any{
		"${{ vars.count + 1 }}":         4,
		"${{ vars.hosts }}":             []string{"a", "b"},
		"${{ vars.dry and true }}":      true,
		"${{ vars.ratio }}":             0.25,
		"${{ live.addresses }}":         []string{"10.0.0.1", "10.0.0.2"},
		" ${{ vars.count }}":            " 3",
		"${{ vars.soak }}":              90 * time.Minute,
		"${{ len(live.members) == 2 }}": true,
	} {
		tpl, err := p.Template(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tpl.Eval(scope())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
}

func TestAListBecomesSeveralArguments(t *testing.T) {
	got, err := templates(t).Args([]string{"deploy", "${{ vars.version }}", "${{ live.addresses }}", "n=${{ attempt }}"}, scope())
	want := []string{"deploy", "it's v42", "10.0.0.1", "10.0.0.2", "n=2"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestAnExpressionThatCannotBeEvaluatedSaysWhich(t *testing.T) {
	p := templates(t)
	small := scope()
	delete(small, "member")
	delete(small, "live")
	for text, want := range map[string]string{
		"${{ member.name }}":               "${{ member.name }}: member is not known here",
		"x ${{ live.name }}":               "${{ live.name }}: live is not known here",
		`${{ steps["a-b"].outputs.none }}`: `${{ steps["a-b"].outputs.none }} has no value`,
		`x${{ steps["a-b"].outputs.map }}`: `${{ steps["a-b"].outputs.map }} is a map, which is not text`,
		"${{ idle.members[3].name }}":      "${{ idle.members[3].name }}: index out of range: 3 (array length is 0)",
		"${{ vars.nope }}":                 `"${{ vars.nope }}": unknown variable "nope"`,
		"${{ idle.members }}":              "",
	} {
		got, err := p.Text(text, small)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		if err == nil || err.Error() != want {
			t.Errorf("%s is %q, %v; want the error %s", text, got, err, want)
		}
	}
	for _, argv := range [][]string{{"${{ vars.nope }}"}, {"${{ member.name }}"}, {`${{ steps["a-b"].outputs.map }}`}} {
		if got, err := p.Args(argv, small); err == nil {
			t.Errorf("%v became %v", argv, got)
		}
	}
}

func TestConditionsDecide(t *testing.T) {
	p := templates(t)
	when := p.Steps[0].When
	if ok, err := when.Bool(scope()); !ok || err != nil {
		t.Errorf("%s is %v, %v", when.Source, ok, err)
	}
	other := scope()
	other["vars"] = map[string]any{"count": 4}
	if ok, err := when.Bool(other); ok || err != nil {
		t.Errorf("%s is %v, %v", when.Source, ok, err)
	}
	delete(other, "vars")
	if _, err := when.Bool(other); err == nil || err.Error() != `expression "vars.count == 3 and live.name == \"blue\"": vars is not known here` {
		t.Errorf("without vars: %v", err)
	}
	if _, err := (plan.Expr{Source: "x"}).Bool(other); err == nil {
		t.Error("an expression that nobody compiled has a value")
	}
}

func TestAttributesHoldTemplatesAndSecretsStayReferences(t *testing.T) {
	attrs := templates(t).Steps[1].Set.Attrs
	var got []any
	for _, a := range attrs {
		v := a.Value
		if tpl, ok := v.(plan.Template); ok {
			var err error
			if v, err = tpl.Eval(scope()); err != nil {
				t.Fatal(err)
			}
		}
		got = append(got, v)
	}
	values := got[3].([]any)
	if names := values[0].(plan.Template).Names(); !cmp.Equal(names, []string{"attempt"}) || values[1] != "b" {
		t.Errorf("the list is %v", values)
	}
	want := []any{"v-it's v42", 4, "${env:TOKEN} ${file:/x} ${cmd:y}"}
	if diff := cmp.Diff(want, got[:3]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text, err := json.Marshal([]any{attrs[0].Value, *templates(t).Steps[0].When})
	if want := `["v-${{ vars.version }}","vars.count == 3 and live.name == \"blue\""]`; string(text) != want || err != nil {
		t.Errorf("as JSON: %s, %v", text, err)
	}
	if s := attrs[0].Value.(plan.Template).String(); s != "v-${{ vars.version }}" {
		t.Errorf("as text: %s", s)
	}
}

func TestAPlanThatNobodyLoadedStillExpandsText(t *testing.T) {
	got, err := plan.Plan{}.Text("x ${{ attempt + 1 }}", plan.Scope{"attempt": 1})
	if got != "x 2" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
