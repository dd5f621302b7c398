package nacos

import (
	"context"
	"fmt"
	"maps"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/state"
)

// Check refuses what Apply would refuse once the steps before it have made now
// of the target. Health and thresholds are those of this moment.
func (t *Target) Check(ctx context.Context, now state.State, changes []state.Change) error {
	order, by := grouped(changes)
	subjects, services, err := t.subjects(order)
	if err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	snaps, err := t.snapshots(ctx, services)
	if err != nil {
		return driver.Uncertain(fmt.Errorf("nacos: %w", err))
	}
	if err := t.holdable(); err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	for svc, live := range snaps {
		snaps[svc] = t.imagine(svc, live, now)
	}
	work, err := t.jobs(order, subjects, by, snaps)
	if err != nil {
		return fmt.Errorf("nacos: %w", err)
	}
	if err := t.refuse(work, snaps); err != nil {
		return fmt.Errorf("nacos: %w", driver.Permanent(err))
	}
	return nil
}

// imagine is a service as it is now in the clusters that the target is about,
// and as it is live in the others.
func (t *Target) imagine(svc service, live snapshot, now state.State) snapshot {
	next := snapshot{detail: live.detail, instances: map[key]instance{}}
	maps.Copy(next.instances, live.instances)
	maps.DeleteFunc(next.instances, func(k key, _ instance) bool { return t.inCluster(k.cluster) })
	for id, o := range now.Objects {
		s, ok := parseID(id)
		if !ok || s.service != svc || len(o.Attrs) == 0 {
			continue
		}
		i, there := live.instances[s.key]
		switch {
		case !there && o.Attrs[Registered] != "true":
			continue // its owner is gone
		case !there: // made by a step before; Nacos calls what is new healthy
			i = instance{key: s.key, healthy: true}
		}
		i.enabled, i.ephemeral = o.Attrs[Enabled].Bool(), o.Attrs[Ephemeral].Bool()
		i.weight, _ = o.Attrs[Weight].Float()
		next.instances[s.key] = i
	}
	return next
}
