package nacos_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/nacos"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
	"github.com/flip-cli/flip/pkg/state"
)

const (
	a1 = "10.1.0.11:8080"
	a2 = "10.1.0.12:8080"
	b1 = "10.1.0.21:8080"
)

// lab is a cluster with three instances of users and a target on it.
type lab struct {
	*nacostest.Fake
	*nacos.Target
}

// newLab works without a network, so also on a fake clock. It asks over HTTP.
func newLab(t *testing.T, o nacostest.Options, edit func(*nacos.Config)) lab {
	t.Helper()
	no := false
	return makeLab(t, nacostest.NewFake(o), driverEnv, func(c *nacos.Config) {
		c.Subscribe = &no
		if edit != nil {
			edit(c)
		}
	})
}

// newListeningLab has HTTP and gRPC on real ports.
func newListeningLab(t *testing.T, o nacostest.Options, edit func(*nacos.Config)) lab {
	t.Helper()
	return makeLab(t, nacostest.StartFake(t, o), func(*nacostest.Fake) driver.Env { return driver.Env{} }, edit)
}

func driverEnv(f *nacostest.Fake) driver.Env { return driver.Env{Transport: f.Transport()} }

func makeLab(t *testing.T, f *nacostest.Fake, env func(*nacostest.Fake) driver.Env, edit func(*nacos.Config)) lab {
	t.Helper()
	f.Register("users",
		nacostest.Instance{Address: a1, Weight: 10, Metadata: map[string]string{"version": "1"}},
		nacostest.Instance{Address: a2, Weight: 10},
		nacostest.Instance{Address: b1, Weight: 10})
	cfg := nacos.Config{Servers: f.Servers(), Service: nacos.Names{"users"}, ConsumerCache: "none", Timeout: 2 * time.Second, SettleTimeout: 5 * time.Second}
	if edit != nil {
		edit(&cfg)
	}
	d := open(t, cfg, env(f))
	t.Cleanup(func() { _ = d.Close() })
	return lab{f, d}
}

// disable is the change that takes an instance out.
func disable(addresses ...string) []state.Change {
	var changes []state.Change
	for _, a := range addresses {
		changes = append(changes, set(id(a), nacos.Enabled, "true", "false"))
	}
	return changes
}

func enable(addresses ...string) []state.Change {
	changes := disable(addresses...)
	for i := range changes {
		changes[i] = changes[i].Inverse()
	}
	return changes
}

// out is which of the lab's instances consumers do not get.
func (l lab) out() []string {
	var out []string
	for _, a := range []string{a1, a2, b1} {
		if i, ok := l.Get("users", a); !ok || i.Disabled {
			out = append(out, a)
		}
	}
	return out
}

// told collects progress.
func told(ctx context.Context) (context.Context, func() string) {
	texts := make(chan string, 10000)
	return driver.WithProgress(ctx, func(text string) { texts <- text }), func() string {
		var all []string
		for {
			select {
			case text := <-texts:
				all = append(all, text)
			default:
				return strings.Join(all, "\n")
			}
		}
	}
}
