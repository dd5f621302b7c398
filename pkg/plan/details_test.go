package plan_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/plan"
)

func TestYAMLIsReadAsItIsWritten(t *testing.T) {
	p := load(t, `vars: {v: {default: v7}}
description: >-
  folded ${{ vars.v }}
  text
"views": {'a-b': {dns: !!str 10}}
targets:
  ? web
  : {driver: x, note: "tab\tand \"quotes\"", block: "two
      lines"}
steps:
- id: a
  run: |
    one
    two
  undo: none
`)
	if p.Description != "folded v7 text" {
		t.Errorf("the description is %q", p.Description)
	}
	if got := p.Steps[0].Run.Shell; got != "one\ntwo\n" {
		t.Errorf("the command is %q", got)
	}
	var target struct {
		Note  string `yaml:"note"`
		Block string `yaml:"block"`
	}
	if err := p.Targets[0].Config.Decode(&target, nil); err != nil || target.Note != "tab\tand \"quotes\"" || target.Block != "two lines" {
		t.Errorf("the target is %+v, %v", target, err)
	}
	view, _ := p.Views.Get("a-b")
	var x struct {
		X any `yaml:"dns"`
	}
	if err := view.Decode(&x, nil); err != nil || x.X != "10" {
		t.Errorf("text by its tag is %#v, %v", x.X, err)
	}
}

func TestThePlanIsNamedAfterItsVariables(t *testing.T) {
	p, err := plan.Load([]byte("flip: 1\nname: move-${{ vars.n }}\nvars: {n: {type: int, default: 3}}\nsteps: [{id: a, wait: 1s}]\n"), plan.Options{})
	if err != nil || p.Name != "move-3" {
		t.Errorf("%q, %v", p.Name, err)
	}
}

func TestNodesTellWhetherTheyDependOnTheRun(t *testing.T) {
	n := block(t, "a: [x, {b: '${{ vars.port }}'}]")
	if !n.Templated() || !n.Mentions("vars") || n.Mentions("steps") {
		t.Error("the template in it is not seen")
	}
	if plain := block(t, "a: b"); plain.Templated() || plain.Mentions("vars") || (plan.Node{}).Templated() || (plan.Node{}).Mentions("vars") {
		t.Error("a plain block has templates")
	}
}

func TestAnErrorTellsItsPlaceAndItsHintSeparately(t *testing.T) {
	_, err := plan.Load([]byte("flip: 1\nname: x\nsteps: x\n"), plan.Options{File: "p.yaml"})
	e := all(err)[0]
	file, line, column := e.Position()
	if file != "p.yaml" || line != 3 || column != 8 || !cmp.Equal(e.Hints(), []string{"- id: a-step"}) {
		t.Errorf("%s:%d:%d %v", file, line, column, e.Hints())
	}
	if (&plan.Error{}).Hints() != nil {
		t.Error("no hint is a hint")
	}
}

func TestLongTextsAreCutInMessages(t *testing.T) {
	said := refused(t, "steps:\n  - id: "+strings.Repeat("X", 100)+"\n    wait: 1s\n")
	want := `"` + strings.Repeat("X", 60) + `..." is no id`
	if !strings.Contains(said, want) {
		t.Errorf("%q is not in:\n%s", want, said)
	}
}

func TestSharesAreForPeople(t *testing.T) {
	for share, want := range map[plan.Percent]string{0.01: "1%", 0.005: "0.5%", 1: "100%"} {
		if share.String() != want {
			t.Errorf("%v is %s, not %s", float64(share), share, want)
		}
	}
}

func TestManyMayFillInTemplatesAtOnce(t *testing.T) {
	p := templates(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if got, err := p.Text("v-${{ vars.version }} new ${{ attempt }}", scope()); got != "v-it's v42 new 2" || err != nil {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}
