package slbtest_test

import (
	"fmt"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"
	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

// gateway is a CLB with one member a side, behind HTTP port 80.
func gateway(t *testing.T, o slbtest.Options) (*slbtest.Server, clients, *plane.Proxy) {
	t.Helper()
	a, b := member(t, "a"), member(t, "b")
	proxy := plane.NewProxy(plane.ProxyOptions{})
	o.PlainHTTP, o.Planes = true, []plane.Plane{proxy}
	o.Estate = slbtest.Estate{CLB: []slbtest.CLB{{
		ID: "lb-1", Name: "gw",
		Default: []slbtest.Member{{ServerID: "i-d", Weight: 100, Address: addr(a)}},
		Groups: []slbtest.Group{
			{ID: "rsp-1", Name: "web", Members: []slbtest.Member{
				{ServerID: "i-a", Port: 8080, Weight: 100, Address: addr(a), Description: "first"},
				{ServerID: "i-b", Port: 8080, Weight: 0, Address: addr(b)},
			}},
			{ID: "rsp-2", Members: []slbtest.Member{{ServerID: "i-b", Port: 8080, Weight: 100, Address: addr(b)}}},
		},
		Listeners: []slbtest.CLBListener{
			{Port: 80, Protocol: "http", Group: "rsp-1", Rules: []slbtest.CLBRule{{ID: "rule-1", Domain: "b.example.com", URL: "/", Group: "rsp-2"}}},
			{Port: 81, Protocol: "tcp", BackendPort: 8080},
		},
	}}}
	s := slbtest.Start(t, o)
	return s, dial(t, s), proxy
}

func setWeights(c clients, group string, servers string) (*slb.SetVServerGroupAttributeResponse, error) {
	r := slb.CreateSetVServerGroupAttributeRequest()
	r.VServerGroupId, r.BackendServers = group, servers
	return c.slb.SetVServerGroupAttribute(r)
}

func TestAWeightSetIsReadAtOnceAndTrafficFollows(t *testing.T) {
	s, c, proxy := gateway(t, slbtest.Options{})
	url := "http://" + proxy.Addr("lb-1/http:80") + "/"
	if got := get(t, url); got != "a" {
		t.Fatalf("before: traffic at %q, want a", got)
	}
	answer, err := setWeights(c, "rsp-1", `[{"ServerId":"i-a","Port":8080,"Weight":0},{"ServerId":"i-b","Port":"8080","Weight":"100"}]`)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, b := range answer.BackendServers.BackendServer {
		got[b.ServerId] = b.Weight
	}
	if diff := cmp.Diff(map[string]int{"i-a": 0, "i-b": 100}, got); diff != "" {
		t.Fatalf("the answer's weights (-want +got):\n%s", diff)
	}
	r := slb.CreateDescribeVServerGroupAttributeRequest()
	r.VServerGroupId = "rsp-1"
	read, err := c.slb.DescribeVServerGroupAttribute(r)
	if err != nil {
		t.Fatal(err)
	}
	first := read.BackendServers.BackendServer[0]
	if first.Weight != 0 || first.Description != "first" || first.Type != "ecs" || read.LoadBalancerId != "lb-1" {
		t.Fatalf("read back: %+v of %s", first, read.LoadBalancerId)
	}
	quiet(t, s)
	for range 20 {
		if got := get(t, url); got != "b" {
			t.Fatalf("after: traffic at %q, want b", got)
		}
	}
	if diff := cmp.Diff([]string{"SetVServerGroupAttribute"}, actionsOf(s.Writes())); diff != "" {
		t.Fatalf("writes (-want +got):\n%s", diff)
	}
}

func actionsOf(calls []slbtest.Call) []string {
	var names []string
	for _, c := range calls {
		names = append(names, c.Action)
	}
	return names
}

func TestABatchIsRefusedAsAWhole(t *testing.T) {
	s, c, _ := gateway(t, slbtest.Options{})
	many := ""
	for i := range 21 {
		many += fmt.Sprintf(`{"ServerId":"i-%d","Port":8080,"Weight":1},`, i)
	}
	for name, servers := range map[string]string{
		"not JSON":               "i-a",
		"not a list":             `{"ServerId":"i-a"}`,
		"empty":                  `[]`,
		"an unknown server":      `[{"ServerId":"i-a","Port":8080,"Weight":0},{"ServerId":"i-x","Port":8080,"Weight":0}]`,
		"another port":           `[{"ServerId":"i-a","Port":8081,"Weight":0}]`,
		"a weight over 100":      `[{"ServerId":"i-a","Port":8080,"Weight":101}]`,
		"a negative weight":      `[{"ServerId":"i-a","Port":8080,"Weight":-1}]`,
		"a fraction":             `[{"ServerId":"i-a","Port":8080,"Weight":1.5}]`,
		"an unknown field":       `[{"ServerId":"i-a","Port":8080,"Wight":0}]`,
		"one server twice":       `[{"ServerId":"i-a","Port":8080,"Weight":0},{"ServerId":"i-a","Port":8080,"Weight":1}]`,
		"more than 20":           "[" + many[:len(many)-1] + "]",
		"something after a list": `[{"ServerId":"i-a","Port":8080,"Weight":0}] []`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := setWeights(c, "rsp-1", servers); code(err) != "InvalidParameter" {
				t.Errorf("code %q, want InvalidParameter", code(err))
			}
		})
	}
	if diff := cmp.Diff(map[string]int{"i-a:8080": 100, "i-b:8080": 0}, s.Weights("rsp-1")); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
}

