package slb_test

import (
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/driver/slb"
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
		return slbtest.Member{ServerID: id, ServerIP: ip, Port: 8080, Weight: weight, Address: addr}
	}
	web := slbtest.TwoSides(addr, `a "server"`)
	web[4] = slbtest.Member{ServerID: "eni-1", ServerIP: "10.0.0.21", Port: 8080, Weight: 10, Type: "eni", Address: addr}
	return slbtest.Estate{CLB: []slbtest.CLB{{
		ID: "lb-1",
		Default: []slbtest.Member{
			{ServerID: "i-a1", ServerIP: "10.0.0.1", Weight: 100, Address: addr}, {ServerID: "i-b1", ServerIP: "10.0.0.11", Weight: 0, Address: addr},
		},
		Groups: []slbtest.Group{
			{ID: "rsp-web", Name: "web", Members: web},
			{ID: "rsp-other", Members: []slbtest.Member{member("i-c1", "10.0.0.41", 100)}},
			{ID: "rsp-parked", Members: []slbtest.Member{member("i-d1", "10.0.0.51", 0)}},
		},
		MasterSlave: []slbtest.MasterSlaveGroup{{ID: "rsp-ms", Master: member("i-m", "10.0.0.61", 100), Slave: member("i-s", "10.0.0.62", 0)}},
		Listeners: []slbtest.CLBListener{
			{Port: 80, Protocol: "http", Group: "rsp-web", Rules: []slbtest.CLBRule{{ID: "rule-1", Domain: "a.example.com", Group: "rsp-web"}}},
			{Port: 443, Protocol: "https", Forward: false, Group: "rsp-web"},
			{Port: 81, Protocol: "http", Forward: true},
			{Port: 3306, Protocol: "tcp", MasterSlave: "rsp-ms"},
			{Port: 9000, Protocol: "tcp", BackendPort: 9000},
		},
	}}}
}

// lab is a stand-in with the estate and a target on rsp-web.
type lab struct {
	*slbtest.Server
	*pool.Target
}

func newLab(t *testing.T, edit func(*slbtest.Options, *slb.Config)) lab {
	t.Helper()
	addr, _ := slbtest.Alive(t)
	o := slbtest.Options{PlainHTTP: true, Estate: estate(addr)}
	cfg := slb.Config{VServerGroup: "rsp-web"}
	if edit != nil {
		edit(&o, &cfg)
	}
	s := slbtest.Start(t, o)
	mine := account(s)
	if cfg.Timeout != 0 {
		mine.Timeout = cfg.Timeout
	}
	cfg.Account = mine
	return lab{s, slbtest.Open[*pool.Target](t, slb.Factory(), cfg, slbtest.Env(slbtest.DefaultKey))}
}

// set is the change of a weight of rsp-web.
func set(key string, from, to int) state.Change { return slbtest.Weight("rsp-web/"+key, from, to) }

// exchange is the patent's wording: both weights in one call.
func exchange() []state.Change { return slbtest.Exchange("rsp-web") }

// exchanged are the weights after it.
func exchanged() map[string]int {
	return map[string]int{"i-a1:8080": 0, "i-a2:8080": 0, "i-b1:8080": 100, "i-b2:8080": 100, "eni-1:8080": 10, "i-two:8080": 5, "i-two:8081": 5}
}
