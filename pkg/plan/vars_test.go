package plan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/plan"
)

const declared = `flip: 1
name: x
vars:
  version: {pattern: '^v[0-9]+$', default: v1, description: a release like v42}
  count: {type: int, default: 3}
  ratio: {type: number, default: 0.5}
  dry: {type: bool}
  soak: {type: duration, default: 5m}
  old: {type: ip, default: 192.0.2.10}
  hosts: {type: list, default: one}
steps: [{id: a, wait: 1s}]
`

// write makes a file and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

func TestEachTypeOfVariableHasItsGoType(t *testing.T) {
	p, err := plan.Load([]byte(declared), plan.Options{Vars: map[string]string{"hosts": "a, b,c", "dry": "true", "count": "-7", "old": "2001:db8::1"}})
	if err != nil {
		t.Fatal(said(err))
	}
	want := map[string]any{
		"version": "v1", "count": -7, "ratio": 0.5, "dry": true, "soak": 5 * time.Minute,
		"old": "2001:db8::1", "hosts": []string{"a", "b", "c"},
	}
	if diff := cmp.Diff(want, p.Vars); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheNearestSourceOfAVariableWins(t *testing.T) {
	first := write(t, "first.yaml", "version: v2\ncount: 20\n")
	second := write(t, "second.yaml", "version: v3\n")
	env := environment(map[string]string{"FLIP_VAR_version": "v8", "FLIP_VAR_count": "80", "FLIP_VAR_ratio": "0.8"})
	for name, c := range map[string]struct {
		options plan.Options
		want    []any // version, count, ratio
	}{
		"the default when nobody says more": {plan.Options{}, []any{"v1", 3, 0.5}},
		"the environment over the default":  {plan.Options{Getenv: env}, []any{"v8", 80, 0.8}},
		"a file over the environment":       {plan.Options{Getenv: env, VarFiles: []string{first}}, []any{"v2", 20, 0.8}},
		"a later file over an earlier one":  {plan.Options{Getenv: env, VarFiles: []string{first, second}}, []any{"v3", 20, 0.8}},
		"the command line over everything":  {plan.Options{Getenv: env, VarFiles: []string{first, second}, Vars: map[string]string{"version": "v9"}}, []any{"v9", 20, 0.8}},
		"an empty file changes nothing":     {plan.Options{VarFiles: []string{write(t, "empty.yaml", "# none\n")}}, []any{"v1", 3, 0.5}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := plan.Load([]byte(declared), c.options)
			if err != nil {
				t.Fatal(said(err))
			}
			if diff := cmp.Diff(c.want, []any{p.Vars["version"], p.Vars["count"], p.Vars["ratio"]}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAWrongVariableSaysWhereItCameFrom(t *testing.T) {
	file := write(t, "vars.yaml", "version: x\nsoak: 30\nsaok: 1s\n")
	list := write(t, "list.yaml", "- a\n")
	broken := write(t, "broken.yaml", "a: [\n")
	missing := filepath.Join(t.TempDir(), "none.yaml")
	for name, c := range map[string]struct {
		options plan.Options
		want    string
	}{
		"an unknown name on the command line": {
			plan.Options{Vars: map[string]string{"vrsion": "v1"}},
			"--var vrsion: unknown variable \"vrsion\"; did you mean \"version\"?\n  hint: variables: count, dry, hosts, old, ratio, soak, version\n",
		},
		"a pattern on the command line": {
			plan.Options{Vars: map[string]string{"version": "42"}},
			"p.yaml:4:3: variable version from --var version: \"42\" does not match the pattern ^v[0-9]+$\n" +
				"    4 |   version: {pattern: '^v[0-9]+$', default: v1, description: a release like v42}\n      |   ^\n  hint: a release like v42\n",
		},
		"an octal number in the environment": {
			plan.Options{Getenv: environment(map[string]string{"FLIP_VAR_count": "010"})},
			"p.yaml:5:3: variable count from FLIP_VAR_count: 010 is not a plain decimal number; YAML readers disagree about it\n" +
				"    5 |   count: {type: int, default: 3}\n      |   ^\n  hint: write the number in decimal, or quote it if it is text: \"010\"\n",
		},
		"yes for a boolean": {
			plan.Options{Vars: map[string]string{"dry": "yes"}},
			"p.yaml:7:3: variable dry from --var dry: must be true or false, not \"yes\"\n" +
				"    7 |   dry: {type: bool}\n      |   ^\n  hint: write true\n",
		},
		"values in a file": {
			plan.Options{VarFiles: []string{file}},
			file + ":1:10: variable version: \"x\" does not match the pattern ^v[0-9]+$\n    1 | version: x\n      |          ^\n  hint: a release like v42\n" +
				file + ":2:7: variable soak: must be a duration, not 30\n    2 | soak: 30\n      |       ^^\n  hint: write 30s\n" +
				file + ":3:1: unknown variable \"saok\"; did you mean \"soak\"?\n    3 | saok: 1s\n      | ^^^^\n  hint: variables: count, dry, hosts, old, ratio, soak, version\n",
		},
		"a file that is a list":  {plan.Options{VarFiles: []string{list}}, list + ":1:1: a variable file is a map, not a list\n    1 | - a\n      | ^\n  hint: name: value\n"},
		"a file that is no YAML": {plan.Options{VarFiles: []string{broken}}, broken + ":1:4: sequence end token ']' not found\n    1 | a: [\n      |    ^\n"},
		"a file that is missing": {plan.Options{VarFiles: []string{missing}}, "--var-file: open " + missing + ": no such file or directory\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c.options.File = "p.yaml"
			_, err := plan.Load([]byte(declared), c.options)
			if diff := cmp.Diff(c.want, said(err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLintReadsAPlanWhoseRequiredVariablesAreMissing(t *testing.T) {
	text := []byte(`flip: 1
name: x
vars:
  version: {required: true}
  steps: {type: list, required: true}
  soak: {type: duration, required: true}
` + groups + `steps:
  - {id: a, run: "x ${{ vars.version }}", undo: none}
  - {id: b, ramp: {from: live, to: idle, percent: "${{ vars.steps }}", hold: "${{ vars.soak }}"}, timeout: "${{ vars.soak }}"}
  - {id: c, wait: "${{ vars.soak }}"}
`)
	if _, err := plan.Load(text, plan.Options{}); err == nil {
		t.Error("run accepts missing variables")
	}
	if _, err := plan.Load(text, plan.Options{AllowMissing: true}); err != nil {
		t.Error(said(err))
	}
}

func TestADefaultIsAValueAndNoExpression(t *testing.T) {
	for name, c := range map[string]struct{ def, want string }{
		"a text":         {`"${{ vars.b }}"`, "p.yaml:5:16: a default is a value: an expression in it is not evaluated"},
		"a part of one":  {`"http://${{ vars.b }}/"`, "p.yaml:5:16: a default is a value: an expression in it is not evaluated"},
		"in a list":      {`[x, "${{ vars.b }}"], type: list`, "p.yaml:5:20: a default is a value: an expression in it is not evaluated"},
		"a dollar alone": {`"$b {{ b }}"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := "flip: 1\nname: x\nvars:\n  b: {default: one}\n  a: {default: " + c.def + "}\nsteps: [{id: s, wait: 1s}]\n"
			_, err := plan.Load([]byte(text), plan.Options{File: "p.yaml"})
			got := ""
			if err != nil {
				got, _, _ = strings.Cut(err.Error(), "\n")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A variable that has no value yet excuses a value, not the plan around it.
func TestNoVariableMendsWhatHasToBeThereInThePlan(t *testing.T) {
	const head = "flip: 1\nname: x\nvars: {v: {required: true}}\n"
	for name, c := range map[string]struct{ plan, want string }{
		"steps":            {"steps: \"${{ vars.v }}\"\n", `p.yaml:4:8: steps are a list of at least one, not "${{ vars.v }}"`},
		"a step":           {"steps: [\"${{ vars.v }}\"]\n", `p.yaml:4:9: a step is a map with an id and a verb, not "${{ vars.v }}"`},
		"an id":            {"steps: [{id: \"${{ vars.v }}\", wait: 1s}]\n", `p.yaml:4:14: "${{ vars.v }}" is no id`},
		"branches":         {"steps: [{id: a, parallel: \"${{ vars.v }}\"}]\n", `p.yaml:4:27: parallel is a list of steps, not "${{ vars.v }}"`},
		"targets":          {"targets: \"${{ vars.v }}\"\nsteps: [{id: a, wait: 1s}]\n", `p.yaml:4:10: targets must be a map, not "${{ vars.v }}"`},
		"an open template": {"steps: \"${{ vars.v\"\n", `p.yaml:4:8: steps are a list of at least one, not "${{ vars.v"`},
		"a value":          {"steps: [{id: a, wait: \"${{ vars.v }}\"}]\n", ""},
		"the plan's name":  {"steps: [{id: a, wait: 1s}]\ndescription: \"${{ vars.v }}\"\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plan.Load([]byte(head+c.plan), plan.Options{File: "p.yaml", AllowMissing: true})
			got := ""
			if err != nil {
				got, _, _ = strings.Cut(err.Error(), "\n")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
