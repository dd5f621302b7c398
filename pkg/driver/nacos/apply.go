package nacos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// Apply writes only after every instance was found, every value compared and
// nothing has to be refused. It subscribes before the first write, so that
// Settle sees the push that consumers get, and returns when the server lists
// what was written.
func (t *Target) Apply(ctx context.Context, changes []state.Change) error {
	if len(changes) == 0 {
		return nil
	}
	if err := t.lock(ctx); err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	defer t.unlock()
	work, snaps, err := t.plan(ctx, changes)
	if err != nil {
		return fmt.Errorf("nacos: %w", errors.Join(err, t.takeBack(ctx, subjectsOf(changes))))
	}
	if len(work) == 0 {
		return nil
	}
	if err := t.refuse(work, snaps); err != nil {
		return fmt.Errorf("nacos: nothing was written: %w", driver.Permanent(err))
	}
	t.baseline(snaps)
	t.audience(ctx, servicesOf(work))
	t.presubscribe(ctx, servicesOf(work))
	for _, j := range work {
		if err := t.write(ctx, j); err != nil {
			return fmt.Errorf("nacos: %s %s: %w", j.verb(), j.id(), err)
		}
	}
	if err := t.verify(ctx, work); err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	return nil
}

// kind says how a job is done.
type kind int

const (
	update kind = iota
	register
	deregister
)

// job is one instance and the tuple that it is to have.
type job struct {
	subject
	kind kind
	old  instance // zero where it is registered
	want instance // zero where it is deregistered
}

func (j job) verb() string { return [...]string{"update", "register", "deregister"}[j.kind] }

// plan finds the instances, compares every value and completes the tuples. It
// leaves out what already is as wanted.
func (t *Target) plan(ctx context.Context, changes []state.Change) ([]job, map[service]snapshot, error) {
	order, by := grouped(changes)
	subjects, services, err := t.subjects(order)
	if err != nil {
		return nil, nil, err
	}
	snaps, err := t.snapshots(ctx, services)
	if err != nil {
		return nil, nil, fmt.Errorf("nothing was written: %w", err)
	}
	if err := t.holdable(); err != nil {
		return nil, nil, err
	}
	work, err := t.jobs(order, subjects, by, snaps)
	return work, snaps, err
}

// grouped is the changes by object, and the objects in their order.
func grouped(changes []state.Change) (order []string, by map[string][]state.Change) {
	by = map[string][]state.Change{}
	for _, c := range changes {
		if by[c.Object] == nil {
			order = append(order, c.Object)
		}
		by[c.Object] = append(by[c.Object], c)
	}
	return order, by
}

// subjects are what the ids stand for, and their services.
func (t *Target) subjects(ids []string) ([]subject, []service, error) {
	subjects := make([]subject, len(ids))
	var services []service
	for i, id := range ids {
		s, ok := parseID(id)
		if !ok || !slices.Contains(t.services, s.service) || !t.inCluster(s.cluster) {
			return nil, nil, unknownID(id)
		}
		subjects[i] = s
		if !slices.Contains(services, s.service) {
			services = append(services, s.service)
		}
	}
	return subjects, services, nil
}

// jobs is what is to be done about all of them.
func (t *Target) jobs(order []string, subjects []subject, by map[string][]state.Change, snaps map[service]snapshot) ([]job, error) {
	var work []job
	for i, id := range order {
		j, needed, err := t.job(subjects[i], by[id], snaps[subjects[i].service])
		if err != nil {
			return nil, err
		}
		if needed {
			work = append(work, j)
		}
	}
	return work, nil
}

