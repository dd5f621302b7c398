package alb_test

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/alb"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

// exchange is the patent's wording: both weights in one call.
func exchange() []state.Change {
	return []state.Change{set("i-a1:8080", 100, 0), set("i-a2:8080", 100, 0), set("i-b1:8080", 0, 100), set("i-b2:8080", 0, 100)}
}

func weightsAfter() map[string]int {
	return map[string]int{"i-a1:8080": 0, "i-a2:8080": 0, "i-b1:8080": 100, "i-b2:8080": 100, "10.0.0.21:8080": 10, "i-two:8080": 5, "i-two:8081": 5}
}

func permanent(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, driver.ErrPermanent) {
		t.Errorf("it is not permanent: %v", err)
	}
}

func TestASideIsSeenHealthyAfterItGotWeightAndBeforeTheOtherLosesIt(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, _ *alb.Config) { o.Timing.Job = 100 * time.Millisecond })
	must(t, l.Apply(t.Context(), exchange()))
	same(t, "writes", []string{"UpdateServerGroupServersAttribute", "UpdateServerGroupServersAttribute"}, l.written())
	var order []string
	for _, c := range l.Calls() {
		if c.Write || c.Action == "ListAsynJobs" || c.Action == "GetListenerHealthStatus" {
			order = append(order, c.Action)
		}
	}
	same(t, "order", []string{"UpdateServerGroupServersAttribute", "ListAsynJobs", "GetListenerHealthStatus", "UpdateServerGroupServersAttribute", "ListAsynJobs"}, slices.Compact(order))
	same(t, "weights", weightsAfter(), l.Weights("sgp-ws"))
	must(t, l.Settle(t.Context(), exchange()))
}

func TestASideThatNeverLeavesInitialKeepsTheOtherInTraffic(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, c *alb.Config) {
		addr, down := alive(t)
		down()
		for i := 2; i < 4; i++ {
			o.Estate.ALBGroups[0].Members[i].Address = addr
		}
		c.HealthTimeout = 500 * time.Millisecond
	})
	err := l.Apply(t.Context(), exchange())
	failsWith(t, err, "no weight was lowered: after 500ms: not healthy: i-b1 is", "health_timeout")
	same(t, "a", 100, l.Weights("sgp-ws")["i-a1:8080"])
}

func TestAParkedServerIsNeitherUpNorDown(t *testing.T) {
	l := newLab(t, nil)
	health, err := l.Health(t.Context(), []string{"sgp-ws/i-a1:8080", "sgp-ws/i-b1:8080"})
	must(t, err)
	same(t, "a", driver.Health{State: driver.Up, Detail: "normal"}, health["sgp-ws/i-a1:8080"])
	same(t, "b", driver.Health{State: driver.Unknown, Detail: "not checked at weight 0"}, health["sgp-ws/i-b1:8080"])
}

// The tokens of all writes, in order.
func (l lab) sent() []string {
	var all []string
	for _, c := range l.Calls() {
		if c.Write && c.Params["DryRun"] == "" {
			all = append(all, c.Params["ClientToken"])
		}
	}
	return all
}

