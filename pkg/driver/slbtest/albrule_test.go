package slbtest_test

import (
	"net/http"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/alb"
	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

func TestARuleIsReplacedAsAWhole(t *testing.T) {
	s, c, proxy := sockets(t, slbtest.Options{})
	url := "http://" + proxy.Addr("lsn-1") + "/ws"
	if got := get(t, url); got != "a" {
		t.Fatalf("before: %q, want a", got)
	}
	update := func(tuples ...alb.UpdateRuleAttributeRuleActionsForwardGroupConfigServerGroupTuplesItem) error {
		r := alb.CreateUpdateRuleAttributeRequest()
		r.RuleId = "rule-1"
		forward := alb.UpdateRuleAttributeRuleActions{Type: "ForwardGroup", Order: "1"}
		forward.ForwardGroupConfig.ServerGroupTuples = &tuples
		r.RuleActions = &[]alb.UpdateRuleAttributeRuleActions{forward}
		_, err := c.alb.UpdateRuleAttribute(r)
		return err
	}
	type tuple = alb.UpdateRuleAttributeRuleActionsForwardGroupConfigServerGroupTuplesItem
	if err := update(tuple{ServerGroupId: "sgp-a"}, tuple{ServerGroupId: "sgp-b", Weight: "100"}); code(err) != "MissingParameter" {
		t.Errorf("two groups and one weight: %q", code(err))
	}
	if err := update(tuple{ServerGroupId: "sgp-x", Weight: "100"}); code(err) != "ResourceNotFound.ServerGroup" {
		t.Errorf("an unknown group: %q", code(err))
	}
	s.Hold()
	if err := update(tuple{ServerGroupId: "sgp-a", Weight: "0"}, tuple{ServerGroupId: "sgp-b", Weight: "100"}); err != nil {
		t.Fatal(err)
	}
	if err := update(tuple{ServerGroupId: "sgp-a", Weight: "1"}); code(err) != "IncorrectStatus.Rule" {
		t.Errorf("while the job runs: %q", code(err))
	}
	listener := alb.CreateUpdateListenerAttributeRequest()
	listener.ListenerId, listener.IdleTimeout = "lsn-1", requests.NewInteger(20)
	if _, err := c.alb.UpdateListenerAttribute(listener); code(err) != "ResourceInConfiguring.Listener" {
		t.Errorf("its listener while the job runs: %q", code(err))
	}
	s.Release()
	quiet(t, s)
	if got := get(t, url); got != "b" {
		t.Errorf("after: %q, want b", got)
	}
	r := alb.CreateListRulesRequest()
	r.RuleIds = &[]string{"rule-1"}
	answer, err := c.alb.ListRules(r)
	if err != nil {
		t.Fatal(err)
	}
	rule := answer.Rules[0]
	if len(rule.RuleActions) != 1 || rule.RuleStatus != "Available" || rule.RuleConditions[0].PathConfig.Values[0] != "/ws*" {
		t.Errorf("rule after: %+v", rule)
	}
	if got := rule.RuleActions[0].ForwardGroupConfig.ServerGroupTuples; got[0].Weight != 0 || got[1].Weight != 100 {
		t.Errorf("tuples after: %+v", got)
	}
}

func TestADefaultActionCannotBeWeighted(t *testing.T) {
	s, c, proxy := sockets(t, slbtest.Options{})
	weighted := requests.NewCommonRequest()
	weighted.Domain, weighted.Version, weighted.ApiName, weighted.Method = s.Host(), "2020-06-16", "UpdateListenerAttribute", http.MethodPost
	weighted.QueryParams = map[string]string{
		"ListenerId": "lsn-1", "DefaultActions.1.Type": "ForwardGroup",
		"DefaultActions.1.ForwardGroupConfig.ServerGroupTuples.1.ServerGroupId": "sgp-b",
		"DefaultActions.1.ForwardGroupConfig.ServerGroupTuples.1.Weight":        "50",
	}
	if _, err := c.alb.ProcessCommonRequest(weighted); code(err) != "InvalidParameter" {
		t.Errorf("a weight: %q", code(err))
	}
	r := alb.CreateUpdateListenerAttributeRequest()
	r.ListenerId = "lsn-1"
	action := alb.UpdateListenerAttributeDefaultActions{Type: "ForwardGroup"}
	action.ForwardGroupConfig.ServerGroupTuples = &[]alb.UpdateListenerAttributeDefaultActionsForwardGroupConfigServerGroupTuplesItem{{ServerGroupId: "sgp-b"}}
	r.DefaultActions = &[]alb.UpdateListenerAttributeDefaultActions{action}
	if _, err := c.alb.UpdateListenerAttribute(r); err != nil {
		t.Fatal(err)
	}
	quiet(t, s)
	if got := get(t, "http://"+proxy.Addr("lsn-1")+"/"); got != "b" {
		t.Errorf("traffic at %q, want b", got)
	}
	get := alb.CreateGetListenerAttributeRequest()
	get.ListenerId = "lsn-1"
	answer, err := c.alb.GetListenerAttribute(get)
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.DefaultActions[0].ForwardGroupConfig.ServerGroupTuples[0].ServerGroupId; got != "sgp-b" || answer.ListenerStatus != "Running" {
		t.Errorf("listener after: %+v", answer)
	}
}

func TestRelationsAreShownWhenAskedFor(t *testing.T) {
	_, c, _ := sockets(t, slbtest.Options{})
	r := alb.CreateListServerGroupsRequest()
	r.ServerGroupIds, r.ShowRelationEnabled = &[]string{"sgp-a"}, requests.NewBoolean(true)
	answer, err := c.alb.ListServerGroups(r)
	if err != nil {
		t.Fatal(err)
	}
	g := answer.ServerGroups[0]
	if diff := cmp.Diff([][]string{{"alb-1"}, {}, {"rule-1"}}, [][]string{g.RelatedLoadBalancerIds, g.RelatedListenerIds, g.RelatedRuleIds}); diff != "" {
		t.Errorf("relations (-want +got):\n%s", diff)
	}
}
