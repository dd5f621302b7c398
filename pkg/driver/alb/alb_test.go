package alb_test

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/alb"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

func TestASideIsSeenHealthyAfterItGotWeightAndBeforeTheOtherLosesIt(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, _ *alb.Config) { o.Timing.Job = 100 * time.Millisecond })
	expect.Nil(t, l.Apply(t.Context(), exchange()))
	expect.Same(t, "writes", []string{"UpdateServerGroupServersAttribute", "UpdateServerGroupServersAttribute"}, l.Written())
	var order []string
	for _, c := range l.Calls() {
		if c.Write || c.Action == "ListAsynJobs" || c.Action == "GetListenerHealthStatus" {
			order = append(order, c.Action)
		}
	}
	expect.Same(t, "order", []string{"UpdateServerGroupServersAttribute", "ListAsynJobs", "GetListenerHealthStatus", "UpdateServerGroupServersAttribute", "ListAsynJobs"}, slices.Compact(order))
	expect.Same(t, "weights", exchanged(), l.Weights("sgp-ws"))
	expect.Nil(t, l.Settle(t.Context(), exchange()))
}

func TestASideThatNeverLeavesInitialKeepsTheOtherInTraffic(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, c *alb.Config) {
		addr := slbtest.Dead(t)
		for i := 2; i < 4; i++ {
			o.Estate.ALBGroups[0].Members[i].Address = addr
		}
		c.HealthTimeout = 2 * time.Second
	})
	err := l.Apply(t.Context(), exchange())
	expect.Error(t, err, "no weight was lowered: after 2s: not healthy: i-b1 is", "health_timeout")
	expect.Same(t, "a", 100, l.Weights("sgp-ws")["i-a1:8080"])
}

// A server without weight is not checked, so that nothing says it is sick.
func TestASideThatIsParkedAgainAfterItWasRaisedKeepsTheOtherInTraffic(t *testing.T) {
	for when, fault := range map[string]slbtest.Fault{
		"before flip sees it": {Action: "ListServerGroupServers", Skip: 1, Times: 1},
		"after flip saw it":   {Action: "GetListenerHealthStatus", Times: 1},
	} {
		t.Run(when, func(t *testing.T) {
			l := newLab(t, func(o *slbtest.Options, c *alb.Config) {
				g := &o.Estate.ALBGroups[0]
				g.Members, c.HealthTimeout = []slbtest.Member{g.Members[0], g.Members[2]}, 2*time.Second
			})
			fault.Do = func() { l.Weigh("sgp-ws/i-b1:8080", 0) }
			l.Inject(fault)
			err := l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 0), set("i-b1:8080", 0, 100)})
			expect.Same(t, "faults that did not happen", 0, l.Pending())
			expect.Error(t, err, "weight", "")
			expect.Same(t, "weights", map[string]int{"i-a1:8080": 100, "i-b1:8080": 0}, l.Weights("sgp-ws"))
		})
	}
}

// With the token of a write whose answer was lost, the API would answer a later
// one with the old answer and do nothing.
func TestAWriteThatSomebodyUndidIsMadeAgain(t *testing.T) {
	l := newLab(t, nil)
	l.Inject(slbtest.Fault{Kind: slbtest.DropAfter, Action: "UpdateServerGroupServersAttribute", Times: 3})
	l.Inject(slbtest.Fault{Kind: slbtest.HTMLGateway, Action: "ListServerGroupServers", Skip: 1})
	raise := []state.Change{set("i-b1:8080", 0, 7)}
	expect.Is(t, l.Apply(t.Context(), raise), driver.ErrUnknown, true)
	expect.Same(t, "one token for one write", 1, len(l.Tokens()))
	l.Heal()
	expect.Nil(t, l.Quiet(t.Context()))
	expect.Same(t, "weight", 7, l.Weights("sgp-ws")["i-b1:8080"])
	l.Weigh("sgp-ws/i-b1:8080", 0)
	expect.Nil(t, l.Apply(t.Context(), raise))
	expect.Same(t, "weight", 7, l.Weights("sgp-ws")["i-b1:8080"])
}

