package alb_test

import (
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/alb"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

func account(s *slbtest.Server) aliyun.Account {
	return aliyun.Account{
		Region: s.Region(), Endpoint: s.URL(), AccessKeyID: slbtest.KeyRef, AccessKeySecret: slbtest.SecretRef,
		Timeout: 10 * time.Second, Rate: 10000, RetryFor: 20 * time.Second,
	}
}

// estate is a load balancer whose rule sends to group a, with b parked.
func estate(addr string) slbtest.Estate {
	member := func(id, ip string, weight int) slbtest.Member {
		return slbtest.Member{ServerID: id, ServerIP: ip, Port: 8080, Weight: weight, Address: addr, Description: id + " & co"}
	}
	actions := []slbtest.Action{
		{Order: 1, Type: "InsertHeader", InsertHeaderConfig: &slbtest.InsertHeaderConfig{Key: "X-Side", Value: "a b+c", ValueType: "UserDefined"}},
		slbtest.Forward(2, slbtest.To("sgp-a", 100), slbtest.To("sgp-b", 0)),
	}
	return slbtest.Estate{
		ALB: []slbtest.ALB{{ID: "alb-1", Listeners: []slbtest.ALBListener{
			{ID: "lsn-1", Port: 80, Group: "sgp-ws", Rules: []slbtest.ALBRule{
				{ID: "rule-1", Priority: 1, Conditions: []slbtest.Condition{{Type: "Path", PathConfig: &slbtest.Values{Values: []string{"/a*"}}}}, Actions: actions},
				{ID: "rule-2", Priority: 2, Conditions: []slbtest.Condition{{Type: "Path", PathConfig: &slbtest.Values{Values: []string{"/b*"}}}}, Actions: actions},
			}},
		}}},
		ALBGroups: []slbtest.Group{
			{ID: "sgp-ws", Members: slbtest.TwoSides(addr, "one & co")},
			{ID: "sgp-a", Members: []slbtest.Member{member("i-a1", "10.0.0.1", 100)}},
			{ID: "sgp-b", Members: []slbtest.Member{member("i-b1", "10.0.0.11", 100)}},
			{ID: "sgp-parked", Members: []slbtest.Member{member("i-d1", "10.0.0.51", 0)}},
		},
	}
}

// lab is a stand-in with the estate and a target on sgp-ws.
type lab struct {
	*slbtest.Server
	*pool.Target
}

func newLab(t *testing.T, edit func(*slbtest.Options, *alb.Config)) lab {
	t.Helper()
	addr, _ := slbtest.Alive(t)
	o := slbtest.Options{PlainHTTP: true, Estate: estate(addr)}
	cfg := alb.Config{ServerGroup: "sgp-ws"}
	if edit != nil {
		edit(&o, &cfg)
	}
	s := slbtest.Start(t, o)
	mine := account(s)
	if cfg.Timeout != 0 {
		mine.Timeout = cfg.Timeout
	}
	cfg.Account = mine
	return lab{s, slbtest.Open[*pool.Target](t, alb.Factory(), cfg, slbtest.Env(slbtest.DefaultKey))}
}

// set is the change of a weight of sgp-ws.
func set(key string, from, to int) state.Change { return slbtest.Weight("sgp-ws/"+key, from, to) }

// exchange is the patent's wording: both weights in one call.
func exchange() []state.Change { return slbtest.Exchange("sgp-ws") }

// exchanged are the weights after it.
func exchanged() map[string]int {
	return map[string]int{"i-a1:8080": 0, "i-a2:8080": 0, "i-b1:8080": 100, "i-b2:8080": 100, "10.0.0.21:8080": 10, "i-two:8080": 5, "i-two:8081": 5}
}
