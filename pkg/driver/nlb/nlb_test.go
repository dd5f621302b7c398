package nlb_test

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/nlb"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

// exchange is the patent's wording: both weights in one call.
func exchange() []state.Change {
	return []state.Change{set("i-a1:8080", 100, 0), set("i-a2:8080", 100, 0), set("i-b1:8080", 0, 100), set("i-b2:8080", 0, 100)}
}

func permanent(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, driver.ErrPermanent) {
		t.Errorf("it is not permanent: %v", err)
	}
}

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
		"an answer after the deadline": {slbtest.Fault{Kind: slbtest.SlowAnswer, After: 800 * time.Millisecond, Times: 1}, 2},
		"applied, the answer lost":     {slbtest.Fault{Kind: slbtest.DropAfter, Times: 1}, 2},
		"the job fails":                {slbtest.Fault{Kind: slbtest.JobFails, Code: "SystemBusy", Times: 1}, 3},
		"half a batch":                 {slbtest.Fault{Kind: slbtest.Partial, Entries: 1, Times: 1}, 3},
	} {
		for skip, when := range []string{"raising", "lowering"} {
			fault := test.fault // its own: the two run side by side
			fault.Action, fault.Skip = "UpdateServerGroupServersAttribute", skip
			t.Run(name+" while "+when, func(t *testing.T) {
				t.Parallel()
				l := newLab(t, func(_ *slbtest.Options, c *nlb.Config) { c.Timeout = 500 * time.Millisecond })
				l.Inject(fault)
				err := driver.Retry(l.Target, driver.Policy{Attempts: 4}, slog.New(slog.DiscardHandler)).Apply(t.Context(), exchange())
				if err != nil {
					t.Errorf("apply: %v", err)
				}
				must(t, l.Settle(t.Context(), exchange()))
				same(t, "faults that did not happen", 0, l.Pending())
				same(t, "weights", map[string]int{"i-a1:8080": 0, "i-a2:8080": 0, "i-b1:8080": 100, "i-b2:8080": 100, "10.0.0.21:8080": 10, "i-two:8080": 5, "i-two:8081": 5}, l.Weights("sgp-l4"))
				var tokens []string
				for _, c := range l.Calls() {
					if c.Write {
						tokens = append(tokens, c.Params["ClientToken"])
					}
				}
				same(t, "writes that are not the same one again", test.tokens, len(slices.Compact(tokens)))
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
		"a parked group for a listener": {onListener, []state.Change{change("listener/lsn-1", nlb.Group, `"sgp-l4"`, `"sgp-parked"`)}, "sgp-parked has no server with a weight", ""},
		"no such group for a listener":  {onListener, []state.Change{change("listener/lsn-1", nlb.Group, `"sgp-l4"`, `"sgp-nowhere"`)}, "no server group sgp-nowhere", ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, test.edit)
			err := l.Apply(t.Context(), test.changes)
			failsWith(t, err, test.words, test.advice)
			permanent(t, err)
			same(t, "writes", []string(nil), l.written())
			s, err := l.Read(t.Context())
			must(t, err)
			cerr := l.Check(t.Context(), s, test.changes)
			failsWith(t, cerr, test.words, test.advice)
			permanent(t, cerr)
		})
	}
}

func TestAFailureWithStatus200IsOne(t *testing.T) {
	l := newLab(t, nil)
	l.Inject(slbtest.Fault{Kind: slbtest.SoftRefuse, Code: "IllegalParam.Weight", Message: "no", Action: "UpdateServerGroupServersAttribute"})
	err := l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 50)})
	failsWith(t, err, "nlb: UpdateServerGroupServersAttribute sgp-l4: IllegalParam.Weight: no", "")
	permanent(t, err)
}

func TestAPermitIsADryRun(t *testing.T) {
	l := newLab(t, nil)
	must(t, l.Permit(t.Context()))
	same(t, "writes", []string(nil), l.written())
	l.Inject(slbtest.Fault{Kind: slbtest.Refuse, Status: 403, Code: "Forbidden.RAM", Action: "UpdateServerGroupServersAttribute"})
	failsWith(t, l.Permit(t.Context()), "flip may look but not change anything", "allow nlb:UpdateServerGroupServersAttribute")
}

// 400 servers: the calls are counted, and are not one a server.
func TestALargeGroupTakesAFewCalls(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, _ *nlb.Config) {
		g := &o.Estate.NLBGroups[0]
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
		from, _ := o.Attrs[nlb.Weight].Int()
		changes = append(changes, change(id, nlb.Weight, state.Int(from), state.Int(100-from)))
	}
	state.Sort(changes)
	l.ForgetCalls()
	began := time.Now()
	must(t, l.Apply(t.Context(), changes))
	must(t, l.Settle(t.Context(), changes))
	calls := len(l.Calls())
	t.Logf("400 servers, half up and half down: %d calls, %d of them writes, %s", calls, len(l.Writes()), time.Since(began).Round(time.Millisecond))
	same(t, "writes", 10, len(l.Writes()))
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
			failsWith(t, c.Validate(), test.want, "")
		})
	}
}
