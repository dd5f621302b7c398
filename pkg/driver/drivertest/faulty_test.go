package drivertest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/state"
)

func twoNodes() *mem.Target {
	return mem.New(mem.Options{Nodes: []string{"lb1", "lb2"}, Pool: map[string]mem.Member{"web1": {Weight: 100}}})
}

func off() []state.Change {
	return []state.Change{
		{Object: "lb1/web1", Attribute: mem.Weight, From: state.Int(100), To: state.Int(0)},
		{Object: "lb2/web1", Attribute: mem.Weight, From: state.Int(100), To: state.Int(0)},
	}
}

// weights are those of web1 on lb1 and lb2.
func weights(t *testing.T, d driver.Driver) [2]string {
	t.Helper()
	s, err := d.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return [2]string{s.Get("lb1/web1", mem.Weight).String(), s.Get("lb2/web1", mem.Weight).String()}
}

func TestAFaultOfApplyLeavesTheTargetAsPromised(t *testing.T) {
	tests := map[string]struct {
		fault   drivertest.Fault
		failed  bool
		unknown bool
		at      time.Duration // how long Apply took
		now     [2]string
		later   [2]string // a minute later
	}{
		"none goes through": {
			drivertest.Fault{}, false, false, 0, [2]string{"0", "0"}, [2]string{"0", "0"},
		},
		"before: nothing happens": {
			drivertest.Fault{Kind: drivertest.FailBefore}, true, false, 0, [2]string{"100", "100"}, [2]string{"100", "100"},
		},
		"throttled: nothing happens": {
			drivertest.Fault{Kind: drivertest.Throttle}, true, false, 0, [2]string{"100", "100"}, [2]string{"100", "100"},
		},
		"lost reply: all happened": {
			drivertest.Fault{Kind: drivertest.LoseReply}, true, true, 0, [2]string{"0", "0"}, [2]string{"0", "0"},
		},
		"late write: all happens later": {
			drivertest.Fault{Kind: drivertest.LateWrite, Delay: 5 * time.Second}, true, true, 0, [2]string{"100", "100"}, [2]string{"0", "0"},
		},
		"half a batch: the first change happened": {
			drivertest.Fault{Kind: drivertest.HalfBatch}, true, false, 0, [2]string{"0", "100"}, [2]string{"0", "100"},
		},
		"slow: all happens after the delay": {
			drivertest.Fault{Kind: drivertest.Slow, Delay: 3 * time.Second}, false, false, 3 * time.Second, [2]string{"0", "0"}, [2]string{"0", "0"},
		},
		"a node down: the other one changed": {
			drivertest.Fault{Kind: drivertest.NodeDown, Node: "lb1"}, true, false, 0, [2]string{"100", "0"}, [2]string{"100", "0"},
		},
		"another node down: all happens": {
			drivertest.Fault{Kind: drivertest.NodeDown, Node: "lb9"}, false, false, 0, [2]string{"0", "0"}, [2]string{"0", "0"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				target := twoNodes()
				d := drivertest.Faulty(target, drivertest.Faults{Apply: map[int]drivertest.Fault{1: test.fault}})
				ctx, cancel := context.WithCancel(t.Context())
				begin := time.Now()
				err := d.Apply(ctx, off())
				cancel() // its sender is gone; a late write lands all the same
				if took := time.Since(begin); took != test.at {
					t.Errorf("took %s", took)
				}
				if (err != nil) != test.failed || errors.Is(err, driver.ErrUnknown) != test.unknown {
					t.Errorf("error: %v", err)
				}
				if diff := cmp.Diff(test.now, weights(t, target)); diff != "" {
					t.Errorf("weights at once (-want +got):\n%s", diff)
				}
				<-time.After(time.Minute)
				d.Wait()
				if diff := cmp.Diff(test.later, weights(t, target)); diff != "" {
					t.Errorf("weights later (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAFaultHitsTheCallItIsMeantFor(t *testing.T) {
	custom := errors.New("503 service unavailable")
	d := drivertest.Faulty(twoNodes(), drivertest.Faults{
		Read:  map[int]drivertest.Fault{2: {Kind: drivertest.FailBefore, Err: custom}},
		Apply: map[int]drivertest.Fault{3: {Kind: drivertest.Throttle}},
	})
	for n, want := range []error{nil, custom, nil} {
		if _, err := d.Read(t.Context()); !errors.Is(err, want) {
			t.Errorf("read %d: got %v, want %v", n+1, err, want)
		}
	}
	for n, want := range []error{nil, nil, drivertest.ErrThrottled, nil} {
		if err := d.Apply(t.Context(), off()); !errors.Is(err, want) {
			t.Errorf("apply %d: got %v, want %v", n+1, err, want)
		}
	}
	if reads, applies := d.Calls(); reads != 3 || applies != 4 {
		t.Errorf("%d reads, %d applies", reads, applies)
	}
}

func TestTheSameSeedGivesTheSameFaults(t *testing.T) {
	history := func(seed uint64) (failed []int) {
		d := drivertest.Faulty(twoNodes(), drivertest.Faults{Seed: seed, Rate: 0.3, Any: []drivertest.Fault{{Kind: drivertest.FailBefore}}})
		for n := range 50 {
			if d.Apply(t.Context(), off()) != nil {
				failed = append(failed, n)
			}
		}
		return failed
	}
	first := history(1)
	if len(first) == 0 || len(first) == 50 {
		t.Errorf("%d of 50 calls failed", len(first))
	}
	if diff := cmp.Diff(first, history(1)); diff != "" {
		t.Errorf("one seed, two histories (-first +second):\n%s", diff)
	}
	if cmp.Equal(first, history(2)) {
		t.Error("another seed gives the same faults")
	}
}

func TestAnUnreadableNodeIsMissingFromTheState(t *testing.T) {
	d := drivertest.Faulty(twoNodes(), drivertest.Faults{Read: map[int]drivertest.Fault{1: {Kind: drivertest.NodeDown, Node: "lb1"}}})
	s, err := d.Read(t.Context())
	partial, ok := errors.AsType[*driver.PartialError](err)
	if !ok || partial.Nodes["lb1"] == nil {
		t.Fatalf("want a *PartialError about lb1, got %v", err)
	}
	if diff := cmp.Diff([]string{"lb2/web1"}, s.IDs()); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	if _, ok := s.Nodes["lb1"]; ok {
		t.Error("the node that is down is among those that answered")
	}
}

func TestASecondOperatorWritesBetweenReadAndWrite(t *testing.T) {
	for name, at := range map[string]func(drivertest.Fault) drivertest.Faults{
		"after the reading": func(f drivertest.Fault) drivertest.Faults {
			return drivertest.Faults{Read: map[int]drivertest.Fault{1: f}}
		},
		"before the writing": func(f drivertest.Fault) drivertest.Faults {
			return drivertest.Faults{Apply: map[int]drivertest.Fault{1: f}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := twoNodes()
			d := drivertest.Faulty(target, at(drivertest.Fault{Kind: drivertest.Outside, Do: func() {
				if err := target.Set("lb1/web1", mem.Weight, state.Int(37)); err != nil {
					t.Error(err)
				}
			}}))
			if diff := cmp.Diff([2]string{"100", "100"}, weights(t, d)); diff != "" {
				t.Errorf("weights as flip sees them (-want +got):\n%s", diff)
			}
			if _, ok := errors.AsType[*driver.DriftError](d.Apply(t.Context(), off())); !ok {
				t.Error("no drift")
			}
			if diff := cmp.Diff([2]string{"37", "100"}, weights(t, target)); diff != "" {
				t.Errorf("weights afterwards (-want +got):\n%s", diff)
			}
		})
	}
}

func TestASlowCallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := map[int]drivertest.Fault{1: {Kind: drivertest.Slow, Delay: time.Hour}}
		target := twoNodes()
		d := drivertest.Faulty(target, drivertest.Faults{Read: slow, Apply: slow})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.Read(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		if err := d.Apply(ctx, off()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("apply: %v", err)
		}
		if diff := cmp.Diff([2]string{"100", "100"}, weights(t, target)); diff != "" {
			t.Errorf("weights (-want +got):\n%s", diff)
		}
	})
}
