package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/driver/all"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/plan"
)

// around is the plan that an example without a plan of its own stands in. An
// example takes the place of the sections that it has.
var around = []struct{ key, text string }{
	{"flip", "flip: 1\nname: example\n"},
	{"vars", "vars: {version: {type: string, default: v42}}\n"},
	{"targets", `targets:
  web: {driver: haproxy, endpoints: ["unix:///run/haproxy/admin.sock"], backend: be_web}
  east: {driver: haproxy, endpoints: ["unix:///run/haproxy/admin.sock"], backend: be_east}
  west: {driver: haproxy, endpoints: ["unix:///run/haproxy/admin.sock"], backend: be_west}
  slb: {driver: slb, region: cn-hangzhou, vserver_group: rsp-web}
  ws: {driver: alb, region: cn-hangzhou, server_group: sgp-ws}
  users: {driver: nacos, servers: ["http://10.0.0.5:8848"], service: users}
`},
	{"groups", "groups:\n  blue: {web: [web1, web2], east: [e1], west: [w1]}\n  green: {web: [web3, web4], east: [e2], west: [w2]}\n"},
	{"alternate", "alternate: [blue, green]\n"},
	{"gates", `gates:
  up: {http: {url: "http://${{ member.address }}/healthz"}, each: idle}
  errors: {haproxy: {target: web, max_error_rate: 1%}}
`},
	{"steps", "steps:\n  - {id: one, wait: 1s}\n"},
}

// asPlan completes an example. Files of other programs give nothing.
func asPlan(example string) (string, bool) {
	switch {
	case strings.HasPrefix(example, "- "):
		example = "steps:\n  " + strings.ReplaceAll(example, "\n", "\n  ")
	case strings.HasPrefix(example, "flip: 1\nname:"): // a whole plan
		return example, true
	case strings.HasPrefix(example, "jobs:"), strings.HasPrefix(example, "release:"):
		return "", false
	}
	text := example + "\n"
	for _, s := range around {
		if strings.HasPrefix(example, "targets:") && slices.Contains([]string{"groups", "alternate", "gates"}, s.key) {
			continue // they name the targets of around
		}
		if !regexp.MustCompile(`(?m)^` + s.key + `:`).MatchString(example) {
			text = s.text + text
		}
	}
	return text, true
}

var fenced = regexp.MustCompile("(?ms)^```yaml\n(.*?)\n```$")

func TestEveryPlanInTheDocumentationIsAccepted(t *testing.T) {
	plans := map[string]string{}
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	drivers, err := filepath.Glob("../../docs/drivers/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(append(files, drivers...), "../../README.md") {
		file := strings.TrimPrefix(path, "../../")
		text := read(t, file)
		for i, m := range fenced.FindAllStringSubmatch(text, -1) {
			if p, ok := asPlan(m[1]); ok {
				plans[fmt.Sprintf("%s, example %d", file, i+1)] = p
			}
		}
	}
	if len(plans) < 24 {
		t.Errorf("only %d examples were found", len(plans))
	}
	plans["docs/try/release.yaml"] = read(t, "docs/try/release.yaml")
	for name, text := range plans {
		t.Run(name, func(t *testing.T) {
			p, err := plan.Load([]byte(text), plan.Options{File: name, AllowMissing: true})
			if err == nil {
				err = engine.Check(&p, all.Drivers(), gate.Kinds())
			}
			if err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
}

func TestTheReadmeShowsThePlanOfTheTutorial(t *testing.T) {
	comment := regexp.MustCompile(`(?m)\s*#.*$|^description:.*$`)
	spaces := regexp.MustCompile(`[ \t]+`)
	bare := func(s string) []string {
		return strings.FieldsFunc(spaces.ReplaceAllString(comment.ReplaceAllString(s, ""), " "), func(r rune) bool { return r == '\n' })
	}
	want := bare(read(t, "docs/try/release.yaml"))
	for _, m := range fenced.FindAllStringSubmatch(read(t, "README.md"), -1) {
		if slices.Equal(bare(m[1]), want) {
			return
		}
	}
	t.Error("README.md and docs/try/release.yaml differ by more than comments and spaces")
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
