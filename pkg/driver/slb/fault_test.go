package slb_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/driver/slb"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

var sts = slbtest.Key{ID: "STS.NobodyMaySeeThis", Secret: "secretThatNobodyMaySee", Token: "CAISTokenThatNobodyMaySee"}

// ears hear everything that a driver tells.
type ears struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (e *ears) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.Write(b)
}

func (e *ears) hear(err error) {
	for ; err != nil; err = errors.Unwrap(err) {
		_, _ = e.Write([]byte(err.Error() + "\n" + strings.Join(hint.Of(err), "\n") + "\n"))
	}
}

func (e *ears) mustBeClean(t *testing.T) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range []string{sts.ID, sts.Secret, sts.Token, "STS.renewed", "Signature=", "SecurityToken=", "AccessKeyId="} {
		if strings.Contains(e.text.String(), s) {
			t.Errorf("%q is in what was told: %s", s, e.text.String())
		}
	}
}

// listen makes a driver that speaks as an STS key and is overheard. renew
// gives it another key.
func listen(t *testing.T, s *slbtest.Server, cfg slb.Config) (*pool.Target, context.Context, *ears, func(slbtest.Key)) {
	t.Helper()
	e := &ears{}
	key, mu := sts, sync.Mutex{}
	env := slbtest.Env(sts)
	env.Log = slog.New(slog.NewTextHandler(e, &slog.HandlerOptions{Level: slog.LevelDebug}))
	env.Secrets.Getenv = func(name string) (string, bool) {
		mu.Lock()
		defer mu.Unlock()
		v, ok := map[string]string{"KEY": key.ID, "SECRET": key.Secret, "TOKEN": key.Token}[name]
		return v, ok
	}
	cfg.Account = account(s)
	cfg.SecurityToken, cfg.Timeout = slbtest.TokenRef, 3*time.Second
	ctx := driver.WithProgress(t.Context(), func(text string) { _, _ = e.Write([]byte(text + "\n")) })
	return slbtest.Open[*pool.Target](t, slb.Factory(), cfg, env), ctx, e, func(k slbtest.Key) {
		s.SetKey(k)
		mu.Lock()
		defer mu.Unlock()
		key = k
	}
}

// Each fault meets the first write of a raise, or the first of a lowering. The
// driver, retried as the engine retries it, reaches its goal.
func TestEveryFaultEndsAtTheGoal(t *testing.T) {
	for name, test := range map[string]struct {
		fault   slbtest.Fault
		applied int // at most
	}{
		"throttled":                    {slbtest.Fault{Kind: slbtest.Throttled, Times: 1}, 2},
		"busy":                         {slbtest.Fault{Kind: slbtest.Refuse, Code: "VServerGroupProcessing", Times: 1}, 2},
		"busy with another status":     {slbtest.Fault{Kind: slbtest.Refuse, Status: 449, Code: "SystemBusy", Times: 1}, 2},
		"unavailable":                  {slbtest.Fault{Kind: slbtest.Unavailable, Times: 1}, 2},
		"an HTML gateway":              {slbtest.Fault{Kind: slbtest.HTMLGateway, Times: 1}, 2},
		"garbage":                      {slbtest.Fault{Kind: slbtest.Garbage, Times: 1}, 2},
		"slow":                         {slbtest.Fault{Kind: slbtest.Slow, After: 50 * time.Millisecond, Times: 1}, 2},
		"an answer after the deadline": {slbtest.Fault{Kind: slbtest.SlowAnswer, After: 3500 * time.Millisecond, Times: 1}, 2},
		"dropped before":               {slbtest.Fault{Kind: slbtest.DropBefore, Times: 1}, 2},
		"applied, the answer lost":     {slbtest.Fault{Kind: slbtest.DropAfter, Times: 1}, 2},
		"applied late":                 {slbtest.Fault{Kind: slbtest.LateApply, After: 100 * time.Millisecond, Times: 1}, 3},
		"half a batch":                 {slbtest.Fault{Kind: slbtest.Partial, Entries: 1, Times: 1}, 3},
	} {
		for skip, when := range []string{"raising", "lowering"} {
			fault := test.fault // its own: the two run side by side
			fault.Action, fault.Skip = "SetVServerGroupAttribute", skip
			t.Run(name+" while "+when, func(t *testing.T) {
				t.Parallel()
				addr, _ := slbtest.Alive(t)
				s := slbtest.Start(t, slbtest.Options{PlainHTTP: true, Estate: estate(addr), Keys: []slbtest.Key{sts}})
				s.Inject(fault)
				target, ctx, heard, _ := listen(t, s, slb.Config{VServerGroup: "rsp-web"})
				err := driver.Retry(target, driver.Policy{Attempts: 4}, slog.New(slog.DiscardHandler)).Apply(ctx, exchange())
				heard.hear(err)
				if err != nil {
					t.Errorf("apply: %v", err)
				}
				expect.Nil(t, s.Quiet(ctx))
				expect.Same(t, "faults that did not happen", 0, s.Pending())
				expect.Same(t, "weights", exchanged(), s.Weights("rsp-web"))
				if n := len(s.Writes()); n > test.applied {
					t.Errorf("%d writes took effect, want at most %d", n, test.applied)
				}
				heard.mustBeClean(t)
			})
		}
	}
}

