package nacostest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"testing"
)

// Login returns an access token, "" without WithAuth. It is the same one every
// time: checking a password is slow, and a token is good for 5 h, also after a
// restart.
func (r *Real) Login(ctx context.Context) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Username == "" || r.token != "" {
		return r.token, nil
	}
	text, status, err := r.do(ctx, http.MethodPost, "/nacos/v1/auth/users/login",
		url.Values{"username": {r.Username}, "password": {r.Password}}, "")
	if err != nil {
		return "", err
	}
	var answer struct {
		Token string `json:"accessToken"`
	}
	if json.Unmarshal([]byte(text), &answer) != nil || answer.Token == "" {
		return "", fmt.Errorf("login: status %d: %s", status, text)
	}
	r.token = answer.Token
	return r.token, nil
}

// Call sends a form to a path below the context path, as the administrator,
// and returns the answer and its status.
func (r *Real) Call(ctx context.Context, method, path string, form url.Values) (string, int, error) {
	token, err := r.Login(ctx)
	if err != nil {
		return "", 0, err
	}
	return r.do(ctx, method, "/nacos"+path, form, token)
}

// Persist registers i as a persistent instance over HTTP.
func (r *Real) Persist(tb testing.TB, service string, i Instance) {
	tb.Helper()
	r.write(tb, http.MethodPost, service, i)
}

// Set is another operator: it writes enabled, weight and metadata of i as
// given. Persistent must be what the instance is.
func (r *Real) Set(tb testing.TB, service string, i Instance) {
	tb.Helper()
	r.write(tb, http.MethodPut, service, i)
}

// Remove ends the registration of a persistent instance.
func (r *Real) Remove(tb testing.TB, service string, i Instance) {
	tb.Helper()
	r.write(tb, http.MethodDelete, service, i)
}

func (r *Real) write(tb testing.TB, method, service string, i Instance) {
	tb.Helper()
	path := "/v1/ns/instance"
	if r.generation() >= 3 {
		path = "/v3/admin/ns/instance"
	}
	form, err := i.form(service)
	if err != nil {
		tb.Fatal(err)
	}
	form.Set("namespaceId", orElse(r.Namespace, "public"))
	if method == http.MethodDelete {
		path, form = path+"?"+form.Encode(), nil
	}
	answer, status, err := r.Call(context.WithoutCancel(tb.Context()), method, path, form)
	if err != nil || status != http.StatusOK {
		tb.Fatalf("nacos %s: %s %s: status %d, %v: %s", r.Version, method, i.Address, status, err, answer)
	}
}

// form is the whole tuple, in the parameters that both generations take.
func (i Instance) form(service string) (url.Values, error) {
	host, port, err := net.SplitHostPort(i.Address)
	if err != nil {
		return nil, err
	}
	metadata, err := json.Marshal(orEmpty(i.Metadata))
	if err != nil {
		return nil, err
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return nil, errors.New(i.Address + " has no port")
	}
	group, name := splitService(service)
	return url.Values{
		"serviceName": {name}, "groupName": {group}, "clusterName": {orElse(i.Cluster, "DEFAULT")},
		"ip": {host}, "port": {port}, "weight": {strconv.FormatFloat(i.Weight, 'g', -1, 64)},
		"enabled": {strconv.FormatBool(!i.Disabled)}, "ephemeral": {strconv.FormatBool(!i.Persistent)}, "metadata": {string(metadata)},
	}, nil
}

// Get is what operators are told about an instance; Unhealthy is not set.
func (r *Real) Get(tb testing.TB, service, cluster, address string) (Instance, bool) {
	tb.Helper()
	group, name := splitService(service)
	path := "/v1/ns/catalog/instances"
	form := url.Values{"serviceName": {group + "@@" + name}, "clusterName": {cluster}, "pageNo": {"1"}, "pageSize": {"1000"}}
	if r.generation() >= 3 {
		path = "/v3/admin/ns/instance/list"
		form = url.Values{"serviceName": {name}, "groupName": {group}, "clusterName": {cluster}}
	}
	form.Set("namespaceId", orElse(r.Namespace, "public"))
	answer, status, err := r.Call(context.WithoutCancel(tb.Context()), http.MethodGet, path, form)
	if err == nil && status == http.StatusNotFound {
		return Instance{}, false // there is no such cluster yet
	}
	if err != nil || status != http.StatusOK {
		tb.Fatalf("nacos %s: %s: status %d, %v: %s", r.Version, path, status, err, answer)
	}
	var all struct{ List, Data []realHost }
	if err := json.Unmarshal([]byte(answer), &all); err != nil {
		tb.Fatal(err)
	}
	for _, h := range append(all.List, all.Data...) {
		if net.JoinHostPort(h.IP, strconv.Itoa(h.Port)) == address {
			return Instance{
				Address: address, Cluster: cluster, Weight: h.Weight, Disabled: !h.Enabled, Persistent: !h.Ephemeral, Metadata: h.Metadata,
			}, true
		}
	}
	return Instance{}, false
}

type realHost struct {
	IP                 string
	Port               int
	Weight             float64
	Enabled, Ephemeral bool
	Metadata           map[string]string
}
