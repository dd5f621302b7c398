package nlb_test

import (
	"testing"

	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/nlb"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

func TestTheDriverFulfilsTheContractAgainstTheStandIn(t *testing.T) {
	for name, test := range map[string]struct {
		cfg      nlb.Config
		settable []drivertest.Settable
		unknown  string
	}{
		"server group": {
			nlb.Config{ServerGroup: "sgp-l4"},
			[]drivertest.Settable{
				{Objects: []string{"sgp-l4/i-a1:8080", "sgp-l4/i-a2:8080"}, Attribute: nlb.Weight, A: "100", B: "40", C: "77"},
				{Objects: []string{"sgp-l4/i-b1:8080"}, Attribute: nlb.Weight, A: "0", B: "100", C: "3"},
				{Objects: []string{"sgp-l4/10.0.0.21:8080"}, Attribute: nlb.Weight, A: "10", B: "0", C: "11"},
				{Objects: []string{"sgp-l4/i-two:8081"}, Attribute: nlb.Weight, A: "5", B: "6"},
			},
			"sgp-l4/i-nobody:8080",
		},
		"listeners": {
			nlb.Config{Listeners: []string{"lsn-1", "lsn-2"}},
			[]drivertest.Settable{
				{Objects: []string{"listener/lsn-1", "listener/lsn-2"}, Attribute: nlb.Group, A: `"sgp-l4"`, B: `"sgp-other"`, C: `"sgp-parked"`},
			},
			"listener/lsn-nobody",
		},
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.Run(t, drivertest.Harness{
				Info: nlb.Info(), Settable: test.settable, Unknown: test.unknown,
				Open: func(t *testing.T) drivertest.Target {
					l := newLab(t, func(_ *slbtest.Options, c *nlb.Config) { *c = test.cfg })
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
		listeners := e.NLB[0].Listeners
		for i := range listeners {
			if c.Object == "listener/"+listeners[i].ID {
				listeners[i].Group, found = c.To.Text(), true
			}
		}
	})
	if !found {
		t.Fatalf("nobody knows %s", c.Object)
	}
}
