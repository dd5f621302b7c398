package slb_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/slb"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

func TestWhatCannotBeUndoneOrWouldDoNothingIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	lower := []state.Change{set("i-a1:8080", 100, 50)}
	group := func(e *slbtest.Estate) *slbtest.Group { return &e.CLB[0].Groups[0] }
	listener := func(id, to string) []state.Change {
		return []state.Change{slbtest.Change("listener/"+strings.ReplaceAll(id, "/", ":"), slb.Group, `"rsp-web"`, state.Text(to))}
	}
	for name, test := range map[string]struct {
		edit    func(*slbtest.Options, *slb.Config)
		changes []state.Change
		words   string
		advice  string
	}{
		"a listener that ignores weights": {
			func(o *slbtest.Options, _ *slb.Config) { o.Estate.CLB[0].Listeners[0].Scheduler = "rr" }, lower,
			"listener 80/http, which sends to rsp-web, has the scheduler rr", "wrr or wlc",
		},
		"a rule whose listener ignores weights": {
			func(o *slbtest.Options, _ *slb.Config) {
				l := o.Estate.CLB[0].Listeners
				l[0].Scheduler, l[0].Group, l[1].Group = "rr", "rsp-other", "rsp-other"
			}, lower, "rule rule-1, which sends to rsp-web, has the scheduler rr", "wrr or wlc",
		},
		"a group that a service manages": {
			func(o *slbtest.Options, _ *slb.Config) { group(&o.Estate).Managed = true }, lower,
			"group rsp-web is managed by a service of Aliyun", "force: true",
		},
		"a group of a cluster": {
			func(o *slbtest.Options, _ *slb.Config) {
				group(&o.Estate).Tags = map[string]string{"ack.aliyun.com": "c1"}
			}, lower,
			"managed by a Kubernetes cluster (tag ack.aliyun.com)", "force: true",
		},
		"a load balancer of a cluster": {
			func(o *slbtest.Options, _ *slb.Config) {
				o.Estate.CLB[0].Tags = map[string]string{"ack.aliyun.com": "c1"}
			}, lower,
			"managed by a Kubernetes cluster", "force: true",
		},
		"a load balancer that is stopped": {
			func(o *slbtest.Options, _ *slb.Config) { o.Estate.CLB[0].Status = "inactive" }, lower, "lb-1 is inactive", "",
		},
		"a master/slave group": {
			func(_ *slbtest.Options, c *slb.Config) { c.VServerGroup = "rsp-ms" },
			[]state.Change{slbtest.Change("rsp-ms/i-m:8080", slb.Weight, "100", "0")},
			"rsp-ms is a master/slave group, which has no weights", "point the listener at another group",
		},
		"a group that is not there": {
			func(_ *slbtest.Options, c *slb.Config) { c.VServerGroup = "rsp-nowhere" },
			[]state.Change{slbtest.Change("rsp-nowhere/i-m:8080", slb.Weight, "100", "0")},
			"does not exist", "is vserver_group an id of region",
		},
		"a group of another load balancer": {
			func(_ *slbtest.Options, c *slb.Config) { c.LoadBalancer = "lb-2" }, lower, "belongs to lb-1, not to load_balancer lb-2", "",
		},
		"a weight out of range":           {nil, []state.Change{set("i-a1:8080", 100, 101)}, "weight is 0..100, not 101", ""},
		"a member that is not there":      {nil, []state.Change{set("i-nobody:8080", 100, 0)}, "has no member i-nobody:8080", "members: eni-1, i-a1"},
		"a member that is to be removed":  {nil, []state.Change{slbtest.Change("rsp-web/i-a1:8080", slb.Weight, "100", "")}, "cannot be removed", "adding and removing members"},
		"an attribute that there is not":  {nil, []state.Change{slbtest.Change("rsp-web/i-a1:8080", "colour", "100", "0")}, "no attribute", ""},
		"a listener that only redirects":  {with("81/http"), []state.Change{slbtest.Change("listener/81:http", slb.Group, `""`, `"rsp-other"`)}, "only redirects (ListenerForward is on)", "redirects to"},
		"a listener of a master/slave":    {with("3306/tcp"), []state.Change{slbtest.Change("listener/3306:tcp", slb.Group, `""`, `"rsp-other"`)}, "sends to the master/slave group rsp-ms", ""},
		"a listener of the default group": {with("9000/tcp"), []state.Change{slbtest.Change("listener/9000:tcp", slb.Group, `""`, `"rsp-other"`)}, "sends to the default group", ""},
		"a group that does not exist":     {with("80/http"), listener("80/http", "rsp-nowhere"), `no such vserver group "rsp-nowhere"`, "groups: rsp-other, rsp-parked, rsp-web"},
		"a group without weights":         {with("80/http"), listener("80/http", "rsp-parked"), "group rsp-parked has no server with a weight", "give its servers weight"},
		"a listener that there is not":    {with("82/http"), listener("82/http", "rsp-other"), "has no listener 82/http", "80/http"},
		"a rule that a cluster's balancer has": {
			func(o *slbtest.Options, c *slb.Config) {
				o.Estate.CLB[0].Tags = map[string]string{"ack.aliyun.com": "c1"}
				c.LoadBalancer, c.VServerGroup, c.Rules = "lb-1", "", []string{"rule-1"}
			},
			[]state.Change{slbtest.Change("rule/rule-1", slb.Group, `"rsp-web"`, `"rsp-other"`)},
			"rule rule-1 is managed by", "force: true",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, test.edit)
			err := l.Apply(t.Context(), test.changes)
			expect.Error(t, err, test.words, test.advice)
			expect.Is(t, err, driver.ErrPermanent, true)
			expect.Same(t, "writes", []string(nil), l.Written())
			s, rerr := l.Read(t.Context())
			if rerr == nil {
				cerr := l.Check(t.Context(), s, test.changes)
				expect.Error(t, cerr, test.words, test.advice)
				expect.Is(t, cerr, driver.ErrPermanent, true)
			}
		})
	}
}

