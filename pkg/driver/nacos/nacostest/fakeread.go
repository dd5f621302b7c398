package nacostest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// find is the service that the request names; 1.x and 2.x want the group in
// the name, 3.x wants them apart.
func (x *exchange) find() *fakeService {
	f := x.node.fake
	group, name := orElse(x.params.Get("groupName"), "DEFAULT_GROUP"), x.params.Get("serviceName")
	if g, n, ok := strings.Cut(name, "@@"); ok {
		if f.family() == 3 {
			return nil // it looks for a service with @@ in its name
		}
		group, name = g, n
	}
	if orElse(x.params.Get("namespaceId"), "public") != f.o.Namespace {
		return nil
	}
	s := f.services[group+"@@"+name]
	if s == nil || (x.node.forgot && s.ephemeral) {
		return nil
	}
	return s
}

func (x *exchange) noService() {
	name := x.params.Get("serviceName")
	switch x.node.fake.family() {
	case 1:
		x.fail(http.StatusNotFound, 0, "service "+name+" is not found!")
	default:
		x.fail(http.StatusBadRequest, 21008, "service not found, namespace: "+x.params.Get("namespaceId")+", serviceName: "+name)
	}
}

func (x *exchange) serviceV1() {
	s := x.find()
	if s == nil {
		x.noService()
		return
	}
	clusters := []map[string]any{}
	for _, c := range x.node.clusters(s) {
		clusters = append(clusters, map[string]any{"name": c, "healthChecker": map[string]any{"type": "TCP"}, "metadata": map[string]any{}})
	}
	writeJSON(x.w, http.StatusOK, map[string]any{
		"namespaceId": x.node.fake.o.Namespace, "groupName": s.group, "name": s.name,
		"protectThreshold": s.threshold, "metadata": map[string]any{}, "selector": map[string]any{"type": "none"}, "clusters": clusters,
	})
}

func (x *exchange) serviceV3() {
	s := x.find()
	if s == nil {
		x.noService()
		return
	}
	clusters := map[string]any{}
	for _, c := range x.node.clusters(s) {
		clusters[c] = map[string]any{"clusterName": c}
	}
	x.result(map[string]any{
		"namespaceId": x.node.fake.o.Namespace, "groupName": s.group, "serviceName": s.name, "ephemeral": s.ephemeral,
		"protectThreshold": s.threshold, "metadata": map[string]any{}, "clusterMap": clusters,
	})
}

// operators is the list of one cluster for operators, nil when it answered.
func (x *exchange) operators() (*fakeService, []Instance) {
	s, cluster := x.find(), x.params.Get("clusterName")
	if s == nil {
		x.fail(http.StatusNotFound, 20004, "service "+x.params.Get("serviceName")+" is not found!")
		return nil, nil
	}
	if !slices.Contains(x.node.clusters(s), cluster) {
		x.fail(http.StatusNotFound, 20004, "cluster "+cluster+" is not found!")
		return nil, nil
	}
	return s, slices.DeleteFunc(x.node.view(s, false), func(i Instance) bool { return i.Cluster != cluster })
}

func (x *exchange) catalog() {
	page, _ := strconv.Atoi(x.params.Get("pageNo"))
	size, _ := strconv.Atoi(x.params.Get("pageSize"))
	s, all := x.operators()
	if s == nil {
		return
	}
	from := min(max(page-1, 0)*size, len(all))
	writeJSON(x.w, http.StatusOK, map[string]any{"count": len(all), "list": s.bodies(all[from:min(from+size, len(all))])})
}

func (x *exchange) adminList() {
	if s, all := x.operators(); s != nil {
		x.result(s.bodies(all))
	}
}

func (x *exchange) listV1() {
	s := x.find()
	if s == nil { // not an error to consumers
		s = &fakeService{group: "DEFAULT_GROUP", name: x.params.Get("serviceName")}
	}
	writeJSON(x.w, http.StatusOK, x.node.info(s))
}

func (x *exchange) listV3() {
	s := x.find()
	if s == nil {
		x.result([]any{})
		return
	}
	clusters := strings.Split(orElse(x.params.Get("clusterName"), "DEFAULT"), ",")
	x.result(s.bodies(slices.DeleteFunc(x.node.view(s, true), func(i Instance) bool { return !slices.Contains(clusters, i.Cluster) })))
}

// subscribers are the connections of all nodes, and those that a test told of.
func (x *exchange) subscribers() {
	if strings.Contains(x.params.Get("serviceName"), "@@") && x.params.Has("groupName") {
		x.fail(http.StatusBadRequest, 0, "the group is put in front of serviceName, which has one")
		return
	}
	s := x.find()
	if s == nil {
		x.noService()
		return
	}
	f := x.node.fake
	list := []map[string]any{}
	for _, agent := range s.listeners {
		list = append(list, map[string]any{"agent": agent, "app": "unknown", "appName": "unknown", "serviceName": s.name})
	}
	for _, n := range f.nodes {
		for _, p := range n.peers {
			if app, ok := p.services[s.group+"@@"+s.name]; ok {
				list = append(list, map[string]any{"agent": p.agent, "app": app, "appName": app, "serviceName": s.name})
			}
		}
	}
	if f.family() == 3 {
		x.result(map[string]any{"totalCount": len(list), "pageNumber": 1, "pagesAvailable": 1, "pageItems": list})
		return
	}
	writeJSON(x.w, http.StatusOK, map[string]any{"count": len(list), "subscribers": list})
}
