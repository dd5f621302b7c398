package driver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/state"
)

var quiet = slog.New(slog.DiscardHandler)

func pool() *mem.Target {
	return mem.New(mem.Options{Pool: map[string]mem.Member{"web1": {Weight: 100}, "web2": {Weight: 0}}})
}

func down() []state.Change {
	return []state.Change{
		{Object: "web1", Attribute: mem.Weight, From: state.Int(100), To: state.Int(0)},
		{Object: "web2", Attribute: mem.Weight, From: state.Int(0), To: state.Int(100)},
	}
}

func weights(t *testing.T, d driver.Driver) []string {
	t.Helper()
	s, err := d.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return []string{s.Get("web1", mem.Weight).String(), s.Get("web2", mem.Weight).String()}
}

func TestRetryOfApply(t *testing.T) {
	type faults = map[int]drivertest.Fault
	failing := drivertest.Fault{Kind: drivertest.FailBefore}
	tests := map[string]struct {
		attempts       int
		read, apply    faults
		want           []string // weights afterwards
		reads, applies int      // calls that reached the target
		err            error
	}{
		"a call that works is made once": {
			attempts: 3, want: []string{"0", "100"}, applies: 1,
		},
		"a refused connection is tried again": {
			attempts: 3, apply: faults{1: failing, 2: {Kind: drivertest.Throttle}}, want: []string{"0", "100"}, applies: 3,
		},
		"half a batch is completed": {
			attempts: 2, apply: faults{1: {Kind: drivertest.HalfBatch}}, want: []string{"0", "100"}, applies: 2,
		},
		"a lost answer is read back and not sent again": {
			attempts: 3, apply: faults{1: {Kind: drivertest.LoseReply}}, want: []string{"0", "100"}, reads: 1, applies: 1,
		},
		"a lost request is sent again after reading back": {
			attempts: 3, apply: faults{1: {Kind: drivertest.FailBefore, Err: driver.Uncertain(io.EOF)}},
			want: []string{"0", "100"}, reads: 1, applies: 2,
		},
		"without reading back nothing is sent again": {
			attempts: 3, apply: faults{1: {Kind: drivertest.FailBefore, Err: driver.Uncertain(io.EOF)}},
			read: faults{1: failing, 2: failing}, want: []string{"100", "0"}, reads: 2, applies: 1, err: driver.ErrUnknown,
		},
		"a reading back that fails is repeated": {
			attempts: 3, apply: faults{1: {Kind: drivertest.LoseReply}}, read: faults{1: failing},
			want: []string{"0", "100"}, reads: 2, applies: 1,
		},
		"a permanent error ends it": {
			attempts: 3, apply: faults{1: {Kind: drivertest.FailBefore, Err: driver.Permanent(io.EOF)}},
			want: []string{"100", "0"}, applies: 1, err: io.EOF,
		},
		"drift ends it": {
			attempts: 3, apply: faults{1: {Kind: drivertest.FailBefore, Err: &driver.DriftError{}}},
			want: []string{"100", "0"}, applies: 1, err: errDrift,
		},
		"the last error is returned": {
			attempts: 2, apply: faults{1: failing, 2: {Kind: drivertest.Throttle}, 3: failing},
			want: []string{"100", "0"}, applies: 2, err: drivertest.ErrThrottled,
		},
		"no attempts means one": {
			apply: faults{1: failing, 2: failing}, want: []string{"100", "0"}, applies: 1, err: errAny,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := pool()
				flaky := drivertest.Faulty(target, drivertest.Faults{Read: test.read, Apply: test.apply})
				err := driver.Retry(flaky, driver.Policy{Attempts: test.attempts}, quiet).Apply(t.Context(), down())
				if !matches(err, test.err) {
					t.Errorf("error: got %v, want %v", err, test.err)
				}
				reads, applies := flaky.Calls()
				if reads != test.reads || applies != test.applies {
					t.Errorf("%d reads and %d applies, want %d and %d", reads, applies, test.reads, test.applies)
				}
				if diff := cmp.Diff(test.want, weights(t, target)); diff != "" {
					t.Errorf("weights (-want +got):\n%s", diff)
				}
			})
		})
	}
}

var errAny, errDrift = errors.New("any error"), errors.New("drift")

func matches(err, want error) bool {
	switch {
	case want == nil:
		return err == nil
	case errors.Is(want, errAny):
		return err != nil
	case errors.Is(want, errDrift):
		_, ok := errors.AsType[*driver.DriftError](err)
		return ok
	}
	return errors.Is(err, want)
}

