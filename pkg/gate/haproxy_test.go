package gate

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// balancer is a driver with counters that tests turn.
type balancer struct {
	inert
	traffic map[string]driver.Traffic
	health  map[string]driver.Health
	err     error
}

// inert is a driver that can do nothing beyond the least.
type inert struct{}

func (inert) Read(context.Context) (state.State, error)       { return state.State{}, nil }
func (inert) Apply(context.Context, []state.Change) error     { return nil }
func (b *balancer) target(names map[string]string) targetFunc { return targetOf(b, names) }
func (b *balancer) serve(id string, answers, errs int64)      { b.traffic[id] = b.more(id, answers, errs) }

func (b *balancer) more(id string, a, e int64) (t driver.Traffic) {
	t = b.traffic[id]
	t.Answers += a
	t.Errors += e
	return t
}

func (b *balancer) Traffic(context.Context, []string) (map[string]driver.Traffic, error) {
	return b.traffic, b.err
}

func (b *balancer) Health(context.Context, []string) (map[string]driver.Health, error) {
	return b.health, b.err
}

type targetFunc = func(string, []string) (Target, error)

func targetOf(d driver.Driver, names map[string]string) targetFunc {
	return func(name string, members []string) (Target, error) {
		if name != "web" {
			return Target{}, errors.New("unknown target")
		}
		t := Target{Driver: d, Names: names}
		for _, id := range []string{"lb1/web3", "lb1/web4", "lb2/web3", "lb2/web4"} {
			if _, ok := names[id]; ok {
				t.IDs = append(t.IDs, id)
			}
		}
		return t, nil
	}
}

var (
	oneNode  = map[string]string{"lb1/web3": "web3", "lb1/web4": "web4"}
	twoNodes = map[string]string{"lb1/web3": "web3", "lb1/web4": "web4", "lb2/web3": "web3", "lb2/web4": "web4"}
)

func percent(p Percent) *Percent { return &p }
func number(n int) *int          { return &n }

func TestErrorRate(t *testing.T) {
	// turn is what each member answers before a look, with errors.
	type turn struct{ web3, err3, web4, err4 int64 }
	tests := []struct {
		name  string
		c     HAProxyConfig
		turns []turn
		want  string
	}{
		{"nothing is known at the first look", HAProxyConfig{}, []turn{{1000, 900, 0, 0}}, "undecided: error rate: counting from now"},
		{"what was before the gate began does not count", HAProxyConfig{}, []turn{{1000, 900, 0, 0}, {500, 0, 500, 2}}, "pass: error rate 0.2 % of 1000 answers"},
		{"a member above the limit is a no", HAProxyConfig{}, []turn{{}, {1480, 61, 9000, 0}}, "no: error rate 4.1 % > 1 % (web3: 61 of 1480 answers were 5xx or failed)"},
		{"the worst member is named", HAProxyConfig{}, []turn{{}, {1000, 20, 1000, 30}}, "no: error rate 3 % > 1 % (web4: 30 of 1000 answers were 5xx or failed)"},
		{"the limit itself passes", HAProxyConfig{}, []turn{{}, {1000, 10, 1000, 10}}, "pass: error rate 1 % of 2000 answers"},
		{"few answers decide nothing", HAProxyConfig{}, []turn{{}, {30, 0, 8, 0}}, "undecided: error rate: too few answers yet (38 of 100)"},
		{"no answers decide nothing", HAProxyConfig{}, []turn{{}, {}}, "undecided: error rate: too few answers yet (0 of 100)"},
		{"few answers decide when no more good ones could help", HAProxyConfig{}, []turn{{}, {5, 5, 0, 0}}, "no: error rate 100 % > 1 % (web3: 5 of 5 answers were 5xx or failed)"},
		{"one error of few may still be within the limit", HAProxyConfig{}, []turn{{}, {5, 1, 0, 0}}, "undecided: error rate: too few answers yet (5 of 100)"},
		{"errors without answers are failed connections", HAProxyConfig{}, []turn{{}, {0, 7, 0, 0}}, "no: error rate 100 % > 1 % (web3: 7 of 7 answers were 5xx or failed)"},
		{"all together can be above the limit", HAProxyConfig{MinRequests: 1000}, []turn{{}, {600, 8, 600, 8}}, "no: error rate 1.3 % > 1 % (in all: 16 of 1200 answers were 5xx or failed)"},
		{"the plan says how many answers are enough", HAProxyConfig{MinRequests: 10}, []turn{{}, {6, 0, 6, 0}}, "pass: error rate 0 % of 12 answers"},
		{"a member that the gate names needs its own answers", HAProxyConfig{Members: []string{"web3", "web4"}}, []turn{{}, {500, 0, 3, 0}}, "undecided: error rate: too few answers yet (web4: 3 of 100)"},
		{"no errors at all can be asked for", HAProxyConfig{MaxErrorRate: percent(0), MinRequests: 1}, []turn{{}, {500, 1, 0, 0}}, "no: error rate 0.2 % > 0 % (web3: 1 of 500 answers were 5xx or failed)"},
		{"counters that go back count anew", HAProxyConfig{}, []turn{{1000, 0, 0, 0}, {500, 50, 0, 0}, {-1400, -40, 0, 0}}, "undecided: error rate: the counters went back, counting anew"},
		{"after that only what is new counts", HAProxyConfig{}, []turn{{1000, 0, 0, 0}, {500, 50, 0, 0}, {-1400, -40, 0, 0}, {200, 0, 0, 0}}, "pass: error rate 0 % of 200 answers"},
		{"without a window nothing is forgotten", HAProxyConfig{}, []turn{{}, {100, 50, 0, 0}, {100, 0, 0, 0}, {100, 0, 0, 0}}, "no: error rate 16.7 % > 1 % (web3: 50 of 300 answers were 5xx or failed)"},
		{"a window forgets what is older", HAProxyConfig{Window: 20 * time.Second}, []turn{{}, {100, 50, 0, 0}, {100, 0, 0, 0}, {100, 0, 0, 0}}, "pass: error rate 0 % of 200 answers"},
		{"a window keeps what is not older", HAProxyConfig{Window: 21 * time.Second}, []turn{{}, {100, 50, 0, 0}, {100, 0, 0, 0}, {100, 0, 0, 0}}, "no: error rate 16.7 % > 1 % (web3: 50 of 300 answers were 5xx or failed)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &balancer{traffic: map[string]driver.Traffic{"lb1/web3": {}, "lb1/web4": {}}}
				test.c.Target = "web"
				if test.c.MaxErrorRate == nil {
					test.c.MaxErrorRate = percent(0.01)
				}
				g := build(t, HAProxy(), test.c, Env{Target: b.target(oneNode)})
				var got string
				for _, turn := range test.turns {
					b.traffic = map[string]driver.Traffic{"lb1/web3": b.more("lb1/web3", turn.web3, turn.err3), "lb1/web4": b.more("lb1/web4", turn.web4, turn.err4)}
					got = look(t, g)
					time.Sleep(10 * time.Second)
				}
				check(t, "last look", test.want, got)
			})
		})
	}
}

