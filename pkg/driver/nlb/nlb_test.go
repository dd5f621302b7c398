package nlb_test

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/nlb"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

func TestEveryFaultEndsAtTheGoal(t *testing.T) {
	for name, test := range map[string]struct {
		fault  slbtest.Fault
		tokens int // of all writes; two batches
	}{
		"no fault":                     {slbtest.Fault{Kind: slbtest.NoFault, Times: 1}, 2},
		"throttled":                    {slbtest.Fault{Kind: slbtest.Throttled, Times: 1}, 2},
		"busy":                         {slbtest.Fault{Kind: slbtest.Refuse, Code: "IncorrectStatus.serverGroup", Times: 1}, 2},
		"locked":                       {slbtest.Fault{Kind: slbtest.Refuse, Code: "Conflict.Lock", Times: 1}, 2},
		"busy with status 200":         {slbtest.Fault{Kind: slbtest.SoftRefuse, Code: "OperationFailed.ResourceIsConfiguring", Status: 400, Times: 1}, 2},
		"unavailable":                  {slbtest.Fault{Kind: slbtest.Unavailable, Times: 1}, 2},
		"an HTML gateway":              {slbtest.Fault{Kind: slbtest.HTMLGateway, Times: 1}, 2},
		"an answer after the deadline": {slbtest.Fault{Kind: slbtest.SlowAnswer, After: 3500 * time.Millisecond, Times: 1}, 2},
		"applied, the answer lost":     {slbtest.Fault{Kind: slbtest.DropAfter, Times: 1}, 2},
		"the job fails":                {slbtest.Fault{Kind: slbtest.JobFails, Code: "SystemBusy", Times: 1}, 3},
		"half a batch":                 {slbtest.Fault{Kind: slbtest.Partial, Entries: 1, Times: 1}, 3},
	} {
		for skip, when := range []string{"raising", "lowering"} {
			fault := test.fault // its own: the two run side by side
			fault.Action, fault.Skip = "UpdateServerGroupServersAttribute", skip
			t.Run(name+" while "+when, func(t *testing.T) {
				t.Parallel()
				l := newLab(t, func(_ *slbtest.Options, c *nlb.Config) { c.Timeout = 3 * time.Second })
				l.Inject(fault)
				err := driver.Retry(l.Target, driver.Policy{Attempts: 4}, slog.New(slog.DiscardHandler)).Apply(t.Context(), exchange())
				if err != nil {
					t.Errorf("apply: %v", err)
				}
				expect.Nil(t, l.Settle(t.Context(), exchange()))
				expect.Same(t, "faults that did not happen", 0, l.Pending())
				expect.Same(t, "weights", exchanged(), l.Weights("sgp-l4"))
				tokens := l.Tokens()
				expect.Same(t, "writes that are not the same one again", test.tokens, len(tokens))
				expect.Same(t, "a write without a token", false, slices.Contains(tokens, ""))
			})
		}
	}
}