func with(listener string) func(*slbtest.Options, *slb.Config) {
	return func(_ *slbtest.Options, c *slb.Config) {
		c.LoadBalancer, c.VServerGroup, c.Listeners = "lb-1", "", []string{listener}
	}
}

func TestForceSetsWeightsOfAClustersGroup(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, c *slb.Config) {
		o.Estate.CLB[0].Groups[0].Tags, c.Force = map[string]string{"ack.aliyun.com": "c1"}, true
	})
	expect.Nil(t, l.Permit(t.Context()))
	expect.Nil(t, l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 50)}))
}

func TestPermitTellsWhatWouldBeRefused(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, _ *slb.Config) { o.Estate.CLB[0].Listeners[0].Scheduler = "rr" })
	err := l.Permit(t.Context())
	expect.Error(t, err, "scheduler rr", "")
	expect.Is(t, err, driver.ErrPermanent, true)
}

func TestAPermitNeedsToSeeHealth(t *testing.T) {
	l := newLab(t, nil)
	l.Inject(slbtest.Fault{Kind: slbtest.Refuse, Status: 403, Code: "Forbidden.RAM", Action: "DescribeHealthStatus"})
	err := l.Permit(t.Context())
	expect.Error(t, err, "flip may not see whether members are healthy", "allow slb:DescribeHealthStatus")
	expect.Is(t, err, driver.ErrPermanent, true)
}

