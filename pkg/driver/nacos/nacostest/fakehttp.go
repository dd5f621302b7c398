package nacostest

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// exchange is one request at one node.
type exchange struct {
	node   *fakeNode
	w      http.ResponseWriter
	params url.Values
}

// route is one call of the API: the versions that have it, its parameters, and
// what it does. Parameters with ! must be there.
type route struct {
	families string // "12"
	gone     string // families that answer 410
	params   string
	serve    func(*exchange)
}

const (
	ofService  = "namespaceId groupName serviceName!"
	ofInstance = ofService + " clusterName cluster ip! port! ephemeral enabled weight metadata"
)

var routes = map[string]route{
	"GET /v1/console/server/state":    {families: "12", gone: "3", serve: (*exchange).state},
	"GET /v3/admin/core/state":        {families: "3", serve: (*exchange).state},
	"POST /v1/auth/users/login":       {families: "123", params: "username! password!", serve: (*exchange).login},
	"POST /v3/auth/user/login":        {families: "3", params: "username! password!", serve: (*exchange).login},
	"GET /v1/ns/service":              {families: "12", gone: "3", params: ofService, serve: (*exchange).serviceV1},
	"GET /v3/admin/ns/service":        {families: "3", params: ofService, serve: (*exchange).serviceV3},
	"GET /v1/ns/catalog/instances":    {families: "12", gone: "3", params: ofService + " clusterName! pageNo! pageSize!", serve: (*exchange).catalog},
	"GET /v3/admin/ns/instance/list":  {families: "3", params: ofService + " clusterName", serve: (*exchange).adminList},
	"GET /v1/ns/instance/list":        {families: "123", params: ofService + " healthyOnly", serve: (*exchange).listV1},
	"GET /v3/client/ns/instance/list": {families: "3", params: ofService + " clusterName", serve: (*exchange).listV3},
	"PATCH /v1/ns/instance":           {families: "12", gone: "3", params: ofInstance, serve: (*exchange).patch},
	"PUT /v1/ns/instance":             {families: "12", gone: "3", params: ofInstance, serve: (*exchange).put},
	"PUT /v3/admin/ns/instance":       {families: "3", params: ofInstance, serve: (*exchange).put},
	"POST /v1/ns/instance":            {families: "123", params: ofInstance, serve: (*exchange).post},
	"POST /v3/admin/ns/instance":      {families: "3", params: ofInstance, serve: (*exchange).post},
	"DELETE /v1/ns/instance":          {families: "123", params: ofInstance, serve: (*exchange).remove},
	"DELETE /v3/admin/ns/instance":    {families: "3", params: ofInstance, serve: (*exchange).remove},
}

func (n *fakeNode) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/nacos")
	logged := r.Method + " " + path + "?" + r.Form.Encode()
	f := n.fake
	f.mu.Lock()
	if !strings.Contains(path, "login") {
		f.requests = append(f.requests, logged)
	}
	fault := f.due(n.index, logged)
	f.mu.Unlock()
	if fault.before(w, r, f.closed) {
		return
	}
	if fault.Kind == LoseAnswer {
		n.answer(discard{}, r, path)
		hangUp(w)
		return
	}
	n.answer(w, r, path)
}

func (n *fakeNode) answer(w http.ResponseWriter, r *http.Request, path string) {
	f := n.fake
	f.mu.Lock()
	defer f.mu.Unlock()
	family := strconv.Itoa(f.family())
	rt, known := routes[r.Method+" "+path]
	switch {
	case known && strings.Contains(rt.gone, family):
		writeJSON(w, http.StatusGone, map[string]any{"code": 410, "message": "Current API will be deprecated. If you still want to use this API, you can modify nacos.core.api.compatibility", "data": "please use v3 API"})
		return
	case !known || !strings.Contains(rt.families, family):
		writeJSON(w, http.StatusNotFound, map[string]any{"status": 404, "error": "Not Found", "path": r.URL.Path})
		return
	}
	x := &exchange{node: n, w: w, params: r.Form}
	if text := wrong(rt.params, r.Form); text != "" {
		x.fail(http.StatusBadRequest, 10000, text)
		return
	}
	if !strings.Contains(path, "state") && !strings.Contains(path, "login") && !f.allowed(r.Header.Get("Authorization")) {
		writeJSON(w, http.StatusForbidden, map[string]any{"status": 403, "error": "Forbidden", "message": "token invalid!", "path": r.URL.Path})
		return
	}
	rt.serve(x)
}

// wrong says which parameters are missing or unknown. Real servers ignore what
// they do not know; here it is a mistake.
func wrong(spec string, got url.Values) string {
	var known []string
	for name := range strings.FieldsSeq(spec) {
		bare := strings.TrimSuffix(name, "!")
		known = append(known, bare)
		if bare != name && got.Get(bare) == "" {
			return "Param '" + bare + "' is required."
		}
	}
	for name, values := range got {
		if !slices.Contains(known, name) || len(values) > 1 {
			return "the stand-in takes no parameter " + name
		}
	}
	return ""
}

func (f *Fake) allowed(header string) bool {
	if f.o.Username == "" {
		return true
	}
	until, ok := f.tokens[strings.TrimPrefix(header, "Bearer ")]
	return ok && time.Now().Before(until)
}

func (x *exchange) fail(status, code int, text string) {
	if x.node.fake.family() == 3 {
		writeJSON(x.w, status, map[string]any{"code": code, "message": text, "data": nil})
		return
	}
	http.Error(x.w, "caused: "+text+";", status)
}

