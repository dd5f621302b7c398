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
	"time"
)

// merged is the registrations with the overlays over them. Registrations that
// print alike are one (ServiceStorage keeps a set of texts).
func (f *Fake) merged(s *fakeService) []Instance {
	var all []Instance
	for _, p := range s.published {
		i := p.Instance
		i.Unhealthy = !p.healthy
		i.Metadata = maps.Clone(i.Metadata)
		if o := f.overlay(s, slot(i.Cluster, i.Address)); o != nil {
			i.Disabled, i.Weight = !o.enabled, o.weight
			maps.Copy(i.Metadata, o.metadata)
		}
		if !slices.ContainsFunc(all, func(o Instance) bool { return reflect.DeepEqual(o, i) }) {
			all = append(all, i)
		}
	}
	return all
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
