package slb_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/slb"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

// exchange is the patent's wording: both weights in one call.
func exchange() []state.Change {
	return []state.Change{set("i-a1:8080", 100, 0), set("i-a2:8080", 100, 0), set("i-b1:8080", 0, 100), set("i-b2:8080", 0, 100)}
}

func TestEveryWeightRisesAndIsHealthyBeforeAnyFalls(t *testing.T) {
	l := newLab(t, nil)
	must(t, l.Apply(t.Context(), exchange()))
	writes := l.Writes()
	same(t, "writes", []string{"SetVServerGroupAttribute", "SetVServerGroupAttribute"}, l.written())
	up, down := writes[0].Params["BackendServers"], writes[1].Params["BackendServers"]
	if !strings.Contains(up, "i-b1") || strings.Contains(up, "i-a1") || !strings.Contains(down, "i-a1") {
		t.Errorf("first %s\nthen %s", up, down)
	}
	if !strings.Contains(up, `{"ServerId":"i-b1","Port":"8080","Weight":"100","Type":"ecs","Description":"i-b1, a \"server\""}`) {
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
	same(t, "weights", map[string]int{"i-a1:8080": 0, "i-a2:8080": 0, "i-b1:8080": 100, "i-b2:8080": 100, "eni-1:8080": 10, "i-two:8080": 5, "i-two:8081": 5}, l.Weights("rsp-web"))
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
	good, _ := alive(t)
	bad, down := alive(t)
	down()
	l := newLab(t, func(o *slbtest.Options, c *slb.Config) {
		o.Estate, c.HealthTimeout = small(good, bad), 300*time.Millisecond
	})
	err := l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 0), set("i-b1:8080", 0, 100)})
	failsWith(t, err, "no weight was lowered: after 300ms: not healthy: i-b1 is abnormal", "health_timeout")
	same(t, "weights", map[string]int{"i-a1:8080": 100, "i-b1:8080": 100}, l.Weights("rsp-web"))
	failsWith(t, l.Settle(t.Context(), []state.Change{set("i-b1:8080", 0, 100)}), "i-b1 is abnormal", "health_timeout")
}

func TestTheLastHealthyMemberWithAWeightKeepsIt(t *testing.T) {
	good, _ := alive(t)
	bad, down := alive(t)
	down()
	t.Run("no other has a weight", func(t *testing.T) {
		l := newLab(t, func(o *slbtest.Options, _ *slb.Config) { o.Estate = small(good, good) })
		for name, err := range map[string]error{
			"apply": l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 0)}),
			"check": check(t, l, set("i-a1:8080", 100, 0)),
		} {
			t.Run(name, func(t *testing.T) {
				failsWith(t, err, "no member with a weight would be left: i-a1 would be the last", "raise another member first")
				permanent(t, err)
			})
		}
		same(t, "writes", []string(nil), l.written())
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
				failsWith(t, err, "no healthy member with a weight would be left: i-b1 is abnormal", "health checks fail")
				permanent(t, err)
			})
		}
		same(t, "writes", []string(nil), l.written())
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
		failsWith(t, err, "no member with a weight would be left", "")
		same(t, "faults that did not happen", 0, l.Pending())
		same(t, "writes", []string(nil), l.written())
	})
	t.Run("nobody checks them", func(t *testing.T) {
		e := small(good, bad)
		e.CLB[0].Groups[0].Members[1].Weight = 100
		e.CLB[0].Listeners[0].Check.Off = true
		l := newLab(t, func(o *slbtest.Options, _ *slb.Config) { o.Estate = e })
		must(t, l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 0)}))
	})
}

// check is Check with what is live.
func check(t *testing.T, l lab, changes ...state.Change) error {
	t.Helper()
	s, err := l.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l.Check(t.Context(), s, changes)
}

func permanent(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, driver.ErrPermanent) {
		t.Errorf("it is not permanent: %v", err)
	}
}

func TestCheckTakesTheWeightsThatEarlierStepsWillHaveSet(t *testing.T) {
	good, _ := alive(t)
	l := newLab(t, func(o *slbtest.Options, _ *slb.Config) { o.Estate = small(good, good) })
	s, err := l.Read(t.Context())
	must(t, err)
	later := s.With([]state.Change{set("i-b1:8080", 0, 100)})
	must(t, l.Check(t.Context(), later, []state.Change{set("i-a1:8080", 100, 0)}))
	l.Inject(slbtest.Fault{Kind: slbtest.Unavailable})
	if err := l.Check(t.Context(), later, []state.Change{set("i-a1:8080", 100, 0)}); !errors.Is(err, driver.ErrUnknown) || errors.Is(err, driver.ErrPermanent) {
		t.Errorf("who cannot look refuses nothing: %v", err)
	}
}

// 400 servers: the calls are counted, and are not one a server.
func TestALargeGroupTakesAFewCalls(t *testing.T) {
	addr, _ := alive(t)
	l := newLab(t, func(o *slbtest.Options, _ *slb.Config) {
		o.Estate = small(addr, addr)
		g := &o.Estate.CLB[0].Groups[0]
		g.Members = nil
		for i := range 400 {
			g.Members = append(g.Members, slbtest.Member{ServerID: "i-" + string(rune('a'+i/26%26)) + string(rune('a'+i%26)), ServerIP: "10.1." + itoa(i/200) + "." + itoa(i%200), Port: 8080 + i, Weight: 100 * (i % 2), Address: addr})
		}
	})
	s, err := l.Read(t.Context())
	must(t, err)
	var changes []state.Change
	for id, o := range s.Objects {
		from, _ := o.Attrs[slb.Weight].Int()
		changes = append(changes, change(id, slb.Weight, state.Int(from), state.Int(100-from)))
	}
	state.Sort(changes)
	l.ForgetCalls()
	began := time.Now()
	must(t, l.Apply(t.Context(), changes))
	must(t, l.Settle(t.Context(), changes))
	calls := len(l.Calls())
	t.Logf("400 servers, half up and half down: %d calls, %d of them writes, %s", calls, len(l.Writes()), time.Since(began).Round(time.Millisecond))
	same(t, "writes", 20, len(l.Writes()))
	if calls > 50 {
		t.Errorf("%d calls", calls)
	}
}

func itoa(n int) string { return state.Int(n).String() }
