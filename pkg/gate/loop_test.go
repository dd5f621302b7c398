package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	errDown = errors.New("metrics server is down")
	errStop = errors.New("the operator said stop")
)

// script is a gate whose looks are written down: y passes, n says no, ? is
// undecided, x cannot look, h hangs until it is cut off. The last one repeats.
type script struct {
	looks string
	made  int
}

func (s *script) Check(ctx context.Context) (Result, error) {
	c := s.looks[min(s.made, len(s.looks)-1)]
	s.made++
	switch c {
	case 'y':
		return yes("status 200"), nil
	case 'n':
		return no("status 503"), nil
	case '?':
		return undecided("2 of 100 answers"), nil
	case 'h':
		<-ctx.Done()
		return Result{}, ctx.Err()
	case 'b':
		<-ctx.Done()
		return no("no answer"), nil
	}
	return Result{}, errDown
}

func gates(scripts []string, p Policy) []Named {
	var all []Named
	for i, s := range scripts {
		all = append(all, Named{Name: "up", Member: fmt.Sprintf("web%d", i+1), Gate: &script{looks: s}, Policy: p})
	}
	return all
}

func TestWait(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name   string
		looks  []string
		policy Policy
		took   time.Duration
		err    string
	}{
		{"looks at once", []string{"y"}, Policy{}, 0, ""},
		{"looks every two seconds when the plan is silent", []string{"nny"}, Policy{}, 4 * s, ""},
		{"needs three in a row", []string{"yynyyy"}, Policy{Every: s, Passes: 3}, 5 * s, ""},
		{"needs every look of thirty seconds to pass", []string{"y"}, Policy{Every: 2 * s, For: 30 * s}, 30 * s, ""},
		{"starts the thirty seconds again after a no", []string{"yyyny"}, Policy{Every: 2 * s, For: 30 * s}, 38 * s, ""},
		{"a look that could not look ends no row", []string{"yyxxy"}, Policy{Every: s, Passes: 3}, 4 * s, ""},
		{
			"a look that could not look is no pass",
			[]string{"yx"},
			Policy{Every: s, Passes: 2, Timeout: 9 * s},
			9 * s,
			"gate up (web1): not passed within 9s: status 200; then could not look: metrics server is down",
		},
		{"time without sight is not time held", []string{"yyxxyy"}, Policy{Every: s, For: 2 * s}, 5 * s, ""},
		{
			"sight now and then holds nothing",
			[]string{"yxyxyxyxyxyxyx"},
			Policy{Every: s, For: 2 * s, Timeout: 8 * s},
			8 * s,
			"gate up (web1): not passed within 8s: status 200; then could not look: metrics server is down",
		},
		{
			"tells how long it held",
			[]string{"nnny"},
			Policy{Every: s, For: 6 * s, Timeout: 8 * s},
			8 * s,
			"gate up (web1): not passed within 8s: held 4s of 6s (status 200)",
		},
		{"an undecided look ends no row and is no pass", []string{"y?y"}, Policy{Every: s, Passes: 2}, 2 * s, ""},
		{
			"tells a no from not having looked",
			[]string{"n"},
			Policy{Timeout: 5 * time.Minute},
			5 * time.Minute,
			"gate up (web1): not passed within 5m: status 503",
		},
		{
			"tells not having looked from a no",
			[]string{"x"},
			Policy{},
			5 * time.Minute,
			"gate up (web1): could not look for 5m: metrics server is down",
		},
		{
			"tells too few passes",
			[]string{"ny"},
			Policy{Every: 4 * s, Passes: 3, Timeout: 10 * s},
			10 * s,
			"gate up (web1): not passed within 10s: 2 of 3 passes in a row (status 200)",
		},
		{
			"tells what was not decided",
			[]string{"?"},
			Policy{Timeout: 5 * s},
			5 * s,
			"gate up (web1): not passed within 5s: 2 of 100 answers",
		},
		{"a look that hangs is cut off and is no look", []string{"hy"}, Policy{}, 10 * s, ""},
		{
			"a look that hangs does not hold up the timeout",
			[]string{"h"},
			Policy{Timeout: 3 * s},
			3 * s,
			"gate up (web1): could not look: no look ended within 3s",
		},
		{
			"says that looks are cut off",
			[]string{"h"},
			Policy{Timeout: 12 * s},
			12 * s,
			"gate up (web1): could not look for 12s: no result within 10s",
		},
		{"waits for the slowest of all", []string{"y", "nnny", "ny"}, Policy{Every: s}, 3 * s, ""},
		{"all must hold together", []string{"yny", "nny"}, Policy{Every: s}, 2 * s, ""},
		{
			"names the member that is missing",
			[]string{"y", "n"},
			Policy{Every: s, Timeout: 4 * s},
			4 * s,
			"gate up (web2): not passed within 4s: status 503",
		},
		{"an interval beyond the longest sleep is kept", []string{"ny"}, Policy{Every: 100 * s}, 100 * s, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				err := Wait(t.Context(), gates(test.looks, test.policy), nil)
				check(t, "error", test.err, text(err))
				check(t, "took", test.took, time.Since(start))
			})
		})
	}
}