func TestAParkedServerIsNeitherUpNorDown(t *testing.T) {
	l := newLab(t, nil)
	health, err := l.Health(t.Context(), []string{"sgp-ws/i-a1:8080", "sgp-ws/i-b1:8080"})
	expect.Nil(t, err)
	expect.Same(t, "a", driver.Health{State: driver.Up, Detail: "normal"}, health["sgp-ws/i-a1:8080"])
	expect.Same(t, "b", driver.Health{State: driver.Unknown, Detail: "not checked at weight 0"}, health["sgp-ws/i-b1:8080"])
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
		"an answer after the deadline": {slbtest.Fault{Kind: slbtest.SlowAnswer, After: 3500 * time.Millisecond, Times: 1}, 2},
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
				l := newLab(t, func(_ *slbtest.Options, c *alb.Config) { c.Timeout = 3 * time.Second })
				l.Inject(fault)
				err := driver.Retry(l.Target, driver.Policy{Attempts: 4}, slog.New(slog.DiscardHandler)).Apply(t.Context(), exchange())
				if err != nil {
					t.Errorf("apply: %v", err)
				}
				expect.Nil(t, l.Settle(t.Context(), exchange()))
				expect.Same(t, "faults that did not happen", 0, l.Pending())
				expect.Same(t, "weights", exchanged(), l.Weights("sgp-ws"))
				tokens := l.Tokens()
				expect.Same(t, "writes that are not the same one again", test.tokens, len(tokens))
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
	expect.Error(t, err, "failed: QuotaExceeded.X", "")
	if errors.Is(err, driver.ErrUnknown) {
		t.Error("a job that failed changed nothing: that is no unknown outcome")
	}
	expect.Same(t, "weights", 100, l.Weights("sgp-ws")["i-a1:8080"])
}

func TestWhatCannotBeUndoneOrWouldDoNothingIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	lower := []state.Change{set("i-a1:8080", 100, 50)}
	onListener := func(_ *slbtest.Options, c *alb.Config) { c.ServerGroup, c.Listeners = "", []string{"lsn-1"} }
	onRule := func(_ *slbtest.Options, c *alb.Config) { c.ServerGroup, c.Rule = "", "rule-1" }
	wholeRule := func(_ *slbtest.Options, c *alb.Config) { c.ServerGroup, c.Rules = "", []string{"rule-2"} }
	listener := func(to string) []state.Change {
		return []state.Change{slbtest.Change("listener/lsn-1", alb.Group, `"sgp-ws"`, state.Text(to))}
	}
	forward := func(items ...string) []state.Change {
		return []state.Change{slbtest.Change("rule/rule-2", alb.Forward, `["sgp-a=100","sgp-b=0"]`, state.List(items))}
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
		"the last group of a rule":         {onRule, []state.Change{slbtest.Change("rule-1/sgp-a", alb.Weight, "100", "0")}, "no member with a weight would be left", "raise another member first"},
		"a group that the rule has not":    {onRule, []state.Change{slbtest.Change("rule-1/sgp-ws", alb.Weight, "100", "0")}, "has no member sgp-ws", "members: sgp-a, sgp-b"},
		"a whole rule without any weight":  {wholeRule, forward("sgp-a=0", "sgp-b=0"), "no server group of rule-2 would have a weight", ""},
		"a whole rule to a parked group":   {wholeRule, forward("sgp-parked=100"), "sgp-parked has no server with a weight", ""},
		"a whole rule with a wrong weight": {wholeRule, forward("sgp-a=100", "sgp-b=200"), `"sgp-b=200" is not SERVER_GROUP=WEIGHT`, ""},
		"a whole rule without a weight":    {wholeRule, forward("sgp-a"), `"sgp-a" is not SERVER_GROUP=WEIGHT`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, test.edit)
			err := l.Apply(t.Context(), test.changes)
			expect.Error(t, err, test.words, test.advice)
			expect.Is(t, err, driver.ErrPermanent, true)
			expect.Same(t, "writes", []string(nil), l.Written())
			if s, rerr := l.Read(t.Context()); rerr == nil {
				cerr := l.Check(t.Context(), s, test.changes)
				expect.Error(t, cerr, test.words, test.advice)
				expect.Is(t, cerr, driver.ErrPermanent, true)
			}
		})
	}
}

