package aliyun_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
)

// albOf answers every action with one body and keeps what was sent.
func albOf(t testing.TB, body func(action string) string) (aliyun.ALB, *[]url.Values) {
	t.Helper()
	var sent []url.Values
	w := newWorld(answers(func(r *http.Request) (*http.Response, error) {
		sent = append(sent, r.URL.Query())
		return say(200, body(r.URL.Query().Get("Action"))), nil
	}), stsKey())
	c, err := aliyun.OpenALB(account(), w.Env)
	expect.Nil(t, err)
	return c, &sent
}

const ruleAnswer = `{"RequestId":"1","Rules":[{"RuleId":"rule-1","ListenerId":"lsn-1","RuleStatus":"Available","Priority":7,"RuleActions":[
 {"Order":1,"Type":"InsertHeader","InsertHeaderConfig":{"Key":"X-Side","Value":"a b+c","ValueType":"UserDefined","CoverEnabled":false},"FixedResponseConfig":{},"TrafficLimitConfig":{"QPS":0}},
 {"Order":2,"Type":"Cors","CorsConfig":{"AllowOrigin":["https://a","https://b"],"MaxAge":3600,"SomethingNew":{"Deep":["x"]}}},
 {"Order":3,"Type":"ForwardGroup","ForwardGroupConfig":{"ServerGroupTuples":[{"ServerGroupId":"sgp-a","Weight":"100"},{"ServerGroupId":"sgp-b","Weight":0,"SomethingNew":"y"}],"ServerGroupStickySession":{"Enabled":false,"Timeout":0}}}]}]}`

func TestARuleIsSentBackWholeWithFieldsThatNobodyHereKnows(t *testing.T) {
	c, sent := albOf(t, func(action string) string {
		if action == "ListRules" {
			return ruleAnswer
		}
		return `{"JobId":"job-1"}`
	})
	rules, err := c.Rules(t.Context(), "rule-1")
	expect.Nil(t, err)
	weights, err := rules["rule-1"].Weights()
	expect.Nil(t, err)
	expect.Same(t, "weights", map[string]int{"sgp-a": 100, "sgp-b": 0}, weights)
	job, err := c.SetRule(t.Context(), rules["rule-1"], map[string]int{"sgp-b": 100, "sgp-c": 1}, "tok")
	if err != nil || job != "job-1" {
		t.Fatalf("%q, %v", job, err)
	}
	got := map[string]string{}
	for k, v := range (*sent)[1] {
		if strings.HasPrefix(k, "Rule") || k == "ClientToken" {
			got[k] = v[0]
		}
	}
	expect.Same(t, "parameters", map[string]string{
		"RuleId": "rule-1", "ClientToken": "tok",
		"RuleActions.1.Order": "1", "RuleActions.1.Type": "InsertHeader",
		"RuleActions.1.InsertHeaderConfig.Key": "X-Side", "RuleActions.1.InsertHeaderConfig.Value": "a b+c",
		"RuleActions.1.InsertHeaderConfig.ValueType": "UserDefined", "RuleActions.1.InsertHeaderConfig.CoverEnabled": "false",
		"RuleActions.2.Order": "2", "RuleActions.2.Type": "Cors",
		"RuleActions.2.CorsConfig.AllowOrigin.1": "https://a", "RuleActions.2.CorsConfig.AllowOrigin.2": "https://b",
		"RuleActions.2.CorsConfig.MaxAge": "3600", "RuleActions.2.CorsConfig.SomethingNew.Deep.1": "x",
		"RuleActions.3.Order": "3", "RuleActions.3.Type": "ForwardGroup",
		"RuleActions.3.ForwardGroupConfig.ServerGroupStickySession.Enabled":  "false",
		"RuleActions.3.ForwardGroupConfig.ServerGroupTuples.1.ServerGroupId": "sgp-b",
		"RuleActions.3.ForwardGroupConfig.ServerGroupTuples.1.Weight":        "100",
		"RuleActions.3.ForwardGroupConfig.ServerGroupTuples.1.SomethingNew":  "y",
		"RuleActions.3.ForwardGroupConfig.ServerGroupTuples.2.ServerGroupId": "sgp-c",
		"RuleActions.3.ForwardGroupConfig.ServerGroupTuples.2.Weight":        "1",
	}, got)
}

func TestARuleThatCannotBeSentBackWholeIsNotWritten(t *testing.T) {
	for name, test := range map[string]struct{ actions, want string }{
		"an action without its configuration": {`[{"Order":1,"Type":"Teleport"},{"Order":2,"Type":"ForwardGroup","ForwardGroupConfig":{"ServerGroupTuples":[]}}]`, "cannot be sent back"},
		"nothing forwards":                    {`[{"Order":1,"Type":"Redirect","RedirectConfig":{}}]`, "not exactly one action"},
		"two actions forward":                 {`[{"Type":"ForwardGroup","ForwardGroupConfig":{}},{"Type":"ForwardGroup","ForwardGroupConfig":{}}]`, "not exactly one action"},
	} {
		t.Run(name, func(t *testing.T) {
			c, sent := albOf(t, func(string) string { return `{"Rules":[{"RuleId":"rule-1","RuleActions":` + test.actions + `}]}` })
			rules, err := c.Rules(t.Context(), "rule-1")
			expect.Nil(t, err)
			_, err = c.SetRule(t.Context(), rules["rule-1"], map[string]int{"sgp-a": 1}, "t")
			expect.Error(t, err, test.want, "")
			expect.Same(t, "requests", 1, len(*sent))
		})
	}
}

