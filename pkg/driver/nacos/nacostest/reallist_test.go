package nacostest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

// seen is what one of the server's lists says about an instance.
type seen struct {
	Address  string
	Enabled  bool
	Weight   float64
	Metadata map[string]string
}

// put writes only what fields says.
func put(t *testing.T, r *nacostest.Real, service, addr string, fields url.Values) {
	t.Helper()
	path := "/v1/ns/instance"
	if r.Version[0] == '3' {
		path = "/v3/admin/ns/instance"
	}
	call(t, r, http.MethodPut, path, address(service, addr, fields))
}

func call(t *testing.T, r *nacostest.Real, method, path string, form url.Values) {
	t.Helper()
	answer, status, err := r.Call(t.Context(), method, path, form)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s %s: status %d, %v: %s", method, path, status, err, answer)
	}
}

func address(service, addr string, fields url.Values) url.Values {
	ip, port, _ := strings.Cut(addr, ":")
	fields.Set("serviceName", service)
	fields.Set("groupName", "DEFAULT_GROUP")
	fields.Set("ip", ip)
	fields.Set("port", port)
	return fields
}

// consumers is the list that clients get, operators the one of the console.
func consumers(t *testing.T, r *nacostest.Real, service string) func() ([]seen, error) {
	t.Helper()
	return list(t, r, "/v1/ns/instance/list", url.Values{"serviceName": {service}})
}

func operators(t *testing.T, r *nacostest.Real, service string) func() ([]seen, error) {
	t.Helper()
	if r.Version[0] == '3' {
		return list(t, r, "/v3/admin/ns/instance/list", url.Values{"serviceName": {service}})
	}
	return list(t, r, "/v1/ns/catalog/instances",
		url.Values{"serviceName": {service}, "clusterName": {"DEFAULT"}, "pageNo": {"1"}, "pageSize": {"100"}})
}

type host struct {
	IP       string            `json:"ip"`
	Port     int               `json:"port"`
	Enabled  bool              `json:"enabled"`
	Weight   float64           `json:"weight"`
	Metadata map[string]string `json:"metadata"`
}

func list(t *testing.T, r *nacostest.Real, path string, form url.Values) func() ([]seen, error) {
	return func() ([]seen, error) {
		answer, status, err := r.Call(t.Context(), http.MethodGet, path, form)
		if err != nil || status != http.StatusOK {
			return nil, fmt.Errorf("%s: status %d, %w: %s", path, status, err, answer)
		}
		var all struct {
			Hosts []host `json:"hosts"`
			List  []host `json:"list"`
			Data  []host `json:"data"`
		}
		if err := json.Unmarshal([]byte(answer), &all); err != nil {
			return nil, err
		}
		var found []seen
		for _, h := range slices.Concat(all.Hosts, all.List, all.Data) {
			s := seen{fmt.Sprintf("%s:%d", h.IP, h.Port), h.Enabled, h.Weight, h.Metadata}
			if len(s.Metadata) == 0 {
				s.Metadata = nil
			}
			found = append(found, s)
		}
		slices.SortFunc(found, func(a, b seen) int { return strings.Compare(a.Address, b.Address) })
		return found, nil
	}
}

// shows waits until the list is what is wanted: the server's views follow a
// write after half a second.
func shows(t *testing.T, what string, read func() ([]seen, error), want []seen) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := read()
		diff := cmp.Diff(want, got)
		if err == nil && diff == "" {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: %v (-want +got):\n%s", what, err, diff)
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-tick.C:
		}
	}
}

// pause is for what cannot be seen to happen in another process.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}