func TestEveryFaultEndsAtTheGoal(t *testing.T) {
	for name, test := range map[string]struct {
		fault  slbtest.Fault
		tokens int // of all writes; two batches
	}{
		"throttled":                    {slbtest.Fault{Kind: slbtest.Throttled, Times: 1}, 2},
		"busy":                         {slbtest.Fault{Kind: slbtest.Refuse, Code: "IncorrectStatus.ServerGroup", Times: 1}, 2},
		"the same token is in work":    {slbtest.Fault{Kind: slbtest.Refuse, Code: "IdempotenceProcessing", Times: 1}, 2},
		"unavailable":                  {slbtest.Fault{Kind: slbtest.Unavailable, Times: 1}, 2},
		"an HTML gateway":              {slbtest.Fault{Kind: slbtest.HTMLGateway, Times: 1}, 2},
		"garbage":                      {slbtest.Fault{Kind: slbtest.Garbage, Times: 1}, 2},
		"an answer after the deadline": {slbtest.Fault{Kind: slbtest.SlowAnswer, After: 800 * time.Millisecond, Times: 1}, 2},
		"dropped before":               {slbtest.Fault{Kind: slbtest.DropBefore, Times: 1}, 2},
		"applied, the answer lost":     {slbtest.Fault{Kind: slbtest.DropAfter, Times: 1}, 2},
		"the job fails":                {slbtest.Fault{Kind: slbtest.JobFails, Code: "SystemBusy", Times: 1}, 3},
		"half a batch":                 {slbtest.Fault{Kind: slbtest.Partial, Entries: 1, Times: 1}, 3},
	} {
		for skip, when := range []string{"raising", "lowering"} {
			fault := test.fault // its own: the two run side by side
			fault.Action, fault.Skip = "UpdateServerGroupServersAttribute", skip
			t.Run(name+" while "+when, func(t *testing.T) {
				t.Parallel()
				l := newLab(t, func(_ *slbtest.Options, c *alb.Config) { c.Timeout = 500 * time.Millisecond })
				l.Inject(fault)
				err := driver.Retry(l.Target, driver.Policy{Attempts: 4}, slog.New(slog.DiscardHandler)).Apply(t.Context(), exchange())
				if err != nil {
					t.Errorf("apply: %v", err)
				}
				must(t, l.Settle(t.Context(), exchange()))
				same(t, "faults that did not happen", 0, l.Pending())
				same(t, "weights", weightsAfter(), l.Weights("sgp-ws"))
				tokens := slices.Compact(l.sent())
				same(t, "writes that are not the same one again", test.tokens, len(tokens))
				if slices.Contains(tokens, "") {
					t.Error("a write without a token")
				}
			})
		}
	}
}

func TestAFailedJobSaysWhy(t *testing.T) {
	l := newLab(t, nil)
	l.Inject(slbtest.Fault{Kind: slbtest.JobFails, Code: "QuotaExceeded.X"})
	err := l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 50)})
	failsWith(t, err, "failed: QuotaExceeded.X", "")
	if errors.Is(err, driver.ErrUnknown) {
		t.Error("a job that failed changed nothing: that is no unknown outcome")
	}
	same(t, "weights", 100, l.Weights("sgp-ws")["i-a1:8080"])
}

