package nacos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// pushDelay is what a 2.x or 3.x server waits before it pushes a change
// (nacos.naming.push.pushTaskDelay) with one tick of its engine and the way.
const pushDelay = time.Second

// Expect is how long Settle takes when nothing is in the way.
func (t *Target) Expect(changes []state.Change) time.Duration {
	if len(changes) == 0 {
		return 0
	}
	return pushDelay + t.cfg.cache()
}

// Settle returns when consumers act on the changes: every server lists them,
// every server has pushed them to a subscriber, and then consumer_cache has
// passed, since a consumer goes on with the list that it has. A list that is
// empty, or lacks an instance which was there before and was not taken out,
// is never taken as proof.
func (t *Target) Settle(ctx context.Context, changes []state.Change) error {
	if len(changes) == 0 {
		return ctx.Err()
	}
	w, err := t.watch(changes)
	if err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	if err := t.untilSeen(ctx, w); err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	if err := t.waitCaches(ctx); err != nil {
		return fmt.Errorf("nacos: waiting for the caches of consumers: %w", err)
	}
	if t.cfg.cache() == 0 {
		return nil
	}
	// What came back meanwhile was in the lists that consumers fetched.
	if err := t.untilSeen(ctx, w); err != nil {
		return fmt.Errorf("nacos: after the caches of consumers: %w", err)
	}
	return nil
}

// wanted is what to look for, by service.
type wanted struct {
	services []service
	changes  map[subject][]state.Change
	expected map[service]map[key]bool // seen by consumers before; nil until it is known
}

func (t *Target) watch(changes []state.Change) (*wanted, error) {
	w := &wanted{changes: map[subject][]state.Change{}, expected: map[service]map[key]bool{}}
	for _, c := range changes {
		s, ok := parseID(c.Object)
		if !ok || !slices.Contains(t.services, s.service) {
			return nil, unknownID(c.Object)
		}
		if !slices.Contains(w.services, s.service) {
			w.services = append(w.services, s.service)
			w.expected[s.service] = t.expected(s.service)
		}
		w.changes[s] = append(w.changes[s], c)
	}
	return w, nil
}

// lookEvery is the pause between two looks.
const lookEvery = 250 * time.Millisecond

// untilSeen looks until all agrees, at most settle_timeout long.
func (t *Target) untilSeen(ctx context.Context, w *wanted) error {
	limited, cancel := context.WithTimeout(ctx, t.cfg.settleTimeout())
	defer cancel()
	var last error
	for {
		err := t.agree(limited, w)
		if err == nil {
			return nil
		}
		if last == nil || !ending(limited) {
			last = err // not the one that the deadline made
		}
		if perr := pause(limited, lookEvery); perr != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("%w; last seen: %w", ctx.Err(), last)
			}
			return hint.Wrap(fmt.Errorf("consumers do not see the change after %s: %w", t.cfg.settleTimeout(), last),
				"nothing was taken for granted; look at that server, or give it longer with settle_timeout")
		}
		driver.Progress(ctx, "consumers: "+last.Error())
	}
}

// ending reports whether ctx has ended or is about to.
func ending(ctx context.Context) bool {
	deadline, limited := ctx.Deadline()
	return ctx.Err() != nil || (limited && time.Until(deadline) < 5*time.Millisecond)
}

// agree looks once at everything that a consumer could ask. It is nil when all
// show the changes.
func (t *Target) agree(ctx context.Context, w *wanted) error {
	snaps, err := t.snapshots(ctx, w.services)
	if err != nil {
		return err
	}
	for _, svc := range w.services {
		if err := w.holds(svc, snaps[svc]); err != nil {
			return err
		}
	}
	errs := make([]error, len(t.client.nodes))
	var wg sync.WaitGroup
	for i, n := range t.client.nodes {
		wg.Go(func() {
			for _, svc := range w.services {
				if err := t.agreeAt(ctx, n, svc, snaps[svc], w); err != nil && errs[i] == nil {
					errs[i] = fmt.Errorf("server %s: %w", n.name, err)
				}
			}
		})
	}
	wg.Wait()
	failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(failed) == 0 {
		return nil
	}
	return &allFailed{failed}
}

