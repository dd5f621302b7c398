package slbtest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

type describeLoadBalancersRequest struct {
	LoadBalancerId, LoadBalancerName, LoadBalancerStatus string
	PageNumber, PageSize                                 int
}

// Pages of CLB: PageSize 50 by default, at most 100 (from memory).
func (s *Server) describeLoadBalancers(_ *call, r describeLoadBalancersRequest) (reply, error) {
	var found []CLB
	ids := strings.Split(r.LoadBalancerId, ",")
	for _, lb := range s.estate.CLB {
		if (r.LoadBalancerId == "" || slices.Contains(ids, lb.ID)) && (r.LoadBalancerName == "" || r.LoadBalancerName == lb.Name) &&
			(r.LoadBalancerStatus == "" || r.LoadBalancerStatus == lb.Status) {
			found = append(found, lb)
		}
	}
	page, err := pageOf(found, &r.PageNumber, &r.PageSize, 50, 100)
	if err != nil {
		return nil, err
	}
	return reply{
		"PageNumber": r.PageNumber, "PageSize": r.PageSize, "TotalCount": len(found),
		"LoadBalancers": reply{"LoadBalancer": list(page, s.clbReply)},
	}, nil
}

// pageOf is a numbered page; it fills in the defaults.
func pageOf[T any](all []T, number, size *int, usual, most int) ([]T, error) {
	orElse(number, 1)
	orElse(size, usual)
	if *number < 1 || *size < 1 || *size > most {
		return nil, invalid("PageNumber %d must be at least 1 and PageSize %d within 1..%d.", *number, *size, most)
	}
	from := min((*number-1)*(*size), len(all))
	return all[from:min(from+*size, len(all))], nil
}

func (s *Server) clbReply(lb CLB) reply {
	protection := "NonProtection"
	if lb.Protected {
		protection = "ConsoleProtection"
	}
	return reply{
		"LoadBalancerId": lb.ID, "LoadBalancerName": lb.Name, "LoadBalancerStatus": lb.Status, "Address": lb.Address,
		"AddressType": "intranet", "AddressIPVersion": "ipv4", "NetworkType": "vpc", "RegionId": s.o.Region, "RegionIdAlias": s.o.Region,
		"ModificationProtectionStatus": protection, "ServiceManagedMode": managedMode(lb.Managed), "Tags": tagsCLB(lb.Tags),
	}
}

type loadBalancerRequest struct {
	LoadBalancerId string `api:"required"`
}

func (s *Server) describeLoadBalancerAttribute(_ *call, r loadBalancerRequest) (reply, error) {
	lb, err := s.findCLB(r.LoadBalancerId)
	if err != nil {
		return nil, err
	}
	body := s.clbReply(*lb)
	body["ListenerPorts"] = reply{"ListenerPort": list(lb.Listeners, func(l CLBListener) int { return l.Port })}
	body["ListenerPortsAndProtocol"] = reply{"ListenerPortAndProtocol": list(lb.Listeners, func(l CLBListener) reply {
		return reply{"ListenerPort": l.Port, "ListenerProtocol": l.Protocol, "ListenerForward": onOff(l.Forward)}
	})}
	body["BackendServers"] = reply{"BackendServer": list(s.shown(lb.ID, lb.Default), func(m Member) reply {
		return reply{"ServerId": m.ServerID, "ServerIp": m.ServerIP, "Weight": m.Weight, "Type": strings.ToLower(m.Type), "Description": m.Description}
	})}
	return body, nil
}

type describeVServerGroupsRequest struct {
	LoadBalancerId               string `api:"required"`
	IncludeListener, IncludeRule bool
}

func (s *Server) describeVServerGroups(_ *call, r describeVServerGroupsRequest) (reply, error) {
	lb, err := s.findCLB(r.LoadBalancerId)
	if err != nil {
		return nil, err
	}
	return reply{"VServerGroups": reply{"VServerGroup": list(lb.Groups, func(g Group) reply {
		listeners, rules := []reply{}, []reply{}
		for _, l := range lb.Listeners {
			if r.IncludeListener && l.Group == g.ID {
				listeners = append(listeners, reply{"Port": l.Port, "Protocol": l.Protocol})
			}
			for _, rule := range l.Rules {
				if r.IncludeRule && rule.Group == g.ID {
					rules = append(rules, ruleReply(rule))
				}
			}
		}
		return reply{
			"VServerGroupId": g.ID, "VServerGroupName": g.Name, "ServerCount": len(g.Members), "ServiceManagedMode": managedMode(g.Managed),
			"Tags": tagsCLB(g.Tags), "AssociatedObjects": reply{"Listeners": reply{"Listener": listeners}, "Rules": reply{"Rule": rules}},
		}
	})}}, nil
}

type vServerGroupRequest struct {
	VServerGroupId string `api:"required"`
}

