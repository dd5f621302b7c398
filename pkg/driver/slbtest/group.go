package slbtest

import (
	"net/http"
	"slices"
	"strings"
)

// flavour is how ALB and NLB differ in what they do with server groups.
type flavour struct {
	batch   int      // entries of a call (META)
	weight  int      // of an entry without one
	busy    apiError // a second write while a job runs
	noGroup string   // codes
	noSrv   string
	types   []string
	groups  func(*Server) *[]Group
}

var (
	albFlavour = flavour{
		40, 100, errGroupBusyALB, "ResourceNotFound.ServerGroup", "ResourceNotFound.BackendServer",
		[]string{"Ecs", "Eni", "Eci", "Ip", "Fc"},
		func(s *Server) *[]Group { return &s.estate.ALBGroups },
	}
	// A weight that was left out has become 0 for users of NLB (Terraform
	// provider, PR 8614).
	nlbFlavour = flavour{
		200, 0, errGroupBusyNLB, "ResourceNotFound.serverGroup", "ResourceNotFound.BackendServer",
		[]string{"Ecs", "Eni", "Eci", "Ip"},
		func(s *Server) *[]Group { return &s.estate.NLBGroups },
	}
)

// serverEntry is an entry of Servers.N.
type serverEntry struct {
	ServerType  string `api:"required"`
	ServerId    string `api:"required"`
	ServerIp    string
	Port        int `api:"required"`
	Weight      *int
	Description *string
}

type serversRequest struct {
	ServerGroupId string        `api:"required"`
	Servers       []serverEntry `api:"required"`
	ClientToken   string
	DryRun        bool
}

func (f flavour) find(s *Server, id string) (*Group, error) {
	if g := byID(*f.groups(s), id); g != nil {
		return g, nil
	}
	return nil, refuse(http.StatusNotFound, f.noGroup, "The specified server group %q is not found.", id)
}

// valid checks a batch by itself.
func (f flavour) valid(entries []serverEntry) error {
	if len(entries) == 0 || len(entries) > f.batch {
		return invalid("Servers must have 1 to %d entries, not %d.", f.batch, len(entries))
	}
	seen := map[serverEntry]bool{}
	for i, e := range entries {
		if !slices.Contains(f.types, e.ServerType) {
			return invalid("Servers.%d.ServerType must be one of %v, not %q.", i+1, f.types, e.ServerType)
		}
		if e.Weight != nil && (*e.Weight < 0 || *e.Weight > 100) {
			return invalid("Servers.%d.Weight %d is not in 0..100.", i+1, *e.Weight)
		}
		if e.Port < 1 || e.Port > 65535 {
			return invalid("Servers.%d.Port %d is not in 1..65535.", i+1, e.Port)
		}
		if (e.ServerType == "Eni" || e.ServerType == "Eci") && e.ServerIp == "" {
			return missing("Servers.ServerIp") // the id alone does not say which address
		}
		key := serverEntry{ServerType: e.ServerType, ServerId: e.ServerId, ServerIp: e.ServerIp, Port: e.Port}
		if seen[key] {
			return invalid("Servers.%d is there twice.", i+1)
		}
		seen[key] = true
	}
	return nil
}

// in finds the one member that an entry means.
func (e serverEntry) in(members []Member) int {
	return slices.IndexFunc(members, func(m Member) bool {
		return m.ServerID == e.ServerId && m.Port == e.Port && strings.EqualFold(m.Type, e.ServerType) && (e.ServerIp == "" || e.ServerIp == m.ServerIP)
	})
}

// update changes the weights of listed servers, when its job is done.
func (f flavour) update(s *Server, c *call, r serversRequest) (reply, error) {
	return f.batched(s, c, r, func(g Group, e serverEntry) error {
		if e.in(g.Members) < 0 {
			return refuse(http.StatusNotFound, f.noSrv, "The specified server %s:%d is not found.", e.ServerId, e.Port)
		}
		return nil
	}, func(g *Group, e serverEntry) {
		i := e.in(g.Members)
		if i < 0 {
			return // somebody has removed it since
		}
		g.Members[i].Weight = f.weightOf(e)
		if e.Description != nil {
			g.Members[i].Description = *e.Description
		}
	})
}

func (f flavour) weightOf(e serverEntry) int {
	if e.Weight == nil {
		return f.weight
	}
	return *e.Weight
}

func (f flavour) add(s *Server, c *call, r serversRequest) (reply, error) {
	return f.batched(s, c, r, func(g Group, e serverEntry) error {
		if e.in(g.Members) >= 0 {
			return refuse(http.StatusBadRequest, "ResourceAlreadyExist.BackendServer", "The server %s:%d is in the group already.", e.ServerId, e.Port) // from memory
		}
		return nil
	}, func(g *Group, e serverEntry) {
		m := Member{ServerID: e.ServerId, ServerIP: e.ServerIp, Port: e.Port, Type: e.ServerType, Weight: f.weightOf(e)}
		if e.Description != nil {
			m.Description = *e.Description
		}
		m.Address = s.addressOf(m)
		g.Members = append(g.Members, m)
	})
}

func (f flavour) remove(s *Server, c *call, r serversRequest) (reply, error) {
	return f.batched(s, c, r, func(g Group, e serverEntry) error {
		if e.in(g.Members) < 0 {
			return refuse(http.StatusNotFound, f.noSrv, "The specified server %s:%d is not found.", e.ServerId, e.Port)
		}
		return nil
	}, func(g *Group, e serverEntry) {
		if i := e.in(g.Members); i >= 0 {
			s.remember(g.Members[i : i+1])
			g.Members = slices.Delete(slices.Clone(g.Members), i, i+1)
		}
	})
}

// batched checks a batch and takes the job that applies its entries.
func (f flavour) batched(s *Server, c *call, r serversRequest, fits func(Group, serverEntry) error, apply func(*Group, serverEntry)) (reply, error) {
	return s.once(c, r.ClientToken, func() (reply, error) {
		g, err := f.find(s, r.ServerGroupId)
		if err != nil {
			return nil, err
		}
		if err := f.valid(r.Servers); err != nil {
			return nil, err
		}
		if s.busy[g.ID] != "" {
			return nil, fail(f.busy)
		}
		var parts []string
		for _, e := range r.Servers {
			if err := fits(*g, e); err != nil {
				return nil, err
			}
			parts = append(parts, memberID(g.ID, Member{ServerID: e.ServerId, Port: e.Port}))
		}
		if r.DryRun {
			return nil, fail(errDryRun)
		}
		id := g.ID
		return s.submit(c, "servergroup", id, parts, func(entries int) {
			g := byID(*f.groups(s), id)
			if g == nil {
				return
			}
			for i, e := range r.Servers {
				if entries >= 0 && i >= entries {
					return
				}
				apply(g, e)
			}
		}), nil
	})
}

// serverReply is what a listed server looks like.
func (s *Server) serverReply(g Group, m Member) reply {
	return reply{
		"ServerId": m.ServerID, "ServerIp": m.ServerIP, "ServerType": m.Type, "Port": m.Port, "Weight": m.Weight,
		"Description": m.Description, "ServerGroupId": g.ID, "Status": s.statusOf(memberID(g.ID, m)),
	}
}
