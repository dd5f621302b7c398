package slbtest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

func TestFaultsHappenAsOrdered(t *testing.T) {
	const toZero = `[{"ServerId":"i-a","Port":8080,"Weight":0},{"ServerId":"i-b","Port":8080,"Weight":5}]`
	tests := []struct {
		name    string
		fault   slbtest.Fault
		code    string // "" is success, "*" any error
		weights map[string]int
		applied bool
		status  int
	}{
		{"throttled", slbtest.Fault{Kind: slbtest.Throttled}, "Throttling.User", old, false, 400},
		{"busy", slbtest.Fault{Kind: slbtest.Refuse, Status: 449, Code: "SystemBusy"}, "SystemBusy", old, false, 449},
		{"5xx", slbtest.Fault{Kind: slbtest.Unavailable}, "ServiceUnavailable", old, false, 503},
		{"HTML with 502", slbtest.Fault{Kind: slbtest.HTMLGateway}, "", old, false, 502},
		{"HTML with 200", slbtest.Fault{Kind: slbtest.Garbage}, "*", old, false, 200},
		{"dropped before", slbtest.Fault{Kind: slbtest.DropBefore}, "*", old, false, 0},
		{"dropped after", slbtest.Fault{Kind: slbtest.DropAfter}, "*", zero, true, 0},
		{"slow", slbtest.Fault{Kind: slbtest.Slow, After: time.Millisecond}, "", zero, true, 200},
		{"slow to answer", slbtest.Fault{Kind: slbtest.SlowAnswer, After: time.Millisecond}, "", zero, true, 200},
		{"half a batch", slbtest.Fault{Kind: slbtest.Partial, Entries: 1}, "InternalError", map[string]int{"i-a:8080": 0, "i-b:8080": 0}, true, 500},
		{"none of a batch", slbtest.Fault{Kind: slbtest.Partial}, "InternalError", old, false, 500},
		{"the key ends", slbtest.Fault{Kind: slbtest.ExpireKey}, "InvalidAccessKeyId.Inactive", old, false, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, c, _ := gateway(t, slbtest.Options{})
			tt.fault.Action, tt.fault.Times = "SetVServerGroupAttribute", 1
			s.Inject(tt.fault)
			_, err := setWeights(c, "rsp-1", toZero)
			html := tt.fault.Kind == slbtest.HTMLGateway && err != nil && code(err) == ""
			if got := code(err); !html && ((tt.code == "*" && err == nil) || (tt.code != "*" && got != tt.code)) {
				t.Errorf("code %q, want %q", got, tt.code)
			}
			if diff := cmp.Diff(tt.weights, s.Weights("rsp-1")); diff != "" {
				t.Errorf("weights (-want +got):\n%s", diff)
			}
			calls := s.Calls()
			if len(calls) != 1 || calls[0].Applied != tt.applied || calls[0].Status != tt.status || s.Pending() != 0 {
				t.Errorf("calls: %+v", calls)
			}
		})
	}
}

var (
	old  = map[string]int{"i-a:8080": 100, "i-b:8080": 0}
	zero = map[string]int{"i-a:8080": 0, "i-b:8080": 5}
)

func TestALateWriteIsAppliedAfterItsConnectionIsGone(t *testing.T) {
	s, c, _ := gateway(t, slbtest.Options{})
	s.Inject(slbtest.Fault{Kind: slbtest.LateApply, Times: 1})
	s.Hold()
	if _, err := setWeights(c, "rsp-1", `[{"ServerId":"i-a","Port":8080,"Weight":0}]`); err == nil {
		t.Fatal("there was an answer")
	}
	if got := s.Weights("rsp-1")["i-a:8080"]; got != 100 {
		t.Errorf("weight %d at once, want 100", got)
	}
	s.Release()
	quiet(t, s)
	if got := s.Weights("rsp-1")["i-a:8080"]; got != 0 || !s.Calls()[0].Applied {
		t.Errorf("weight %d in the end, want 0", got)
	}
}