func TestAPermitIsADryRun(t *testing.T) {
	l := newLab(t, nil)
	expect.Nil(t, l.Permit(t.Context()))
	expect.Same(t, "writes", []string(nil), l.Written())
	l.Inject(slbtest.Fault{Kind: slbtest.Refuse, Status: 403, Code: "Forbidden.RAM", Action: "UpdateServerGroupServersAttribute"})
	err := l.Permit(t.Context())
	expect.Error(t, err, "flip may look but not change anything: UpdateServerGroupServersAttribute sgp-ws: Forbidden.RAM", "allow alb:UpdateServerGroupServersAttribute")
	expect.Is(t, err, driver.ErrPermanent, true)
}

func TestAPermitNeedsToSeeHealth(t *testing.T) {
	l := newLab(t, nil)
	l.Inject(slbtest.Fault{Kind: slbtest.Refuse, Status: 403, Code: "Forbidden.RAM", Action: "GetListenerHealthStatus"})
	err := l.Permit(t.Context())
	expect.Error(t, err, "flip may not see whether members are healthy", "allow alb:GetListenerHealthStatus")
	expect.Is(t, err, driver.ErrPermanent, true)
}

func TestAWholeRuleIsRaisedBeforeItIsLowered(t *testing.T) {
	l := newLab(t, func(_ *slbtest.Options, c *alb.Config) { c.ServerGroup, c.Rules = "", []string{"rule-2"} })
	changes := []state.Change{slbtest.Change("rule/rule-2", alb.Forward, `["sgp-a=100","sgp-b=0"]`, `["sgp-a=0","sgp-b=100"]`)}
	expect.Nil(t, l.Apply(t.Context(), changes))
	expect.Nil(t, l.Settle(t.Context(), changes))
	writes := l.Writes()
	expect.Same(t, "writes", []string{"UpdateRuleAttribute", "UpdateRuleAttribute"}, l.Written())
	at := "RuleActions.2.ForwardGroupConfig.ServerGroupTuples."
	weights := func(c slbtest.Call) [2]string {
		return [2]string{c.Params[at+"1.Weight"], c.Params[at+"2.Weight"]}
	}
	expect.Same(t, "first", [2]string{"100", "100"}, weights(writes[0]))
	expect.Same(t, "then", [2]string{"0", "100"}, weights(writes[1]))
	expect.Same(t, "the other action", "a b+c", writes[1].Params["RuleActions.1.InsertHeaderConfig.Value"])
	rule := l.Estate().ALB[0].Listeners[0].Rules[1]
	expect.Same(t, "conditions", []string{"/b*"}, rule.Conditions[0].PathConfig.Values)
}

func TestARuleMovesBetweenTwoGroupsLikeMembers(t *testing.T) {
	l := newLab(t, func(_ *slbtest.Options, c *alb.Config) { c.ServerGroup, c.Rule = "", "rule-1" })
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	expect.Same(t, "members", []string{"rule-1/sgp-a", "rule-1/sgp-b"}, s.IDs())
	changes := []state.Change{slbtest.Change("rule-1/sgp-a", alb.Weight, "100", "0"), slbtest.Change("rule-1/sgp-b", alb.Weight, "0", "100")}
	expect.Nil(t, l.Apply(t.Context(), changes))
	expect.Nil(t, l.Settle(t.Context(), changes))
	expect.Same(t, "writes", []string{"UpdateRuleAttribute", "UpdateRuleAttribute"}, l.Written())
}

// 400 servers: the calls are counted, and are not one a server.
func TestALargeGroupTakesAFewCalls(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, _ *alb.Config) {
		g := &o.Estate.ALBGroups[0]
		g.Members = slbtest.Crowd(400, g.Members[0].Address)
	})
	calls, writes := l.Reverse(t, l.Target)
	expect.Same(t, "writes", 20, writes)
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
			expect.Error(t, c.Validate(), test.want, "")
		})
	}
}
