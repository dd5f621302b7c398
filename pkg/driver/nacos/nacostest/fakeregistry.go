package nacostest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fakeService is what the cluster knows of a service.
type fakeService struct {
	group, name string
	threshold   float64
	ephemeral   bool
	published   []published
	overlays    map[string]*overlay // by ip:port:cluster
}

// published is a registration by its owner.
type published struct {
	Instance
	healthy bool
	owner   string // the connection that holds it; empty for Register
}

// overlay is what an operator wrote (InstanceMetadata). It wins over the
// registration, and outlives it for a while.
type overlay struct {
	enabled  bool
	weight   float64
	metadata map[string]string
	expired  time.Time // since when its owner is gone; zero while it is there
}

func slot(cluster, address string) string { return address + ":" + cluster }

// service finds or makes one; name may be GROUP@@name.
func (f *Fake) service(name string) *fakeService {
	group, short, ok := strings.Cut(name, "@@")
	if !ok {
		group, short = "DEFAULT_GROUP", name
	}
	full := group + "@@" + short
	if f.services[full] == nil {
		f.services[full] = &fakeService{group: group, name: short, ephemeral: true, overlays: map[string]*overlay{}}
	}
	return f.services[full]
}

// Register is an owner that registers, and keeps the registration alive.
func (f *Fake) Register(service string, all ...Instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range all {
		f.register(f.service(service), i, "", false)
	}
}

// Copy registers an address a second time, from another connection.
func (f *Fake) Copy(service string, i Instance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.register(f.service(service), i, "", true)
}

func (f *Fake) register(s *fakeService, i Instance, owner string, again bool) {
	i.Cluster = orElse(i.Cluster, "DEFAULT")
	if i.Metadata == nil {
		i.Metadata = map[string]string{}
	}
	if len(s.published) == 0 {
		s.ephemeral = !i.Persistent
	}
	at := slices.IndexFunc(s.published, func(p published) bool { return p.Address == i.Address && p.Cluster == i.Cluster })
	fresh := published{i, !i.Unhealthy, owner}
	if at >= 0 && !again {
		s.published[at] = fresh
	} else {
		s.published = append(s.published, fresh)
	}
	if o := s.overlays[slot(i.Cluster, i.Address)]; o != nil {
		if !o.expired.IsZero() && time.Since(o.expired) > f.o.Keep {
			delete(s.overlays, slot(i.Cluster, i.Address)) // the cleaner was faster
		} else {
			o.expired = time.Time{}
		}
	}
	f.changed(s)
}

// Leave is an owner that stops: its registration goes at once, the overlay
// begins to expire.
func (f *Fake) Leave(service, address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(f.service(service), "", address)
}

func (f *Fake) remove(s *fakeService, cluster, address string) {
	f.removeAll(s, func(p published) bool {
		return p.Address == address && (cluster == "" || p.Cluster == cluster)
	})
}

// removeOf takes away what a connection held.
func (f *Fake) removeOf(owner string) {
	held := func(p published) bool { return p.owner == owner }
	for _, s := range f.services {
		if slices.ContainsFunc(s.published, held) {
			f.removeAll(s, held)
		}
	}
}

func (f *Fake) removeAll(s *fakeService, which func(published) bool) {
	s.published = slices.DeleteFunc(s.published, func(p published) bool {
		if !which(p) {
			return false
		}
		if o := s.overlays[slot(p.Cluster, p.Address)]; o != nil {
			o.expired = time.Now()
		}
		return true
	})
	f.changed(s)
}

// Unhealthy makes a member fail its health checks.
func (f *Fake) Unhealthy(service, address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.service(service)
	for i := range s.published {
		if s.published[i].Address == address {
			s.published[i].healthy = false
		}
	}
	f.changed(s)
}

// Threshold sets a service's protectThreshold.
func (f *Fake) Threshold(service string, t float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.service(service).threshold = t
}

// Set changes an instance as another operator does: enabled and weight, with
// all the rest as it is.
func (f *Fake) Set(service, address string, enabled bool, weight float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.service(service)
	for _, i := range f.merged(s) {
		if i.Address == address {
			f.update(s, i.Cluster, i.Address, overlay{enabled: enabled, weight: weight, metadata: i.Metadata})
		}
	}
}

// Get is an instance as the cluster shows it to operators.
func (f *Fake) Get(service, address string) (Instance, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.merged(f.service(service)) {
		if i.Address == address {
			return i, true
		}
	}
	return Instance{}, false
}

