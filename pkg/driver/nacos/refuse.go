package nacos

import (
	"fmt"
	"maps"
	"slices"

	"github.com/flip-cli/flip/pkg/hint"
)

// refuse reports the first service, or cluster of one, that the work would
// leave unable to serve. It looks at all of the work at once: half of it may be
// harmless. Bringing an instance in is never refused.
func (t *Target) refuse(work []job, snaps map[service]snapshot) error {
	version := t.client.known()
	for _, svc := range servicesOf(work) {
		before, next := snaps[svc], after(snaps[svc], work, svc)
		lowered := lowered(work, svc)
		if len(lowered) == 0 {
			continue
		}
		if err := enough(version, "service "+svc.String(), before, next); err != nil {
			return err
		}
		if t.cfg.EmptyClusters {
			continue
		}
		for _, cluster := range lowered {
			was := before.only(cluster)
			if was.serving() == 0 {
				continue // nobody uses it
			}
			if err := enough(version, "cluster "+cluster+" of service "+svc.String(), was, next.only(cluster)); err != nil {
				return hint.Wrap(err, "where no consumer asks for one cluster only, set empty_clusters: true")
			}
		}
	}
	return nil
}

// lowered are the clusters of a service that the work takes something from.
func lowered(work []job, svc service) []string {
	var clusters []string
	for _, j := range work {
		if j.service == svc && traffic(j.want) < traffic(j.old) && !slices.Contains(clusters, j.cluster) {
			clusters = append(clusters, j.cluster)
		}
	}
	slices.Sort(clusters)
	return clusters
}

// only is what consumers of one cluster see. The server compares the threshold
// with what it is about to answer, so with the instances of that cluster.
func (s snapshot) only(cluster string) snapshot {
	one := snapshot{detail: s.detail, instances: maps.Clone(s.instances)}
	maps.DeleteFunc(one.instances, func(k key, _ instance) bool { return k.cluster != cluster })
	return one
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

// enough: what names the instances that are looked at.
func enough(version api, what string, before, after snapshot) error {
	if after.serving() == 0 {
		return hint.Wrap(fmt.Errorf("%s would have no healthy enabled instance left", what),
			"many consumers keep the last instance for ever when their list becomes empty; enable another one first. Then there would be: %s", standing(after.instances))
	}
	was, _, _ := ratio(version, before)
	is, healthy, total := ratio(version, after)
	threshold := float32(after.threshold)
	if is <= threshold && was > threshold {
		return hint.Wrap(fmt.Errorf("%s would cross its protectThreshold %g: %d of %d instances would be healthy", what, after.threshold, healthy, total),
			"from there on Nacos sends traffic to unhealthy instances too; repair them first, or lower the threshold")
	}
	return nil
}

// serving counts the instances that consumers can use.
func (s snapshot) serving() int {
	n := 0
	for _, i := range s.instances {
		if i.enabled && i.healthy && i.weight > 0 {
			n++
		}
	}
	return n
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