func TestWatch(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name   string
		looks  []string
		policy Policy
		hold   time.Duration
		took   time.Duration
		err    string
	}{
		{"ends at the end of the hold", []string{"y"}, Policy{Every: s}, 10 * s, 10 * s, ""},
		{"one no ends it at once", []string{"yyyn"}, Policy{Every: s}, 60 * s, 3 * s, "gate up (web1): status 503"},
		{"the first look may already say no", []string{"n"}, Policy{}, 60 * s, 0, "gate up (web1): status 503"},
		{"one no of any member ends it", []string{"y", "yyn"}, Policy{Every: s}, 60 * s, 2 * s, "gate up (web2): status 503"},
		{"the plan may allow more than one no", []string{"nnynnn"}, Policy{Every: s, Failures: 3}, 60 * s, 5 * s, "gate up (web1): status 503"},
		{"an undecided look ends no row of noes", []string{"n?n"}, Policy{Every: s, Failures: 2}, 60 * s, 2 * s, "gate up (web1): status 503"},
		{"could not look is not a no", []string{"yxxxy"}, Policy{Every: s}, 10 * s, 10 * s, ""},
		{
			"could not look for too long is a failure",
			[]string{"yyx"},
			Policy{Every: s, Timeout: 20 * s},
			time.Hour, 21 * s,
			"gate up (web1): could not look: metrics server is down",
		},
		{
			"never having looked is a failure",
			[]string{"x"},
			Policy{Every: s, Timeout: 20 * s},
			time.Hour, 20 * s,
			"gate up (web1): could not look: metrics server is down",
		},
		{
			"a look that never ends is a failure",
			[]string{"h"},
			Policy{Timeout: 5 * s},
			time.Hour, 5 * s,
			"gate up (web1): could not look: no look ended within 5s",
		},
		{"goes on until there are enough passes", []string{"?????yyy"}, Policy{Every: s, Passes: 3}, 5 * s, 7 * s, ""},
		{"goes on until they have held long enough", []string{"y"}, Policy{Every: s, For: 30 * s}, 5 * s, 30 * s, ""},
		{
			"gives up one timeout after the hold",
			[]string{"?"},
			Policy{Every: s, Timeout: 20 * s},
			5 * s, 25 * s,
			"gate up (web1): not passed within 20s: 2 of 100 answers",
		},
		{"a no after the hold still ends it", []string{"??????n"}, Policy{Every: s}, 5 * s, 6 * s, "gate up (web1): status 503"},
		{"what cannot be seen at the end is not a yes", []string{"yxxxxxxy"}, Policy{Every: s}, 5 * s, 7 * s, ""},
		{"no verdict without a look", []string{"xxxy"}, Policy{Every: s}, 0, 3 * s, ""},
		{"no hold is still one look", []string{"y"}, Policy{}, -time.Minute, 0, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				err := Watch(t.Context(), gates(test.looks, test.policy), start.Add(test.hold), nil)
				check(t, "error", test.err, text(err))
				check(t, "took", test.took, time.Since(start))
			})
		})
	}
}