func TestRetryOfReadReturnsTheStateOfTheAttemptThatWorked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flaky := drivertest.Faulty(pool(), drivertest.Faults{Read: map[int]drivertest.Fault{
			1: {Kind: drivertest.FailBefore}, 2: {Kind: drivertest.Throttle},
		}})
		d := driver.Retry(flaky, driver.Policy{Attempts: 3}, quiet)
		if diff := cmp.Diff([]string{"100", "0"}, weights(t, d)); diff != "" {
			t.Errorf("weights (-want +got):\n%s", diff)
		}
	})
}

func TestRetryKeepsWhatTheOtherNodesSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := mem.New(mem.Options{Nodes: []string{"lb1", "lb2"}, Pool: map[string]mem.Member{"web1": {Weight: 100}}})
		if err := target.Break("lb2", "connection refused"); err != nil {
			t.Fatal(err)
		}
		s, err := driver.Retry(target, driver.Policy{Attempts: 2}, quiet).Read(t.Context())
		if _, ok := errors.AsType[*driver.PartialError](err); !ok {
			t.Errorf("want a *PartialError, got %v", err)
		}
		if diff := cmp.Diff([]string{"lb1/web1"}, s.IDs()); diff != "" {
			t.Errorf("objects (-want +got):\n%s", diff)
		}
	})
}

func TestRetryPausesLongerEachTimeUpToItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var at []time.Duration
		d := driver.Retry(calls(func() error {
			at = append(at, time.Since(begin))
			return io.EOF
		}), driver.Policy{Attempts: 5, Backoff: time.Second, Max: 4 * time.Second}, quiet)
		if err := d.Apply(t.Context(), nil); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		for i, full := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
			if pause := at[i+1] - at[i]; pause < full/2 || pause > full {
				t.Errorf("pause %d is %s, want %s to %s", i+1, pause, full/2, full)
			}
		}
	})
}

func TestRetryEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n := 0
		d := driver.Retry(calls(func() error { n++; return io.EOF }), driver.Policy{Attempts: 1000, Backoff: 40 * time.Second}, quiet)
		err := d.Apply(ctx, nil)
		if !errors.Is(err, io.EOF) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("want why it failed and why it ended, got %v", err)
		}
		if n == 0 || n > 4 {
			t.Errorf("%d attempts in a minute", n)
		}
	})
}

// calls is a driver whose every call is f.
type calls func() error

func (f calls) Read(context.Context) (state.State, error)   { return state.State{}, f() }
func (f calls) Apply(context.Context, []state.Change) error { return f() }

func TestLimitLetsOnlySoManyCallsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		d := driver.Limit(calls(func() error {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			<-time.After(time.Second)
			return nil
		}), 2)
		for i := range 6 {
			go func() {
				if i%2 == 0 {
					_, _ = d.Read(t.Context())
					return
				}
				_ = d.Apply(t.Context(), nil)
			}()
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := d.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a read that waits for its turn ends with %v", err)
		}
		<-time.After(10 * time.Second)
		if got := most.Load(); got != 2 {
			t.Errorf("%d calls ran at once", got)
		}
	})
}

func TestTraceTellsCallsAndChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		}}))
		d := driver.Trace(pool(), log, "web")
		if err := d.Apply(t.Context(), down()[:1]); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := strings.Join([]string{
			"msg=change target=web object=web1 attribute=weight from=100 to=0",
			"msg=apply target=web changes=1 took=0s err=<nil>",
			"msg=read target=web objects=2 took=0s err=<nil>", "",
		}, "\n")
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

func TestOptionalInterfacesAreFoundThroughDecorators(t *testing.T) {
	target := pool()
	d := driver.Trace(driver.Limit(driver.Retry(drivertest.Faulty(target, drivertest.Faults{}), driver.Policy{}, quiet), 1), quiet, "web")
	if s, ok := driver.As[driver.Scoper](d); !ok || s.Scopes()[0] != target.Scopes()[0] {
		t.Error("no Scoper")
	}
	if _, ok := driver.As[driver.Counter](d); !ok {
		t.Error("no Counter")
	}
	if _, ok := driver.As[driver.Holder](d); ok {
		t.Error("a Holder that nobody is")
	}
	if _, ok := driver.As[driver.Counter](calls(nil)); ok {
		t.Error("a bare driver counts")
	}
}

func TestProgressReachesWhoeverWatches(t *testing.T) {
	driver.Progress(t.Context(), "nobody listens")
	var got []string
	ctx := driver.WithProgress(t.Context(), func(s string) { got = append(got, s) })
	driver.Progress(ctx, "2 of 3 subscribers")
	if diff := cmp.Diff([]string{"2 of 3 subscribers"}, got); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
}
