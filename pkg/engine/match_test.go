package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// labels is a driver that reads "host=..." as a pattern of its own.
type labels struct{ driver.Driver }

func (l labels) Unwrap() driver.Driver { return l.Driver }

func (labels) Match(pattern string) (func(state.Object) bool, error) {
	host, own := strings.CutPrefix(pattern, "host=")
	if own && host == "" {
		return nil, fmt.Errorf("%q names no host", pattern)
	}
	if !own {
		return nil, nil
	}
	return func(o state.Object) bool { return o.Info["host"] == host }, nil
}

const labelled = `
flip: 1
name: labelled
targets:
  web: {driver: mem, name: web, nodes: [lb1, lb2], pool: {a1: {weight: 1, address: "10.0.0.1:80"}, a2: {weight: 1, address: "10.0.0.1:81"}, b1: {weight: 1, address: "10.0.0.2:80"}}}
`

func TestADriverReadsPatternsOfItsOwnInGroupsAndSteps(t *testing.T) {
	l := newLab(t, labelled+`
groups:
  a: {web: ["host=10.0.0.1"]}
steps:
  - {id: group, set: {group: a, weight: 5}}
  - {id: step, set: {target: web, members: ["host=10.0.0.2", a2], weight: 7}}
`)
	l.wrap["web"] = func(d driver.Driver) driver.Driver { return labels{d} }
	l.run(journal.OutcomeDone)
	l.shows("web", map[string]string{"lb1/a1": "5", "lb2/a1": "5", "lb1/a2": "7", "lb2/a2": "7", "lb1/b1": "7", "lb2/b1": "7"})
}

func TestAPatternThatMeansNothingOrIsWrongIsRefusedBeforeAnyChange(t *testing.T) {
	for pattern, want := range map[string]string{
		"host=10.9.9.9": `no member of target web matches "host=10.9.9.9"`,
		"host=":         `members of target web: "host=" names no host`,
	} {
		l := newLab(t, labelled+`
steps:
  - {id: step, set: {target: web, members: ["`+pattern+`"], weight: 7}}
`)
		l.wrap["web"] = func(d driver.Driver) driver.Driver { return labels{d} }
		_, err := l.start(engine.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want an error with %q, got %v", pattern, want, err)
		}
		same(t, "writes", []string(nil), l.writes())
	}
}