// holds checks the operators' list: the changes stand, and nothing that
// consumers saw is missing from it.
func (w *wanted) holds(svc service, snap snapshot) error {
	for s, changes := range w.changes {
		if s.service != svc {
			continue
		}
		attrs := map[string]state.Value{}
		if i, ok := snap.instances[s.key]; ok {
			attrs = i.attrs()
		}
		if err := driftOf(changes, attrs); err != nil {
			return err
		}
	}
	if w.expected[svc] == nil {
		w.expected[svc] = snap.enabled()
	}
	for k := range w.expected[svc] {
		_, there := snap.instances[k]
		if !there && !w.removed(subject{svc, k}) {
			return fmt.Errorf("service %s: %s was there before and is not listed now: the list is not complete", svc, k.address())
		}
	}
	return nil
}

// removed reports whether the changes take the instance away.
func (w *wanted) removed(s subject) bool {
	return slices.ContainsFunc(w.changes[s], func(c state.Change) bool { return !c.To.Present() })
}

// agreeAt compares what one server tells consumers with what it should.
func (t *Target) agreeAt(ctx context.Context, n *node, svc service, snap snapshot, w *wanted) error {
	list, err := t.listed(ctx, n, svc, snap.clusters)
	if err != nil {
		return err
	}
	if err := w.complete(svc, snap, merge(list)); err != nil {
		return fmt.Errorf("its list of %s %w", svc, err)
	}
	if !t.pushes() {
		return nil
	}
	s, err := t.subscribed(ctx, n, svc)
	if err != nil {
		return err
	}
	if list, err = s.look(svc); err != nil {
		return fmt.Errorf("subscription: %w", err)
	}
	if err := w.complete(svc, snap, merge(list)); err != nil {
		return fmt.Errorf("what it pushed of %s %w", svc, err)
	}
	return nil
}

// complete compares a list for consumers with the operators' list: what is
// enabled there must be here, with the weight that was set, and what was taken
// out must not.
func (w *wanted) complete(svc service, snap snapshot, list map[key]instance) error {
	if len(list) == 0 {
		return errors.New("is empty: that proves nothing")
	}
	for k, i := range snap.instances {
		if _, shown := list[k]; i.enabled && !shown {
			return fmt.Errorf("lacks %s, which is enabled", k.address())
		}
	}
	for s := range w.changes {
		if s.service != svc {
			continue
		}
		i, exists := snap.instances[s.key]
		shown, there := list[s.key]
		switch {
		case (!exists || !i.enabled) && there:
			return fmt.Errorf("still shows %s", s.address())
		case there && state.Float(shown.weight) != state.Float(i.weight):
			return fmt.Errorf("shows %s with weight %g, not %g", s.address(), shown.weight, i.weight)
		}
	}
	return nil
}

// listed asks one server for what a consumer gets over HTTP, in all clusters.
// 3.x lists DEFAULT alone unless they are named.
func (t *Target) listed(ctx context.Context, n *node, svc service, clusters []string) ([]instance, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.timeout())
	defer cancel()
	body, version, err := t.client.at(ctx, n, func(a api) call {
		if a == v3 {
			p := t.params(a, svc)
			p.Set("clusterName", strings.Join(clusters, ","))
			return call{method: http.MethodGet, path: "/v3/client/ns/instance/list", params: p}
		}
		p := t.params(a, svc)
		p.Set("healthyOnly", "false")
		return call{method: http.MethodGet, path: "/v1/ns/instance/list", params: p}
	})
	if err != nil {
		return nil, explain(err)
	}
	if version == v3 {
		return parseInstances(body)
	}
	return parseHosts(body)
}

// waitCaches runs consumer_cache.
func (t *Target) waitCaches(ctx context.Context) error {
	end := time.Now().Add(t.cfg.cache())
	for {
		left := time.Until(end)
		if left <= 0 {
			return ctx.Err()
		}
		driver.Progress(ctx, fmt.Sprintf("consumers use the list that they have for %s more", left.Round(time.Second)))
		if err := pause(ctx, min(left, time.Second)); err != nil {
			return err
		}
	}
}
