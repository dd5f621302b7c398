package slbtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/alb"
	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

// sockets is an ALB: sgp-1 with both sides, sgp-a and sgp-b with one each
// behind a rule.
func sockets(t *testing.T, o slbtest.Options) (*slbtest.Server, clients, *plane.Proxy) {
	t.Helper()
	a, b := addr(member(t, "a")), addr(member(t, "b"))
	proxy := plane.NewProxy(plane.ProxyOptions{})
	o.PlainHTTP, o.Planes = true, []plane.Plane{proxy}
	o.Estate = slbtest.Estate{
		ALBGroups: []slbtest.Group{
			{ID: "sgp-1", Members: []slbtest.Member{{ServerID: "i-a", Port: 8080, Weight: 100, Address: a}, {ServerID: "i-b", Port: 8080, Address: b}}},
			{ID: "sgp-a", Members: []slbtest.Member{{ServerID: "10.0.0.1", Type: "Ip", Port: 80, Weight: 100, Address: a}}},
			{ID: "sgp-b", Members: []slbtest.Member{{ServerID: "10.0.0.2", Type: "Ip", Port: 80, Weight: 100, Address: b}}},
		},
		ALB: []slbtest.ALB{{ID: "alb-1", Listeners: []slbtest.ALBListener{{
			ID: "lsn-1", Port: 80, Group: "sgp-1",
			Rules: []slbtest.ALBRule{{
				ID: "rule-1", Priority: 1, Conditions: []slbtest.Condition{{Type: "Path", PathConfig: &slbtest.Values{Values: []string{"/ws*"}}}},
				Actions: []slbtest.Action{
					{Order: 1, Type: "InsertHeader", InsertHeaderConfig: &slbtest.InsertHeaderConfig{Key: "X-Side", Value: "x", ValueType: "UserDefined"}},
					slbtest.Forward(2, slbtest.To("sgp-a", 100), slbtest.To("sgp-b", 0)),
				},
			}},
		}}}},
	}
	s := slbtest.Start(t, o)
	return s, dial(t, s), proxy
}

func albUpdate(c clients, weights map[string]string, change ...func(*alb.UpdateServerGroupServersAttributeRequest)) (string, error) {
	r := alb.CreateUpdateServerGroupServersAttributeRequest()
	r.ServerGroupId = "sgp-1"
	servers := []alb.UpdateServerGroupServersAttributeServers{}
	for _, id := range []string{"i-a", "i-b"} {
		if w, ok := weights[id]; ok {
			servers = append(servers, alb.UpdateServerGroupServersAttributeServers{ServerType: "Ecs", ServerId: id, Port: "8080", Weight: w})
		}
	}
	r.Servers = &servers
	for _, fn := range change {
		fn(r)
	}
	answer, err := c.alb.UpdateServerGroupServersAttribute(r)
	if err != nil {
		return "", err
	}
	return answer.JobId, nil
}

func albJob(t *testing.T, c clients, id string) alb.Job {
	t.Helper()
	r := alb.CreateListAsynJobsRequest()
	r.JobIds = &[]string{id}
	answer, err := c.alb.ListAsynJobs(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Jobs) != 1 {
		t.Fatalf("%d jobs with the id %s", len(answer.Jobs), id)
	}
	return answer.Jobs[0]
}

func albServers(t *testing.T, c clients, group string) []alb.BackendServer {
	t.Helper()
	r := alb.CreateListServerGroupServersRequest()
	r.ServerGroupId = group
	answer, err := c.alb.ListServerGroupServers(r)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Servers
}

