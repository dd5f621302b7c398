package gate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
)

// HAProxyConfig is the configuration of the haproxy gate.
type HAProxyConfig struct {
	Target       string        `yaml:"target"`         // a target of the plan
	Members      []string      `yaml:"members"`        // only these; all of the target when left out
	MaxErrorRate *Percent      `yaml:"max_error_rate"` // of the answers, for each member and for all together
	MinRequests  int           `yaml:"min_requests"`   // answers before there is a verdict; 1/max_error_rate, at most 100, when left out
	Window       time.Duration `yaml:"window"`         // rate over the answers of that time; since the gate began when left out
	MaxQueue     *int          `yaml:"max_queue"`      // requests waiting for one member
	Healthy      bool          `yaml:"healthy"`        // every member is up
	Unchecked    bool          `yaml:"unchecked"`      // with healthy: members without a health check are fine
}

// mostRequests bounds min_requests where the plan leaves it out.
const mostRequests = 100

// Validate says what is wrong with c.
func (c *HAProxyConfig) Validate() error {
	switch {
	case c.Target == "":
		return errors.New("target is missing")
	case c.MaxErrorRate == nil && c.MaxQueue == nil && !c.Healthy:
		return hint.Wrap(errors.New("there is nothing to look at"), "give max_error_rate, max_queue or healthy: true")
	case c.MaxErrorRate == nil && (c.MinRequests != 0 || c.Window != 0):
		return errors.New("min_requests and window mean nothing without max_error_rate")
	case c.Unchecked && !c.Healthy:
		return errors.New("unchecked means nothing without healthy: true")
	case c.MinRequests < 0, c.Window < 0:
		return errors.New("min_requests and window cannot be negative")
	case c.MaxQueue != nil && *c.MaxQueue < 0:
		return errors.New("max_queue cannot be negative")
	}
	return nil
}

// HAProxy is the gate over what a load balancer counts: error rate, queue and
// health of its members. It works on every target whose driver tells those.
//
// An error rate needs answers. Until there are min_requests, in all and for
// each member that the gate names, the look is undecided, unless the errors
// are already more than that many answers may have. Counters that go back (the
// balancer was reloaded) start over.
func HAProxy() Kind {
	return Define("haproxy", "The error rate, queue and health that a load balancer reports for members", newHAProxy)
}

func newHAProxy(c HAProxyConfig, env Env) (Gate, error) {
	if env.Target == nil {
		return nil, fmt.Errorf("target %s: there are no targets here", c.Target)
	}
	target, err := env.Target(c.Target, c.Members)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", c.Target, err)
	}
	if len(target.IDs) == 0 {
		return nil, fmt.Errorf("target %s: no members to look at", c.Target)
	}
	g := &haproxyGate{HAProxyConfig: c, env: env, ids: target.IDs, names: target.Names}
	var ok bool
	if c.MaxErrorRate != nil || c.MaxQueue != nil {
		if g.meter, ok = driver.As[driver.Meter](target.Driver); !ok {
			return nil, fmt.Errorf("target %s: its driver counts neither answers nor queues", c.Target)
		}
	}
	if c.Healthy {
		if g.health, ok = driver.As[driver.Healther](target.Driver); !ok {
			return nil, fmt.Errorf("target %s: its driver does not tell the health of members", c.Target)
		}
	}
	if c.MaxErrorRate != nil && c.MinRequests == 0 {
		g.MinRequests = mostRequests
		if r := float64(*c.MaxErrorRate); r > 0 {
			g.MinRequests = int(math.Ceil(min(1/r, mostRequests)))
		}
	}
	return g, nil
}

type haproxyGate struct {
	HAProxyConfig
	env    Env
	ids    []string
	names  map[string]string
	meter  driver.Meter
	health driver.Healther

	mu     sync.Mutex
	counts counts
}

// Earliest is the second look where answers are counted: the first one begins
// to.
func (g *haproxyGate) Earliest(every time.Duration) time.Duration {
	if g.MaxErrorRate == nil {
		return 0
	}
	return every
}

// Check reads health and counters once.
func (g *haproxyGate) Check(ctx context.Context) (Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	res, err := g.look(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("target %s: %w", g.Target, err)
	}
	return g.env.clean(res, err)
}

func (g *haproxyGate) look(ctx context.Context) (Result, error) {
	var all []Result
	if g.health != nil {
		health, err := g.health.Health(ctx, g.ids)
		if err != nil {
			return Result{}, err
		}
		all = append(all, g.judgeHealth(health))
	}
	if g.meter != nil {
		traffic, err := g.traffic(ctx)
		if err != nil {
			return Result{}, err
		}
		if g.MaxQueue != nil {
			all = append(all, g.judgeQueue(traffic))
		}
		if g.MaxErrorRate != nil {
			all = append(all, g.judgeRate(traffic))
		}
	}
	return together(all), nil
}

// traffic is complete or an error: a member without numbers is not a member
// without errors.
func (g *haproxyGate) traffic(ctx context.Context) (map[string]driver.Traffic, error) {
	traffic, err := g.meter.Traffic(ctx, g.ids)
	if err != nil {
		return nil, err
	}
	for _, id := range g.ids {
		if _, ok := traffic[id]; !ok {
			return nil, fmt.Errorf("there are no numbers for %s", id)
		}
	}
	return traffic, nil
}

func (g *haproxyGate) judgeHealth(health map[string]driver.Health) Result {
	var bad []string
	for _, id := range g.ids {
		h := health[id]
		detail := ""
		if h.Detail != "" {
			detail = " (" + excerpt(h.Detail, 60) + ")"
		}
		switch {
		case h.State == driver.Up, h.State == driver.Unknown && g.Unchecked:
		case h.State == driver.Unknown:
			bad = append(bad, g.label(id)+" has no health check"+detail)
		default:
			bad = append(bad, g.label(id)+" is down"+detail)
		}
	}
	if len(bad) > 0 {
		return no("%s", strings.Join(bad, ", "))
	}
	return yes("%d up", len(g.members()))
}

func (g *haproxyGate) judgeQueue(traffic map[string]driver.Traffic) Result {
	queues := map[string]int{}
	for id, t := range traffic {
		queues[g.name(id)] += t.Queue
	}
	worst, most := "", -1
	for _, m := range slices.Sorted(maps.Keys(queues)) {
		if queues[m] > most {
			worst, most = m, queues[m]
		}
	}
	if most > *g.MaxQueue {
		return no("queue %d > %d (%s)", most, *g.MaxQueue, worst)
	}
	return yes("queue %d", most)
}

// name is the member an id stands for; ids of several nodes share one.
func (g *haproxyGate) name(id string) string {
	if n := g.names[id]; n != "" {
		return n
	}
	return id
}

// label tells the nodes of one member apart where there are several.
func (g *haproxyGate) label(id string) string {
	if n := g.name(id); len(g.ids) == len(g.members()) {
		return n
	}
	return id
}

func (g *haproxyGate) members() map[string]bool {
	members := map[string]bool{}
	for _, id := range g.ids {
		members[g.name(id)] = true
	}
	return members
}

// together passes when all do; one no is enough for a no.
func together(all []Result) Result {
	var good, bad, open []string
	for _, r := range all {
		switch {
		case r.Pass:
			good = append(good, r.Detail)
		case r.Undecided:
			open = append(open, r.Detail)
		default:
			bad = append(bad, r.Detail)
		}
	}
	switch {
	case len(bad) > 0:
		return no("%s", strings.Join(bad, "; "))
	case len(open) > 0:
		return undecided("%s", strings.Join(open, "; "))
	}
	return yes("%s", strings.Join(good, "; "))
}
