package nacostest

import (
	"slices"
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
	listeners   []string            // agents that subscribe, beside the connections
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
	if o := f.overlay(s, slot(i.Cluster, i.Address)); o != nil {
		o.expired = time.Time{}
	}
	f.changed(s)
}

// overlay is what an operator wrote for a slot and the cleaner did not take
// away. That one runs every Clean and takes what is marked for longer than Keep,
// together with the mark: what is written afterwards has none.
func (f *Fake) overlay(s *fakeService, at string) *overlay {
	o := s.overlays[at]
	if o == nil || o.expired.IsZero() {
		return o
	}
	due := o.expired.Add(f.o.Keep).Sub(f.began)
	run := f.began.Add((due/f.o.Clean + 1) * f.o.Clean)
	if time.Now().Before(run) {
		return o
	}
	delete(s.overlays, at)
	return nil
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
		if o := f.overlay(s, slot(p.Cluster, p.Address)); o != nil {
			o.expired = time.Now()
		}
		return true
	})
	f.changed(s)
}

// Subscribe is a consumer of whom the cluster knows the agent, such as
// "Nacos-Java-Client:v1.4.2", and that it pushes nothing to.
func (f *Fake) Subscribe(service, agent string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.service(service)
	s.listeners = append(s.listeners, agent)
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
			o := f.overlay(s, at)
			if o != nil && o.expired.IsZero() && !slices.ContainsFunc(s.published, func(p published) bool { return slot(p.Cluster, p.Address) == at }) {
				n++
			}
		}
	}
	return n
}

// update is the write of an operator. 2.x and 3.x do not look whether the
// instance exists.
func (f *Fake) update(s *fakeService, cluster, address string, o overlay) {
	if f.family() > 1 {
		at := slot(cluster, address)
		if old := f.overlay(s, at); old != nil {
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