func TestServersAreAlwaysSentWithTheirWholeTupleAndAWeight(t *testing.T) {
	c, sent := albOf(t, func(string) string { return `{"JobId":"j"}` })
	_, err := c.SetWeights(t.Context(), "sgp-1", []aliyun.Server{
		{ServerID: "i-1", ServerIP: "10.0.0.1", Type: "Ecs", Port: 80, Weight: 0, Description: "one"},
		{ServerID: "eni-1", ServerIP: "10.0.0.2", Type: "Eni", Port: 81, Weight: 100},
	}, "tok")
	expect.Nil(t, err)
	got := map[string]string{}
	for k, v := range (*sent)[0] {
		if strings.HasPrefix(k, "Server") {
			got[k] = v[0]
		}
	}
	expect.Same(t, "parameters", map[string]string{
		"ServerGroupId": "sgp-1", "Servers.1.ServerId": "i-1", "Servers.1.ServerType": "Ecs", "Servers.1.Port": "80", "Servers.1.Weight": "0", "Servers.1.Description": "one",
		"Servers.2.ServerId": "eni-1", "Servers.2.ServerIp": "10.0.0.2", "Servers.2.ServerType": "Eni", "Servers.2.Port": "81", "Servers.2.Weight": "100",
	}, got)
}

func TestAListThatNeverEndsIsAnError(t *testing.T) {
	for _, length := range []int{1, 2, 7} { // of the circle
		n := 0
		c, sent := albOf(t, func(string) string {
			n++
			return fmt.Sprintf(`{"NextToken":"page %d","Servers":[]}`, n%length)
		})
		_, err := c.Servers(t.Context(), "sgp-1")
		expect.Error(t, err, "the list repeats its page", "")
		expect.Same(t, "requests", length+1, len(*sent))
	}
}

func TestScalarsMayBeTextsOrNumbers(t *testing.T) {
	var got struct {
		Numbers []aliyun.Number
		Flags   []aliyun.Flag
		Words   []aliyun.Word
	}
	err := json.Unmarshal([]byte(`{"Numbers":[1,"2","",null,3.0],"Flags":[true,"true","on","off",false,null],"Words":["a",7,true,null]}`), &got)
	expect.Nil(t, err)
	expect.Same(t, "numbers", []aliyun.Number{1, 2, 0, 0, 3}, got.Numbers)
	expect.Same(t, "flags", []aliyun.Flag{true, true, true, false, false, false}, got.Flags)
	expect.Same(t, "words", []aliyun.Word{"a", "7", "true", ""}, got.Words)
	for _, bad := range []string{`{"Numbers":["x"]}`, `{"Numbers":[1.5]}`, `{"Words":[{}]}`} {
		if json.Unmarshal([]byte(bad), &got) == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// Whatever the API answers, there is a result or an error with a class, in
// time, and what is sent back has a weight for every group.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		ruleAnswer, `{}`, `[]`, `{"Rules":[{"RuleId":1}]}`, `{"Servers":[{"ServerId":"i-1","Weight":"x"}]}`, `{"Success":"false"}`, `<html>`,
		`{"Servers":[{"ServerId":"i-1","ServerIp":"::1","ServerType":"Ip","Port":"80","Weight":1}],"NextToken":""}`,
		`{"BackendServers":{"BackendServer":[{"ServerId":"i-1","Port":80,"Weight":100,"Type":"ecs"}]},"Tags":{"Tag":[{"TagKey":"ack.aliyun.com"}]}}`,
		`{"Listeners":[{"ListenerPort":"80","ListenerProtocol":"HTTP"}]}`, `{"Jobs":[{"Id":"j","Status":"failed"}]}`,
		`{"ListenerHealthStatus":[{"ServerGroupInfos":[{"ServerGroupId":"s","NonNormalServers":[{"ServerId":"i"}]}]}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		w := newWorld(answers(func(*http.Request) (*http.Response, error) { return say(200, body), nil }), stsKey())
		a := account()
		a.Endpoint, a.RetryFor, a.Rate = "https://gw.example.com", time.Nanosecond, 1e9
		alb, err := aliyun.OpenALB(a, w.Env)
		expect.Nil(t, err)
		slb, err := aliyun.OpenSLB(a, w.Env)
		expect.Nil(t, err)
		rules, err := alb.Rules(ctx, "rule-1")
		for _, r := range rules {
			if weights, werr := r.Weights(); werr == nil && err == nil {
				for id := range weights {
					weights[id] = 5
				}
				_, _ = alb.SetRule(ctx, r, weights, "t")
			}
		}
		servers, err := alb.Servers(ctx, "sgp-1")
		for _, s := range servers {
			_ = s.Key()
		}
		_, _ = alb.Groups(ctx, "sgp-1")
		_, _ = alb.Job(ctx, "j")
		said, _ := alb.Health(ctx, "lsn-1")
		_ = aliyun.CheckIn(said, "s", aliyun.Server{ServerID: "i", Weight: 1})
		g, _ := slb.Group(ctx, "rsp-1")
		for _, s := range g.Servers {
			_ = s.Key()
		}
		_, _ = slb.Listeners(ctx, "lb-1")
		_, _ = slb.Groups(ctx, "lb-1")
		_, _ = slb.Health(ctx, "lb-1")
		if err != nil && errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("it took too long")
		}
	})
}
