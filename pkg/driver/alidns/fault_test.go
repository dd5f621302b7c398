package alidns_test

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/alidns"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

// everything is a change that takes all kinds of steps.
func everything() (slbtest.Zone, []state.Change) {
	return records(rec(a), rec(b), rec(c, off)), []state.Change{
		set(www, "disabled", list(c), list(b)), set(www, "ttl", "600", "1200"), values(list(a, b), list(a, c, "192.0.2.4")),
		set(www, "weights", list(), list(a+"=50", c+"=40", "192.0.2.4=10")),
	}
}

// weighing changes shares, values and what is off at the same time.
func weighing() (slbtest.Zone, []state.Change) {
	return slbtest.Zone{Records: []slbtest.Record{rec(a, weight(80)), rec(b, weight(20)), rec(c, off)}, Weighted: []string{"www A default"}}, []state.Change{
		set(www, "disabled", list(c), list(a)), values(list(a, b), list(b, c)), set(www, "weights", list(a+"=80", b+"=20"), list(b+"=70", c+"=30")),
	}
}

// closing ends shares while one comes and one goes.
func closing() (slbtest.Zone, []state.Change) {
	zone, _ := weighing()
	return zone, []state.Change{values(list(a, b), list(b, "192.0.2.4")), set(www, "weights", list(a+"=80", b+"=20"), list())}
}

// canary is what shares are for.
func canary() (slbtest.Zone, []state.Change) {
	return records(rec(a)), []state.Change{values(list(a), list(a, b)), set(www, "weights", list(), list(a+"=99", b+"=2"))}
}

// without the value that goes in the end: a delete.
func deleting() (slbtest.Zone, []state.Change) {
	return records(rec(a), rec(b)), []state.Change{values(list(a, b), list(b, c))}
}

// writeActions are those of Alidns that change something, with a change that
// uses them.
var writeActions = map[string]func() (slbtest.Zone, []state.Change){
	"AddDomainRecord": everything, "UpdateDomainRecord": everything, "SetDomainRecordStatus": everything,
	"SetDNSSLBStatus": everything, "UpdateDNSSLBWeight": everything, "DeleteDomainRecord": deleting,
}

// appliedOnce returns the calls of a change that nothing happens to.
func appliedOnce(t *testing.T, zone slbtest.Zone, changes []state.Change) (calls, stored []string) {
	t.Helper()
	l := newLab(t, world{zone: zone})
	expect.Nil(t, l.Apply(t.Context(), changes))
	return l.writes(), l.stored()
}

func TestACallThatDidNothingIsRepeated(t *testing.T) {
	for action, scene := range writeActions {
		faults := slices.DeleteFunc(slbtest.Busy("alidns", action), func(f slbtest.Fault) bool { return f.Code == "InternalError" })
		for _, f := range append(faults, slbtest.Fault{Kind: slbtest.Throttled, Product: "alidns", Action: action, Times: 1}) {
			t.Run(action+" "+f.Code, func(t *testing.T) {
				t.Parallel()
				zone, changes := scene()
				calls, stored := appliedOnce(t, zone, changes)
				l := newLab(t, world{zone: zone})
				l.Inject(f)
				expect.Nil(t, l.Apply(t.Context(), changes))
				expect.Same(t, "calls that took effect", calls, l.writes())
				expect.Same(t, "stored", stored, l.stored())
				expect.Same(t, "faults left", 0, l.Pending())
			})
		}
	}
}

func TestALostAnswerIsSettledByLooking(t *testing.T) {
	for action, scene := range writeActions {
		for title, kind := range map[string]slbtest.FaultKind{"is lost": slbtest.DropAfter, "is late": slbtest.LateApply} {
			t.Run(action+" "+title, func(t *testing.T) {
				t.Parallel()
				zone, changes := scene()
				calls, stored := appliedOnce(t, zone, changes)
				l := newLab(t, world{zone: zone})
				l.Inject(slbtest.Fault{Kind: kind, Action: action, Times: 1, After: 200 * time.Millisecond})
				expect.Nil(t, l.Apply(t.Context(), changes))
				expect.Same(t, "calls that took effect", calls, l.writes())
				expect.Same(t, "stored", stored, l.stored())
				expect.Same(t, "faults left", 0, l.Pending())
			})
		}
	}
}

func TestACallWhoseFateNobodyKnowsIsNotRepeatedByItself(t *testing.T) {
	for action, scene := range writeActions {
		for title, f := range map[string]slbtest.Fault{
			"without an answer": {Kind: slbtest.DropBefore}, "with a gateway's 502": {Kind: slbtest.HTMLGateway},
			"with InternalError": {Kind: slbtest.Refuse, Status: 500, Code: "InternalError"}, "with junk": {Kind: slbtest.Garbage},
		} {
			t.Run(action+" "+title, func(t *testing.T) {
				t.Parallel()
				zone, changes := scene()
				_, stored := appliedOnce(t, zone, changes)
				l := newLab(t, world{zone: zone})
				f.Action, f.Times = action, 1
				l.Inject(f)
				err := l.Apply(t.Context(), changes)
				expect.Is(t, err, driver.ErrUnknown, true)
				expect.Is(t, err, driver.ErrPermanent, false)
				sent := 0
				for _, call := range l.Calls() {
					if call.Action == action && !call.Applied {
						sent++
					}
				}
				expect.Same(t, "times that it was sent in vain", 1, sent)
				expect.Nil(t, l.Apply(t.Context(), changes))
				expect.Same(t, "stored in the end", stored, l.stored())
			})
		}
	}
}