// Phantoms counts overlays without an instance: they disable whoever registers
// there next.
func (f *Fake) Phantoms() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, s := range f.services {
		for at := range s.overlays {
			if !slices.ContainsFunc(s.published, func(p published) bool { return slot(p.Cluster, p.Address) == at }) && s.overlays[at].expired.IsZero() {
				n++
			}
		}
	}
	return n
}

// merged is the registrations with the overlays over them. Registrations that
// print alike are one (ServiceStorage keeps a set of texts).
func (f *Fake) merged(s *fakeService) []Instance {
	var all []Instance
	for _, p := range s.published {
		i := p.Instance
		i.Unhealthy = !p.healthy
		i.Metadata = maps.Clone(i.Metadata)
		if o := s.overlays[slot(i.Cluster, i.Address)]; o != nil {
			i.Disabled, i.Weight = !o.enabled, o.weight
			maps.Copy(i.Metadata, o.metadata)
		}
		if !slices.ContainsFunc(all, func(o Instance) bool { return reflect.DeepEqual(o, i) }) {
			all = append(all, i)
		}
	}
	return all
}

// update is the write of an operator. 2.x and 3.x do not look whether the
// instance exists.
func (f *Fake) update(s *fakeService, cluster, address string, o overlay) {
	if f.family() > 1 {
		at := slot(cluster, address)
		if old := s.overlays[at]; old != nil {
			o.expired = old.expired // a write does not clear the mark
		}
		s.overlays[at] = &o
		f.changed(s)
		return
	}
	for i := range s.published {
		if p := &s.published[i]; p.Address == address && p.Cluster == cluster {
			p.Disabled, p.Weight, p.Metadata = !o.enabled, o.weight, o.metadata
		}
	}
	f.changed(s)
}

// view is what a node shows: to operators all, to consumers what is enabled,
// with every instance declared healthy below the protectThreshold.
func (n *fakeNode) view(s *fakeService, consumers bool) []Instance {
	var all []Instance
	healthy := 0
	for _, i := range n.fake.merged(s) {
		if (n.forgot && !i.Persistent) || (consumers && i.Disabled) {
			continue
		}
		if !i.Unhealthy {
			healthy++
		}
		all = append(all, i)
	}
	if consumers && len(all) > 0 && float64(healthy)/float64(len(all)) <= s.threshold {
		for i := range all {
			all[i].Unhealthy = false
		}
	}
	return all
}

// clusters lists the names that a node knows of.
func (n *fakeNode) clusters(s *fakeService) []string {
	var names []string
	for _, i := range n.view(s, false) {
		if !slices.Contains(names, i.Cluster) {
			names = append(names, i.Cluster)
		}
	}
	slices.Sort(names)
	return names
}

// body is an instance as the API writes it.
func (s *fakeService) body(i Instance) map[string]any {
	host, port, _ := net.SplitHostPort(i.Address)
	number, _ := strconv.Atoi(port)
	return map[string]any{
		"instanceId": fmt.Sprintf("%s#%s#%s#%s@@%s", host, port, i.Cluster, s.group, s.name),
		"ip":         host, "port": number, "weight": i.Weight, "healthy": !i.Unhealthy, "enabled": !i.Disabled, "ephemeral": !i.Persistent,
		"clusterName": i.Cluster, "serviceName": s.group + "@@" + s.name, "metadata": i.Metadata,
		"instanceHeartBeatInterval": 5000, "instanceHeartBeatTimeOut": 15000, "ipDeleteTimeout": 30000,
	}
}

func (s *fakeService) bodies(all []Instance) []map[string]any {
	out := []map[string]any{}
	for _, i := range all {
		out = append(out, s.body(i))
	}
	return out
}

// info is a service as consumers get it, over HTTP and in pushes.
func (n *fakeNode) info(s *fakeService) map[string]any {
	n.fake.stamp = max(n.fake.stamp+1, uint64(time.Now().UnixMilli())) //nolint:gosec // after 1970
	return map[string]any{
		"name": s.name, "groupName": s.group, "clusters": "", "cacheMillis": 10000, "hosts": s.bodies(n.view(s, true)),
		"lastRefTime": n.fake.stamp, "checksum": "", "allIPs": false, "reachProtectionThreshold": false, "valid": true,
	}
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client is gone
}
