package slbtest_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/services/slb"
	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

// load counts the answers of a page while fn runs.
func load(t *testing.T, url string, fn func()) map[string]int {
	t.Helper()
	seen := map[string]int{}
	done := make(chan struct{})
	var loading sync.WaitGroup
	loading.Go(func() {
		for {
			body, status := fetch(t, url)
			if status != http.StatusOK {
				body = fmt.Sprint(status)
			}
			seen[body]++
			select {
			case <-done:
				return
			default:
			}
		}
	})
	fn()
	close(done)
	loading.Wait()
	return seen
}

func TestTheWrongOrderFailsRequestsAndTheRightOneDoesNot(t *testing.T) {
	const (
		up   = `[{"ServerId":"i-b","Port":8080,"Weight":100}]`
		down = `[{"ServerId":"i-a","Port":8080,"Weight":0}]`
	)
	shift := func(t *testing.T, first, second string) map[string]int {
		t.Helper()
		s, c, proxy := gateway(t, slbtest.Options{})
		return load(t, "http://"+proxy.Addr("lb-1/http:80")+"/", func() {
			for _, step := range []string{first, second} {
				if _, err := setWeights(c, "rsp-1", step); err != nil {
					t.Error(err)
				}
				quiet(t, s)
				before := proxy.Counts("")
				until(t, "a request after the step", func() bool { return !cmp.Equal(before, proxy.Counts("")) })
			}
		})
	}
	if seen := shift(t, up, down); seen["503"] != 0 || seen["b"] == 0 {
		t.Errorf("raise, then lower: %v", seen)
	}
	if seen := shift(t, down, up); seen["503"] == 0 {
		t.Errorf("lower, then raise: %v, want failures", seen)
	}
}

func TestAnALBSendsToDeadMembersWhenNoOtherHasAWeight(t *testing.T) {
	s, c, proxy := sockets(t, slbtest.Options{})
	s.Edit(func(e *slbtest.Estate) { e.ALBGroups[0].Members[1].Address = dead(t) })
	if _, err := albUpdate(c, map[string]string{"i-a": "0", "i-b": "100"}); err != nil {
		t.Fatal(err)
	}
	quiet(t, s)
	if _, status := fetch(t, "http://"+proxy.Addr("lsn-1")+"/"); status != http.StatusBadGateway {
		t.Errorf("status %d, want 502", status)
	}
	if _, err := albUpdate(c, map[string]string{"i-a": "50"}); err != nil {
		t.Fatal(err)
	}
	quiet(t, s)
	url := "http://" + proxy.Addr("lsn-1") + "/"
	until(t, "only the healthy member gets requests", func() bool {
		for range 5 {
			if get(t, url) != "a" {
				return false
			}
		}
		return true
	})
}

func TestManyClientsSeeOneOrder(t *testing.T) {
	s, _, _ := gateway(t, slbtest.Options{})
	const workers, each = 4, 25
	var working sync.WaitGroup
	for w := range workers {
		c := dial(t, s) // one client is not safe for concurrent use
		working.Go(func() {
			for i := range each {
				weight := fmt.Sprintf(`[{"ServerId":"i-b","Port":8080,"Weight":%d}]`, (w*each+i)%101)
				if _, err := setWeights(c, "rsp-1", weight); err != nil {
					t.Error(err)
				}
				if _, err := c.slb.DescribeLoadBalancers(slb.CreateDescribeLoadBalancersRequest()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	working.Wait()
	writes := s.Writes()
	if len(writes) != workers*each {
		t.Fatalf("%d writes, want %d", len(writes), workers*each)
	}
	last := fmt.Sprintf(`[{"ServerId":"i-b","Port":8080,"Weight":%d}]`, s.Weights("rsp-1")["i-b:8080"])
	if diff := cmp.Diff(last, writes[len(writes)-1].Params["BackendServers"]); diff != "" {
		t.Errorf("the last write is not what is there (-want +got):\n%s", diff)
	}
}
