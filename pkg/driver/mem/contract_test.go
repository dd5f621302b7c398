package mem_test

import (
	"path/filepath"
	"testing"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/drivertest"
	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/state"
)

func pool() mem.Options {
	return mem.Options{
		Nodes: []string{"lb1", "lb2"},
		Pool: map[string]mem.Member{
			"web1": {Weight: 100, Address: "10.0.0.1:80"},
			"web2": {Weight: 0, State: "maint", Address: "10.0.0.2:80"},
		},
	}
}

func poolHarness(target func(*testing.T) *mem.Target) drivertest.Harness {
	both := []string{"lb1/web1", "lb2/web1"}
	return drivertest.Harness{
		Info: mem.Info(),
		Open: func(t *testing.T) drivertest.Target { return opened(target(t), "lb1", "lb2") },
		Settable: []drivertest.Settable{
			{Objects: both, Attribute: mem.Weight, A: state.Int(100), B: state.Int(0), C: state.Int(37)},
			{Objects: both, Attribute: mem.State, A: state.Text("ready"), B: state.Text("drain"), C: state.Text("maint")},
		},
		Create: &drivertest.Creation{Kind: mem.Server, Name: "web9", Attrs: map[string]state.Value{
			mem.Weight: state.Int(5), mem.State: state.Text("ready"), mem.Present: state.Bool(true),
		}},
		Unknown: "lb3/web1",
	}
}

func opened(m *mem.Target, nodes ...string) drivertest.Target {
	return drivertest.Target{
		Driver: m,
		Outside: func(t *testing.T, c state.Change) {
			t.Helper()
			if err := m.Set(c.Object, c.Attribute, c.To); err != nil {
				t.Fatal(err)
			}
		},
		Break: func(t *testing.T) {
			t.Helper()
			for _, n := range nodes {
				if err := m.Break(n, "connection refused"); err != nil {
					t.Fatal(err)
				}
			}
		},
	}
}

func TestAPoolKeepsTheContract(t *testing.T) {
	drivertest.Run(t, poolHarness(func(*testing.T) *mem.Target { return mem.New(pool()) }))
}

func TestAPoolInAFileKeepsTheContract(t *testing.T) {
	drivertest.Run(t, poolHarness(func(t *testing.T) *mem.Target {
		o := pool()
		o.File = filepath.Join(t.TempDir(), "pool.json")
		return mem.New(o)
	}))
}

func TestATwinKeepsTheContract(t *testing.T) {
	drivertest.Run(t, poolHarness(func(t *testing.T) *mem.Target {
		original := mem.New(pool())
		s, err := original.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return mem.Twin(mem.Info(), s, original.Scopes())
	}))
}

func TestRecordSetsKeepTheContract(t *testing.T) {
	const www = "www.example.com A"
	one := state.List([]string{"192.0.2.1"})
	drivertest.Run(t, drivertest.Harness{
		Info: mem.Info(),
		Open: func(*testing.T) drivertest.Target {
			return opened(mem.New(mem.Options{Records: map[string]mem.RRset{
				www:                     {Values: []string{"192.0.2.1"}, TTL: 3600},
				"mail.example.com AAAA": {Values: []string{"2001:db8::1"}},
			}}), "")
		},
		Settable: []drivertest.Settable{
			{
				Objects: []string{www}, Attribute: mem.Values, A: one,
				B: state.List([]string{"192.0.2.2", "192.0.2.1"}), C: state.List([]string{"203.0.113.9"}),
			},
			{Objects: []string{www}, Attribute: mem.TTL, A: state.Int(3600), B: state.Int(60), C: state.Int(61)},
		},
		Create: &drivertest.Creation{Kind: mem.Record, Name: "new.example.com A", Attrs: map[string]state.Value{
			mem.Values: one, mem.TTL: state.Int(60),
		}},
		Unknown: "elsewhere/www",
	})
}

var _ driver.Driver = drivertest.Faulty(nil, drivertest.Faults{})
