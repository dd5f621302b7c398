package slbtest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// backend is an entry of the BackendServers parameter of CLB, a JSON list.
// Numbers may be strings. An omitted weight is 100 (SLBv4).
type backend struct {
	ServerId, ServerIp, Type string
	Port, Weight             *number
	Description              *string
}

// number is an integer, or a string with one in it.
type number int

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(b []byte) error {
	i, err := strconv.Atoi(strings.Trim(string(b), `"`))
	if err != nil {
		return err
	}
	*n = number(i)
	return nil
}

const batchCLB = 20 // SLBv4

// backends reads a batch.
func backends(text string, withPort bool) ([]backend, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var all []backend
	if err := decoder.Decode(&all); err != nil || decoder.More() {
		return nil, invalid("The parameter BackendServers is not a JSON list of servers: %v.", err)
	}
	if len(all) == 0 || len(all) > batchCLB {
		return nil, invalid("BackendServers must have 1 to %d entries, not %d.", batchCLB, len(all))
	}
	seen := map[string]bool{}
	for i := range all {
		b := &all[i]
		if b.Weight == nil {
			hundred := number(100)
			b.Weight = &hundred
		}
		if b.ServerId == "" || (withPort && b.Port == nil) || (!withPort && b.Port != nil) {
			return nil, invalid("Entry %d of BackendServers must have a ServerId and, in a VServer group only, a Port.", i+1)
		}
		if *b.Weight < 0 || *b.Weight > 100 {
			return nil, invalid("The weight %d of %s is not in 0..100.", *b.Weight, b.ServerId)
		}
		if b.Port != nil && (*b.Port < 1 || *b.Port > 65535) {
			return nil, invalid("The port %d of %s is not in 1..65535.", *b.Port, b.ServerId)
		}
		key := b.ServerId + " " + b.ServerIp + " " + strconv.Itoa(b.port())
		if seen[key] {
			return nil, invalid("%s is there twice.", b.ServerId)
		}
		seen[key] = true
	}
	return all, nil
}

func (b backend) port() int {
	if b.Port == nil {
		return 0
	}
	return int(*b.Port)
}

// in finds the one member that is meant.
func (b backend) in(members []Member) (int, error) {
	found := -1
	for i, m := range members {
		if m.ServerID != b.ServerId || m.Port != b.port() || (b.ServerIp != "" && m.ServerIP != b.ServerIp) || (b.Type != "" && !strings.EqualFold(b.Type, m.Type)) {
			continue
		}
		if found >= 0 {
			return 0, invalid("%s:%d is more than one server; ServerIp must say which.", b.ServerId, b.port())
		}
		found = i
	}
	if found < 0 {
		return 0, invalid("The specified backend server %s:%d does not exist in the group.", b.ServerId, b.port())
	}
	return found, nil
}

// set changes the listed members and no others; a fault may stop it halfway.
func set(c *call, members []Member, batch []backend) (done []Member, err error) {
	after := slices.Clone(members)
	at := make([]int, len(batch))
	for i, b := range batch {
		if at[i], err = b.in(after); err != nil {
			return nil, err
		}
	}
	for i, b := range batch {
		if c.fault.Kind == Partial && i == c.fault.Entries {
			return after, c.fault.error(errInternal)
		}
		after[at[i]].Weight = int(*b.Weight)
		if b.Description != nil {
			after[at[i]].Description = *b.Description
		}
	}
	return after, nil
}

type setVServerGroupAttributeRequest struct {
	VServerGroupId   string `api:"required"`
	VServerGroupName *string
	BackendServers   *string
}

func (s *Server) setVServerGroupAttribute(c *call, r setVServerGroupAttributeRequest) (reply, error) {
	lb, g, err := s.findVServerGroup(r.VServerGroupId)
	if err != nil {
		return nil, err
	}
	if r.BackendServers == nil && r.VServerGroupName == nil {
		return nil, missing("BackendServers")
	}
	before, after := g.Members, g.Members
	if r.BackendServers != nil {
		batch, err := backends(*r.BackendServers, true)
		if err != nil {
			return nil, err
		}
		if err := s.begin(lb.ID, g.ID); err != nil {
			return nil, err
		}
		if after, err = set(c, g.Members, batch); err != nil {
			return nil, s.halfway(c, lb.ID, g.ID, &g.Members, after, err)
		}
	} else if err := s.begin(lb.ID, g.ID); err != nil {
		return nil, err
	}
	g.Members = after
	if r.VServerGroupName != nil {
		g.Name = *r.VServerGroupName
	}
	s.end(lb.ID, g.ID, before)
	return groupReply(g.ID, g.Name, g.Members), nil
}

