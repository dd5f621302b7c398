package slb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun/pool"
	"github.com/flip-cli/flip/pkg/hint"
)

// facts is what the servers and the switches of one target share.
type facts struct {
	api aliyun.SLB
	cfg Config

	mu   sync.Mutex
	lb   string // found through the group where the plan does not name it
	uses []use
	at   time.Time
}

// use is a listener, or a rule of one, that sends to the target's group.
type use struct {
	name      string
	port      int
	scheduler string
	unchecked bool
}

// fresh is how long uses are taken for true when health is looked at; before
// weights are written they are read anew.
const fresh = 30 * time.Second

// balancer is the load balancer's id.
func (f *facts) balancer(ctx context.Context) (string, error) {
	f.mu.Lock()
	lb := f.lb
	f.mu.Unlock()
	if lb != "" {
		return lb, nil
	}
	g, err := f.group(ctx)
	return g.LoadBalancer, err
}

// group reads the target's vserver group.
func (f *facts) group(ctx context.Context) (aliyun.SLBGroup, error) {
	id := f.cfg.VServerGroup
	g, err := f.api.Group(ctx, id)
	if aliyun.ClassOf(err) == aliyun.Invalid || aliyun.ClassOf(err) == aliyun.NotFound {
		// A group that does not exist is an InvalidParameter.
		if f.api.IsMasterSlave(ctx, id) {
			return g, driver.Permanent(hint.Wrap(fmt.Errorf("%s is a master/slave group, which has no weights", id),
				"point the listener at another group: listeners: [80/tcp], and set vserver_group"))
		}
		return g, pool.Missing(hint.Wrap(err, "is vserver_group an id of region %s?", f.cfg.Region))
	}
	if err != nil {
		return g, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cfg.LoadBalancer != "" && g.LoadBalancer != "" && g.LoadBalancer != f.cfg.LoadBalancer {
		return g, driver.Permanent(fmt.Errorf("group %s belongs to %s, not to load_balancer %s", id, g.LoadBalancer, f.cfg.LoadBalancer))
	}
	f.lb = g.LoadBalancer
	return g, nil
}

// used returns what sends to the group, at most max old.
func (f *facts) used(ctx context.Context, group string, maxAge time.Duration) ([]use, error) {
	f.mu.Lock()
	uses, at := f.uses, f.at
	f.mu.Unlock()
	if !at.IsZero() && time.Since(at) < maxAge {
		return uses, nil
	}
	uses, err := f.find(ctx, group)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uses, f.at = uses, time.Now()
	return uses, nil
}

// find asks for everything that sends to a group; "" is the default group.
func (f *facts) find(ctx context.Context, group string) ([]use, error) {
	lb, err := f.balancer(ctx)
	if err != nil {
		return nil, err
	}
	listeners, err := f.api.Listeners(ctx, lb)
	if err != nil {
		return nil, err
	}
	var uses []use
	for _, l := range listeners {
		if l.Group == group && l.MasterSlave == "" && !l.Forwards {
			uses = append(uses, use{"listener " + l.Name(), l.Port, l.Scheduler, l.Unchecked})
		}
	}
	if group == "" {
		return uses, nil // rules send to vserver groups
	}
	groups, err := f.api.Groups(ctx, lb)
	if err != nil {
		return nil, err
	}
	for _, id := range groups[group] {
		r, err := f.api.Rule(ctx, id)
		if err != nil {
			return nil, err
		}
		l := listenerOf(r, listeners)
		u := use{"rule " + id, r.Port, r.Scheduler, r.Unchecked(l)}
		if u.scheduler == "" {
			u.scheduler = l.Scheduler
		}
		uses = append(uses, u)
	}
	return uses, nil
}

// listenerOf is the listener that a rule belongs to.
func listenerOf(r aliyun.SLBRule, all []aliyun.SLBListener) aliyun.SLBListener {
	for _, l := range all {
		if l.Port == r.Port && strings.HasPrefix(l.Protocol, "http") {
			return l
		}
	}
	return aliyun.SLBListener{}
}

// refuse says why weights of a group must not be set here.
func (f *facts) refuse(ctx context.Context, group, owner string) error {
	lb, err := f.balancer(ctx)
	if err != nil {
		return err
	}
	b, err := f.api.Balancer(ctx, lb)
	if err != nil {
		return err
	}
	if owner == "" {
		owner = b.Owner
	}
	if err := pool.Owned("group "+group, owner, f.cfg.Force); err != nil {
		return err
	}
	if b.Status != "" && !strings.EqualFold(b.Status, "active") {
		return driver.Permanent(fmt.Errorf("load balancer %s is %s", lb, b.Status))
	}
	if strings.EqualFold(b.Protection, "ConsoleProtection") {
		driver.Progress(ctx, "modification protection of "+lb+" binds the console only")
	}
	uses, err := f.used(ctx, f.cfg.VServerGroup, 0)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(uses, func(u use) bool { return strings.EqualFold(u.scheduler, "rr") })
	if i >= 0 {
		return driver.Permanent(hint.Wrap(fmt.Errorf("%s, which sends to %s, has the scheduler rr: it ignores weights", uses[i].name, group),
			"set its scheduler to wrr or wlc, or switch its vserver_group instead"))
	}
	return nil
}

var errNoGroup = errors.New("no such vserver group")