func TestAnUpdateIsDoneWhenItsJobIs(t *testing.T) {
	s, c, proxy := sockets(t, slbtest.Options{})
	s.Hold()
	job, err := albUpdate(c, map[string]string{"i-a": "0", "i-b": "100"})
	if err != nil {
		t.Fatal(err)
	}
	if j := albJob(t, c, job); j.Status != "Processing" || j.ResourceId != "sgp-1" {
		t.Errorf("job at once: %+v", j)
	}
	for _, server := range albServers(t, c, "sgp-1") {
		if server.Status != "Configuring" || (server.Weight == 100) != (server.ServerId == "i-a") {
			t.Errorf("server while the job runs: %+v", server)
		}
	}
	url := "http://" + proxy.Addr("lsn-1") + "/"
	if got := get(t, url); got != "a" {
		t.Errorf("traffic while the job runs: %q, want a", got)
	}
	if _, err := albUpdate(c, map[string]string{"i-a": "1"}); code(err) != "IncorrectStatus.ServerGroup" {
		t.Errorf("a second update while the job runs: %q", code(err))
	}
	s.Release()
	quiet(t, s)
	if j := albJob(t, c, job); j.Status != "Succeeded" {
		t.Errorf("job after: %+v", j)
	}
	if got := get(t, url); got != "b" {
		t.Errorf("traffic after: %q, want b", got)
	}
	if server := albServers(t, c, "sgp-1")[0]; server.Status != "Available" || server.Weight != 0 {
		t.Errorf("server after: %+v", server)
	}
}

func TestAFailedJobChangesNothing(t *testing.T) {
	s, c, _ := sockets(t, slbtest.Options{})
	s.Inject(slbtest.Fault{Kind: slbtest.JobFails, Code: "SystemBusy", Times: 1})
	job, err := albUpdate(c, map[string]string{"i-a": "0"})
	if err != nil {
		t.Fatal(err)
	}
	quiet(t, s)
	if j := albJob(t, c, job); j.Status != "Failed" || j.ErrorCode != "SystemBusy" {
		t.Errorf("job: %+v", j)
	}
	if got := s.Weights("sgp-1")["i-a:8080"]; got != 100 || s.Pending() != 0 {
		t.Errorf("weight %d, want 100", got)
	}
}

func TestAClientTokenIsTakenOnce(t *testing.T) {
	s, c, _ := sockets(t, slbtest.Options{Timing: slbtest.Timing{Idempotence: time.Hour}})
	token := func(r *alb.UpdateServerGroupServersAttributeRequest) { r.ClientToken = "once" }
	s.Inject(slbtest.Fault{Kind: slbtest.DropAfter, Action: "UpdateServerGroupServersAttribute", Times: 1})
	if _, err := albUpdate(c, map[string]string{"i-a": "50"}, token); err == nil {
		t.Fatal("the answer was not lost")
	}
	if _, err := albUpdate(c, map[string]string{"i-a": "50"}, token); code(err) != "IdempotenceProcessing" {
		t.Errorf("at once: %q", code(err))
	}
	quiet(t, s)
	if _, err := albUpdate(c, map[string]string{"i-a": "60"}, token); code(err) != "IdempotentParameterMismatch" {
		t.Errorf("the token with another weight: %q", code(err))
	}
	if n := len(s.Writes()); n != 1 || s.Weights("sgp-1")["i-a:8080"] != 50 {
		t.Errorf("%d writes, weights %v", n, s.Weights("sgp-1"))
	}
}

func TestARepeatedClientTokenGetsTheFirstJob(t *testing.T) {
	s, c, _ := sockets(t, slbtest.Options{})
	token := func(r *alb.UpdateServerGroupServersAttributeRequest) { r.ClientToken = "once" }
	first, err := albUpdate(c, map[string]string{"i-a": "50"}, token)
	if err != nil {
		t.Fatal(err)
	}
	second, err := albUpdate(c, map[string]string{"i-a": "50"}, token)
	if err != nil || second != first {
		t.Errorf("job %q after %q, %v", second, first, err)
	}
	quiet(t, s)
	if j := albJob(t, c, first); j.Status != "Succeeded" || len(s.Writes()) != 1 {
		t.Errorf("job: %+v", j)
	}
}

func TestADryRunIsAnErrorAndChangesNothing(t *testing.T) {
	s, c, _ := sockets(t, slbtest.Options{})
	dry := func(r *alb.UpdateServerGroupServersAttributeRequest) { r.DryRun = requests.NewBoolean(true) }
	if _, err := albUpdate(c, map[string]string{"i-a": "0"}, dry); code(err) != "DryRunOperation" {
		t.Errorf("valid: %q", code(err))
	}
	if _, err := albUpdate(c, map[string]string{"i-a": "101"}, dry); code(err) != "InvalidParameter" {
		t.Errorf("not valid: %q", code(err))
	}
	quiet(t, s)
	if got := s.Weights("sgp-1")["i-a:8080"]; got != 100 || len(s.Writes()) != 0 {
		t.Errorf("weight %d after dry runs", got)
	}
}