func TestSomebodyElseEditsRightBeforeTheThirdCall(t *testing.T) {
	s, c, _ := gateway(t, slbtest.Options{})
	s.Inject(slbtest.Fault{Skip: 2, Times: 1, Do: func() {
		s.Edit(func(e *slbtest.Estate) { e.CLB[0].Groups[0].Members[1].Weight = 77 })
	}})
	for range 2 {
		if _, err := setWeights(c, "rsp-1", `[{"ServerId":"i-a","Port":8080,"Weight":1}]`); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Weights("rsp-1")["i-b:8080"]; got != 0 {
		t.Fatalf("after two calls: %d", got)
	}
	if _, err := setWeights(c, "rsp-1", `[{"ServerId":"i-a","Port":8080,"Weight":2}]`); err != nil {
		t.Fatal(err)
	}
	if got := s.Weights("rsp-1"); got["i-b:8080"] != 77 || got["i-a:8080"] != 2 {
		t.Errorf("after three calls: %v", got)
	}
}

func TestOverlappingCLBWritesAreBusy(t *testing.T) {
	s, c, _ := gateway(t, slbtest.Options{Timing: slbtest.Timing{Overlap: time.Minute}})
	const write = `[{"ServerId":"i-b","Port":8080,"Weight":1}]`
	if _, err := setWeights(c, "rsp-1", write); err != nil {
		t.Fatal(err)
	}
	if _, err := setWeights(c, "rsp-1", write); code(err) != "VServerGroupProcessing" {
		t.Errorf("the same group: %q", code(err))
	}
	if _, err := setWeights(c, "rsp-2", write); code(err) != "ServiceIsConfiguring" {
		t.Errorf("another group of the load balancer: %q", code(err))
	}
	if n := len(s.Writes()); n != 1 {
		t.Errorf("%d writes", n)
	}
}

func TestAReadCanLagBehindAWrite(t *testing.T) {
	s, c, _ := gateway(t, slbtest.Options{Timing: slbtest.Timing{ReadLag: time.Hour}})
	if _, err := setWeights(c, "rsp-1", `[{"ServerId":"i-a","Port":8080,"Weight":0}]`); err != nil {
		t.Fatal(err)
	}
	if got := clbWeight(t, c); got != 100 || s.Weights("rsp-1")["i-a:8080"] != 0 {
		t.Errorf("read at once: %d, want the old 100", got)
	}
	_, c, _ = gateway(t, slbtest.Options{Timing: slbtest.Timing{ReadLag: time.Millisecond}})
	if _, err := setWeights(c, "rsp-1", `[{"ServerId":"i-a","Port":8080,"Weight":0}]`); err != nil {
		t.Fatal(err)
	}
	until(t, "the read shows 0", func() bool { return clbWeight(t, c) == 0 })
}

func TestAKeyCanEndAtAMoment(t *testing.T) {
	now := time.Now()
	s := slbtest.Start(t, slbtest.Options{
		PlainHTTP: true, Now: func() time.Time { return now },
		Keys: []slbtest.Key{{ID: slbtest.DefaultKey.ID, Secret: slbtest.DefaultKey.Secret, Expires: now.Add(time.Minute)}},
	})
	if status, body := request(s).do(t); status != http.StatusOK {
		t.Errorf("before: %v", body)
	}
	now = now.Add(2 * time.Minute)
	if _, body := request(s).do(t); body["Code"] != "InvalidAccessKeyId.Inactive" {
		t.Errorf("after: %v", body)
	}
}

func TestEveryBusyCodeOfCLBArrives(t *testing.T) {
	s, c, _ := gateway(t, slbtest.Options{})
	faults := slbtest.Busy("slb", "SetVServerGroupAttribute")
	var want, got []string
	for _, f := range faults {
		s.Inject(f)
		_, err := setWeights(c, "rsp-1", `[{"ServerId":"i-a","Port":8080,"Weight":0}]`)
		want, got = append(want, f.Code), append(got, code(err))
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 6 || s.Pending() != 0 {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(old, s.Weights("rsp-1")); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
}

func TestAJobCanFailHalfway(t *testing.T) {
	s, c, _ := sockets(t, slbtest.Options{})
	s.Inject(slbtest.Fault{Kind: slbtest.Partial, Entries: 1, Times: 1})
	job, err := albUpdate(c, map[string]string{"i-a": "1", "i-b": "1"})
	if err != nil {
		t.Fatal(err)
	}
	quiet(t, s)
	if j := albJob(t, c, job); j.Status != "Failed" {
		t.Errorf("job: %+v", j)
	}
	if diff := cmp.Diff(map[string]int{"i-a:8080": 1, "i-b:8080": 0}, s.Weights("sgp-1")); diff != "" {
		t.Errorf("weights (-want +got):\n%s", diff)
	}
}
