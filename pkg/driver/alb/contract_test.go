package alb_test

import (
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/driver/alb"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

func TestTheDriverFulfilsTheContractAgainstTheStandIn(t *testing.T) {
	for name, test := range map[string]struct {
		cfg      alb.Config
		settable []drivertest.Settable
		unknown  string
	}{
		"server group": {
			alb.Config{ServerGroup: "sgp-ws"},
			[]drivertest.Settable{
				{Objects: []string{"sgp-ws/i-a1:8080", "sgp-ws/i-a2:8080"}, Attribute: alb.Weight, A: "100", B: "40", C: "77"},
				{Objects: []string{"sgp-ws/i-b1:8080"}, Attribute: alb.Weight, A: "0", B: "100", C: "3"},
				{Objects: []string{"sgp-ws/10.0.0.21:8080"}, Attribute: alb.Weight, A: "10", B: "0", C: "11"},
				{Objects: []string{"sgp-ws/i-two:8081"}, Attribute: alb.Weight, A: "5", B: "6"},
			},
			"sgp-ws/i-nobody:8080",
		},
		"server groups of a rule": {
			alb.Config{Rule: "rule-1"},
			[]drivertest.Settable{
				{Objects: []string{"rule-1/sgp-a"}, Attribute: alb.Weight, A: "100", B: "40", C: "77"},
				{Objects: []string{"rule-1/sgp-b"}, Attribute: alb.Weight, A: "0", B: "60", C: "1"},
			},
			"rule-1/sgp-nobody",
		},
		"a listener and a whole rule": {
			alb.Config{Listeners: []string{"lsn-1"}, Rules: []string{"rule-2"}},
			[]drivertest.Settable{
				{Objects: []string{"listener/lsn-1"}, Attribute: alb.Group, A: `"sgp-ws"`, B: `"sgp-b"`, C: `"sgp-parked"`},
				{Objects: []string{"rule/rule-2"}, Attribute: alb.Forward, A: `["sgp-a=100","sgp-b=0"]`, B: `["sgp-a=0","sgp-b=100"]`, C: `["sgp-a=7","sgp-b=0"]`},
			},
			"listener/lsn-nobody",
		},
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, drivertest.Harness{
				Info: alb.Info(), Settable: test.settable, Unknown: test.unknown,
				Open: func(t *testing.T) drivertest.Target {
					l := newLab(t, func(_ *slbtest.Options, c *alb.Config) { *c = test.cfg })
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
		l := &e.ALB[0].Listeners[0]
		if c.Object == "listener/"+l.ID {
			l.Group, found = c.To.Text(), true
		}
		for _, r := range l.Rules {
			tuples := r.Actions[1].ForwardGroupConfig.ServerGroupTuples
			for i, tuple := range tuples {
				if c.Object == r.ID+"/"+tuple.ServerGroupId {
					tuples[i].Weight, found = &weight, true
				}
				for _, item := range c.To.List() {
					if id, digits, _ := strings.Cut(item, "="); c.Object == "rule/"+r.ID && id == tuple.ServerGroupId {
						w, _ := state.Value(digits).Int()
						tuples[i].Weight, found = &w, true
					}
				}
			}
		}
	})
	if !found {
		t.Fatalf("nobody knows %s", c.Object)
	}
}
