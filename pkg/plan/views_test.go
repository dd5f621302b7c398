package plan_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/plan"
)

func TestTheViewsOfAGateAreThoseOfThePlan(t *testing.T) {
	const views = "views:\n  auth: {system: true}\n  isp: {dns: 10.0.0.2}\n"
	const steps = "steps:\n  - {id: a, gate: {resolve: {name: x, from: FROM}}}\n"
	for what, c := range map[string]struct{ head, from, want string }{
		"both":                    {views, "[auth, isp]", ""},
		"one":                     {views, "isp", ""},
		"none is all":             {views, "", ""},
		"one that there is not":   {views, "[auth, ips]", `7:52 unknown view "ips"; did you mean "isp"? | views: auth, isp`},
		"one twice":               {views, "[isp, isp]", "7:51 view isp is named twice | "},
		"an empty list":           {views, "[]", "7:45 from names no view | leave it out for all views"},
		"a plan without views":    {"", "[isp]", `4:29 the plan has no views from where a name could be looked up | views: {isp: {dns: ["10.0.0.2"]}}`},
		"a view that is no map":   {"views:\n  isp: 10.0.0.2\n", "isp", `4:8 a view is a map with its kind, not "10.0.0.2" | isp: {dns: ["10.0.0.2:53"]}`},
		"a view with a bad name":  {"views:\n  'i p': {system: true}\n", "", `4:3 "i p" is no name for a view | letters, digits, - and _`},
		"views that are no map":   {"views: [isp]\n", "", `3:8 views must be a map, not a list | views: {name: {dns: ["10.0.0.2:53"]}}`},
		"a view that has no kind": {"views:\n  isp: {samples: 3}\n", "isp", "4:3 view isp does not say from where it looks | give one of authoritative, dns, doh, httpdns, system"},
		"a target that is none":   {"views:\n  isp: {authoritative: zone}\n", "isp", `4:24 unknown target "zone" | the plan has no targets`},
	} {
		t.Run(what, func(t *testing.T) {
			text := "flip: 1\nname: n\n" + c.head
			if c.from == "" {
				text += "steps:\n  - {id: a, gate: {resolve: {name: x}}}\n"
			} else {
				text += steps[:len(steps)-len("FROM}}}\n")] + c.from + "}}}\n"
			}
			_, err := plan.Load([]byte(text), plan.Options{File: "p.yaml"})
			got := ""
			if err != nil {
				first := all(err)[0]
				got = fmt.Sprintf("%d:%d %s | %s", first.Pos.Line, first.Pos.Column, first.Text, first.Hint)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
