package aliyun

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
)

// SLB is the classic load balancer (CLB), API version 2014-05-15. Its calls
// are synchronous and have no token that would make a repetition harmless.
type SLB struct{ *Client }

// OpenSLB makes a client of the classic load balancer.
func OpenSLB(a Account, env driver.Env) (SLB, error) {
	c, err := Open(Product{Name: "slb", Version: "2014-05-15"}, a, env)
	return SLB{c}, err
}

// slbServers are the entries as this API lists them.
type slbServers struct {
	BackendServer []struct {
		Server
		Kind string `json:"Type"`
	}
}

func (l slbServers) servers() []Server {
	all := make([]Server, len(l.BackendServer))
	for i, s := range l.BackendServer {
		all[i] = s.Server
		all[i].Type = cmp.Or(s.Kind, "ecs")
	}
	return all
}

type slbTags struct{ Tag []Tag }

// SLBGroup is a vserver group.
type SLBGroup struct {
	LoadBalancer string
	Name         string
	Owner        string
	Servers      []Server
}

// Group reads a vserver group.
func (c SLB) Group(ctx context.Context, id string) (SLBGroup, error) {
	var out struct {
		LoadBalancerID     string     `json:"LoadBalancerId"`
		VServerGroupName   string     `json:"VServerGroupName"`
		ServiceManagedMode string     `json:"ServiceManagedMode"`
		Tags               slbTags    `json:"Tags"`
		BackendServers     slbServers `json:"BackendServers"`
	}
	err := c.Do(ctx, Request{Action: "DescribeVServerGroupAttribute", Resource: id, Params: Params{"VServerGroupId": id}}, &out)
	return SLBGroup{out.LoadBalancerID, out.VServerGroupName, Owner(out.ServiceManagedMode, out.Tags.Tag), out.BackendServers.servers()}, err
}

// IsMasterSlave reports whether a group that is no vserver group is a
// master/slave group.
func (c SLB) IsMasterSlave(ctx context.Context, id string) bool {
	err := c.Do(ctx, Request{Action: "DescribeMasterSlaveServerGroupAttribute", Resource: id, Params: Params{"MasterSlaveServerGroupId": id}}, nil)
	return err == nil
}

// SLBBalancer is a load balancer.
type SLBBalancer struct {
	Status     string // active, inactive, locked
	Protection string // ConsoleProtection binds the console only
	Owner      string
	Servers    []Server // of the default group; they have no port
}

// Balancer reads a load balancer.
func (c SLB) Balancer(ctx context.Context, id string) (SLBBalancer, error) {
	var out struct {
		LoadBalancerStatus           string     `json:"LoadBalancerStatus"`
		ModificationProtectionStatus string     `json:"ModificationProtectionStatus"`
		ServiceManagedMode           string     `json:"ServiceManagedMode"`
		Tags                         slbTags    `json:"Tags"`
		BackendServers               slbServers `json:"BackendServers"`
	}
	err := c.Do(ctx, Request{Action: "DescribeLoadBalancerAttribute", Resource: id, Params: Params{"LoadBalancerId": id}}, &out)
	servers := out.BackendServers.servers()
	for i := range servers {
		servers[i].Port = 0
	}
	return SLBBalancer{out.LoadBalancerStatus, out.ModificationProtectionStatus, Owner(out.ServiceManagedMode, out.Tags.Tag), servers}, err
}

// SLBHealth is what a listener's health check says about one server.
type SLBHealth struct {
	ListenerPort Number `json:"ListenerPort"`
	ServerID     string `json:"ServerId"`
	ServerIP     string `json:"ServerIp"`
	Port         Number `json:"Port"`
	Status       string `json:"ServerHealthStatus"` // normal, abnormal, unavailable
}

// Health reads the health of every server at every listener.
func (c SLB) Health(ctx context.Context, lb string) ([]SLBHealth, error) {
	var out struct {
		BackendServers struct{ BackendServer []SLBHealth }
	}
	err := c.Do(ctx, Request{Action: "DescribeHealthStatus", Resource: lb, Params: Params{"LoadBalancerId": lb}}, &out)
	return out.BackendServers.BackendServer, err
}

// CheckOf is what the listeners with those ports say about a server. At weight
// 0 an abnormal server says nothing: older layer 4 listeners show every parked
// server so.
func CheckOf(all []SLBHealth, ports []int, s Server) Check {
	check := Check{Unchecked, "no listener checks it"}
	for _, h := range all {
		if !s.fits(h.ServerID, h.ServerIP, h.Port) || !slices.Contains(ports, int(h.ListenerPort)) {
			continue
		}
		said := Check{Pending, h.Status}
		switch {
		case strings.EqualFold(h.Status, "normal"):
			said.State = Good
		case strings.EqualFold(h.Status, "abnormal") && s.Weight > 0:
			said.State = Bad
		case strings.EqualFold(h.Status, "abnormal"):
			said = Check{Unchecked, h.Status + " at weight 0"}
		}
		said.Detail += fmt.Sprintf(" at listener %d", h.ListenerPort)
		if check.State == Unchecked {
			check = said
		} else {
			check = check.Worse(said)
		}
	}
	if check.State == Unchecked && len(ports) > 0 && check.Detail == "no listener checks it" {
		return Check{Pending, "not listed by its listeners yet"}
	}
	return check
}

// slbBackend is an entry of the BackendServers parameter. Weight is always
// sent: left out it becomes 100.
type slbBackend struct {
	ServerID    string `json:"ServerId"`
	Port        string `json:"Port,omitempty"`
	Weight      string `json:"Weight"`
	Type        string `json:"Type"`
	ServerIP    string `json:"ServerIp,omitempty"`
	Description string `json:"Description,omitempty"`
}

func slbBackends(servers []Server) string {
	all := make([]slbBackend, len(servers))
	for i, s := range servers {
		all[i] = slbBackend{ServerID: s.ServerID, Weight: strconv.Itoa(int(s.Weight)), Type: s.Type, Description: s.Description}
		if s.Port != 0 {
			all[i].Port = strconv.Itoa(int(s.Port))
		}
		if s.byIP() {
			all[i].ServerIP = s.ServerIP
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		panic(err) // texts always encode
	}
	return string(b)
}

// SetGroupWeights sets the weights of the listed servers of a vserver group,
// at most 20; the others stay as they are.
func (c SLB) SetGroupWeights(ctx context.Context, group string, servers []Server) error {
	p := Params{"VServerGroupId": group, "BackendServers": slbBackends(servers)}
	return c.Do(ctx, Request{Action: "SetVServerGroupAttribute", Resource: group, Params: p, Write: true}, nil)
}

// SetDefaultWeights does the same in the default group of a load balancer.
func (c SLB) SetDefaultWeights(ctx context.Context, lb string, servers []Server) error {
	p := Params{"LoadBalancerId": lb, "BackendServers": slbBackends(servers)}
	return c.Do(ctx, Request{Action: "SetBackendServers", Resource: lb, Params: p, Write: true}, nil)
}
