package aliyun

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// What ALB and NLB have in common: server groups, jobs, listeners.

// ServerGroup is a server group of ALB or NLB.
type ServerGroup struct {
	ID        string
	Status    string // Creating, Available, Configuring
	Scheduler string
	Owner     string
	Checked   bool     // health checks are on
	Listeners []string // of ALB: what uses it
	Rules     []string
	Balancers []string
}

type groupAnswer struct {
	ServerGroupID      string   `json:"ServerGroupId"`
	ServerGroupStatus  string   `json:"ServerGroupStatus"`
	Scheduler          string   `json:"Scheduler"`
	ServiceManagedMode string   `json:"ServiceManagedMode"`
	RelatedListenerIDs []string `json:"RelatedListenerIds"`
	RelatedRuleIDs     []string `json:"RelatedRuleIds"`
	RelatedBalancerIDs []string `json:"RelatedLoadBalancerIds"`
	Tags               []Tag    `json:"Tags"`
	HealthCheckConfig  *checkOn `json:"HealthCheckConfig"` // ALB
	HealthCheck        *checkOn `json:"HealthCheck"`       // NLB
}

type checkOn struct {
	HealthCheckEnabled *Flag `json:"HealthCheckEnabled"`
}

func (g groupAnswer) group() ServerGroup {
	on := cmp.Or(g.HealthCheckConfig, g.HealthCheck)
	return ServerGroup{
		ID: g.ServerGroupID, Status: g.ServerGroupStatus, Scheduler: g.Scheduler, Owner: Owner(g.ServiceManagedMode, g.Tags),
		Checked:   on == nil || on.HealthCheckEnabled == nil || bool(*on.HealthCheckEnabled),
		Listeners: g.RelatedListenerIDs, Rules: g.RelatedRuleIDs, Balancers: g.RelatedBalancerIDs,
	}
}

// serverGroups reads server groups by id; what does not exist is not in the
// map.
func (c *Client) serverGroups(ctx context.Context, ids []string, extra Params) (map[string]ServerGroup, error) {
	found := map[string]ServerGroup{}
	for part := range slices.Chunk(ids, 20) {
		err := pages(func(token string) (string, error) {
			var out struct {
				NextToken    string
				ServerGroups []groupAnswer
			}
			p := Params{"MaxResults": "100", "NextToken": token}.List("ServerGroupIds", part)
			maps.Copy(p, extra)
			err := c.Do(ctx, Request{Action: "ListServerGroups", Resource: strings.Join(part, ","), Params: p}, &out)
			for _, g := range out.ServerGroups {
				found[g.ServerGroupID] = g.group()
			}
			return out.NextToken, err
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// servers reads all servers of a group, page by page.
func (c *Client) servers(ctx context.Context, group string) ([]Server, error) {
	var all []Server
	err := pages(func(token string) (string, error) {
		var out struct {
			NextToken string
			Servers   []struct {
				Server
				ServerType string
			}
		}
		p := Params{"ServerGroupId": group, "MaxResults": "100", "NextToken": token}
		err := c.Do(ctx, Request{Action: "ListServerGroupServers", Resource: group, Params: p}, &out)
		for _, s := range out.Servers {
			s.Type = s.ServerType
			all = append(all, s.Server)
		}
		return out.NextToken, err
	})
	return all, err
}

// update is UpdateServerGroupServersAttribute: the listed servers get their
// weights, each with its whole tuple.
func update(group string, servers []Server, token string) Request {
	p := Params{"ServerGroupId": group, "ClientToken": token}
	for i, s := range servers {
		at := "Servers." + strconv.Itoa(i+1) + "."
		p[at+"ServerType"], p[at+"ServerId"], p[at+"ServerIp"] = s.Type, s.ServerID, s.ServerIP
		p[at+"Port"], p[at+"Weight"], p[at+"Description"] = strconv.Itoa(int(s.Port)), strconv.Itoa(int(s.Weight)), s.Description
		if !s.byIP() {
			delete(p, at+"ServerIp")
		}
	}
	return Request{Action: "UpdateServerGroupServersAttribute", Resource: group, Params: p, Write: true}
}

// job sends a write and returns the id of the job that it began.
func (c *Client) job(ctx context.Context, req Request) (string, error) {
	var out struct {
		JobID string `json:"JobId"`
	}
	err := c.Do(ctx, req, &out)
	return out.JobID, err
}

// Job is where an asynchronous change stands.
type Job struct {
	Done    bool
	Failed  bool
	Status  string
	Code    string
	Message string
}

func jobOf(status, code, message string) Job {
	return Job{
		Done: strings.EqualFold(status, "succeeded"), Failed: strings.EqualFold(status, "failed"),
		Status: status, Code: code, Message: brief(message),
	}
}

// Listener is a listener of ALB or NLB.
type Listener struct {
	ID     string
	Status string // Provisioning, Running, Configuring, Stopped
	Owner  string
	// Group is where the default action forwards to; empty when it does
	// something else, or forwards to several.
	Group string
}