// result wraps data as 3.x does.
func (x *exchange) result(data any) {
	writeJSON(x.w, http.StatusOK, map[string]any{"code": 0, "message": "success", "data": data})
}

func (x *exchange) ok() {
	if x.node.fake.family() == 3 {
		x.result("ok")
		return
	}
	_, _ = x.w.Write([]byte("ok")) // the client is gone
}

func (x *exchange) state() {
	state := map[string]any{"version": x.node.fake.o.Version, "standalone_mode": "standalone", "function_mode": nil}
	if x.node.fake.family() == 3 {
		x.result(state)
		return
	}
	writeJSON(x.w, http.StatusOK, state)
}

func (x *exchange) login() {
	f := x.node.fake
	f.logins++
	if x.params.Get("username") != f.o.Username || x.params.Get("password") != f.o.Password {
		x.refuse()
		return
	}
	token := fmt.Sprintf("token-%d-of-%s", f.logins, f.o.Username)
	f.tokens[token] = time.Now().Add(f.o.TokenTTL)
	writeJSON(x.w, http.StatusOK, map[string]any{"accessToken": token, "tokenTtl": f.o.TokenTTL.Seconds(), "globalAdmin": true, "username": f.o.Username})
}

// refuse is the answer to a login that the servers in the tests gave: 403 of
// 1.x, and of 3.x to a user that it does not know, otherwise 500 without a word
// about why (2.5.0 and 3.1.0 without their console).
func (x *exchange) refuse() {
	family := x.node.fake.family()
	switch {
	case family == 1:
		http.Error(x.w, "unknown user!", http.StatusForbidden)
	case family == 3 && x.params.Get("username") != x.node.fake.o.Username:
		writeJSON(x.w, http.StatusForbidden, map[string]any{"status": 403, "error": "Forbidden"})
	default:
		writeJSON(x.w, http.StatusInternalServerError, map[string]any{"status": 500, "error": "Internal Server Error"})
	}
}

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

// tuple reads the parameters of a write. Whatever is left out is its default.
func (x *exchange) tuple() (cluster, address string, o overlay, ok bool) {
	cluster = orElse(x.params.Get("clusterName"), orElse(x.params.Get("cluster"), "DEFAULT"))
	address = net.JoinHostPort(x.params.Get("ip"), x.params.Get("port"))
	o = overlay{enabled: orElse(x.params.Get("enabled"), "true") == "true", weight: 1, metadata: map[string]string{}}
	if text := x.params.Get("weight"); text != "" {
		var err error
		if o.weight, err = strconv.ParseFloat(text, 64); err != nil || o.weight < 0 || o.weight > 10000 {
			x.fail(http.StatusBadRequest, 21002, "instance format invalid: The weights range from 0 to 10000")
			return "", "", o, false
		}
	}
	if text := x.params.Get("metadata"); text != "" {
		if err := json.Unmarshal([]byte(text), &o.metadata); err != nil {
			x.fail(http.StatusBadRequest, 21003, "metadata format incorrect:"+text)
			return "", "", o, false
		}
	}
	return cluster, address, o, true
}

// put writes an overlay, "ok" for whatever address; in 1.x it registers.
func (x *exchange) put() {
	s := x.find()
	cluster, address, o, ok := x.tuple()
	switch {
	case !ok:
	case s == nil:
		x.fail(http.StatusBadRequest, 21008, "service not found, namespace: "+x.params.Get("namespaceId")+", service: "+x.params.Get("serviceName"))
	case x.node.fake.family() == 1:
		x.post()
	default:
		x.node.fake.update(s, cluster, address, o)
		x.ok()
	}
}

// patch is a merge of a live instance in 1.x. In 2.x it begins from the
// overlay or from defaults, which is never what is wanted: refused here.
func (x *exchange) patch() {
	s := x.find()
	cluster, address, o, ok := x.tuple()
	switch {
	case !ok:
	case x.node.fake.family() != 1:
		x.fail(http.StatusNotImplemented, 501, "the stand-in has no PATCH of 2.x: it resets weight and enabled")
	case s == nil || !slices.ContainsFunc(s.published, func(p published) bool { return p.Address == address && p.Cluster == cluster }):
		x.fail(http.StatusBadRequest, 0, "instance not found")
	default:
		x.node.fake.update(s, cluster, address, o)
		x.ok()
	}
}

func (x *exchange) post() {
	cluster, address, o, ok := x.tuple()
	if !ok {
		return
	}
	i := Instance{Address: address, Cluster: cluster, Weight: o.weight, Disabled: !o.enabled, Metadata: o.metadata, Persistent: x.params.Get("ephemeral") == "false"}
	f := x.node.fake
	name := x.params.Get("serviceName")
	if !strings.Contains(name, "@@") {
		name = orElse(x.params.Get("groupName"), "DEFAULT_GROUP") + "@@" + name
	}
	s := f.service(name)
	if f.family() > 1 && i.Persistent && s.ephemeral && len(s.published) > 0 {
		x.fail(http.StatusBadRequest, 21002, "Current service "+name+" is ephemeral service, can't register persistent instance.")
		return
	}
	if i.Persistent {
		s.ephemeral = false
	}
	f.register(s, i, "", false)
	x.ok()
}

// remove is a no-op that answers "ok" for an ephemeral instance of 2.x and
// 3.x: its owner's connection holds it.
func (x *exchange) remove() {
	s := x.find()
	cluster, address, _, ok := x.tuple()
	if !ok {
		return
	}
	if s != nil && (x.params.Get("ephemeral") == "false" || x.node.fake.family() == 1) {
		x.node.fake.remove(s, cluster, address)
	}
	x.ok()
}