func TestAMemberOfSeveralNodesIsOneMember(t *testing.T) {
	b := &balancer{traffic: map[string]driver.Traffic{}}
	for id := range twoNodes {
		b.serve(id, 0, 0)
	}
	g := build(t, HAProxy(), HAProxyConfig{Target: "web", MaxErrorRate: percent(0.05)}, Env{Target: b.target(twoNodes)})
	look(t, g)
	b.serve("lb1/web3", 100, 0)
	b.serve("lb2/web3", 100, 20)
	b.serve("lb1/web4", 100, 0)
	check(t, "look", "no: error rate 10 % > 5 % (web3: 20 of 200 answers were 5xx or failed)", look(t, g))
}

func TestQueueAndHealth(t *testing.T) {
	up, down, unknown := driver.Health{State: driver.Up, Detail: "L7OK"}, driver.Health{State: driver.Down, Detail: "L7STS 503"}, driver.Health{}
	health := func(a, b driver.Health) map[string]driver.Health {
		return map[string]driver.Health{"lb1/web3": a, "lb1/web4": b}
	}
	queue := func(a, b int) map[string]driver.Traffic {
		return map[string]driver.Traffic{"lb1/web3": {Queue: a}, "lb1/web4": {Queue: b}}
	}
	tests := []struct {
		name string
		c    HAProxyConfig
		b    balancer
		want string
	}{
		{"a short queue passes", HAProxyConfig{MaxQueue: number(5)}, balancer{traffic: queue(5, 0)}, "pass: queue 5"},
		{"a long queue is a no", HAProxyConfig{MaxQueue: number(5)}, balancer{traffic: queue(1, 12)}, "no: queue 12 > 5 (web4)"},
		{"no queue at all can be asked for", HAProxyConfig{MaxQueue: number(0)}, balancer{traffic: queue(0, 1)}, "no: queue 1 > 0 (web4)"},
		{"all up passes", HAProxyConfig{Healthy: true}, balancer{health: health(up, up)}, "pass: 2 up"},
		{"a member that is down is a no", HAProxyConfig{Healthy: true}, balancer{health: health(up, down)}, "no: web4 is down (L7STS 503)"},
		{"a member that nobody checks is not up", HAProxyConfig{Healthy: true}, balancer{health: health(up, unknown)}, "no: web4 has no health check"},
		{"a member that is missing is not up", HAProxyConfig{Healthy: true}, balancer{}, "no: web3 has no health check, web4 has no health check"},
		{"unchecked members are fine where the plan says so", HAProxyConfig{Healthy: true, Unchecked: true}, balancer{health: health(up, unknown)}, "pass: 2 up"},
		{"but not when they are down", HAProxyConfig{Healthy: true, Unchecked: true}, balancer{health: health(down, unknown)}, "no: web3 is down (L7STS 503)"},
		{"every no is told", HAProxyConfig{Healthy: true, MaxQueue: number(5)}, balancer{traffic: queue(9, 0), health: health(down, up)}, "no: web3 is down (L7STS 503); queue 9 > 5 (web3)"},
		{"a no decides although another is undecided", HAProxyConfig{MaxErrorRate: percent(0.5), MaxQueue: number(5)}, balancer{traffic: queue(9, 0)}, "no: queue 9 > 5 (web3)"},
		{"a pass does not decide while another is undecided", HAProxyConfig{MaxErrorRate: percent(0.5), MaxQueue: number(5)}, balancer{traffic: queue(0, 0)}, "undecided: error rate: counting from now"},
		{"all passes are told", HAProxyConfig{Healthy: true, MaxQueue: number(5)}, balancer{traffic: queue(0, 0), health: health(up, up)}, "pass: 2 up; queue 0"},
		{"a balancer that does not answer could not look", HAProxyConfig{MaxQueue: number(5)}, balancer{err: errDown}, "blind: target web: metrics server is down"},
		{"health that cannot be read could not look", HAProxyConfig{Healthy: true}, balancer{err: errDown}, "blind: target web: metrics server is down"},
		{"a member without numbers could not look", HAProxyConfig{MaxQueue: number(5)}, balancer{}, "blind: target web: there are no numbers for lb1/web3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.c.Target = "web"
			check(t, "look", test.want, look(t, build(t, HAProxy(), test.c, Env{Target: test.b.target(oneNode)})))
		})
	}
}