func TestAListenerIsSwitchedWhenItsNewGroupIsHealthy(t *testing.T) {
	l := newLab(t, with("80/http"))
	changes := []state.Change{slbtest.Change("listener/80:http", slb.Group, `"rsp-web"`, `"rsp-other"`)}
	expect.Nil(t, l.Apply(t.Context(), changes))
	expect.Nil(t, l.Settle(t.Context(), changes))
	expect.Same(t, "writes", []string{"SetLoadBalancerHTTPListenerAttribute"}, l.Written())
	sick := newLab(t, func(o *slbtest.Options, c *slb.Config) {
		with("80/http")(o, c)
		addr := slbtest.Dead(t)
		o.Estate.CLB[0].Groups[1].Members[0].Address, c.HealthTimeout = addr, 2*time.Second
	})
	expect.Nil(t, sick.Apply(t.Context(), changes))
	expect.Error(t, sick.Settle(t.Context(), changes), "no server of rsp-other is healthy yet: i-c1 is abnormal", "health_timeout")
}

func TestARuleWhoseServersNobodyChecksIsSwitched(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, c *slb.Config) {
		c.LoadBalancer, c.VServerGroup, c.Rules = "lb-1", "", []string{"rule-1"}
		o.Estate.CLB[0].Listeners[0].Check.Off, c.HealthTimeout = true, 2*time.Second
		o.Estate.CLB[0].Groups[1].Members[0].Address = slbtest.Dead(t)
	})
	changes := []state.Change{slbtest.Change("rule/rule-1", slb.Group, `"rsp-web"`, `"rsp-other"`)}
	expect.Nil(t, l.Apply(t.Context(), changes))
	expect.Nil(t, l.Settle(t.Context(), changes))
	expect.Same(t, "writes", []string{"SetRule"}, l.Written())
}

func TestMembersHaveANameAnAddressAndAHost(t *testing.T) {
	l := newLab(t, func(_ *slbtest.Options, c *slb.Config) { c.Hosts = map[string]string{"i-a2": "192.0.2.7"} })
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	got := map[string][3]string{}
	for id, o := range s.Objects {
		got[id] = [3]string{o.Name, o.Info["host"], o.Info["address"]}
	}
	expect.Same(t, "members", map[string][3]string{
		"rsp-web/i-a1:8080": {"i-a1", "10.0.0.1", "10.0.0.1:8080"}, "rsp-web/i-a2:8080": {"i-a2", "192.0.2.7", "192.0.2.7:8080"},
		"rsp-web/i-b1:8080": {"i-b1", "10.0.0.11", "10.0.0.11:8080"}, "rsp-web/i-b2:8080": {"i-b2", "10.0.0.12", "10.0.0.12:8080"},
		"rsp-web/eni-1/10.0.0.21:8080": {"eni-1", "10.0.0.21", "10.0.0.21:8080"},
		"rsp-web/i-two:8080":           {"i-two:8080", "10.0.0.31", "10.0.0.31:8080"}, "rsp-web/i-two:8081": {"i-two:8081", "10.0.0.31", "10.0.0.31:8081"},
	}, got)
	for pattern, want := range map[string][]string{
		"10.0.0.0/28": {"rsp-web/i-a1:8080", "rsp-web/i-b1:8080", "rsp-web/i-b2:8080"}, "10.0.0.1": {"rsp-web/i-a1:8080"},
		"10.0.0.11:8080": {"rsp-web/i-b1:8080"}, "i-a1:8080": {"rsp-web/i-a1:8080"}, "i-two:8081": {"rsp-web/i-two:8081"},
		"10.0.0.31": nil, "10.0.0.31:8080": {"rsp-web/i-two:8080"}, "eni-1/10.0.0.21:8080": {"rsp-web/eni-1/10.0.0.21:8080"},
	} {
		fits, err := l.Match(pattern)
		if err != nil || fits == nil {
			t.Errorf("%s: no pattern, %v", pattern, err)
			continue
		}
		var ids []string
		for _, id := range s.IDs() {
			o := s.Objects[id]
			o.Attrs = nil
			if fits(o) {
				ids = append(ids, id)
			}
		}
		expect.Same(t, pattern, want, ids)
	}
	for _, name := range []string{"i-a1", "i-*", "eni-1"} {
		if fits, err := l.Match(name); fits != nil || err != nil {
			t.Errorf("%s is a name or a pattern of names", name)
		}
	}
}

