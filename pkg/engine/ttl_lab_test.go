package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/resolve"
)

// internet is who uses a record set: resolvers that keep what name servers
// answer, and clients of each that take one of the addresses. It looks two
// or three times a second of the test's time and counts those who find nobody.
type internet struct {
	t      *testing.T
	l      *lab
	record string

	mu        sync.Mutex
	stretch   time.Duration // see keeps
	rng       *rand.Rand
	resolvers []resolver
	served    int
	failed    int
	first     string // failure
	stopped   map[string]bool
	stop      context.CancelFunc
	gone      chan struct{}
}

// resolver is one cache. A lazy one asks again some time after its answer is
// over, as quiet names are asked for.
type resolver struct {
	lazy    bool
	values  []string
	until   time.Time
	nextAsk time.Time
}

const wwwA = "www.example.com A"

// online puts clients in front of the lab's targets "zone" and "web".
func online(t *testing.T, l *lab) *internet {
	t.Helper()
	l.program().Close() // opens the targets
	n := &internet{t: t, l: l, record: wwwA, rng: rand.New(rand.NewPCG(1, 2)), gone: make(chan struct{})}
	for i := range 12 {
		n.resolvers = append(n.resolvers, resolver{lazy: i%2 == 1, nextAsk: time.Now().Add(time.Duration(5*i) * time.Second)})
	}
	c, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() {
		defer close(n.gone)
		for c.Err() == nil {
			n.round()
			select {
			case <-c.Done():
			case <-time.After(400 * time.Millisecond):
			}
		}
	}()
	return n
}

// keeps makes resolvers keep an answer longer than they may.
func (n *internet) keeps(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stretch = d
}

// unserved is how many clients found nobody so far.
func (n *internet) unserved() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.failed
}

// offline ends the clients and returns how many were served and not.
func (n *internet) offline() (served, failed int) {
	n.t.Helper()
	n.stop()
	<-n.gone
	if n.served == 0 {
		n.t.Error("no client was ever served: this proves nothing")
	}
	return n.served, n.failed
}

// round lets every resolver look, and a client of each use what it has.
func (n *internet) round() {
	up := map[string]bool{}
	s, err := n.l.mems["web"].Read(context.Background())
	must(n.t, err)
	for _, o := range s.Objects {
		up[o.Info["host"]] = mem.Capacity(o.Attrs) > 0
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for address, is := range n.stopped {
		up[address] = up[address] && !is
	}
	for i := range n.resolvers {
		r := &n.resolvers[i]
		if n.fresh(r); len(r.values) == 0 {
			continue
		}
		if address := r.values[n.rng.IntN(len(r.values))]; up[address] {
			n.served++
		} else if n.failed++; n.first == "" {
			n.first = fmt.Sprintf("at %s resolver %d sent a client to %s", time.Now().UTC().Format("15:04:05.000"), i, address)
		}
	}
}

// stops makes the undo of a command end the server at an address, from the
// moment on at which it may begin, and the command start it.
func (n *internet) stops(address string) {
	before := n.l.onRecord
	n.l.onRecord = func(r journal.Record) {
		if before != nil {
			before(r)
		}
		if r.Type == journal.TypeIntent && r.Activity == journal.ActivityRun {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.stopped = map[string]bool{address: strings.HasPrefix(r.Key, "/undo/")}
		}
	}
}

// fresh asks one of the two name servers when the answer is over.
func (n *internet) fresh(r *resolver) {
	now := time.Now()
	if now.Before(r.until) {
		return
	}
	if r.lazy && r.nextAsk.Before(r.until) {
		r.values, r.nextAsk = nil, now.Add(time.Duration(n.rng.IntN(20))*time.Second)
	}
	if now.Before(r.nextAsk) {
		return
	}
	values, ttl, err := n.l.mems["zone"].Lookup(context.Background(), n.record, n.rng.IntN(2) == 1)
	must(n.t, err)
	r.values, r.until = values, now.Add(max(ttl, n.stretch))
}

// isp is a view that sees what the resolvers have.
func (n *internet) isp() resolve.View { return fromResolvers{n} }

type fromResolvers struct{ n *internet }

func (v fromResolvers) Look(context.Context, resolve.Question) []resolve.Answer {
	v.n.mu.Lock()
	defer v.n.mu.Unlock()
	var all []resolve.Answer
	for i := range v.n.resolvers {
		r := &v.n.resolvers[i]
		v.n.fresh(r)
		left := time.Until(r.until)
		all = append(all, resolve.Answer{
			View: "isp", Vantage: net.JoinHostPort(fmt.Sprintf("10.0.0.%d", i), "53"), Sample: 1,
			Values: slices.Sorted(slices.Values(r.values)), HasTTL: true, MinTTL: left, MaxTTL: left,
		})
	}
	return all
}

// view is a lab's view that test code plays.
type viewFunc func() []resolve.Answer

func (v viewFunc) Look(context.Context, resolve.Question) []resolve.Answer { return v() }

func (l *lab) sees(views map[string]resolve.View) {
	l.view = func(name string, _ func(any) error, _ resolve.Env) (resolve.View, error) {
		return views[name], nil
	}
}

// world is a zone with two name servers, the second two seconds behind, and a
// pool with the old server a1 and the new b1.
const dnsWorld = `
flip: 1
name: move
targets:
  zone: {driver: mem, name: zone, settle: 2s, negative: 30s, max_in_flight: 5s, records: {"www.example.com A": {values: [192.0.2.1], ttl: 600}}}
  web:  {driver: mem, name: web, max_in_flight: 5s, pool: {a1: {weight: 100, address: "192.0.2.1:80"}, b1: {weight: 0, address: "192.0.2.2:80"}}}
views: {isp: {dns: 10.0.0.1}}
steps:
`

// moveSteps is the right order.
const moveSteps = `
  - {id: up,       set: {target: web, members: [b1], weight: 100}}
  - {id: short,    set: {target: zone, record: www.example.com A, ttl: 60}}
  - {id: old-ttl,  wait: {ttl: www.example.com A}}
  - {id: both,     set: {target: zone, record: www.example.com A, values: [192.0.2.1, 192.0.2.2]}}
  - {id: new-seen, wait: {ttl: www.example.com A}}
  - {id: only-new, set: {target: zone, record: www.example.com A, values: [192.0.2.2]}}
  - {id: caches,   wait: {ttl: www.example.com A, from: isp}}
  - {id: stop-old, set: {target: web, members: [a1], weight: 0}}
  - {id: long,     set: {target: zone, record: www.example.com A, ttl: 600}}
`
