package slb_test

import (
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
						Driver:  l.Target,
						Outside: func(t *testing.T, c state.Change) { outside(t, l.Server, c) },
						Break:   func(*testing.T) { _ = l.Server.Close() },
						Hang:    func(*testing.T) { l.Inject(slbtest.Fault{Kind: slbtest.Slow, After: 1 << 40}) },
					}
				},
			})
		})
	}
}

// outside changes something as a person at the console does.
func outside(t *testing.T, s *slbtest.Server, c state.Change) {
	t.Helper()
	found := false
	s.Edit(func(e *slbtest.Estate) {
		lb := &e.CLB[0]
		set := func(group string, members []slbtest.Member) {
			for i, m := range members {
				key := m.Key()
				if m.Type == "eni" {
					key = m.ServerID + "/" + m.ServerIP + ":8080"
				}
				if group+"/"+key == c.Object || group+"/"+m.ServerID == c.Object {
					members[i].Weight, _ = c.To.Int()
					found = true
				}
			}
		}
		set("lb-1", lb.Default)
		for _, g := range lb.Groups {
			set(g.ID, g.Members)
		}
		for i := range lb.Listeners {
			l := &lb.Listeners[i]
			if c.Object == "listener/80:http" && l.Port == 80 || c.Object == "listener/443:https" && l.Port == 443 {
				l.Group, found = c.To.Text(), true
			}
			if c.Object == "rule/rule-1" && len(l.Rules) > 0 {
				l.Rules[0].Group, found = c.To.Text(), true
			}
		}
	})
	if !found {
		t.Fatalf("nobody knows %s", c.Object)
	}
}
