package slb_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/slb"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

func TestEveryWeightRisesAndIsHealthyBeforeAnyFalls(t *testing.T) {
	l := newLab(t, nil)
	expect.Nil(t, l.Apply(t.Context(), exchange()))
	writes := l.Writes()
	expect.Same(t, "writes", []string{"SetVServerGroupAttribute", "SetVServerGroupAttribute"}, l.Written())
	up, down := writes[0].Params["BackendServers"], writes[1].Params["BackendServers"]
	if !strings.Contains(up, "i-b1") || strings.Contains(up, "i-a1") || !strings.Contains(down, "i-a1") {
		t.Errorf("first %s\nthen %s", up, down)
	}
	if !strings.Contains(up, `{"ServerId":"i-b1","Port":"8080","Weight":"100","Type":"ecs","Description":"a \"server\""}`) {
		t.Errorf("the whole tuple is not sent: %s", up)
	}
	written, looked := 0, false
	for _, c := range l.Calls() {
		if c.Write {
			written++
		}
		looked = looked || (c.Action == "DescribeHealthStatus" && written == 1)
	}
	if !looked {
		t.Error("nobody looked at health between raising and lowering")
	}
	expect.Same(t, "weights", exchanged(), l.Weights("rsp-web"))
}

// small is a group of one server on each side.
func small(addrA, addrB string) slbtest.Estate {
	return slbtest.Estate{CLB: []slbtest.CLB{{
		ID: "lb-1", Groups: []slbtest.Group{{ID: "rsp-web", Members: []slbtest.Member{
			{ServerID: "i-a1", ServerIP: "10.0.0.1", Port: 8080, Weight: 100, Address: addrA},
			{ServerID: "i-b1", ServerIP: "10.0.0.2", Port: 8080, Weight: 0, Address: addrB},
		}}},
		Listeners: []slbtest.CLBListener{{Port: 80, Protocol: "http", Group: "rsp-web"}},
	}}}
}

func TestWhatIsRaisedAndSickLeavesTheOtherSideInTraffic(t *testing.T) {
	good, _ := slbtest.Alive(t)
	bad := slbtest.Dead(t)
	l := newLab(t, func(o *slbtest.Options, c *slb.Config) {
		o.Estate, c.HealthTimeout = small(good, bad), 2*time.Second
	})
	err := l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 0), set("i-b1:8080", 0, 100)})
	expect.Error(t, err, "no weight was lowered: after 2s: not healthy: i-b1 is abnormal", "health_timeout")
	expect.Same(t, "weights", map[string]int{"i-a1:8080": 100, "i-b1:8080": 100}, l.Weights("rsp-web"))
	expect.Error(t, l.Settle(t.Context(), []state.Change{set("i-b1:8080", 0, 100)}), "i-b1 is abnormal", "health_timeout")
}