func TestWhatCannotBeUndoneOrWouldDoNothingIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	lower := []state.Change{set("i-a1:8080", 100, 50)}
	onListener := func(_ *slbtest.Options, c *nlb.Config) { c.ServerGroup, c.Listeners = "", []string{"lsn-1"} }
	for name, test := range map[string]struct {
		edit    func(*slbtest.Options, *nlb.Config)
		changes []state.Change
		words   string
		advice  string
	}{
		"a group that ignores weights": {
			func(o *slbtest.Options, _ *nlb.Config) { o.Estate.NLBGroups[0].Scheduler = "rr" }, lower, "sgp-l4 has the scheduler rr", "Wrr or Wlc",
		},
		"a group of a cluster": {
			func(o *slbtest.Options, _ *nlb.Config) {
				o.Estate.NLBGroups[0].Tags = map[string]string{"ack.aliyun.com": "c1"}
			}, lower, "managed by a Kubernetes cluster", "force: true",
		},
		"a weight out of range":         {nil, []state.Change{set("i-a1:8080", 100, 101)}, "weight is 0..100, not 101", ""},
		"a member that is not there":    {nil, []state.Change{set("i-nobody:8080", 100, 0)}, "has no member i-nobody:8080", "members: 10.0.0.21, i-a1"},
		"a parked group for a listener": {onListener, []state.Change{slbtest.Change("listener/lsn-1", nlb.Group, `"sgp-l4"`, `"sgp-parked"`)}, "sgp-parked has no server with a weight", ""},
		"no such group for a listener":  {onListener, []state.Change{slbtest.Change("listener/lsn-1", nlb.Group, `"sgp-l4"`, `"sgp-nowhere"`)}, "no server group sgp-nowhere", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, test.edit)
			err := l.Apply(t.Context(), test.changes)
			expect.Error(t, err, test.words, test.advice)
			expect.Is(t, err, driver.ErrPermanent, true)
			expect.Same(t, "writes", []string(nil), l.Written())
			s, err := l.Read(t.Context())
			expect.Nil(t, err)
			cerr := l.Check(t.Context(), s, test.changes)
			expect.Error(t, cerr, test.words, test.advice)
			expect.Is(t, cerr, driver.ErrPermanent, true)
		})
	}
}

func TestAFailureWithStatus200IsOne(t *testing.T) {
	l := newLab(t, nil)
	l.Inject(slbtest.Fault{Kind: slbtest.SoftRefuse, Code: "IllegalParam.Weight", Message: "no", Action: "UpdateServerGroupServersAttribute"})
	err := l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 50)})
	expect.Error(t, err, "nlb: UpdateServerGroupServersAttribute sgp-l4: IllegalParam.Weight: no", "")
	expect.Is(t, err, driver.ErrPermanent, true)
}

func TestAPermitIsADryRun(t *testing.T) {
	l := newLab(t, nil)
	expect.Nil(t, l.Permit(t.Context()))
	expect.Same(t, "writes", []string(nil), l.Written())
	l.Inject(slbtest.Fault{Kind: slbtest.Refuse, Status: 403, Code: "Forbidden.RAM", Action: "UpdateServerGroupServersAttribute"})
	expect.Error(t, l.Permit(t.Context()), "flip may look but not change anything", "allow nlb:UpdateServerGroupServersAttribute")
}

func TestAPermitNeedsToSeeHealth(t *testing.T) {
	l := newLab(t, nil)
	l.Inject(slbtest.Fault{Kind: slbtest.Refuse, Status: 403, Code: "Forbidden.RAM", Action: "GetListenerHealthStatus"})
	err := l.Permit(t.Context())
	expect.Error(t, err, "flip may not see whether members are healthy", "allow nlb:GetListenerHealthStatus")
	expect.Is(t, err, driver.ErrPermanent, true)
}

// 400 servers: the calls are counted, and are not one a server.
func TestALargeGroupTakesAFewCalls(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, _ *nlb.Config) {
		g := &o.Estate.NLBGroups[0]
		g.Members = slbtest.Crowd(400, g.Members[0].Address)
	})
	calls, writes := l.Reverse(t, l.Target)
	expect.Same(t, "writes", 10, writes)
	if calls > 100 {
		t.Errorf("%d calls", calls)
	}
}

func TestWhatIsWrongWithATargetIsSaid(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(*nlb.Config)
		want string
	}{
		"nothing to set":       {func(c *nlb.Config) { c.ServerGroup = "" }, "nothing is named"},
		"a bad id":             {func(c *nlb.Config) { c.ServerGroup = "a b" }, "not an id"},
		"a listener twice":     {func(c *nlb.Config) { c.Listeners = []string{"l", "l"} }, "twice"},
		"a plain http gateway": {func(c *nlb.Config) { c.Endpoint = "http://10.0.0.1" }, "plain http"},
	} {
		t.Run(name, func(t *testing.T) {
			c := nlb.Config{ServerGroup: "sgp-1"}
			c.Region = "cn-hangzhou"
			test.edit(&c)
			expect.Error(t, c.Validate(), test.want, "")
		})
	}
}
