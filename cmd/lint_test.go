package cmd

import (
	"os"
	"strings"
	"testing"
)

// openPlan names variables without a value wherever a plan may.
const openPlan = `flip: 1
name: open
vars:
  x: {type: ip, required: true}
  y: {type: ip, required: true}
  g: {required: true}
  t: {required: true}
  port: {type: int, default: 8848}
  w: {type: int, required: true}
  d: {type: duration, required: true}
  zone: {required: true}
targets:
  users: {driver: nacos, servers: ["http://${{ vars.x }}:${{ vars.port }}"], service: "${{ vars.g }}", consumer_cache: "${{ vars.d }}"}
  web: {driver: haproxy, endpoints: ["tcp://${{ vars.x }}:${{ vars.port }}"], backend: be_web}
  zone: {driver: cloudflare, zone: "${{ vars.zone }}", token: "${env:X}"}
views:
  isp: {dns: ["${{ vars.x }}:${{ vars.port }}"]}
  auth: {authoritative: zone}
groups:
  a: {users: ["${{ vars.x }}:${{ vars.port }}"], web: [w1]}
  b: {users: ["${{ vars.y }}:${{ vars.port }}"], web: [w2]}
alternate: [a, b]
guards: [{target: web, min_serving: "${{ vars.w }}"}]
gates:
  up: {tcp: {address: "${{ vars.x }}:${{ vars.port }}"}, timeout: "${{ vars.d }}", for: "${{ vars.d }}", passes: "${{ vars.w }}"}
  ht: {http: {url: "http://${{ vars.x }}:${{ vars.port }}/", connect: "${{ vars.x }}:${{ vars.port }}"}}
steps:
  - {id: s1, set: {group: "${{ vars.g }}", weight: 1}, gate: [up, ht], timeout: "${{ vars.d }}"}
  - {id: s2, set: {target: users, members: ["${{ vars.x }}:${{ vars.port }}"], weight: "${{ vars.w }}"}}
  - {id: s3, set: {target: "${{ vars.t }}", members: ["${{ vars.x }}:${{ vars.port }}"], weight: "${{ vars.w }}"}}
  - {id: s4, ramp: {from: "${{ vars.g }}", to: "${{ vars.t }}", percent: [10, "${{ vars.w }}", 60], hold: "${{ vars.d }}"}, gate: "${{ vars.g }}"}
  - {id: s5, drain: {group: "${{ vars.g }}", on: "${{ vars.t }}", timeout: "${{ vars.d }}", count: {http: {url: "http://${{ vars.x }}:${{ vars.port }}/x", value: body.x}}}}
  - {id: s6, set: {target: zone, record: "${{ vars.g }} A", values: ["${{ vars.x }}"], ttl: "${{ vars.w }}"}}
  - {id: s7, wait: {ttl: "${{ vars.g }} A", from: [isp], max: "${{ vars.d }}"}}
  - {id: s8, wait: "${{ vars.d }}"}
  - {id: s9, each: "${{ vars.g }}", do: [{id: one, run: "echo ${{ member.host }} ${{ vars.x }}", undo: none}]}
`

func TestLintDoesNotJudgeWhatItCannotKnow(t *testing.T) {
	l := newLab(t, openPlan)
	l.must(0, "lint plan.yaml")
	l.says("plan.yaml: ok: open, 10 steps")
}

func TestLintJudgesTheRestOfAPlanWhoseVariablesHaveNoValues(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"a key of a target":             {"consumer_cache:", "consumer_cash:", `unknown key "consumer_cash"`},
		"the kind of a target's value":  {`backend: be_web`, `backend: {be_web: x}`, "backend must be "},
		"another member beside":         {"web: [w2]", "web: [w1]", "member w1 of target web is in a and in b"},
		"a target that is named":        {`set: {target: users, members`, `set: {target: user, members`, `unknown target "user"`},
		"a key of a view":               {"isp: {dns:", "isp: {dnss:", `no kind "dnss"`},
		"a step of a ramp that is less": {"percent: [10,", "percent: [10, 5,", "the steps of a ramp rise"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, openPlan)
			text := strings.Replace(openPlan, c.from, c.to, 1)
			if text == openPlan {
				t.Fatalf("the plan does not say %q", c.from)
			}
			if err := os.WriteFile("plan.yaml", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			l.must(3, "lint plan.yaml")
			l.says(c.want)
		})
	}
}