func TestABatchOfAnALBHasAtMost40Entries(t *testing.T) {
	_, c, _ := sockets(t, slbtest.Options{})
	many := func(n int) func(*alb.UpdateServerGroupServersAttributeRequest) {
		return func(r *alb.UpdateServerGroupServersAttributeRequest) {
			servers := []alb.UpdateServerGroupServersAttributeServers{}
			for i := range n {
				servers = append(servers, alb.UpdateServerGroupServersAttributeServers{ServerType: "Ecs", ServerId: fmt.Sprint("i-", i), Port: "1", Weight: "1"})
			}
			r.Servers = &servers
		}
	}
	if _, err := albUpdate(c, nil, many(41)); code(err) != "InvalidParameter" {
		t.Errorf("41: %q", code(err))
	}
	if _, err := albUpdate(c, nil, many(40)); code(err) != "ResourceNotFound.BackendServer" {
		t.Errorf("40: %q", code(err))
	}
}

func TestPagesNeedTheirOwnToken(t *testing.T) {
	s, c, _ := sockets(t, slbtest.Options{})
	s.Edit(func(e *slbtest.Estate) {
		for i := range 43 {
			e.ALBGroups[0].Members = append(e.ALBGroups[0].Members, slbtest.Member{ServerID: fmt.Sprint("i-", i), Port: 8080, Address: "127.0.0.1:1"})
		}
	})
	r := alb.CreateListServerGroupServersRequest()
	r.ServerGroupId = "sgp-1"
	var sizes []int
	for range 5 {
		answer, err := c.alb.ListServerGroupServers(r)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(answer.Servers))
		if r.NextToken = answer.NextToken; r.NextToken == "" {
			break
		}
	}
	if diff := cmp.Diff([]int{20, 20, 5}, sizes); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	r.NextToken = "x"
	if _, err := c.alb.ListServerGroupServers(r); code(err) != "InvalidParameter" {
		t.Errorf("another token: %q", code(err))
	}
	r.NextToken, r.MaxResults = "", requests.NewInteger(101)
	if _, err := c.alb.ListServerGroupServers(r); code(err) != "InvalidParameter" {
		t.Errorf("101 at once: %q", code(err))
	}
}

// albHealth is the status of the members that are not normal.
func albHealth(t *testing.T, c clients) map[string]string {
	t.Helper()
	r := alb.CreateGetListenerHealthStatusRequest()
	r.ListenerId, r.IncludeRule = "lsn-1", requests.NewBoolean(true)
	answer, err := c.alb.GetListenerHealthStatus(r)
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, g := range answer.ListenerHealthStatus[0].ServerGroupInfos {
		for _, m := range g.NonNormalServers {
			states[m.ServerId] = m.Status
		}
	}
	for _, g := range answer.RuleHealthStatus[0].ServerGroupInfos {
		for _, m := range g.NonNormalServers {
			states[m.ServerId] = m.Status
		}
	}
	return states
}

func TestHealthIsKnownByAbsence(t *testing.T) {
	s, c, _ := sockets(t, slbtest.Options{})
	if diff := cmp.Diff(map[string]string{"i-b": "Unused"}, albHealth(t, c)); diff != "" {
		t.Fatalf("at the start (-want +got):\n%s", diff)
	}
	s.Edit(func(e *slbtest.Estate) { e.ALBGroups[0].Check.Healthy, e.ALBGroups[0].Members[1].Weight = 1e9, 1 })
	if diff := cmp.Diff(map[string]string{"i-b": "Initial"}, albHealth(t, c)); diff != "" {
		t.Fatalf("with a weight (-want +got):\n%s", diff)
	}
	s.Edit(func(e *slbtest.Estate) { e.ALBGroups[0].Check.Healthy = 1 })
	until(t, "i-b is normal", func() bool { return len(albHealth(t, c)) == 0 })
	s.Edit(func(e *slbtest.Estate) { e.ALBGroups[0].Members[0].Address = dead(t) })
	until(t, "i-a is unhealthy", func() bool { return albHealth(t, c)["i-a"] == "Unhealthy" })
}
