package aliyun

import (
	"context"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
)

// NLB is the network load balancer, API version 2022-04-30. Its writes are jobs
// as those of ALB; parameters travel in the body, and an answer with the HTTP
// status 200 may say that the call failed.
type NLB struct{ *Client }

// OpenNLB makes a client of the network load balancer.
func OpenNLB(a Account, env driver.Env) (NLB, error) {
	c, err := Open(Product{Name: "nlb", Version: "2022-04-30", Form: true}, a, env)
	return NLB{c}, err
}

// Groups reads server groups.
func (c NLB) Groups(ctx context.Context, ids ...string) (map[string]ServerGroup, error) {
	return c.serverGroups(ctx, ids, nil)
}

// Servers reads the servers of a group.
func (c NLB) Servers(ctx context.Context, group string) ([]Server, error) {
	return c.servers(ctx, group)
}

// SetWeights begins to set weights, of at most 200 servers. Repeating it with
// the same token is harmless.
func (c NLB) SetWeights(ctx context.Context, group string, servers []Server, token string) (job string, err error) {
	return c.job(ctx, update(group, servers, token))
}

// MaySetWeights asks whether SetWeights would be accepted.
func (c NLB) MaySetWeights(ctx context.Context, group string, servers []Server) error {
	return c.DryRun(ctx, update(group, servers, ""))
}

// Job reads a job.
func (c NLB) Job(ctx context.Context, id string) (Job, error) {
	var out struct{ Status string }
	err := c.Do(ctx, Request{Action: "GetJobStatus", Resource: id, Params: Params{"JobId": id}}, &out)
	return jobOf(out.Status, "", ""), err
}

// Health reads what a listener says about its server group.
func (c NLB) Health(ctx context.Context, listener string) ([]GroupHealth, error) {
	return c.health(ctx, listener, nil)
}

type nlbListener struct {
	ListenerID     string `json:"ListenerId"`
	ListenerStatus string
	ServerGroupID  string `json:"ServerGroupId"`
	Tags           []Tag
}

func (l nlbListener) listener() Listener {
	return Listener{ID: l.ListenerID, Status: l.ListenerStatus, Group: l.ServerGroupID, Owner: Owner("", l.Tags)}
}

// Listeners reads the listeners of load balancers.
func (c NLB) Listeners(ctx context.Context, balancers []string) ([]Listener, error) {
	if len(balancers) == 0 {
		return nil, nil
	}
	var all []Listener
	err := pages(func(token string) (string, error) {
		var out struct {
			NextToken string
			Listeners []nlbListener
		}
		p := Params{"MaxResults": "100", "NextToken": token}.List("LoadBalancerIds", balancers)
		err := c.Do(ctx, Request{Action: "ListListeners", Resource: strings.Join(balancers, ","), Params: p}, &out)
		for _, l := range out.Listeners {
			all = append(all, l.listener())
		}
		return out.NextToken, err
	})
	return all, err
}

// Listener reads a listener.
func (c NLB) Listener(ctx context.Context, id string) (Listener, error) {
	var out nlbListener
	err := c.Do(ctx, Request{Action: "GetListenerAttribute", Resource: id, Params: Params{"ListenerId": id}}, &out)
	l := out.listener()
	l.ID = id
	return l, err
}

// SwitchListener begins to point a listener at another server group.
func (c NLB) SwitchListener(ctx context.Context, id, group, token string) (job string, err error) {
	p := Params{"ListenerId": id, "ServerGroupId": group, "ClientToken": token}
	return c.job(ctx, Request{Action: "UpdateListenerAttribute", Resource: id, Params: p, Write: true})
}