func TestAnOmittedWeightIsHundred(t *testing.T) {
	s, c, _ := gateway(t, slbtest.Options{})
	if _, err := setWeights(c, "rsp-1", `[{"ServerId":"i-b","Port":8080}]`); err != nil {
		t.Fatal(err)
	}
	if got := s.Weights("rsp-1")["i-b:8080"]; got != 100 {
		t.Errorf("weight %d, want 100", got)
	}
}

func TestHealthOfParkedMembersIsChecked(t *testing.T) {
	s, c, _ := gateway(t, slbtest.Options{})
	s.Edit(func(e *slbtest.Estate) { e.CLB[0].Groups[0].Members[1].Address = dead(t) })
	r := slb.CreateDescribeHealthStatusRequest()
	r.LoadBalancerId, r.ListenerPort = "lb-1", requests.NewInteger(80)
	until(t, "i-b abnormal, i-a normal", func() bool {
		answer, err := c.slb.DescribeHealthStatus(r)
		if err != nil {
			t.Fatal(err)
		}
		states := map[string]string{}
		for _, b := range answer.BackendServers.BackendServer {
			if b.Weight != "0" || b.ServerId == "i-b" {
				states[b.ServerId+b.Weight] = b.ServerHealthStatus
			}
		}
		return states["i-a100"] == "normal" && states["i-b0"] == "abnormal" && states["i-b100"] == "normal"
	})
}

// clbWeight is the weight of i-a that a read shows.
func clbWeight(t *testing.T, c clients) int {
	t.Helper()
	r := slb.CreateDescribeVServerGroupAttributeRequest()
	r.VServerGroupId = "rsp-1"
	answer, err := c.slb.DescribeVServerGroupAttribute(r)
	if err != nil {
		t.Fatal(err)
	}
	return answer.BackendServers.BackendServer[0].Weight
}

func TestTheDefaultGroupHasOnePortAListener(t *testing.T) {
	s, c, _ := gateway(t, slbtest.Options{})
	r := slb.CreateSetBackendServersRequest()
	r.LoadBalancerId, r.BackendServers = "lb-1", `[{"ServerId":"i-d","Weight":"7"}]`
	answer, err := c.slb.SetBackendServers(r)
	if err != nil || answer.BackendServers.BackendServer[0].Weight != "7" || s.Weights("lb-1")["i-d:0"] != 7 {
		t.Errorf("%+v, %v", answer, err)
	}
	attribute := slb.CreateDescribeLoadBalancerAttributeRequest()
	attribute.LoadBalancerId = "lb-1"
	lb, err := c.slb.DescribeLoadBalancerAttribute(attribute)
	if err != nil || lb.BackendServers.BackendServer[0].Weight != 7 || lb.LoadBalancerStatus != "active" || lb.ServiceManagedMode != "Unmanaged" {
		t.Errorf("%+v, %v", lb, err)
	}
	if got := lb.ListenerPortsAndProtocol.ListenerPortAndProtocol; len(got) != 2 || got[1].ListenerProtocol != "tcp" {
		t.Errorf("listeners: %+v", got)
	}
}