func TestWhatCannotBeUndoneOrWouldDoNothingIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	lower := []state.Change{set("i-a1:8080", 100, 50)}
	onListener := func(_ *slbtest.Options, c *alb.Config) { c.ServerGroup, c.Listeners = "", []string{"lsn-1"} }
	onRule := func(_ *slbtest.Options, c *alb.Config) { c.ServerGroup, c.Rule = "", "rule-1" }
	wholeRule := func(_ *slbtest.Options, c *alb.Config) { c.ServerGroup, c.Rules = "", []string{"rule-2"} }
	listener := func(to string) []state.Change {
		return []state.Change{change("listener/lsn-1", alb.Group, `"sgp-ws"`, state.Text(to))}
	}
	forward := func(items ...string) []state.Change {
		return []state.Change{change("rule/rule-2", alb.Forward, `["sgp-a=100","sgp-b=0"]`, state.List(items))}
	}
	for name, test := range map[string]struct {
		edit    func(*slbtest.Options, *alb.Config)
		changes []state.Change
		words   string
		advice  string
	}{
		"a group of a cluster": {
			func(o *slbtest.Options, _ *alb.Config) {
				o.Estate.ALBGroups[0].Tags = map[string]string{"ack.aliyun.com": "c1"}
			}, lower, "server group sgp-ws is managed by a Kubernetes cluster", "force: true",
		},
		"a group that a service manages": {
			func(o *slbtest.Options, _ *alb.Config) { o.Estate.ALBGroups[0].Managed = true }, lower, "managed by a service of Aliyun", "force: true",
		},
		"a group that is not there": {
			func(_ *slbtest.Options, c *alb.Config) { c.ServerGroup = "sgp-nowhere" }, lower, "sgp-nowhere", "",
		},
		"a weight out of range":            {nil, []state.Change{set("i-a1:8080", 100, 101)}, "weight is 0..100, not 101", ""},
		"a member that is not there":       {nil, []state.Change{set("i-nobody:8080", 100, 0)}, "has no member i-nobody:8080", "members: 10.0.0.21, i-a1"},
		"weights in a default action":      {onListener, listener("sgp-a=50,sgp-b=50"), "takes one server group and no weights", "put a rule in front that matches everything"},
		"a parked group for a listener":    {onListener, listener("sgp-parked"), "sgp-parked has no server with a weight", "give its servers weight"},
		"no such group for a listener":     {onListener, listener("sgp-nowhere"), "no server group sgp-nowhere", ""},
		"the last group of a rule":         {onRule, []state.Change{change("rule-1/sgp-a", alb.Weight, "100", "0")}, "no member with a weight would be left", "raise another member first"},
		"a group that the rule has not":    {onRule, []state.Change{change("rule-1/sgp-ws", alb.Weight, "100", "0")}, "has no member sgp-ws", "members: sgp-a, sgp-b"},
		"a whole rule without any weight":  {wholeRule, forward("sgp-a=0", "sgp-b=0"), "no server group of rule-2 would have a weight", ""},
		"a whole rule to a parked group":   {wholeRule, forward("sgp-parked=100"), "sgp-parked has no server with a weight", ""},
		"a whole rule with a wrong weight": {wholeRule, forward("sgp-a=100", "sgp-b=200"), `"sgp-b=200" is not SERVER_GROUP=WEIGHT`, ""},
		"a whole rule without a weight":    {wholeRule, forward("sgp-a"), `"sgp-a" is not SERVER_GROUP=WEIGHT`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, test.edit)
			err := l.Apply(t.Context(), test.changes)
			failsWith(t, err, test.words, test.advice)
			permanent(t, err)
			same(t, "writes", []string(nil), l.written())
			if s, rerr := l.Read(t.Context()); rerr == nil {
				cerr := l.Check(t.Context(), s, test.changes)
				failsWith(t, cerr, test.words, test.advice)
				permanent(t, cerr)
			}
		})
	}
}

func TestAPermitIsADryRun(t *testing.T) {
	l := newLab(t, nil)
	must(t, l.Permit(t.Context()))
	same(t, "writes", []string(nil), l.written())
	l.Inject(slbtest.Fault{Kind: slbtest.Refuse, Status: 403, Code: "Forbidden.RAM", Action: "UpdateServerGroupServersAttribute"})
	err := l.Permit(t.Context())
	failsWith(t, err, "flip may look but not change anything: UpdateServerGroupServersAttribute sgp-ws: Forbidden.RAM", "allow alb:UpdateServerGroupServersAttribute")
	permanent(t, err)
}

func TestAWholeRuleIsRaisedBeforeItIsLowered(t *testing.T) {
	l := newLab(t, func(_ *slbtest.Options, c *alb.Config) { c.ServerGroup, c.Rules = "", []string{"rule-2"} })
	changes := []state.Change{change("rule/rule-2", alb.Forward, `["sgp-a=100","sgp-b=0"]`, `["sgp-a=0","sgp-b=100"]`)}
	must(t, l.Apply(t.Context(), changes))
	must(t, l.Settle(t.Context(), changes))
	writes := l.Writes()
	same(t, "writes", []string{"UpdateRuleAttribute", "UpdateRuleAttribute"}, l.written())
	at := "RuleActions.2.ForwardGroupConfig.ServerGroupTuples."
	weights := func(c slbtest.Call) [2]string {
		return [2]string{c.Params[at+"1.Weight"], c.Params[at+"2.Weight"]}
	}
	same(t, "first", [2]string{"100", "100"}, weights(writes[0]))
	same(t, "then", [2]string{"0", "100"}, weights(writes[1]))
	same(t, "the other action", "a b+c", writes[1].Params["RuleActions.1.InsertHeaderConfig.Value"])
	rule := l.Estate().ALB[0].Listeners[0].Rules[1]
	same(t, "conditions", []string{"/b*"}, rule.Conditions[0].PathConfig.Values)
}