func TestTheLastHealthyMemberWithAWeightKeepsIt(t *testing.T) {
	good, _ := slbtest.Alive(t)
	bad := slbtest.Dead(t)
	t.Run("no other has a weight", func(t *testing.T) {
		l := newLab(t, func(o *slbtest.Options, _ *slb.Config) { o.Estate = small(good, good) })
		for name, err := range map[string]error{
			"apply": l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 0)}),
			"check": check(t, l, set("i-a1:8080", 100, 0)),
		} {
			t.Run(name, func(t *testing.T) {
				expect.Error(t, err, "no member with a weight would be left: i-a1 would be the last", "raise another member first")
				expect.Is(t, err, driver.ErrPermanent, true)
			})
		}
		expect.Same(t, "writes", []string(nil), l.Written())
	})
	t.Run("those that have one are sick", func(t *testing.T) {
		e := small(good, bad)
		e.CLB[0].Groups[0].Members[1].Weight = 100
		l := newLab(t, func(o *slbtest.Options, _ *slb.Config) { o.Estate = e })
		for name, err := range map[string]error{
			"apply": l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 0)}),
			"check": check(t, l, set("i-a1:8080", 100, 0)),
		} {
			t.Run(name, func(t *testing.T) {
				expect.Error(t, err, "no healthy member with a weight would be left: i-b1 is abnormal", "health checks fail")
				expect.Is(t, err, driver.ErrPermanent, true)
			})
		}
		expect.Same(t, "writes", []string(nil), l.Written())
	})
	t.Run("the other lost its weight since flip looked", func(t *testing.T) {
		e := small(good, good)
		e.CLB[0].Groups[0].Members[1].Weight = 100
		l := newLab(t, func(o *slbtest.Options, _ *slb.Config) { o.Estate = e })
		// Right before the second reading of the group somebody parks b.
		l.Inject(slbtest.Fault{Action: "DescribeVServerGroupAttribute", Skip: 2, Times: 1, Do: func() {
			l.Edit(func(e *slbtest.Estate) { e.CLB[0].Groups[0].Members[1].Weight = 0 })
		}})
		err := l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 0)})
		expect.Error(t, err, "no member with a weight would be left", "")
		expect.Same(t, "faults that did not happen", 0, l.Pending())
		expect.Same(t, "writes", []string(nil), l.Written())
	})
	for when, fault := range map[string]slbtest.Fault{
		"before flip sees it": {Action: "DescribeVServerGroupAttribute", Skip: 2, Times: 1},
		"after flip saw it":   {Action: "DescribeHealthStatus", Times: 1},
	} {
		t.Run("what flip raised is parked again "+when, func(t *testing.T) {
			l := newLab(t, func(o *slbtest.Options, c *slb.Config) {
				o.Estate, c.HealthTimeout = small(good, good), 300*time.Millisecond
			})
			fault.Do = func() { l.Weigh("rsp-web/i-b1:8080", 0) }
			l.Inject(fault)
			err := l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 0), set("i-b1:8080", 0, 100)})
			expect.Same(t, "faults that did not happen", 0, l.Pending())
			expect.Error(t, err, "weight", "")
			expect.Same(t, "weights", map[string]int{"i-a1:8080": 100, "i-b1:8080": 0}, l.Weights("rsp-web"))
		})
	}
	t.Run("nobody checks them", func(t *testing.T) {
		e := small(good, bad)
		e.CLB[0].Groups[0].Members[1].Weight = 100
		e.CLB[0].Listeners[0].Check.Off = true
		l := newLab(t, func(o *slbtest.Options, _ *slb.Config) { o.Estate = e })
		expect.Nil(t, l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 0)}))
	})
}

func TestOneOfASideThatIsParkedAgainKeepsTheOtherSideInTraffic(t *testing.T) {
	l := newLab(t, func(_ *slbtest.Options, c *slb.Config) { c.HealthTimeout = 2 * time.Second })
	l.Inject(slbtest.Fault{Action: "DescribeVServerGroupAttribute", Skip: 2, Times: 1, Do: func() { l.Weigh("rsp-web/i-b1:8080", 0) }})
	err := l.Apply(t.Context(), exchange())
	expect.Same(t, "faults that did not happen", 0, l.Pending())
	expect.Error(t, err, "no weight was lowered: after 2s: not healthy: i-b1 has weight 0, not 100", "health_timeout")
	expect.Same(t, "a", 100, l.Weights("rsp-web")["i-a1:8080"])
}

// check is Check with what is live.
func check(t *testing.T, l lab, changes ...state.Change) error {
	t.Helper()
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	return l.Check(t.Context(), s, changes)
}

func TestCheckTakesTheWeightsThatEarlierStepsWillHaveSet(t *testing.T) {
	good, _ := slbtest.Alive(t)
	l := newLab(t, func(o *slbtest.Options, _ *slb.Config) { o.Estate = small(good, good) })
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	later := s.With([]state.Change{set("i-b1:8080", 0, 100)})
	expect.Nil(t, l.Check(t.Context(), later, []state.Change{set("i-a1:8080", 100, 0)}))
	l.Inject(slbtest.Fault{Kind: slbtest.Unavailable})
	if err := l.Check(t.Context(), later, []state.Change{set("i-a1:8080", 100, 0)}); !errors.Is(err, driver.ErrUnknown) || errors.Is(err, driver.ErrPermanent) {
		t.Errorf("who cannot look refuses nothing: %v", err)
	}
}

// 400 servers: the calls are counted, and are not one a server.
func TestALargeGroupTakesAFewCalls(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, _ *slb.Config) {
		addr, _ := slbtest.Alive(t)
		o.Estate = small(addr, addr)
		o.Estate.CLB[0].Groups[0].Members = slbtest.Crowd(400, addr)
	})
	calls, writes := l.Reverse(t, l.Target)
	expect.Same(t, "writes", 20, writes)
	if calls > 50 {
		t.Errorf("%d calls", calls)
	}
}
