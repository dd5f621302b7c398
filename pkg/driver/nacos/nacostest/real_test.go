package nacostest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

const (
	keep  = 3 * time.Second
	users = "users"
)

// TestWhatTheDriverBuildsUponIsTrueOfTheOfficialServer starts one server of
// each generation, with a login, and keeps what operators set for 3 s only.
func TestWhatTheDriverBuildsUponIsTrueOfTheOfficialServer(t *testing.T) {
	for _, version := range nacostest.RealVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			r := nacostest.StartReal(t, version, nacostest.WithAuth(), nacostest.WithKeep(keep))
			boots := []time.Duration{r.Boot}
			three := strings.HasPrefix(version, "3.")

			t.Run("it tells its version without a login", func(t *testing.T) { tellsItsVersion(t, r) })
			t.Run("it refuses an operator without a login", func(t *testing.T) { refusesStrangers(t, r) })
			t.Run("a disabled instance is gone for consumers and there for operators", func(t *testing.T) { disables(t, r) })
			t.Run("a write resets what it leaves out", func(t *testing.T) { resets(t, r) })
			t.Run("a write to an address that nobody registered is answered with success", func(t *testing.T) { acceptsAnything(t, r) })
			t.Run("an owner's instance cannot be deregistered by another", func(t *testing.T) { keepsOwners(t, r) })
			t.Run("a disable outlives a short absence of the owner and not a long one", func(t *testing.T) { forgets(t, r) })
			t.Run("what is written for an instance that is gone keeps its mark, and has none behind the cleaner", func(t *testing.T) { writesAhead(t, r) })
			t.Run("metadata that an operator wrote wins over the owner's until it is forgotten", func(t *testing.T) { keepsMetadata(t, r) })
			if three {
				t.Run("it has no old API for operators any more", func(t *testing.T) { isGone(t, r) })
			} else {
				t.Run("PATCH starts from nothing, not from the instance", func(t *testing.T) { patches(t, r) })
			}
			t.Run("after a restart it has the persistent instances and no owners'", func(t *testing.T) {
				restarts(t, r)
				boots = append(boots, r.Boot)
			})
			t.Logf("nacos %-6s  first start %5.1f s, restart %5.1f s", version, boots[0].Seconds(), boots[len(boots)-1].Seconds())
		})
	}
}