func TestARuleMovesBetweenTwoGroupsLikeMembers(t *testing.T) {
	l := newLab(t, func(_ *slbtest.Options, c *alb.Config) { c.ServerGroup, c.Rule = "", "rule-1" })
	s, err := l.Read(t.Context())
	must(t, err)
	same(t, "members", []string{"rule-1/sgp-a", "rule-1/sgp-b"}, s.IDs())
	changes := []state.Change{change("rule-1/sgp-a", alb.Weight, "100", "0"), change("rule-1/sgp-b", alb.Weight, "0", "100")}
	must(t, l.Apply(t.Context(), changes))
	must(t, l.Settle(t.Context(), changes))
	same(t, "writes", []string{"UpdateRuleAttribute", "UpdateRuleAttribute"}, l.written())
}

// 400 servers: the calls are counted, and are not one a server.
func TestALargeGroupTakesAFewCalls(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, _ *alb.Config) {
		g := &o.Estate.ALBGroups[0]
		addr := g.Members[0].Address
		g.Members = nil
		for i := range 400 {
			g.Members = append(g.Members, slbtest.Member{ServerID: "i-" + string(rune('a'+i/26%26)) + string(rune('a'+i%26)), ServerIP: "10.1.0.1", Port: 8080 + i, Weight: 100 * (i % 2), Address: addr})
		}
	})
	s, err := l.Read(t.Context())
	must(t, err)
	var changes []state.Change
	for id, o := range s.Objects {
		from, _ := o.Attrs[alb.Weight].Int()
		changes = append(changes, change(id, alb.Weight, state.Int(from), state.Int(100-from)))
	}
	state.Sort(changes)
	l.ForgetCalls()
	began := time.Now()
	must(t, l.Apply(t.Context(), changes))
	must(t, l.Settle(t.Context(), changes))
	calls := len(l.Calls())
	t.Logf("400 servers, half up and half down: %d calls, %d of them writes, %s", calls, len(l.Writes()), time.Since(began).Round(time.Millisecond))
	same(t, "writes", 20, len(l.Writes()))
	if calls > 150 {
		t.Errorf("%d calls", calls)
	}
}

func TestWhatIsWrongWithATargetIsSaid(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(*alb.Config)
		want string
	}{
		"nothing to set":         {func(c *alb.Config) { c.ServerGroup = "" }, "nothing is named"},
		"members twice":          {func(c *alb.Config) { c.Rule = "rule-1" }, "both name the members"},
		"a listener as a rule":   {func(c *alb.Config) { c.ServerGroup, c.Rule = "", "lsn-1" }, "its default action has no weights"},
		"a rule in both":         {func(c *alb.Config) { c.ServerGroup, c.Rule, c.Rules = "", "rule-1", []string{"rule-1"} }, "set twice"},
		"a bad id":               {func(c *alb.Config) { c.ServerGroup = "a b" }, "not an id"},
		"a listener twice":       {func(c *alb.Config) { c.Listeners = []string{"l", "l"} }, "twice"},
		"a plain http gateway":   {func(c *alb.Config) { c.Endpoint = "http://10.0.0.1" }, "plain http"},
		"an address for nobody":  {func(c *alb.Config) { c.Hosts = map[string]string{"i-1": ""} }, "hosts"},
		"a region that is none":  {func(c *alb.Config) { c.Region = "Hangzhou!" }, "region"},
		"a rule that is no id":   {func(c *alb.Config) { c.Rules = []string{"a/b"} }, "not an id"},
		"impatience with health": {func(c *alb.Config) { c.SettleTimeout = -1 }, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			c := alb.Config{ServerGroup: "sgp-1"}
			c.Region = "cn-hangzhou"
			test.edit(&c)
			failsWith(t, c.Validate(), test.want, "")
		})
	}
}