// Nobody makes a second write of this API harmless.
func TestAWriteWhoseAnswerIsLostIsLookedForAndNotSentAgain(t *testing.T) {
	for kind, fate := range map[slbtest.FaultKind]struct {
		unknown bool
		weight  int
	}{slbtest.DropAfter: {false, 50}, slbtest.DropBefore: {true, 100}} {
		l := newLab(t, nil)
		l.Inject(slbtest.Fault{Kind: kind, Action: "SetVServerGroupAttribute"})
		expect.Is(t, l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 50)}), driver.ErrUnknown, fate.unknown)
		expect.Same(t, "weight", fate.weight, l.Weights("rsp-web")["i-a1:8080"])
		sent := 0
		for _, c := range l.Calls() {
			if c.Write {
				sent++
			}
		}
		expect.Same(t, "writes that were sent", 1, sent)
	}
}

func TestATokenThatExpiresInTheMiddleOfABatchIsRenewed(t *testing.T) {
	addr, _ := slbtest.Alive(t)
	s := slbtest.Start(t, slbtest.Options{PlainHTTP: true, Estate: estate(addr), Keys: []slbtest.Key{sts}})
	target, ctx, heard, renew := listen(t, s, slb.Config{VServerGroup: "rsp-web"})
	s.Inject(slbtest.Fault{Kind: slbtest.ExpireKey, Action: "SetVServerGroupAttribute", Skip: 1, Times: 1, Do: func() {
		renew(slbtest.Key{ID: "STS.renewed", Secret: "renewed secret", Token: "renewed token"})
	}})
	expect.Nil(t, target.Apply(ctx, exchange()))
	expect.Same(t, "faults that did not happen", 0, s.Pending())
	expect.Same(t, "b", 100, s.Weights("rsp-web")["i-b1:8080"])
	expect.Same(t, "a", 0, s.Weights("rsp-web")["i-a1:8080"])
	heard.mustBeClean(t)
}

func TestWhatSomebodyElseChangesWhileFlipWritesIsSeenAsDrift(t *testing.T) {
	l := newLab(t, nil)
	l.Inject(slbtest.Fault{Action: "SetVServerGroupAttribute", Times: 1, Do: func() {
		l.Edit(func(e *slbtest.Estate) { e.CLB[0].Groups[0].Members[1].Weight = 33 })
	}})
	expect.Nil(t, l.Apply(t.Context(), []state.Change{set("i-a1:8080", 100, 50)}))
	expect.Same(t, "who was not named keeps its own weight", 33, l.Weights("rsp-web")["i-a2:8080"])
	err := l.Apply(t.Context(), []state.Change{set("i-a1:8080", 50, 100), set("i-a2:8080", 100, 0)})
	drift, ok := errors.AsType[*driver.DriftError](err)
	if !ok || drift.Now != "33" {
		t.Errorf("want drift to 33, got %v", err)
	}
	expect.Same(t, "nothing was written", 50, l.Weights("rsp-web")["i-a1:8080"])
}

func TestReadsThatLagBehindAreWaitedFor(t *testing.T) {
	l := newLab(t, func(o *slbtest.Options, _ *slb.Config) { o.Timing.ReadLag = 400 * time.Millisecond })
	changes := []state.Change{set("i-a1:8080", 100, 50)}
	expect.Nil(t, l.Apply(t.Context(), changes))
	expect.Nil(t, l.Settle(t.Context(), changes))
	s, err := l.Read(t.Context())
	expect.Nil(t, err)
	expect.Same(t, "weight", state.Value("50"), s.Get("rsp-web/i-a1:8080", slb.Weight))
}

func TestAnUnknownKeyAndAMissingPermissionAreFinalAndSayWhatToDo(t *testing.T) {
	for code, advice := range map[string]string{"Forbidden.RAM": "allow slb:DescribeVServerGroupAttribute to plan", "InvalidAccessKeyId.NotFound": "check the access key"} {
		l := newLab(t, nil)
		l.Inject(slbtest.Fault{Kind: slbtest.Refuse, Status: 403, Code: code})
		_, err := l.Read(t.Context())
		expect.Error(t, err, "slb: DescribeVServerGroupAttribute rsp-web: "+code, advice)
		expect.Is(t, err, driver.ErrPermanent, true)
	}
}
