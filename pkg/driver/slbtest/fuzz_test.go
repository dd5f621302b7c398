package slbtest

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzParams feeds queries and forms to every action's decoder: none may panic,
// and what was accepted was understood as a whole.
func FuzzParams(f *testing.F) {
	f.Add("Servers.1.ServerId=i-a&Servers.1.Port=80&Servers.1.ServerType=Ecs&Servers.1.Weight=0", "ServerGroupId=sgp-1")
	f.Add("RuleActions.1.ForwardGroupConfig.ServerGroupTuples.2.Weight=1&RuleActions.1.Order=1", "")
	f.Add("Servers.2.Port=80&Servers=1&Servers.=x&.=&%zz", "a=1&a=2")
	f.Add("BackendServers=%5B%7B%22ServerId%22%3A%22i%22%2C%22Port%22%3A%221%22%7D%5D&VServerGroupId=rsp-web", "")
	s := &Server{o: Options{}, health: map[string]*health{}}
	s.estate = SmallEstate([4]string{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"})
	f.Fuzz(func(t *testing.T, query, form string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(form))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		flat, err := readParams(r)
		if err != nil {
			return
		}
		own := ownParams(flat)
		var servers serversRequest
		if err := decodeParams(own, &servers); err == nil {
			n := 1 // ServerGroupId
			for range servers.Servers {
				n += 2
			}
			if len(own) < n {
				t.Errorf("%d parameters made %d servers", len(own), len(servers.Servers))
			}
		}
		var rule albUpdateRuleRequest
		if decodeParams(own, &rule) == nil {
			_ = s.estate.checkActions(rule.RuleActions, false)
		}
		if text, err := backends(own["BackendServers"], true); err == nil && (len(text) == 0 || len(text) > batchCLB) {
			t.Errorf("a batch of %d", len(text))
		}
		stringToSign("POST", flat)
	})
}

// FuzzEstate reads estate files: what is accepted can be put into traffic.
func FuzzEstate(f *testing.F) {
	f.Add(`{"zones": [{"name": "example.com", "records": [{"rr": "www", "type": "A", "value": "192.0.2.1"}]}]}`)
	f.Add(`{"alb_groups": [{"id": "sgp-1", "drain": {"on": true, "timeout": "1s"}, "members": [{"server_id": "i-a", "address": "127.0.0.1:1", "weight": 10}]}]}`)
	f.Add(`{"clb": [{"id": "lb", "listeners": [{"port": 80, "protocol": "http"}]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := ParseEstate([]byte(text))
		if err != nil {
			return
		}
		s := &Server{estate: e, health: map[string]*health{}}
		s.fill(&s.estate)
		listeners := 0
		for _, lb := range e.CLB {
			listeners += len(lb.Listeners)
		}
		for _, lb := range e.ALB {
			listeners += len(lb.Listeners)
		}
		for _, lb := range e.NLB {
			listeners += len(lb.Listeners)
		}
		if got := len(s.table().Listeners); got > listeners {
			t.Errorf("%d listeners became %d", listeners, got)
		}
		s.reconcile()
	})
}
