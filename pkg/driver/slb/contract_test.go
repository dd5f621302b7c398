package slb_test

import (
	"fmt"
	"testing"

	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/slb"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

func TestTheDriverFulfilsTheContractAgainstTheStandIn(t *testing.T) {
	for name, test := range map[string]struct {
		cfg      slb.Config
		settable []drivertest.Settable
		unknown  string
	}{
		"vserver group": {
			slb.Config{VServerGroup: "rsp-web"},
			[]drivertest.Settable{
				{Objects: []string{"rsp-web/i-a1:8080", "rsp-web/i-a2:8080"}, Attribute: slb.Weight, A: "100", B: "40", C: "77"},
				{Objects: []string{"rsp-web/i-b1:8080"}, Attribute: slb.Weight, A: "0", B: "100", C: "3"},
				{Objects: []string{"rsp-web/eni-1/10.0.0.21:8080"}, Attribute: slb.Weight, A: "10", B: "0", C: "11"},
				{Objects: []string{"rsp-web/i-two:8081"}, Attribute: slb.Weight, A: "5", B: "6"},
			},
			"rsp-web/i-nobody:8080",
		},
		"default group": {
			slb.Config{LoadBalancer: "lb-1", DefaultGroup: true},
			[]drivertest.Settable{
				{Objects: []string{"lb-1/i-a1"}, Attribute: slb.Weight, A: "100", B: "50", C: "1"},
				{Objects: []string{"lb-1/i-b1"}, Attribute: slb.Weight, A: "0", B: "100"},
			},
			"lb-1/i-nobody",
		},
		"listeners and rules": {
			slb.Config{LoadBalancer: "lb-1", Listeners: []string{"80/http", "443/https"}, Rules: []string{"rule-1"}},
			[]drivertest.Settable{
				{Objects: []string{"listener/80:http", "listener/443:https"}, Attribute: slb.Group, A: `"rsp-web"`, B: `"rsp-other"`, C: `"rsp-parked"`},
				{Objects: []string{"rule/rule-1"}, Attribute: slb.Group, A: `"rsp-web"`, B: `"rsp-other"`, C: `"rsp-parked"`},
			},
			"listener/82:http",
		},
		"weights and a listener together": {
			slb.Config{LoadBalancer: "lb-1", VServerGroup: "rsp-web", Listeners: []string{"80/http"}},
			[]drivertest.Settable{
				{Objects: []string{"rsp-web/i-a1:8080"}, Attribute: slb.Weight, A: "100", B: "0", C: "77"},
				{Objects: []string{"listener/80:http"}, Attribute: slb.Group, A: `"rsp-web"`, B: `"rsp-other"`},
			},
			"rsp-web/i-nobody:8080",
		},
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, drivertest.Harness{
				Info: slb.Info(), Settable: test.settable, Unknown: test.unknown,
				Open: func(t *testing.T) drivertest.Target {
					l := newLab(t, func(_ *slbtest.Options, c *slb.Config) { *c = test.cfg })
					return drivertest.Target{
						Driver: l.Target, Break: l.Break, Hang: l.Hang,
						Outside: func(t *testing.T, c state.Change) { outside(t, l.Server, c) },
					}
				},
			})
		})
	}
}

// outside changes something as a person at the console does.
func outside(t *testing.T, s *slbtest.Server, c state.Change) {
	t.Helper()
	weight, _ := c.To.Int()
	found := s.Weigh(c.Object, weight)
	s.Edit(func(e *slbtest.Estate) {
		listeners := e.CLB[0].Listeners
		for i, l := range listeners {
			if c.Object == fmt.Sprintf("listener/%d:%s", l.Port, l.Protocol) {
				listeners[i].Group, found = c.To.Text(), true
			}
			for j, r := range l.Rules {
				if c.Object == "rule/"+r.ID {
					l.Rules[j].Group, found = c.To.Text(), true
				}
			}
		}
	})
	if !found {
		t.Fatalf("nobody knows %s", c.Object)
	}
}