func TestErrorsCarryWhatTheCallerDecidesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never, ok := errors.AsType[*TimeoutError](Wait(t.Context(), gates([]string{"x"}, Policy{Timeout: time.Minute}), nil))
		check(t, "is a timeout", true, ok)
		check(t, "never looked", true, never.NeverLooked)
		check(t, "carries the reason", true, errors.Is(never, errDown))
		check(t, "after", time.Minute, never.After)

		said, ok := errors.AsType[*TimeoutError](Wait(t.Context(), gates([]string{"n"}, Policy{Timeout: time.Minute}), nil))
		check(t, "is a timeout", true, ok)
		check(t, "never looked", false, said.NeverLooked)
		check(t, "last", Look{Gate: "up", Member: "web1", Result: no("status 503"), Failures: 30}, said.Last)

		failed, ok := errors.AsType[*FailedError](Watch(t.Context(), gates([]string{"x"}, Policy{}), time.Now().Add(time.Hour), nil))
		check(t, "is a failure", true, ok)
		check(t, "carries the reason", true, errors.Is(failed, errDown))
	})
}

func TestEveryLookIsObservedInItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		observe := func(l Look) {
			got = append(got, fmt.Sprintf("%s %s passes=%d failures=%d held=%s err=%v",
				l.Member, l.Result.Detail, l.Passes, l.Failures, l.Held, l.Err))
		}
		if err := Wait(t.Context(), gates([]string{"nyxyy"}, Policy{Every: time.Second, For: time.Second}), observe); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"web1 status 503 passes=0 failures=1 held=0s err=<nil>",
			"web1 status 200 passes=1 failures=0 held=0s err=<nil>",
			"web1  passes=1 failures=0 held=0s err=metrics server is down",
			"web1 status 200 passes=2 failures=0 held=0s err=<nil>",
			"web1 status 200 passes=3 failures=0 held=1s err=<nil>",
		}
		check(t, "looks", want, got)
	})
}

func TestACanceledRunEndsWithTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, looks := range []string{"n", "h"} {
			start := time.Now()
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(3*time.Second, func() { cancel(errStop) })
			seen := 0
			err := Wait(ctx, gates([]string{looks}, Policy{}), func(Look) { seen++ })
			check(t, "is the reason", true, errors.Is(err, errStop))
			check(t, "took", 3*time.Second, time.Since(start))
			if looks == "h" {
				check(t, "looks that the cancel broke are not looks", 0, seen)
			}
			check(t, "and a watch too", errStop.Error(), text(Watch(ctx, gates([]string{"y"}, Policy{}), time.Now(), nil)))
		}
	})
}

func TestNoGatesAreNoVerdict(t *testing.T) {
	check(t, "wait", errNoGates.Error(), text(Wait(t.Context(), nil, nil)))
	check(t, "watch", errNoGates.Error(), text(Watch(t.Context(), nil, time.Now(), nil)))
}

// slow passes after a while; it sets its own limit.
type slow struct{ takes, limit time.Duration }

func (s slow) LookLimit() time.Duration { return s.limit }

func (s slow) Check(ctx context.Context) (Result, error) {
	select {
	case <-ctx.Done():
		return Result{}, ctx.Err()
	case <-time.After(s.takes):
		return yes("at last"), nil
	}
}

func TestAGateMaySetTheLimitOfItsLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		patient := []Named{{Name: "script", Gate: slow{40 * time.Second, time.Minute}}}
		check(t, "error", "", text(Wait(t.Context(), patient, nil)))
		check(t, "took", 40*time.Second, time.Since(start))

		hasty := []Named{{Name: "script", Gate: slow{40 * time.Second, time.Second}, Policy: Policy{Timeout: 5 * time.Second}}}
		check(t, "error", "gate script: could not look for 5s: no result within 1s", text(Wait(t.Context(), hasty, nil)))
	})
}

func TestAWatchThatEndsWaitsForTheLookInTheAir(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		// The look that begins at 6s ends at 9s; the hold ends at 7s.
		g := []Named{{Name: "up", Gate: slow{3 * time.Second, time.Minute}, Policy: Policy{Every: 3 * time.Second}}}
		check(t, "error", "", text(Watch(t.Context(), g, start.Add(7*time.Second), nil)))
		check(t, "took", 9*time.Second, time.Since(start))
	})
}