// job is what is to be done about one instance.
func (t *Target) job(s subject, changes []state.Change, snap snapshot) (job, bool, error) {
	live, exists := snap.instances[s.key]
	attrs := map[string]state.Value{}
	if exists {
		attrs = live.attrs()
	}
	var open []state.Change
	for _, c := range changes {
		switch now := attrs[c.Attribute]; now {
		case c.To:
		case c.From:
			open = append(open, c)
		default:
			if !exists {
				return job{}, false, t.gone(s, snap)
			}
			return job{}, false, &driver.DriftError{Change: c, Now: now}
		}
	}
	if len(open) == 0 {
		return job{}, false, nil
	}
	j := job{subject: s, old: live, want: live}
	if !exists {
		return j, true, driver.Permanent(j.register(open))
	}
	removing := func(c state.Change) bool { return !c.To.Present() || (c.Attribute == Registered && c.To == "false") }
	if slices.ContainsFunc(open, removing) {
		j.kind, j.want = deregister, instance{}
		return j, true, driver.Permanent(deregisterable(s, live, open))
	}
	return j, true, driver.Permanent(j.update(open))
}

// gone is the error for an instance that is not there. One that this process
// saw may come back: its owner restarts, or a server does.
func (t *Target) gone(s subject, snap snapshot) error {
	err := missing(fmt.Errorf("no instance %s is registered in cluster %s of service %s", s.address(), s.cluster, s.service))
	if t.seen(s.id()) {
		return hint.Wrap(err, "it was registered before: start it, or wait until it has registered again; a write now would disable whoever registers there next")
	}
	return driver.Permanent(hint.Wrap(err, "registered are: %s", addresses(snap.instances)))
}

// update completes the tuple.
func (j *job) update(open []state.Change) error {
	for _, c := range open {
		if err := j.set(c); err != nil {
			return fmt.Errorf("%s: %w", j.id(), err)
		}
	}
	return nil
}

func (j *job) set(c state.Change) error {
	a, ok := Info().Kinds[0].Attribute(c.Attribute)
	if !ok {
		return fmt.Errorf("an instance has no attribute %q", c.Attribute)
	}
	if err := a.Check(c.To); err != nil {
		return err
	}
	switch c.Attribute {
	case Enabled:
		j.want.enabled = c.To.Bool()
	case Weight:
		j.want.weight, _ = c.To.Float()
	}
	return nil
}

// deregisterable refuses what belongs to an owner and what is no removal.
func deregisterable(s subject, live instance, open []state.Change) error {
	if live.ephemeral {
		return hint.Wrap(fmt.Errorf("%s is ephemeral: its owner keeps it registered, and removing it from outside does nothing", s.id()),
			"set enabled: false instead, or stop its process")
	}
	for _, c := range open {
		if c.To.Present() && c.To != "false" {
			return fmt.Errorf("%s: %s cannot be set on what is removed", s.id(), c.Attribute)
		}
	}
	return nil
}

// register makes the tuple of a persistent instance that is not there.
func (j *job) register(open []state.Change) error {
	wanted := map[string]state.Value{}
	for _, c := range open {
		wanted[c.Attribute] = c.To
	}
	if wanted[Registered] != "true" {
		return missing(hint.Wrap(fmt.Errorf("%s is not registered", j.id()), "set registered: true for a persistent instance, or start the process that registers it"))
	}
	if wanted[Ephemeral].Bool() {
		return hint.Wrap(fmt.Errorf("%s: an ephemeral instance is registered by its owner", j.id()), "start its process")
	}
	j.kind = register
	j.want = instance{key: j.key, weight: 1, enabled: true, metadata: map[string]string{}}
	for _, attr := range slices.Sorted(maps.Keys(wanted)) {
		switch attr {
		case Registered, Ephemeral:
		case Metadata:
			m, err := parseMetadata(wanted[attr].Text())
			if err != nil {
				return fmt.Errorf("%s: metadata is a JSON object of texts: %w", j.id(), err)
			}
			j.want.metadata = m
		default:
			if err := j.set(state.Change{Attribute: attr, To: wanted[attr]}); err != nil {
				return fmt.Errorf("%s: %w", j.id(), err)
			}
		}
	}
	return nil
}

func servicesOf(work []job) []service {
	var all []service
	for _, j := range work {
		if !slices.Contains(all, j.service) {
			all = append(all, j.service)
		}
	}
	return all
}
