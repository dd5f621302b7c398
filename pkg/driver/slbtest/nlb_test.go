package slbtest_test

import (
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/services/nlb"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

func layer4(t *testing.T, o slbtest.Options) (*slbtest.Server, clients, *plane.Proxy) {
	t.Helper()
	a, b := addr(member(t, "a")), addr(member(t, "b"))
	proxy := plane.NewProxy(plane.ProxyOptions{})
	o.PlainHTTP, o.Planes = true, []plane.Plane{proxy}
	o.Estate = slbtest.Estate{
		NLBGroups: []slbtest.Group{{ID: "nsg-1", Members: []slbtest.Member{
			{ServerID: "i-a", Port: 8080, Weight: 100, Address: a}, {ServerID: "i-b", Port: 8080, Address: b},
		}}},
		NLB: []slbtest.NLB{{ID: "nlb-1", Listeners: []slbtest.NLBListener{{ID: "nlsn-1", Port: 80, Group: "nsg-1"}}}},
	}
	s := slbtest.Start(t, o)
	return s, dial(t, s), proxy
}

func nlbUpdate(c clients, id, weight string) (*nlb.UpdateServerGroupServersAttributeResponse, error) {
	r := nlb.CreateUpdateServerGroupServersAttributeRequest()
	r.ServerGroupId = "nsg-1"
	r.Servers = &[]nlb.UpdateServerGroupServersAttributeServers{{ServerType: "Ecs", ServerId: id, Port: "8080", Weight: weight}}
	return c.nlb.UpdateServerGroupServersAttribute(r)
}

func nlbJob(t *testing.T, c clients, id string) string {
	t.Helper()
	r := nlb.CreateGetJobStatusRequest()
	r.JobId = id
	answer, err := c.nlb.GetJobStatus(r)
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status
}

func TestAnNLBUpdateFromTheFormIsAJob(t *testing.T) {
	s, c, proxy := layer4(t, slbtest.Options{})
	s.Hold()
	answer, err := nlbUpdate(c, "i-b", "100")
	if err != nil || !answer.Success || answer.ServerGroupId != "nsg-1" {
		t.Fatalf("%+v, %v", answer, err)
	}
	if got := nlbJob(t, c, answer.JobId); got != "processing" {
		t.Errorf("job at once: %q", got)
	}
	if _, err := nlbUpdate(c, "i-a", "0"); code(err) != "IncorrectStatus.serverGroup" {
		t.Errorf("a second update: %q", code(err))
	}
	s.Release()
	quiet(t, s)
	if got := nlbJob(t, c, answer.JobId); got != "Succeeded" {
		t.Errorf("job after: %q", got)
	}
	if _, err := nlbUpdate(c, "i-a", ""); err != nil { // an omitted weight
		t.Fatal(err)
	}
	quiet(t, s)
	if got := s.Weights("nsg-1")["i-a:8080"]; got != 0 {
		t.Errorf("an omitted weight became %d, want 0", got)
	}
	if got := get(t, "http://"+proxy.Addr("nlsn-1")+"/"); got != "b" {
		t.Errorf("traffic at %q, want b", got)
	}
}

func TestAnNLBCanRefuseWithStatus200(t *testing.T) {
	s, c, _ := layer4(t, slbtest.Options{})
	s.Inject(slbtest.Fault{Kind: slbtest.SoftRefuse, Product: "nlb", Code: "Conflict.Lock", Times: 1})
	answer, err := nlbUpdate(c, "i-b", "100")
	if err != nil || answer.Success || answer.Code != "Conflict.Lock" {
		t.Errorf("%+v, %v", answer, err)
	}
	if n := len(s.Writes()); n != 0 {
		t.Errorf("%d writes", n)
	}
}

func TestNLBReadsAreThoseOfTheSDK(t *testing.T) {
	s, c, _ := layer4(t, slbtest.Options{})
	servers := nlb.CreateListServerGroupServersRequest()
	servers.ServerGroupId = "nsg-1"
	if answer, err := c.nlb.ListServerGroupServers(servers); err != nil || len(answer.Servers) != 2 || answer.Servers[0].Weight != 100 {
		t.Errorf("servers: %+v, %v", answer, err)
	}
	groups := nlb.CreateListServerGroupsRequest()
	groups.ServerGroupIds = &[]string{"nsg-1"}
	if answer, err := c.nlb.ListServerGroups(groups); err != nil || answer.ServerGroups[0].ServerGroupStatus != "Available" {
		t.Errorf("groups: %+v, %v", answer, err)
	}
	listener := nlb.CreateGetListenerAttributeRequest()
	listener.ListenerId = "nlsn-1"
	if answer, err := c.nlb.GetListenerAttribute(listener); err != nil || answer.ServerGroupId != "nsg-1" {
		t.Errorf("listener: %+v, %v", answer, err)
	}
	if answer, err := c.nlb.ListListeners(nlb.CreateListListenersRequest()); err != nil || len(answer.Listeners) != 1 {
		t.Errorf("listeners: %+v, %v", answer, err)
	}
	s.Edit(func(e *slbtest.Estate) { e.NLBGroups[0].Members[0].Address = dead(t) })
	until(t, "i-a is unhealthy", func() bool {
		r := nlb.CreateGetListenerHealthStatusRequest()
		r.ListenerId = "nlsn-1"
		answer, err := c.nlb.GetListenerHealthStatus(r)
		if err != nil {
			t.Fatal(err)
		}
		bad := answer.ListenerHealthStatus[0].ServerGroupInfos[0].NonNormalServers
		return len(bad) == 1 && bad[0].ServerId == "i-a" && bad[0].Status == "Unhealthy"
	})
	update := nlb.CreateUpdateListenerAttributeRequest()
	update.ListenerId, update.ServerGroupId = "nlsn-1", "nsg-x"
	if _, err := c.nlb.UpdateListenerAttribute(update); code(err) != "ResourceNotFound.serverGroup" {
		t.Errorf("an unknown group: %q", code(err))
	}
}