func TestAListenerAndARuleSwitchGroups(t *testing.T) {
	s, c, proxy := gateway(t, slbtest.Options{})
	listener := slb.CreateSetLoadBalancerHTTPListenerAttributeRequest()
	listener.LoadBalancerId, listener.ListenerPort = "lb-1", requests.NewInteger(80)
	listener.VServerGroup, listener.VServerGroupId = "on", "rsp-2"
	if _, err := c.slb.SetLoadBalancerHTTPListenerAttribute(listener); err != nil {
		t.Fatal(err)
	}
	rule := slb.CreateSetRuleRequest()
	rule.RuleId, rule.VServerGroupId = "rule-1", "rsp-1"
	if _, err := c.slb.SetRule(rule); err != nil {
		t.Fatal(err)
	}
	quiet(t, s)
	if got := get(t, "http://"+proxy.Addr("lb-1/http:80")+"/"); got != "b" {
		t.Errorf("traffic of the listener at %q, want b", got)
	}
	describe := slb.CreateDescribeLoadBalancerHTTPListenerAttributeRequest()
	describe.LoadBalancerId, describe.ListenerPort = "lb-1", requests.NewInteger(80)
	read, err := c.slb.DescribeLoadBalancerHTTPListenerAttribute(describe)
	if err != nil || read.VServerGroupId != "rsp-2" || read.Scheduler != "wrr" || read.Rules.Rule[0].VServerGroupId != "rsp-1" {
		t.Errorf("%+v, %v", read, err)
	}
	groups := slb.CreateDescribeVServerGroupsRequest()
	groups.LoadBalancerId, groups.IncludeListener, groups.IncludeRule = "lb-1", requests.NewBoolean(true), requests.NewBoolean(true)
	found, err := c.slb.DescribeVServerGroups(groups)
	if err != nil || len(found.VServerGroups.VServerGroup) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	used := found.VServerGroups.VServerGroup
	if used[0].AssociatedObjects.Rules.Rule[0].RuleId != "rule-1" || used[1].AssociatedObjects.Listeners.Listener[0].Port != 80 {
		t.Errorf("groups: %+v", used)
	}
	s.Edit(func(e *slbtest.Estate) { e.CLB[0].Listeners[0].Forward = true })
	if _, err := c.slb.SetLoadBalancerHTTPListenerAttribute(listener); code(err) != "Operation.NotAllowed" {
		t.Errorf("a listener that redirects: %q", code(err))
	}
}

func TestRoundRobinIgnoresWeights(t *testing.T) {
	s, _, proxy := gateway(t, slbtest.Options{})
	s.Edit(func(e *slbtest.Estate) { e.CLB[0].Listeners[0].Scheduler = "rr" })
	quiet(t, s)
	seen := map[string]int{}
	for range 10 {
		seen[get(t, "http://"+proxy.Addr("lb-1/http:80")+"/")]++
	}
	if diff := cmp.Diff(map[string]int{"a": 5, "b": 5}, seen); diff != "" {
		t.Errorf("answers at 100:0 (-want +got):\n%s", diff)
	}
}

func TestMembersAreRemovedAndComeBackWhereTheyListen(t *testing.T) {
	s, c, proxy := gateway(t, slbtest.Options{})
	remove := slb.CreateRemoveVServerGroupBackendServersRequest()
	remove.VServerGroupId, remove.BackendServers = "rsp-1", `[{"ServerId":"i-a","Port":8080}]`
	if _, err := c.slb.RemoveVServerGroupBackendServers(remove); err != nil {
		t.Fatal(err)
	}
	quiet(t, s)
	url := "http://" + proxy.Addr("lb-1/http:80") + "/"
	if body, status := fetch(t, url); status != 503 {
		t.Errorf("with a parked member only: %d %q, want 503", status, body)
	}
	back := slb.CreateAddVServerGroupBackendServersRequest()
	back.VServerGroupId, back.BackendServers = "rsp-1", `[{"ServerId":"i-a","Port":8080,"Weight":100}]`
	if _, err := c.slb.AddVServerGroupBackendServers(back); err != nil {
		t.Fatal(err)
	}
	until(t, "a serves again", func() bool { return get(t, url) == "a" })
}
