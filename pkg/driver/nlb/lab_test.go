package nlb_test

import (
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/driver/nlb"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

func account(s *slbtest.Server) aliyun.Account {
	return aliyun.Account{
		Region: s.Region(), Endpoint: s.URL(), AccessKeyID: slbtest.KeyRef, AccessKeySecret: slbtest.SecretRef,
		Timeout: 10 * time.Second, Rate: 10000, RetryFor: 20 * time.Second,
	}
}

// estate is a load balancer with a group that serves and one that is parked.
func estate(addr string) slbtest.Estate {
	member := func(id, ip string, weight int) slbtest.Member {
		return slbtest.Member{ServerID: id, ServerIP: ip, Port: 8080, Weight: weight, Address: addr, Description: id + " & co"}
	}
	return slbtest.Estate{
		NLB: []slbtest.NLB{{ID: "nlb-1", Listeners: []slbtest.NLBListener{{ID: "lsn-1", Port: 80, Group: "sgp-l4"}, {ID: "lsn-2", Port: 81, Group: "sgp-l4"}}}},
		NLBGroups: []slbtest.Group{
			{ID: "sgp-l4", Members: slbtest.TwoSides(addr, "one & co")},
			{ID: "sgp-other", Members: []slbtest.Member{member("i-c1", "10.0.0.41", 100)}},
			{ID: "sgp-parked", Members: []slbtest.Member{member("i-d1", "10.0.0.51", 0)}},
		},
	}
}

// lab is a stand-in with the estate and a target on sgp-l4.
type lab struct {
	*slbtest.Server
	*pool.Target
}

func newLab(t *testing.T, edit func(*slbtest.Options, *nlb.Config)) lab {
	t.Helper()
	addr, _ := slbtest.Alive(t)
	o := slbtest.Options{PlainHTTP: true, Estate: estate(addr)}
	cfg := nlb.Config{ServerGroup: "sgp-l4"}
	if edit != nil {
		edit(&o, &cfg)
	}
	s := slbtest.Start(t, o)
	mine := account(s)
	if cfg.Timeout != 0 {
		mine.Timeout = cfg.Timeout
	}
	cfg.Account = mine
	return lab{s, slbtest.Open[*pool.Target](t, nlb.Factory(), cfg, slbtest.Env(slbtest.DefaultKey))}
}

// set is the change of a weight of sgp-l4.
func set(key string, from, to int) state.Change { return slbtest.Weight("sgp-l4/"+key, from, to) }

// exchange is the patent's wording: both weights in one call.
func exchange() []state.Change { return slbtest.Exchange("sgp-l4") }

// exchanged are the weights after it.
func exchanged() map[string]int {
	return map[string]int{"i-a1:8080": 0, "i-a2:8080": 0, "i-b1:8080": 100, "i-b2:8080": 100, "10.0.0.21:8080": 10, "i-two:8080": 5, "i-two:8081": 5}
}
