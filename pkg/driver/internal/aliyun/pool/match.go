package pool

import (
	"net/netip"
	"strings"

	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/state"
)

// Match reads a pattern of a plan that is more than a name: an address range
// (10.1.0.0/24), an address, or a name with a port where the port is not part
// of the name. An address or an instance that has several entries is no
// pattern for any of them: their names have the port.
func (t *Target) Match(pattern string) (func(state.Object) bool, error) {
	if prefix, err := netip.ParsePrefix(pattern); err == nil {
		prefix = prefix.Masked()
		return func(o state.Object) bool {
			addr, err := netip.ParseAddr(o.Info["host"])
			return err == nil && prefix.Contains(addr.Unmap())
		}, nil
	}
	if addr, err := netip.ParseAddr(pattern); err == nil {
		return func(o state.Object) bool {
			host, err := netip.ParseAddr(o.Info["host"])
			return err == nil && host.Unmap() == addr.Unmap() && o.Info["entries"] == ""
		}, nil
	}
	if strings.ContainsAny(pattern, "*?[") && !strings.HasPrefix(pattern, "[") {
		return nil, nil //nolint:nilnil // the contract: a pattern of names
	}
	if strings.Contains(pattern, ":") {
		return func(o state.Object) bool {
			return o.Name == pattern || o.Info["address"] == pattern || o.Info["entry"] == pattern
		}, nil
	}
	return nil, nil //nolint:nilnil // the contract: it is a name
}

// OfServers makes members of the entries of a group. A server that has one
// entry is called by its id; of one that has several, every entry has its
// port in its name. hosts are addresses that the API does not tell.
func OfServers(group string, servers []aliyun.Server, hosts map[string]string) []Member {
	times, ats := map[string]int{}, map[string]int{}
	host := func(s aliyun.Server) string {
		if h := hosts[s.ServerID]; h != "" {
			return h
		}
		return s.ServerIP
	}
	for _, s := range servers {
		times[s.ServerID]++
		ats[host(s)]++
	}
	members := make([]Member, len(servers))
	for i, s := range servers {
		m := Member{ID: group + "/" + s.Key(), Name: s.ServerID, Weight: int(s.Weight), Ref: s, Info: map[string]string{
			"server": s.ServerID, "type": s.Type, "entry": s.Key(), "group": group,
		}}
		if h := host(s); h != "" {
			m.Info["host"] = h
			if s.Port != 0 {
				m.Info["address"] = join(h, int(s.Port))
			}
			if ats[h] > 1 {
				m.Info["entries"] = "several"
			}
		}
		if times[s.ServerID] > 1 {
			m.Name = s.Key()
		}
		if s.Status != "" && !strings.EqualFold(s.Status, "available") {
			m.Busy = s.Status
		}
		if s.Description != "" {
			m.Info["description"] = s.Description
		}
		members[i] = m
	}
	return members
}
