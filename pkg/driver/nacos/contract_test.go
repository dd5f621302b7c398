package nacos_test

import (
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/nacos"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// versions are one of each family.
var versions = []string{"1.4.8", "2.2.3", "3.0.3"}

// open makes a driver out of a configuration, as a plan would.
func open(t testing.TB, cfg nacos.Config, env driver.Env) *nacos.Target {
	t.Helper()
	d, err := nacos.Factory().Open(t.Context(), func(into any) error {
		*into.(*nacos.Config) = cfg
		return nil
	}, env)
	if err != nil {
		t.Fatal(err)
	}
	return d.(*nacos.Target)
}

// id is an instance of users in the default group and cluster.
func id(address string) string { return "DEFAULT_GROUP@@users/DEFAULT/" + address }

func set(id, attribute string, from, to state.Value) state.Change {
	return state.Change{Target: "t", Object: id, Attribute: attribute, From: from, To: to}
}

func TestTheStandInFulfilsTheContract(t *testing.T) {
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			drivertest.Run(t, drivertest.Harness{
				Info: nacos.Info(),
				Open: func(t *testing.T) drivertest.Target {
					f := nacostest.StartFake(t, nacostest.Options{Version: version, Nodes: 2, Username: "flip", Password: "a long secret"})
					f.Register("users",
						nacostest.Instance{Address: "10.1.0.11:8080", Weight: 10, Metadata: map[string]string{"version": "1", "zone": "hz"}},
						nacostest.Instance{Address: "10.1.0.12:8080", Weight: 10},
						nacostest.Instance{Address: "10.1.0.21:8080", Weight: 10},
						nacostest.Instance{Address: "[fd00::1]:8080", Weight: 0.5, Cluster: "hz"})
					f.Register("LEGACY@@orders",
						nacostest.Instance{Address: "10.1.0.31:9090", Weight: 1, Persistent: true, Metadata: map[string]string{"k": "ü=,&"}},
						nacostest.Instance{Address: "10.1.0.32:9090", Weight: 1, Persistent: true})
					cfg := nacos.Config{
						Servers: f.Servers(), Service: nacos.Names{"users", "LEGACY@@orders"}, ConsumerCache: "none", Timeout: 2 * time.Second,
						Username: "flip", Password: "a long secret",
					}
					return drivertest.Target{
						Driver:  open(t, cfg, driver.Env{Secrets: secret.NewResolver(&secret.Redactor{})}),
						Outside: func(t *testing.T, c state.Change) { outside(t, f, c) },
						Break: func(*testing.T) {
							f.Down(0)
							f.Down(1)
						},
						Hang: func(*testing.T) { f.Fail(nacostest.Fault{Kind: nacostest.Hang, Node: -1}) },
					}
				},
				Settable: []drivertest.Settable{
					{Objects: []string{id("10.1.0.11:8080"), id("10.1.0.12:8080")}, Attribute: nacos.Enabled, A: "true", B: "false"},
					{Objects: []string{id("10.1.0.11:8080"), id("10.1.0.21:8080")}, Attribute: nacos.Weight, A: "10", B: "0.25", C: "77"},
					{Objects: []string{"DEFAULT_GROUP@@users/hz/[fd00::1]:8080"}, Attribute: nacos.Weight, A: "0.5", B: "10000", C: "3"},
					{Objects: []string{"LEGACY@@orders/DEFAULT/10.1.0.31:9090"}, Attribute: nacos.Enabled, A: "true", B: "false"},
				},
				Create: &drivertest.Creation{Kind: nacos.KindInstance, Name: "orders/10.1.0.33:9090", Attrs: map[string]state.Value{
					nacos.Registered: "true", nacos.Enabled: "true", nacos.Weight: "2.5", nacos.Ephemeral: "false", nacos.Metadata: state.Text(`{"a":"b","ü":"=,"}`),
				}},
				Unknown: id("10.9.9.9:1"),
			})
		})
	}
}

// outside changes an instance as another operator does.
func outside(t *testing.T, f *nacostest.Fake, c state.Change) {
	t.Helper()
	service, rest, _ := strings.Cut(c.Object, "/")
	_, address, _ := strings.Cut(rest, "/")
	i, ok := f.Get(service, address)
	if !ok {
		t.Fatalf("nobody knows %s", c.Object)
	}
	enabled, weight := !i.Disabled, i.Weight
	switch c.Attribute {
	case nacos.Enabled:
		enabled = c.To.Bool()
	case nacos.Weight:
		weight, _ = c.To.Float()
	default:
		t.Fatalf("nobody changes %s from outside", c.Attribute)
	}
	f.Set(service, address, enabled, weight)
}
