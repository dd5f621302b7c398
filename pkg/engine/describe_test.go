package engine_test

import (
	"testing"

	"github.com/flip-cli/flip/pkg/engine"
)

func TestALineOfAPlanShowsAListInTheOrderOfThePlan(t *testing.T) {
	for name, test := range map[string]struct{ vars, values, want string }{
		"written out":           {"", "[192.0.2.2, 192.0.2.1]", "192.0.2.2, 192.0.2.1"},
		"from a variable":       {"vars: {l: {type: list, default: [192.0.2.3, 192.0.2.1]}}", `"${{ vars.l }}"`, "192.0.2.3, 192.0.2.1"},
		"with variables in it":  {"vars: {new: {default: 192.0.2.2}}", `["${{ vars.new }}", 192.0.2.1]`, "192.0.2.2, 192.0.2.1"},
		"a single item":         {"", "192.0.2.9", "192.0.2.9"},
		"text that is no list":  {"", `["a, b", a]`, "a, b, a"},
		"numbers as they stand": {"", "[10, 9]", "10, 9"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, `
flip: 1
name: lines
`+test.vars+`
targets:
  zone: {driver: mem, name: zone, records: {"www.example.com A": {values: [192.0.2.7], ttl: 60}}}
steps:
  - {id: s, set: {target: zone, record: www.example.com A, values: `+test.values+`}}
`)
			prog := l.program()
			defer prog.Close()
			b, err := engine.Bind(t.Context(), prog, l.world(), "")
			must(t, err)
			p := engine.NewPreview(t.Context(), b)
			same(t, "the line", "set www.example.com A: values "+test.want, p.Steps[0].What)
		})
	}
}
