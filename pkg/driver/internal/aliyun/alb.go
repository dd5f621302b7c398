package aliyun

import (
	"context"

	"github.com/flip-cli/flip/pkg/driver"
)

// ALB is the application load balancer, API version 2020-06-16. Its writes are
// jobs: an answer says that one was accepted.
type ALB struct{ *Client }

// OpenALB makes a client of the application load balancer.
func OpenALB(a Account, env driver.Env) (ALB, error) {
	c, err := Open(Product{Name: "alb", Version: "2020-06-16"}, a, env)
	return ALB{c}, err
}

// Groups reads server groups with what uses them.
func (c ALB) Groups(ctx context.Context, ids ...string) (map[string]ServerGroup, error) {
	return c.serverGroups(ctx, ids, Params{"ShowRelationEnabled": "true"})
}

// Servers reads the servers of a group.
func (c ALB) Servers(ctx context.Context, group string) ([]Server, error) {
	return c.servers(ctx, group)
}

// SetWeights begins to set weights, of at most 40 servers. Repeating it with
// the same token is harmless.
func (c ALB) SetWeights(ctx context.Context, group string, servers []Server, token string) (job string, err error) {
	return c.job(ctx, update(group, servers, token))
}

// MaySetWeights asks whether SetWeights would be accepted.
func (c ALB) MaySetWeights(ctx context.Context, group string, servers []Server) error {
	return c.DryRun(ctx, update(group, servers, ""))
}

// Job reads a job.
func (c ALB) Job(ctx context.Context, id string) (Job, error) {
	var out struct {
		Jobs []struct {
			ID           string `json:"Id"`
			Status       string
			ErrorCode    Word
			ErrorMessage Word
		}
	}
	err := c.Do(ctx, Request{Action: "ListAsynJobs", Resource: id, Params: Params{}.List("JobIds", []string{id})}, &out)
	for _, j := range out.Jobs {
		if j.ID == id || (j.ID == "" && len(out.Jobs) == 1) {
			return jobOf(j.Status, string(j.ErrorCode), string(j.ErrorMessage)), err
		}
	}
	return Job{Status: "not listed yet"}, err
}

// Health reads what a listener and its rules say about their server groups.
func (c ALB) Health(ctx context.Context, listener string) ([]GroupHealth, error) {
	return c.health(ctx, listener, Params{"IncludeRule": "true"})
}

// Listener reads a listener.
func (c ALB) Listener(ctx context.Context, id string) (Listener, error) {
	var out struct {
		ListenerStatus     string
		ServiceManagedMode string
		Tags               []Tag
		DefaultActions     []struct {
			Type               string
			ForwardGroupConfig struct {
				ServerGroupTuples []struct {
					ServerGroupID string `json:"ServerGroupId"`
				}
			}
		}
	}
	err := c.Do(ctx, Request{Action: "GetListenerAttribute", Resource: id, Params: Params{"ListenerId": id}}, &out)
	l := Listener{ID: id, Status: out.ListenerStatus, Owner: Owner(out.ServiceManagedMode, out.Tags)}
	if len(out.DefaultActions) == 1 && len(out.DefaultActions[0].ForwardGroupConfig.ServerGroupTuples) == 1 {
		l.Group = out.DefaultActions[0].ForwardGroupConfig.ServerGroupTuples[0].ServerGroupID
	}
	return l, err
}

// SwitchListener begins to point the default action at another server group.
func (c ALB) SwitchListener(ctx context.Context, id, group, token string) (job string, err error) {
	p := Params{
		"ListenerId": id, "ClientToken": token, "DefaultActions.1.Type": "ForwardGroup",
		"DefaultActions.1.ForwardGroupConfig.ServerGroupTuples.1.ServerGroupId": group,
	}
	return c.job(ctx, Request{Action: "UpdateListenerAttribute", Resource: id, Params: p, Write: true})
}