func (s *Server) describeVServerGroupAttribute(_ *call, r vServerGroupRequest) (reply, error) {
	lb, g, err := s.findVServerGroup(r.VServerGroupId)
	if err != nil {
		return nil, err
	}
	body := groupReply(g.ID, g.Name, s.shown(g.ID, g.Members))
	body["LoadBalancerId"], body["ServiceManagedMode"], body["Tags"] = lb.ID, managedMode(g.Managed), tagsCLB(g.Tags)
	return body, nil
}

func groupReply(id, name string, members []Member) reply {
	return reply{"VServerGroupId": id, "VServerGroupName": name, "BackendServers": reply{"BackendServer": list(members, memberReplyCLB)}}
}

func memberReplyCLB(m Member) reply {
	return reply{
		"ServerId": m.ServerID, "ServerIp": m.ServerIP, "Port": m.Port, "Weight": m.Weight,
		"Type": strings.ToLower(m.Type), "Description": m.Description,
	}
}

type describeMasterSlaveServerGroupsRequest struct {
	LoadBalancerId  string `api:"required"`
	IncludeListener bool
}

func (s *Server) describeMasterSlaveServerGroups(_ *call, r describeMasterSlaveServerGroupsRequest) (reply, error) {
	lb, err := s.findCLB(r.LoadBalancerId)
	if err != nil {
		return nil, err
	}
	return reply{"MasterSlaveServerGroups": reply{"MasterSlaveServerGroup": list(lb.MasterSlave, func(g MasterSlaveGroup) reply {
		listeners := []reply{}
		for _, l := range lb.Listeners {
			if r.IncludeListener && l.MasterSlave == g.ID {
				listeners = append(listeners, reply{"Port": l.Port, "Protocol": l.Protocol})
			}
		}
		return reply{
			"MasterSlaveServerGroupId": g.ID, "MasterSlaveServerGroupName": g.Name, "ServiceManagedMode": managedMode(false),
			"AssociatedObjects": reply{"Listeners": reply{"Listener": listeners}},
		}
	})}}, nil
}

type masterSlaveRequest struct {
	MasterSlaveServerGroupId string `api:"required"`
}

func (s *Server) describeMasterSlaveServerGroupAttribute(_ *call, r masterSlaveRequest) (reply, error) {
	for _, lb := range s.estate.CLB {
		g := lb.masterSlave(r.MasterSlaveServerGroupId)
		if g == nil {
			continue
		}
		member := func(m Member, role string) reply {
			body := memberReplyCLB(m)
			body["ServerType"], body["Weight"] = role, 100
			return body
		}
		return reply{
			"MasterSlaveServerGroupId": g.ID, "MasterSlaveServerGroupName": g.Name, "LoadBalancerId": lb.ID,
			"MasterSlaveBackendServers": reply{"MasterSlaveBackendServer": []reply{member(g.Master, "Master"), member(g.Slave, "Slave")}},
		}, nil
	}
	return nil, refuse(http.StatusBadRequest, "InvalidParameter", "The specified MasterSlaveServerGroupId %q does not exist.", r.MasterSlaveServerGroupId)
}

type describeHealthStatusRequest struct {
	LoadBalancerId   string `api:"required"`
	ListenerPort     int
	ListenerProtocol string
}

func (s *Server) describeHealthStatus(_ *call, r describeHealthStatusRequest) (reply, error) {
	lb, err := s.findCLB(r.LoadBalancerId)
	if err != nil {
		return nil, err
	}
	if r.ListenerPort != 0 {
		if _, err := s.findListener(lb, r.ListenerProtocol, r.ListenerPort); err != nil {
			return nil, err
		}
	}
	servers := []reply{}
	for _, l := range lb.Listeners {
		if (r.ListenerPort != 0 && l.Port != r.ListenerPort) || (r.ListenerProtocol != "" && l.Protocol != r.ListenerProtocol) {
			continue
		}
		for _, g := range lb.behind(l) {
			for _, m := range g.Members {
				body := reply{
					"ListenerPort": l.Port, "Protocol": l.Protocol, "ServerId": m.ServerID, "ServerIp": m.ServerIP, "Port": m.Port,
					"Weight": strconv.Itoa(m.Weight), "Type": strings.ToLower(m.Type), "ServerHealthStatus": s.healthCLB(lb, l, g, m),
				}
				if m.Port == 0 {
					body["Port"] = l.BackendPort
				}
				servers = append(servers, body)
			}
		}
	}
	return reply{"BackendServers": reply{"BackendServer": servers}}, nil
}

// healthCLB is normal, abnormal or unavailable, where no check has been
// completed. Off is unavailable too (no source).
func (s *Server) healthCLB(lb *CLB, l CLBListener, g Group, m Member) string {
	if s.o.ParkedAbnormal && m.Weight == 0 && (l.Protocol == "tcp" || l.Protocol == "udp") {
		return "abnormal"
	}
	h := s.health[healthKey(clbListenerID(lb.ID, l), memberID(g.ID, m))]
	switch {
	case h == nil, h.state == initial, h.state == unchecked:
		return "unavailable"
	case h.state == healthy:
		return "normal"
	}
	return "abnormal"
}