// halfway keeps what a fault let through of a batch.
func (s *Server) halfway(c *call, lb, group string, members *[]Member, after []Member, err error) error {
	if after != nil {
		before := *members
		*members, c.Applied = after, c.fault.Entries > 0
		s.end(lb, group, before)
	}
	return err
}

type backendServersRequest struct {
	VServerGroupId string `api:"required"`
	BackendServers string `api:"required"`
}

func (s *Server) addVServerGroupBackendServers(_ *call, r backendServersRequest) (reply, error) {
	lb, g, err := s.findVServerGroup(r.VServerGroupId)
	if err != nil {
		return nil, err
	}
	batch, err := backends(r.BackendServers, true)
	if err != nil {
		return nil, err
	}
	if err := s.begin(lb.ID, g.ID); err != nil {
		return nil, err
	}
	after := slices.Clone(g.Members)
	for _, b := range batch {
		if _, err := b.in(after); err == nil {
			return nil, invalid("%s:%d is in the group already.", b.ServerId, b.port())
		}
		m := Member{ServerID: b.ServerId, ServerIP: b.ServerIp, Port: b.port(), Weight: int(*b.Weight), Type: b.Type}
		if b.Description != nil {
			m.Description = *b.Description
		}
		m.Address = s.addressOf(m)
		after = append(after, m)
	}
	before := g.Members
	g.Members = after
	s.end(lb.ID, g.ID, before)
	return groupReply(g.ID, g.Name, g.Members), nil
}

// addressOf needs mu. A server that was removed listens where it did before.
func (s *Server) addressOf(m Member) string {
	return s.known[m.ServerID+" "+m.ServerIP+" "+strconv.Itoa(m.Port)]
}

func (s *Server) remember(members []Member) {
	for _, m := range members {
		s.known[m.ServerID+" "+m.ServerIP+" "+strconv.Itoa(m.Port)] = m.Address
		s.known[m.ServerID+"  "+strconv.Itoa(m.Port)] = m.Address
	}
}

func (s *Server) removeVServerGroupBackendServers(_ *call, r backendServersRequest) (reply, error) {
	lb, g, err := s.findVServerGroup(r.VServerGroupId)
	if err != nil {
		return nil, err
	}
	batch, err := backends(r.BackendServers, true)
	if err != nil {
		return nil, err
	}
	if err := s.begin(lb.ID, g.ID); err != nil {
		return nil, err
	}
	after := slices.Clone(g.Members)
	for _, b := range batch {
		i, err := b.in(after)
		if err != nil {
			return nil, err
		}
		after = slices.Delete(after, i, i+1)
	}
	before := g.Members
	s.remember(before)
	g.Members = after
	s.end(lb.ID, g.ID, before)
	return groupReply(g.ID, g.Name, g.Members), nil
}

type setBackendServersRequest struct {
	LoadBalancerId string `api:"required"`
	BackendServers string `api:"required"`
}

func (s *Server) setBackendServers(c *call, r setBackendServersRequest) (reply, error) {
	lb, err := s.findCLB(r.LoadBalancerId)
	if err != nil {
		return nil, err
	}
	batch, err := backends(r.BackendServers, false)
	if err != nil {
		return nil, err
	}
	if err := s.begin(lb.ID, lb.ID); err != nil {
		return nil, err
	}
	after, err := set(c, lb.Default, batch)
	if err != nil {
		return nil, s.halfway(c, lb.ID, lb.ID, &lb.Default, after, err)
	}
	before := lb.Default
	lb.Default = after
	s.end(lb.ID, lb.ID, before)
	return reply{"LoadBalancerId": lb.ID, "BackendServers": reply{"BackendServer": list(after, func(m Member) reply {
		return reply{"ServerId": m.ServerID, "ServerIp": m.ServerIP, "Weight": strconv.Itoa(m.Weight), "Type": strings.ToLower(m.Type), "Description": m.Description}
	})}}, nil
}
