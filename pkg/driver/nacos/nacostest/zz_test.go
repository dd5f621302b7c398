package nacostest_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

func TestZZ(t *testing.T) {
	r := nacostest.StartReal(t, "3.1.0")
	r.Namespace = "check-1"
	r.Own(t, "users", nacostest.Instance{Address: "10.1.0.11:8080", Weight: 10})
	r.Own(t, "users", nacostest.Instance{Address: "10.1.0.22:8080", Weight: 0.5, Cluster: "hz"})
	r.Own(t, "users", nacostest.Instance{Address: "[fd00::1]:8080", Weight: 0.5, Cluster: "hz"})
	time.Sleep(2 * time.Second)
	look := func() {
		for _, p := range []string{"/v3/client/ns/instance/list", "/v3/admin/ns/instance/list", "/v1/ns/instance/list"} {
			a, s, err := r.Call(t.Context(), http.MethodGet, p, url.Values{"serviceName": {"users"}, "groupName": {"DEFAULT_GROUP"}, "namespaceId": {"check-1"}})
			t.Log(p, s, err, a)
		}
	}
	look()
	r.Set(t, "users", nacostest.Instance{Address: "[fd00::1]:8080", Weight: 10000, Cluster: "hz"})
	r.Set(t, "users", nacostest.Instance{Address: "10.1.0.22:8080", Weight: 10000, Cluster: "hz"})
	time.Sleep(2 * time.Second)
	look()
}
