package slbtest_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

// clbHealth is the state of i-d behind the TCP listener 81.
func clbHealth(t *testing.T, c clients) string {
	t.Helper()
	r := slb.CreateDescribeHealthStatusRequest()
	r.LoadBalancerId, r.ListenerPort = "lb-1", "81"
	answer, err := c.slb.DescribeHealthStatus(r)
	if err != nil {
		t.Fatal(err)
	}
	return answer.BackendServers.BackendServer[0].ServerHealthStatus
}

func TestAnHTTPCheckLooksAtTheStatus(t *testing.T) {
	var broken atomic.Bool
	member := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() && r.URL.Path == "/health" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(member.Close)
	s, c, _ := gateway(t, slbtest.Options{})
	s.Edit(func(e *slbtest.Estate) {
		e.CLB[0].Default[0].Address = addr(member)
		e.CLB[0].Listeners[1].Check = slbtest.Check{Path: "/health", Healthy: 1e9}
	})
	if got := clbHealth(t, c); got != "unavailable" {
		t.Errorf("before the first check: %q", got)
	}
	s.Edit(func(e *slbtest.Estate) { e.CLB[0].Listeners[1].Check.Healthy = 1 })
	until(t, "normal", func() bool { return clbHealth(t, c) == "normal" })
	broken.Store(true)
	until(t, "abnormal", func() bool { return clbHealth(t, c) == "abnormal" })
}

func TestOldDocumentsShowParkedLayer4MembersAsAbnormal(t *testing.T) {
	for _, old := range []bool{false, true} {
		s, c, _ := gateway(t, slbtest.Options{ParkedAbnormal: old})
		s.Edit(func(e *slbtest.Estate) { e.CLB[0].Default[0].Weight = 0 })
		if got := clbHealth(t, c); (got == "abnormal") != old {
			t.Errorf("ParkedAbnormal %v: %q", old, got)
		}
	}
}