func TestHealthNamesTheNodeWhereThereAreSeveral(t *testing.T) {
	b := &balancer{health: map[string]driver.Health{"lb1/web3": {State: driver.Up}, "lb1/web4": {State: driver.Up}, "lb2/web3": {State: driver.Down}, "lb2/web4": {State: driver.Up}}}
	g := build(t, HAProxy(), HAProxyConfig{Target: "web", Healthy: true}, Env{Target: b.target(twoNodes)})
	check(t, "look", "no: lb2/web3 is down", look(t, g))
}

func TestHAProxyIsRefusedWhereItCannotLook(t *testing.T) {
	tests := []struct {
		name string
		c    HAProxyConfig
		env  Env
		want string
	}{
		{"without targets", HAProxyConfig{Target: "web", Healthy: true}, Env{}, "target web: there are no targets here"},
		{"with a target that is not in the plan", HAProxyConfig{Target: "wbe", Healthy: true}, Env{Target: targetOf(inert{}, oneNode)}, "target wbe: unknown target"},
		{"without members", HAProxyConfig{Target: "web", Healthy: true}, Env{Target: targetOf(inert{}, nil)}, "target web: no members to look at"},
		{"when the driver counts nothing", HAProxyConfig{Target: "web", MaxQueue: number(1)}, Env{Target: targetOf(inert{}, oneNode)}, "target web: its driver counts neither answers nor queues"},
		{"when the driver tells no health", HAProxyConfig{Target: "web", Healthy: true}, Env{Target: targetOf(inert{}, oneNode)}, "target web: its driver does not tell the health of members"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := HAProxy().Build(decoder(test.c), test.env)
			check(t, "error", test.want, text(err))
		})
	}
}

func TestHAProxyConfigValidate(t *testing.T) {
	tests := []struct {
		name string
		c    HAProxyConfig
		want string
	}{
		{"a target is needed", HAProxyConfig{}, "target is missing"},
		{"a condition is needed", HAProxyConfig{Target: "web"}, "there is nothing to look at"},
		{"min_requests belongs to a rate", HAProxyConfig{Target: "web", Healthy: true, MinRequests: 1}, "min_requests and window mean nothing without max_error_rate"},
		{"window belongs to a rate", HAProxyConfig{Target: "web", Healthy: true, Window: 1}, "min_requests and window mean nothing without max_error_rate"},
		{"unchecked belongs to healthy", HAProxyConfig{Target: "web", MaxQueue: number(1), Unchecked: true}, "unchecked means nothing without healthy: true"},
		{"no negative window", HAProxyConfig{Target: "web", MaxErrorRate: percent(0), Window: -1}, "min_requests and window cannot be negative"},
		{"no negative queue", HAProxyConfig{Target: "web", MaxQueue: number(-1)}, "max_queue cannot be negative"},
		{"a limit of zero is one", HAProxyConfig{Target: "web", MaxErrorRate: percent(0), MaxQueue: number(0)}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { check(t, "error", test.want, text(HAProxy().Check(decoder(test.c)))) })
	}
}