// TestAChangeThatWasCutShortGoesOnOrBackFromWhereItStands: after each step.
func TestAChangeThatWasCutShortGoesOnOrBackFromWhereItStands(t *testing.T) {
	for title, scene := range map[string]func() (slbtest.Zone, []state.Change){
		"all kinds of steps": everything, "a delete": deleting, "shares": weighing, "the end of shares": closing, "a canary": canary,
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			zone, changes := scene()
			calls, stored := appliedOnce(t, zone, changes)
			var back []state.Change
			for _, c := range changes {
				back = append(back, c.Inverse())
			}
			for k := range calls {
				for way, next := range map[string][]state.Change{"on": changes, "back": back} {
					t.Run(way+" after "+strings.Join(append([]string{"-"}, calls[:k]...), ", "), func(t *testing.T) {
						t.Parallel()
						limit := &limiter{left: k}
						l := newLab(t, world{zone: zone, through: limit.on})
						before := l.stored()
						if err := l.Apply(t.Context(), changes); err == nil {
							t.Fatal("it was not cut short")
						}
						expect.Same(t, "calls", calls[:k], l.writes())
						limit.lift()
						expect.Nil(t, l.Apply(t.Context(), next))
						want := stored
						if way == "back" {
							want = before
						}
						expect.Same(t, "stored", want, l.stored())
					})
				}
			}
		})
	}
}

// limiter lets some writes through and then none: the network is gone.
type limiter struct {
	mu   sync.Mutex
	left int
}

func (m *limiter) on(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		action := r.URL.Query().Get("Action")
		m.mu.Lock()
		defer m.mu.Unlock()
		if !strings.HasPrefix(action, "Describe") {
			if m.left == 0 {
				return nil, &net.OpError{Op: "dial", Err: errors.New("network is unreachable")}
			}
			m.left--
		}
		return next.RoundTrip(r)
	})
}

func (m *limiter) lift() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = -1
}

// TestSomethingAnswersAtEveryMoment: also what stays does, with its TTL.
func TestSomethingAnswersAtEveryMoment(t *testing.T) {
	zone, changes := everything()
	var l lab
	var moments [][]string
	l = newLab(t, world{zone: zone, through: func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			moments = append(moments, l.stored())
			return resp, err
		})
	}})
	expect.Nil(t, l.Apply(t.Context(), changes))
	for i, m := range moments {
		kept := func(s string) bool { return strings.HasPrefix(s, "A "+a+" ") && !strings.Contains(s, " off") }
		if !slices.ContainsFunc(m, kept) {
			t.Errorf("after call %d: %q", i, m)
		}
	}
	if len(moments) < 10 {
		t.Errorf("only %d moments were looked at", len(moments))
	}
}

func TestNoErrorAndNoLogShowsTheKey(t *testing.T) {
	secretKey, id := slbtest.DefaultKey.Secret, slbtest.DefaultKey.ID
	var texts []string
	for title, f := range map[string]slbtest.Fault{
		"refused": {Kind: slbtest.Refuse, Status: 403, Code: "Forbidden.RAM"}, "gone": {Kind: slbtest.DropBefore}, "junk": {Kind: slbtest.Garbage},
		"502": {Kind: slbtest.HTMLGateway}, "expired": {Kind: slbtest.ExpireKey},
	} {
		t.Run(title, func(t *testing.T) {
			for _, action := range []string{"DescribeSubDomainRecords", "AddDomainRecord"} {
				l := newLab(t, world{})
				f.Action, f.Times = action, 1
				l.Inject(f)
				err := l.Apply(t.Context(), []state.Change{values(list(a), list(b))})
				if err == nil {
					t.Fatal("no error")
				}
				texts = append(texts, err.Error(), l.logs.String())
			}
		})
	}
	all := strings.Join(texts, "\n")
	for _, word := range []string{secretKey, id, "Signature="} {
		if strings.Contains(all, word) {
			t.Errorf("%q shows in:\n%s", word, all)
		}
	}
	if !strings.Contains(all, "AddDomainRecord") || !strings.Contains(all, "call failed") {
		t.Errorf("nothing was logged: the check saw nothing: %s", all)
	}
}

func TestTheMissingPermissionIsNamed(t *testing.T) {
	l := newLab(t, world{})
	l.Inject(slbtest.Fault{Kind: slbtest.Refuse, Status: 403, Code: "Forbidden.RAM", Action: "AddDomainRecord"})
	err := l.Apply(t.Context(), []state.Change{values(list(a), list(b))})
	expect.Error(t, err, "alidns: AddDomainRecord www.example.com: Forbidden.RAM", "allow alidns:AddDomainRecord")
	expect.Is(t, err, driver.ErrPermanent, true)
	if notes := alidns.Info().Notes; !strings.Contains(notes, `"alidns:AddDomainRecord"`) {
		t.Errorf("the policy lacks it: %s", notes)
	}
}
