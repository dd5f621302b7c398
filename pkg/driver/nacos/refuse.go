package nacos

import (
	"fmt"
	"maps"
	"slices"

	"github.com/flip-cli/flip/pkg/hint"
)

// refuse reports the first service that the work would leave unable to serve.
// It looks at all of the work at once: half of it may be harmless.
func refuse(version api, work []job, snaps map[service]snapshot) error {
	for _, svc := range servicesOf(work) {
		before := snaps[svc]
		if !lowers(work, svc) {
			continue
		}
		if err := enough(version, svc, before, after(before, work, svc)); err != nil {
			return err
		}
	}
	return nil
}

// lowers reports whether the work takes something from a service. Bringing an
// instance in is never refused.
func lowers(work []job, svc service) bool {
	return slices.ContainsFunc(work, func(j job) bool {
		return j.service == svc && traffic(j.want) < traffic(j.old)
	})
}

// traffic is what an instance takes of the traffic.
func traffic(i instance) float64 {
	if !i.enabled {
		return 0
	}
	return i.weight
}

// after is the service when the work is done.
func after(s snapshot, work []job, svc service) snapshot {
	next := snapshot{detail: s.detail, instances: map[key]instance{}}
	maps.Copy(next.instances, s.instances)
	for _, j := range work {
		switch {
		case j.service != svc:
		case j.kind == deregister:
			delete(next.instances, j.key)
		default:
			next.instances[j.key] = j.want
		}
	}
	return next
}

func enough(version api, svc service, before, after snapshot) error {
	serving := 0
	for _, i := range after.instances {
		if i.enabled && i.healthy && i.weight > 0 {
			serving++
		}
	}
	if serving == 0 {
		return hint.Wrap(fmt.Errorf("service %s would have no healthy enabled instance left", svc),
			"many consumers keep the last instance for ever when their list becomes empty; enable another one first. Then there would be: %s", standing(after.instances))
	}
	was, _, _ := ratio(version, before)
	is, healthy, total := ratio(version, after)
	threshold := float32(after.threshold)
	if is <= threshold && was > threshold {
		return hint.Wrap(fmt.Errorf("service %s would cross its protectThreshold %g: %d of %d instances would be healthy", svc, after.threshold, healthy, total),
			"from there on Nacos sends traffic to unhealthy instances too; repair them first, or lower the threshold")
	}
	return nil
}

// standing says of up to ten instances why they would not serve.
func standing(all map[key]instance) string {
	var texts []string
	for _, i := range all {
		text := i.address()
		switch {
		case !i.enabled && !i.healthy:
			text += " disabled and unhealthy"
		case !i.enabled:
			text += " disabled"
		case !i.healthy:
			text += " unhealthy"
		case i.weight == 0:
			text += " with weight 0"
		}
		texts = append(texts, text)
	}
	return listing(texts)
}

// ratio is what the server compares with protectThreshold (ServiceUtil of
// 2.x): healthy instances of those that are enabled. 1.x counts the disabled
// ones too.
func ratio(version api, s snapshot) (share float32, healthy, total int) {
	for _, i := range s.instances {
		if !i.enabled && version != v1 {
			continue
		}
		total++
		if i.healthy {
			healthy++
		}
	}
	if total == 0 {
		return 0, 0, 0
	}
	return float32(healthy) / float32(total), healthy, total
}
