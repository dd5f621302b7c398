package nacos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// snapshot is one service as one server lists it for operators: disabled
// instances too, which no consumer sees.
type snapshot struct {
	detail
	instances map[key]instance // of all clusters
}

// Read returns the instances of every service.
func (t *Target) Read(ctx context.Context) (state.State, error) {
	snaps, err := t.snapshots(ctx, t.services)
	if err != nil {
		return state.State{}, fmt.Errorf("nacos: %w", err)
	}
	s := state.State{Objects: map[string]state.Object{}}
	for svc, snap := range snaps {
		for k, i := range snap.instances {
			if !t.inCluster(k.cluster) {
				continue
			}
			at := subject{svc, k}
			s.Objects[at.id()] = state.Object{Kind: KindInstance, Name: t.name(at), Attrs: i.attrs(), Info: i.info(svc)}
		}
	}
	t.remember(s)
	return s, nil
}

// remember keeps what was seen: what is missing later is missing, not unknown.
func (t *Target) remember(s state.State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.Copy(t.known, s.Objects)
}

func (t *Target) forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.known, id)
}

// seen reports whether this process saw the instance registered.
func (t *Target) seen(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.known[id]
	return ok
}

// seenIn counts the instances that this process saw in a service.
func (t *Target) seenIn(s service) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for id := range t.known {
		if strings.HasPrefix(id, s.String()+"/") {
			n++
		}
	}
	return n
}

// snapshots reads services at the same time.
func (t *Target) snapshots(ctx context.Context, services []service) (map[service]snapshot, error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	snaps := map[service]snapshot{}
	failed := map[service]error{}
	slots := make(chan struct{}, 4)
	for _, svc := range services {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			snap, err := t.snapshot(ctx, svc)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[svc] = err
				return
			}
			snaps[svc] = snap
		})
	}
	wg.Wait()
	for _, svc := range services {
		if err := failed[svc]; err != nil {
			return nil, fmt.Errorf("service %s: %w", svc, err)
		}
	}
	return snaps, ctx.Err()
}

var errNoInstances = errors.New("lists no instances")

// snapshot asks the next server when one knows nothing of the service: a
// server that has just started has no instances until their owners are back.
func (t *Target) snapshot(ctx context.Context, svc service) (snapshot, error) {
	var empty *snapshot
	var found snapshot
	err := t.client.any(ctx, func(ctx context.Context, n *node) error {
		snap, err := t.snapshotAt(ctx, n, svc)
		switch {
		case err != nil && !isMissing(err):
			return err
		case err != nil:
			return fmt.Errorf("%w: %w", errNoInstances, err)
		case len(snap.instances) == 0:
			empty = &snap
			return fmt.Errorf("server %s: %w", n.name, errNoInstances)
		}
		found = snap
		return nil
	})
	switch {
	case err == nil:
		return found, nil
	case !errors.Is(err, errNoInstances):
		return snapshot{}, err
	case t.seenIn(svc) > 0:
		return snapshot{}, hint.Wrap(fmt.Errorf("no instance is listed where there were %d: %w", t.seenIn(svc), err),
			"a server that has just started lists none until their owners register again; flip takes nothing from an empty list")
	case empty != nil:
		return *empty, nil
	}
	return snapshot{}, hint.Wrap(missing(err), "look at service and group, and at namespace %s: it is an id, not the name that the console shows", t.cfg.namespace())
}

// missing is ErrNotFound with the text of err.
func missing(err error) error { return &notFound{err} }

type notFound struct{ error }

func (e *notFound) Unwrap() []error { return []error{e.error, driver.ErrNotFound} }

// isMissing: the server does not know the service. 1.x and the v1 API of 2.x
// answer 404 or 400, 3.x code 21008 or 400.
func isMissing(err error) bool {
	if !isStatus(err, http.StatusNotFound, http.StatusBadRequest, http.StatusInternalServerError) {
		return false
	}
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "not found") || strings.Contains(text, "not exist")
}

