package slbtest

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
)

// Seed adds to the estate. The new members are checked once before it returns,
// and traffic and DNS follow at once. An estate that contradicts itself is
// refused as a whole.
func (s *Server) Seed(e Estate) error {
	s.mu.Lock()
	next := clone(s.estate)
	add := clone(e)
	next.CLB = append(next.CLB, add.CLB...)
	next.ALB = append(next.ALB, add.ALB...)
	next.ALBGroups = append(next.ALBGroups, add.ALBGroups...)
	next.NLB = append(next.NLB, add.NLB...)
	next.NLBGroups = append(next.NLBGroups, add.NLBGroups...)
	next.Zones = append(next.Zones, add.Zones...)
	s.fill(&next)
	if err := next.check(); err != nil {
		s.mu.Unlock()
		return fmt.Errorf("estate: %w", err)
	}
	s.estate = next
	s.current = s.table()
	s.versions++
	s.serial = s.versions
	s.mu.Unlock()
	s.probe(true)
	s.mu.Lock()
	s.publish()
	s.mu.Unlock()
	return s.steer()
}

// Edit changes the estate behind the API's back, as a console or another
// controller does; traffic follows after the lag.
func (s *Server) Edit(fn func(*Estate)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(&s.estate)
	s.changed()
	s.zonesChanged()
}

// Estate is what there is now: what the API would show without read lags.
func (s *Server) Estate() Estate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return clone(s.estate)
}

// Weights are those of a group by Member.Key; of a CLB's default group by its
// load balancer's id. nil when there is none.
func (s *Server) Weights(group string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	members := s.membersOf(group)
	if members == nil {
		return nil
	}
	weights := map[string]int{}
	for _, m := range *members {
		weights[m.Key()] = m.Weight
	}
	return weights
}

// membersOf needs mu.
func (s *Server) membersOf(group string) *[]Member {
	e := &s.estate
	for _, groups := range []([]Group){e.ALBGroups, e.NLBGroups} {
		if g := byID(groups, group); g != nil {
			return &g.Members
		}
	}
	for i := range e.CLB {
		if e.CLB[i].ID == group {
			return &e.CLB[i].Default
		}
		if g := byID(e.CLB[i].Groups, group); g != nil {
			return &g.Members
		}
	}
	return nil
}

func byID(groups []Group, id string) *Group {
	i := slices.IndexFunc(groups, func(g Group) bool { return g.ID == id })
	if i < 0 {
		return nil
	}
	return &groups[i]
}

// clone copies deeply.
func clone[T any](v T) T {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data
	}
	var c T
	if err := json.Unmarshal(b, &c); err != nil {
		panic(err)
	}
	return c
}

// fill puts defaults in place of what was left out.
func (s *Server) fill(e *Estate) {
	for i := range e.CLB {
		lb := &e.CLB[i]
		orElse(&lb.Status, "active")
		fillMembers(lb.Default)
		for j := range lb.Groups {
			fillMembers(lb.Groups[j].Members)
		}
		for j := range lb.Listeners {
			orElse(&lb.Listeners[j].Scheduler, "wrr")
			orElse(&lb.Listeners[j].Status, "running")
		}
	}
	for i := range e.ALB {
		orElse(&e.ALB[i].Edition, "Standard")
		orElse(&e.ALB[i].Status, "Active")
		for j := range e.ALB[i].Listeners {
			orElse(&e.ALB[i].Listeners[j].Protocol, "HTTP")
			orElse(&e.ALB[i].Listeners[j].Status, "Running")
		}
	}
	for i := range e.NLB {
		orElse(&e.NLB[i].Status, "Active")
		for j := range e.NLB[i].Listeners {
			orElse(&e.NLB[i].Listeners[j].Protocol, "TCP")
			orElse(&e.NLB[i].Listeners[j].Status, "Running")
		}
	}
	fillGroups(e.ALBGroups, "HTTP")
	fillGroups(e.NLBGroups, "TCP")
	for i := range e.Zones {
		z := &e.Zones[i]
		orElse(&z.MinTTL, 600)
		orElse(&z.Version, "mianfei")
		for j := range z.Records {
			orElse(&z.Records[j].ID, s.recordID())
			s.fillRecord(z, &z.Records[j])
		}
	}
}

func fillGroups(groups []Group, protocol string) {
	for i := range groups {
		orElse(&groups[i].Scheduler, "Wrr")
		orElse(&groups[i].Protocol, protocol)
		fillMembers(groups[i].Members)
	}
}

func fillMembers(members []Member) {
	for i := range members {
		m := &members[i]
		orElse(&m.Type, "Ecs")
		if strings.EqualFold(m.Type, "Ip") {
			orElse(&m.ServerIP, m.ServerID)
		}
		if m.ServerIP == "" {
			if host, _, err := net.SplitHostPort(m.Address); err == nil {
				m.ServerIP = host
			}
		}
	}
}
