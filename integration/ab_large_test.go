package integration

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

// hundreds is a plan over one target with 200 servers on each side.
const hundreds = `flip: 1
name: hundreds
targets:
  TARGET
groups:
  a: {web: ["i-a*"]}
  b: {web: ["i-b*"]}
alternate: [a, b]
guards:
  - {target: web, min_serving: 200}
steps:
  - id: shift
    ramp: {from: live, to: idle, percent: [50, 100], hold: 1ms}
  - id: last
    set: {group: idle, weight: 90}
`

// hundredsOf are the servers, all at one address.
func hundredsOf(addr string) []slbtest.Member {
	var all []slbtest.Member
	for _, side := range []string{"a", "b"} {
		for i := range 200 {
			m := slbtest.Member{ServerID: fmt.Sprintf("i-%s%03d", side, i), ServerIP: fmt.Sprintf("10.0.%d.%d", len(all)/200, i), Port: 8080, Address: addr}
			if side == "a" {
				m.Weight = 100
			}
			all = append(all, m)
		}
	}
	return all
}

// TestFourHundredServersTakeFewCalls moves the traffic of 400 servers in one
// group: 5 times 200 weights, by the calls that the API's batches need.
func TestFourHundredServersTakeFewCalls(t *testing.T) {
	for _, tt := range []struct {
		name, target    string
		batch           int
		mostOtherThanIt int // calls that do not write
	}{
		{"slb", "web: {driver: slb, region: cn-hangzhou, vserver_group: rsp-web, ACCOUNT}", 20, 200},
		{"alb", "web: {driver: alb, region: cn-hangzhou, server_group: sgp-web, ACCOUNT}", 20, 600},
		{"nlb", "web: {driver: nlb, region: cn-hangzhou, server_group: sgp-l4, ACCOUNT}", 40, 600},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			members := hundredsOf(l.Addr().String())
			off := slbtest.Check{Off: true} // 400 checks a round would be most of the work
			cloud := slbtest.Start(t, slbtest.Options{PlainHTTP: true, Timing: slbtest.Timing{Job: time.Millisecond, Lag: time.Millisecond, Probe: time.Hour}, Estate: slbtest.Estate{
				CLB: []slbtest.CLB{{
					ID: "lb-1", Groups: []slbtest.Group{{ID: "rsp-web", Members: slices.Clone(members), Check: off}},
					Listeners: []slbtest.CLBListener{{Port: 80, Protocol: "http", Group: "rsp-web", Check: off}},
				}},
				ALB:       []slbtest.ALB{{ID: "alb-1", Listeners: []slbtest.ALBListener{{ID: "lsn-1", Port: 80, Group: "sgp-web"}}}},
				ALBGroups: []slbtest.Group{{ID: "sgp-web", Members: slices.Clone(members), Check: off}},
				NLB:       []slbtest.NLB{{ID: "nlb-1", Listeners: []slbtest.NLBListener{{ID: "lsn-2", Port: 80, Group: "sgp-l4"}}}},
				NLBGroups: []slbtest.Group{{ID: "sgp-l4", Members: slices.Clone(members), Check: off}},
			}})
			h := newHome(t, t.TempDir())
			h.env["KEY"], h.env["SECRET"] = slbtest.DefaultKey.ID, slbtest.DefaultKey.Secret
			account := fmt.Sprintf(`endpoint: %q, access_key_id: "${env:KEY}", access_key_secret: "${env:SECRET}", rate: 10000`, cloud.URL())
			plan := h.file("plan.yaml", strings.NewReplacer("TARGET", strings.Replace(tt.target, "ACCOUNT", account, 1)).Replace(hundreds))
			began := time.Now()
			h.wants([]int{0}, "run", "--yes", plan)
			took := time.Since(began)
			calls, writes, all := map[string]int{}, 0, cloud.Calls()
			for _, c := range all {
				calls[c.Action]++
				if c.Write {
					writes++
				}
			}
			var words []string
			for _, action := range slices.Sorted(maps.Keys(calls)) {
				words = append(words, fmt.Sprintf("%s %d", action, calls[action]))
			}
			t.Logf("%s: 1000 weights of 400 servers in %s with %d calls: %s", tt.name, took.Round(10*time.Millisecond), len(all), strings.Join(words, ", "))
			dry := 0
			for _, c := range all {
				if c.Params["DryRun"] == "true" {
					dry++
				}
			}
			if want := 5 * 200 / tt.batch; writes-dry != want {
				t.Errorf("%d writes, want %d: %d members each", writes-dry, want, tt.batch)
			}
			if len(all)-writes > tt.mostOtherThanIt {
				t.Errorf("%d calls beside the writes, want at most %d", len(all)-writes, tt.mostOtherThanIt)
			}
			h.wants([]int{0}, "rollback", "--yes")
			group := map[string]string{"slb": "rsp-web", "alb": "sgp-web", "nlb": "sgp-l4"}[tt.name]
			for key, weight := range cloud.Weights(group) {
				if want := map[bool]int{true: 100, false: 0}[strings.HasPrefix(key, "i-a")]; weight != want {
					t.Fatalf("%s has weight %d after the rollback, not %d", key, weight, want)
				}
			}
		})
	}
}