func TestALookMayTakeAsLongAsItsGateIsConfigured(t *testing.T) {
	const long = time.Minute
	for _, g := range []Gate{
		build(t, HTTP(), HTTPConfig{URL: "http://a", Timeout: long}, Env{}),
		build(t, TCP(), TCPConfig{Address: "a:1", Timeout: long}, Env{}),
		build(t, Command(), CommandConfig{Shell: "true", Timeout: long}, Env{}),
		build(t, Prometheus(), PrometheusConfig{URL: "http://a", Query: "up", Pass: "value > 0", Timeout: long}, Env{}),
	} {
		if limit := newTrack(Named{Gate: g}).limit; limit <= long {
			t.Errorf("%T: cut off after %s, before its own timeout of %s", g, limit, long)
		}
	}
}

// asleep is a clock whose wall time can be ahead of the time awake.
func asleep(by *atomic.Int64) clock {
	real := systemClock()
	return func() (time.Time, time.Duration) {
		wall, awake := real()
		return wall.Add(time.Duration(by.Load())), awake
	}
}

func TestASuspendedMachine(t *testing.T) {
	tests := []struct {
		name  string
		looks string
		p     Policy
		by    time.Duration // the wall clock jumps after 11 seconds awake
		watch time.Duration // 0: wait
		took  time.Duration
		err   string
	}{
		{"holds its thirty seconds anew", "y", Policy{For: 30 * time.Second}, time.Hour, 0, 42 * time.Second, ""},
		{"looks again before the timeout that it slept through", "nnnnnny", Policy{}, time.Hour, 0, 12 * time.Second, ""},
		{
			"times out when looking again does not help", "n",
			Policy{},
			time.Hour, 0, 24 * time.Second,
			"gate up (web1): not passed within 1h: status 503",
		},
		{"a no from before and one from after are not in a row", "yyyyynny", Policy{Failures: 2, Every: 2 * time.Second}, time.Hour, 2 * time.Hour, time.Hour, ""},
		{"a look that slept does not end a watch", "yyyyyby", Policy{}, time.Hour, 2 * time.Hour, time.Hour, ""},
		{"finds out within thirty seconds that the hold is over", "y", Policy{Every: time.Hour}, 10 * time.Hour, 10 * time.Hour, 30 * time.Second, ""},
		{
			"a clock that was set back makes no timeout longer", "n",
			Policy{Timeout: time.Minute},
			-time.Hour, 0, time.Minute,
			"gate up (web1): not passed within 1m: status 503",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var by atomic.Int64
				start := time.Now()
				time.AfterFunc(11*time.Second, func() { by.Store(int64(test.by)) })
				l := newLoop(gates([]string{test.looks}, test.p), nil, asleep(&by))
				var err error
				if test.watch > 0 {
					err = l.watch(t.Context(), start.Add(test.watch))
				} else {
					err = l.wait(t.Context())
				}
				t.Log(time.Since(start), err)
				check(t, "took", test.took, time.Since(start))
				check(t, "error", test.err, cut(text(err), test.err))
			})
		})
	}
}

// cut keeps what the wall clock's exact jump does not change.
func cut(s, want string) string {
	if strings.Contains(s, "within 1h") {
		return want
	}
	return s
}

func TestPolicyValidate(t *testing.T) {
	tests := []struct {
		name   string
		policy Policy
		want   string
	}{
		{"the zero policy is usable", Policy{}, ""},
		{"a negative interval is refused", Policy{Every: -1}, "every, timeout and for cannot be negative"},
		{"a negative count is refused", Policy{Passes: -1}, "passes and failures cannot be negative"},
		{"for must fit into the timeout", Policy{For: time.Hour}, "for 1h cannot be reached within timeout 5m"},
		{"the passes must fit into the timeout", Policy{Passes: 4, Every: 2 * time.Minute}, "4 passes every 2m take 6m, longer than timeout 5m"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { check(t, "error", test.want, text(test.policy.Validate())) })
	}
}

func TestDurationsAreWrittenAsInAPlan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 5 * time.Minute: "5m", time.Hour: "1h", 90 * time.Second: "1m30s",
		time.Hour + time.Minute: "1h1m", 840*time.Millisecond + 12345: "840ms", 10 * time.Second: "10s", 1234 * time.Millisecond: "1.2s",
	} {
		check(t, "text", want, brief(d))
	}
}

func check[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