func TestHealthIsWhatTheListenersSay(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, _ *slb.Config) {
		addr := slbtest.Dead(t)
		o.Estate.CLB[0].Groups[0].Members[1].Address = addr
		o.Estate.CLB[0].Groups[0].Members[2].Address = addr
	})
	health, err := l.Health(t.Context(), []string{"rsp-web/i-a1:8080", "rsp-web/i-a2:8080", "rsp-web/i-b1:8080"})
	expect.Nil(t, err)
	states := map[string]driver.HealthState{}
	for id, h := range health {
		states[id] = h.State
	}
	expect.Same(t, "health", map[string]driver.HealthState{
		"rsp-web/i-a1:8080": driver.Up, "rsp-web/i-a2:8080": driver.Down,
		"rsp-web/i-b1:8080": driver.Unknown, // abnormal at weight 0 says nothing
	}, states)
}

// A server of the default group serves every listener, at the listener's port.
func TestAServerOfTheDefaultGroupIsSickWhenOneListenerSaysSo(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, c *slb.Config) {
		c.LoadBalancer, c.VServerGroup, c.DefaultGroup = "lb-1", "", true
		good, _ := slbtest.Alive(t)
		lb := &o.Estate.CLB[0]
		lb.Default = []slbtest.Member{{ServerID: "i-a1", ServerIP: "127.0.0.1", Weight: 100}, {ServerID: "i-b1", ServerIP: "127.0.0.1", Weight: 0}}
		lb.Listeners = nil
		for i, addr := range []string{good, slbtest.Dead(t)} {
			lb.Listeners = append(lb.Listeners, slbtest.CLBListener{Port: 9000 + i, Protocol: "tcp", BackendPort: portOf(t, addr)})
		}
	})
	health, err := l.Health(t.Context(), []string{"lb-1/i-a1", "lb-1/i-b1"})
	expect.Nil(t, err)
	expect.Same(t, "health", map[string]driver.Health{
		"lb-1/i-a1": {State: driver.Down, Detail: "abnormal at listener 9001"},
		"lb-1/i-b1": {State: driver.Up, Detail: "normal at listener 9000"}, // at weight 0 the other says nothing
	}, health)
}

func portOf(t *testing.T, addr string) int {
	t.Helper()
	a, err := netip.ParseAddrPort(addr)
	expect.Nil(t, err)
	return int(a.Port())
}

func TestWhatIsWrongWithATargetIsSaid(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(*slb.Config)
		want string
	}{
		"nothing to set":       {func(c *slb.Config) { c.VServerGroup = "" }, "nothing is named"},
		"two groups":           {func(c *slb.Config) { c.DefaultGroup = true }, "two groups"},
		"no load balancer":     {func(c *slb.Config) { c.Listeners = []string{"80/http"} }, "load_balancer is missing"},
		"a bad listener":       {func(c *slb.Config) { c.LoadBalancer, c.Listeners = "lb-1", []string{"http/80"} }, "not PORT/PROTOCOL"},
		"a listener twice":     {func(c *slb.Config) { c.LoadBalancer, c.Listeners = "lb-1", []string{"80/http", "80/http"} }, "twice"},
		"a bad id":             {func(c *slb.Config) { c.VServerGroup = "a b" }, "not an id"},
		"a rule twice":         {func(c *slb.Config) { c.LoadBalancer, c.Rules = "lb-1", []string{"r", "r"} }, "twice"},
		"a plain http gateway": {func(c *slb.Config) { c.Endpoint = "http://10.0.0.1" }, "plain http"},
		"a negative time":      {func(c *slb.Config) { c.HealthTimeout = -1 }, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			c := slb.Config{VServerGroup: "rsp-1"}
			c.Region = "cn-hangzhou"
			test.edit(&c)
			expect.Error(t, c.Validate(), test.want, "")
		})
	}
}
