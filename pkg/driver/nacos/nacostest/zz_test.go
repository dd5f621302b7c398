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
	for _, c := range []string{"hz", "DEFAULT,hz", "nope"} {
		for _, p := range []string{"/v3/client/ns/instance/list", "/v1/ns/instance/list"} {
			a, s, err := r.Call(t.Context(), http.MethodGet, p, url.Values{"serviceName": {"users"}, "groupName": {"DEFAULT_GROUP"}, "namespaceId": {"check-1"}, "clusterName": {c}, "clusters": {c}})
			t.Log(c, p, s, err, len(a), a[:min(150,len(a))])
		}
	}
}