func tellsItsVersion(t *testing.T, r *nacostest.Real) {
	path := "/nacos/v1/console/server/state"
	if r.Version[0] == '3' {
		path = "/nacos/v3/admin/core/state"
	}
	resp, err := http.Get(r.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Version string `json:"version"`
		Data    struct {
			Version string `json:"version"`
		} `json:"data"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	// The build of 3.1.0 calls itself 3.1.0-bugfix.
	if got := answer.Version + answer.Data.Version; !strings.HasPrefix(got, r.Version) {
		t.Errorf("want %s, got %q", r.Version, got)
	}
}

func refusesStrangers(t *testing.T, r *nacostest.Real) {
	path := "/nacos/v1/ns/catalog/instances?pageNo=1&pageSize=10&clusterName=DEFAULT&serviceName=users"
	if r.Version[0] == '3' {
		path = "/nacos/v3/admin/ns/instance/list?serviceName=users"
	}
	for _, token := range []string{"", "Bearer nonsense"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusForbidden {
			t.Errorf("token %q: want status 403, got %d", token, resp.StatusCode)
		}
	}
}

func disables(t *testing.T, r *nacostest.Real) {
	service := users + "-disable"
	a := nacostest.Instance{Address: "10.1.0.11:8080", Weight: 10, Metadata: map[string]string{"version": "1"}}
	b := nacostest.Instance{Address: "10.1.0.12:8080", Weight: 10}
	r.Own(t, service, a)
	r.Own(t, service, b)
	shows(t, "both are there", consumers(t, r, service), []seen{{a.Address, true, 10, a.Metadata}, {b.Address, true, 10, nil}})

	a.Disabled, a.Weight = true, 2.5
	r.Set(t, service, a)
	shows(t, "consumers have the other one", consumers(t, r, service), []seen{{b.Address, true, 10, nil}})
	shows(t, "operators have both", operators(t, r, service), []seen{{a.Address, false, 2.5, a.Metadata}, {b.Address, true, 10, nil}})

	a.Disabled = false
	r.Set(t, service, a)
	shows(t, "it is back with its weight", consumers(t, r, service), []seen{{a.Address, true, 2.5, a.Metadata}, {b.Address, true, 10, nil}})
}

func resets(t *testing.T, r *nacostest.Real) {
	service := users + "-reset"
	i := nacostest.Instance{Address: "10.1.0.11:8080", Weight: 10, Metadata: map[string]string{"version": "1"}}
	r.Own(t, service, i)
	shows(t, "it is there", operators(t, r, service), []seen{{i.Address, true, 10, i.Metadata}})
	put(t, r, service, i.Address, url.Values{"enabled": {"false"}})
	shows(t, "its weight is the default's", operators(t, r, service), []seen{{i.Address, false, 1, i.Metadata}})
	put(t, r, service, i.Address, url.Values{"weight": {"7"}})
	shows(t, "it is enabled", operators(t, r, service), []seen{{i.Address, true, 7, i.Metadata}})
}

func acceptsAnything(t *testing.T, r *nacostest.Real) {
	service := users + "-phantom"
	i := nacostest.Instance{Address: "10.1.0.11:8080", Weight: 10}
	r.Own(t, service, i)
	put(t, r, service, "10.9.9.9:1", url.Values{"enabled": {"false"}})
	shows(t, "nothing has come of it", operators(t, r, service), []seen{{i.Address, true, 10, nil}})
}

func keepsOwners(t *testing.T, r *nacostest.Real) {
	service := users + "-remove"
	i := nacostest.Instance{Address: "10.1.0.11:8080", Weight: 10}
	r.Own(t, service, i)
	shows(t, "it is there", consumers(t, r, service), []seen{{i.Address, true, 10, nil}})
	r.Remove(t, service, i) // answers with success
	pause(t, time.Second)
	shows(t, "it is still there", consumers(t, r, service), []seen{{i.Address, true, 10, nil}})
}

func forgets(t *testing.T, r *nacostest.Real) {
	service := users + "-keep"
	other := nacostest.Instance{Address: "10.1.0.12:8080", Weight: 10} // a service without instances is removed
	r.Own(t, service, other)
	i := nacostest.Instance{Address: "10.1.0.11:8080", Weight: 10}
	owner := r.Own(t, service, i)
	disabled := i
	disabled.Disabled = true
	r.Set(t, service, disabled)
	without := []seen{{other.Address, true, 10, nil}}
	shows(t, "it is out", consumers(t, r, service), without)

	owner.Leave()
	shows(t, "its owner is gone", operators(t, r, service), without)
	owner = r.Own(t, service, i)
	shows(t, "it is back and still disabled", operators(t, r, service), []seen{{i.Address, false, 10, nil}, {other.Address, true, 10, nil}})

	owner.Leave()
	shows(t, "its owner is gone again", operators(t, r, service), without)
	pause(t, 3*keep)
	r.Own(t, service, i)
	shows(t, "it is back and takes traffic", consumers(t, r, service), []seen{{i.Address, true, 10, nil}, {other.Address, true, 10, nil}})
}

func writesAhead(t *testing.T, r *nacostest.Real) {
	service := users + "-ahead"
	other := nacostest.Instance{Address: "10.1.0.12:8080", Weight: 10}
	r.Own(t, service, other)
	i := nacostest.Instance{Address: "10.1.0.11:8080", Weight: 10}
	owner := r.Own(t, service, i)
	ahead := nacostest.Instance{Address: i.Address, Weight: 7, Disabled: true}
	r.Set(t, service, ahead)
	without := []seen{{other.Address, true, 10, nil}}
	shows(t, "it is out", consumers(t, r, service), without)

	owner.Leave()
	shows(t, "its owner is gone", operators(t, r, service), without)
	r.Set(t, service, ahead)
	pause(t, 3*keep)
	owner = r.Own(t, service, i)
	shows(t, "what was written before the cleaner is gone", consumers(t, r, service), []seen{{i.Address, true, 10, nil}, {other.Address, true, 10, nil}})

	owner.Leave()
	shows(t, "its owner is gone again", operators(t, r, service), without)
	pause(t, 3*keep)
	r.Set(t, service, ahead)
	pause(t, 3*keep)
	r.Own(t, service, i)
	shows(t, "what was written behind it holds", operators(t, r, service), []seen{{i.Address, false, 7, nil}, {other.Address, true, 10, nil}})
}

func keepsMetadata(t *testing.T, r *nacostest.Real) {
	service := users + "-metadata"
	r.Own(t, service, nacostest.Instance{Address: "10.1.0.12:8080", Weight: 10})
	i := nacostest.Instance{Address: "10.1.0.11:8080", Weight: 10, Metadata: map[string]string{"version": "1"}}
	owner := r.Own(t, service, i)
	other := seen{"10.1.0.12:8080", true, 10, nil}
	shows(t, "both are there", operators(t, r, service), []seen{{i.Address, true, 10, i.Metadata}, other})
	i.Disabled = true
	r.Set(t, service, i)
	shows(t, "it is out", operators(t, r, service), []seen{{i.Address, false, 10, i.Metadata}, other})
	owner.Leave()
	shows(t, "its owner is gone", operators(t, r, service), []seen{other})
	i.Disabled, i.Metadata = false, map[string]string{"version": "2", "new": "yes"}
	r.Own(t, service, i)
	shows(t, "what is new is there, what was written stays", operators(t, r, service), []seen{{i.Address, false, 10, map[string]string{"version": "1", "new": "yes"}}, other})
	put(t, r, service, i.Address, url.Values{"weight": {"10"}, "metadata": {"{}"}})
	shows(t, "a write without metadata shows the owner's", operators(t, r, service), []seen{{i.Address, true, 10, i.Metadata}, other})
}

func isGone(t *testing.T, r *nacostest.Real) {
	for method, path := range map[string]string{
		http.MethodPut: "/v1/ns/instance",
		http.MethodGet: "/v1/ns/catalog/instances",
	} {
		answer, status, err := r.Call(t.Context(), method, path, url.Values{"serviceName": {users}, "ip": {"10.1.0.11"}, "port": {"8080"}})
		if err != nil || status != http.StatusGone {
			t.Errorf("%s %s: want status 410, got %d, %v: %s", method, path, status, err, answer)
		}
	}
}

func patches(t *testing.T, r *nacostest.Real) {
	service := users + "-patch"
	i := nacostest.Instance{Address: "10.1.0.11:8080", Weight: 50}
	r.Own(t, service, i)
	shows(t, "it is there", operators(t, r, service), []seen{{i.Address, true, 50, nil}})
	call(t, r, http.MethodPatch, "/v1/ns/instance", address(service, i.Address, url.Values{"enabled": {"false"}}))
	shows(t, "its weight is gone", operators(t, r, service), []seen{{i.Address, false, 1, nil}})
}

func restarts(t *testing.T, r *nacostest.Real) {
	mixed := users + "-restart"
	i := nacostest.Instance{Address: "10.1.0.11:8080", Weight: 3, Persistent: true, Disabled: true, Metadata: map[string]string{"ü": "=,&"}}
	r.Persist(t, mixed, i)
	owned := users + "-owned"
	r.Own(t, owned, nacostest.Instance{Address: "10.1.0.12:8080", Weight: 1})
	shows(t, "the owner's is there", consumers(t, r, owned), []seen{{"10.1.0.12:8080", true, 1, nil}})
	shows(t, "the persistent one is there", operators(t, r, mixed), []seen{{i.Address, false, 3, i.Metadata}})
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	shows(t, "the persistent one is there", operators(t, r, mixed), []seen{{i.Address, false, 3, i.Metadata}})
	shows(t, "the owner's is not", consumers(t, r, owned), nil)
}