// snapshotAt reads a service from one server. Servers want to be asked cluster
// by cluster, and answer 404 for one that does not exist.
func (t *Target) snapshotAt(ctx context.Context, n *node, svc service) (snapshot, error) {
	body, version, err := t.client.at(ctx, n, func(a api) call {
		if a == v3 {
			return call{method: http.MethodGet, path: "/v3/admin/ns/service", params: t.params(a, svc)}
		}
		return call{method: http.MethodGet, path: "/v1/ns/service", params: t.params(a, svc)}
	})
	if err != nil {
		return snapshot{}, err
	}
	snap := snapshot{}
	if snap.detail, err = parseService(body); err != nil {
		return snapshot{}, fmt.Errorf("server %s: %w", n.name, err)
	}
	slices.Sort(snap.clusters)
	var all []instance
	for _, cluster := range snap.clusters {
		list, err := t.cluster(ctx, n, svc, cluster)
		if err != nil && !isMissing(err) {
			return snapshot{}, fmt.Errorf("cluster %s: %w", cluster, err)
		}
		all = append(all, list...)
	}
	snap.instances = merge(all)
	for _, i := range snap.instances {
		if i.copies > 1 {
			t.log.WarnContext(ctx, "an instance is registered several times; consumers may see each", "service", svc.String(), "instance", i.address(), "times", i.copies, "api", version.String())
		}
	}
	return snap, nil
}

// pageSize is larger than services are; the list is paged all the same.
const pageSize = 1000

// cluster lists the instances of one cluster, page by page where the API has
// pages.
func (t *Target) cluster(ctx context.Context, n *node, svc service, cluster string) ([]instance, error) {
	var all []instance
	for page := 1; ; page++ {
		body, version, err := t.client.at(ctx, n, func(a api) call {
			params := t.params(a, svc)
			params.Set("clusterName", cluster)
			if a == v3 {
				return call{method: http.MethodGet, path: "/v3/admin/ns/instance/list", params: params}
			}
			params.Set("pageNo", strconv.Itoa(page))
			params.Set("pageSize", strconv.Itoa(pageSize))
			return call{method: http.MethodGet, path: "/v1/ns/catalog/instances", params: params}
		})
		if err != nil {
			return nil, err
		}
		var list []instance
		total := 0
		if version == v3 {
			list, err = parseInstances(body)
		} else {
			list, total, err = parseCatalog(body)
		}
		if err != nil {
			return nil, fmt.Errorf("server %s: %w", n.name, err)
		}
		all = append(all, list...)
		if version == v3 || len(all) >= total {
			return all, nil
		}
		if len(list) == 0 {
			return nil, fmt.Errorf("server %s: page %d is empty, but %d of %d instances are missing", n.name, page, total-len(all), total)
		}
	}
}

// params name a service: 1.x and 2.x want the group in the service's name,
// 3.x wants them apart.
func (t *Target) params(a api, svc service) url.Values {
	p := url.Values{"namespaceId": {t.cfg.namespace()}, "groupName": {svc.group}, "serviceName": {svc.String()}}
	if a == v3 {
		p.Set("serviceName", svc.name)
	}
	return p
}

// Health is what Nacos itself believes: heartbeats and connections of
// ephemeral instances, its own checks of persistent ones.
func (t *Target) Health(ctx context.Context, ids []string) (map[string]driver.Health, error) {
	snaps, err := t.snapshots(ctx, t.services)
	if err != nil {
		return nil, fmt.Errorf("nacos: %w", err)
	}
	health := map[string]driver.Health{}
	for _, id := range ids {
		s, ok := parseID(id)
		if !ok {
			return nil, fmt.Errorf("nacos: %w", unknownID(id))
		}
		i, ok := snaps[s.service].instances[s.key]
		switch {
		case !ok:
			health[id] = driver.Health{State: driver.Down, Detail: "not registered"}
		case i.healthy:
			health[id] = driver.Health{State: driver.Up, Detail: "healthy"}
		default:
			health[id] = driver.Health{State: driver.Down, Detail: "unhealthy"}
		}
	}
	return health, nil
}

func unknownID(id string) error {
	return driver.Permanent(missing(hint.Wrap(fmt.Errorf("%q is no instance of this target", id), "instances are GROUP@@service/CLUSTER/ip:port")))
}

// Coming is register_timeout for an ephemeral instance that this run knows: it
// belongs to its owner, who registers it again. A persistent one is gone when
// it is gone, and what was never there is not on its way.
func (t *Target) Coming(id string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.known[id].Attrs[Ephemeral].Bool() {
		return 0
	}
	return t.cfg.registerTimeout()
}
