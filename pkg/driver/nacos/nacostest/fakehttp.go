package nacostest

import (
	"fmt"
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
	"GET /v1/console/server/state":         {families: "12", gone: "3", serve: (*exchange).state},
	"GET /v3/admin/core/state":             {families: "3", serve: (*exchange).state},
	"POST /v1/auth/users/login":            {families: "123", params: "username! password!", serve: (*exchange).login},
	"POST /v3/auth/user/login":             {families: "3", params: "username! password!", serve: (*exchange).login},
	"GET /v1/ns/service":                   {families: "12", gone: "3", params: ofService, serve: (*exchange).serviceV1},
	"GET /v3/admin/ns/service":             {families: "3", params: ofService, serve: (*exchange).serviceV3},
	"GET /v1/ns/service/subscribers":       {families: "12", gone: "3", params: ofService + " pageNo! pageSize!", serve: (*exchange).subscribers},
	"GET /v3/admin/ns/service/subscribers": {families: "3", params: ofService + " pageNo! pageSize!", serve: (*exchange).subscribers},
	"GET /v1/ns/catalog/instances":         {families: "12", gone: "3", params: ofService + " clusterName! pageNo! pageSize!", serve: (*exchange).catalog},
	"GET /v3/admin/ns/instance/list":       {families: "3", params: ofService + " clusterName", serve: (*exchange).adminList},
	"GET /v1/ns/instance/list":             {families: "123", params: ofService + " healthyOnly", serve: (*exchange).listV1},
	"GET /v3/client/ns/instance/list":      {families: "3", params: ofService + " clusterName", serve: (*exchange).listV3},
	"PATCH /v1/ns/instance":                {families: "12", gone: "3", params: ofInstance, serve: (*exchange).patch},
	"PUT /v1/ns/instance":                  {families: "12", gone: "3", params: ofInstance, serve: (*exchange).put},
	"PUT /v3/admin/ns/instance":            {families: "3", params: ofInstance, serve: (*exchange).put},
	"POST /v1/ns/instance":                 {families: "123", params: ofInstance, serve: (*exchange).post},
	"POST /v3/admin/ns/instance":           {families: "3", params: ofInstance, serve: (*exchange).post},
	"DELETE /v1/ns/instance":               {families: "123", params: ofInstance, serve: (*exchange).remove},
	"DELETE /v3/admin/ns/instance":         {families: "3", params: ofInstance, serve: (*exchange).remove},
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
