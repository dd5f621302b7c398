package ab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

// Play is a row of releases under load.
type Play struct {
	Estate *Estate
	// Flip calls flip and wants its exit code.
	Flip func(ctx context.Context, want int, args ...string) error
	// Say tells people what comes; nil is silent.
	Say func(format string, args ...any)
	// Plan is the path of plans/ab-release.yaml.
	Plan string
	// Websockets is how many clients have one.
	Websockets int
	// Vars are more --var of every release.
	Vars []string
}

// act is one release and what it leaves behind.
type act struct {
	name, version string
	exit          int
	live          string         // the side that serves afterwards
	versions      map[string]int // that it runs
}

// Run plays three releases, v1 to v2 on the other side, v2 to v3 back, and a v4
// that never becomes healthy and is rolled back, and returns what clients felt
// in each. It is an error when flip ends otherwise or leaves something else
// behind.
func (p Play) Run(ctx context.Context) ([]Row, error) {
	clients := p.Estate.Load(ctx, p.Websockets)
	defer clients.Stop()
	if err := p.warm(ctx, clients); err != nil {
		return nil, err
	}
	for _, a := range []act{
		{name: "v1 -> v2", version: "v2", live: "b", versions: map[string]int{"v2": 6}},
		{name: "v2 -> v3", version: "v3", live: "a", versions: map[string]int{"v3": 6}},
		{name: "v4, rolled back", version: "v4", exit: 10, live: "a", versions: map[string]int{"v3": 6}},
	} {
		p.say("%s: side %s will be live", a.name, a.live)
		clients.Phase(a.name)
		if err := p.Flip(ctx, a.exit, p.args(a.version)...); err != nil {
			return nil, err
		}
		if err := p.left(a); err != nil {
			return nil, err
		}
	}
	return clients.Stop(), nil
}

// Literal plays the control: one release by the written-down method.
func (p Play) Literal(ctx context.Context) (Row, error) {
	clients := p.Estate.Load(ctx, p.Websockets)
	defer clients.Stop()
	if err := p.warm(ctx, clients); err != nil {
		return Row{}, err
	}
	live := "a"
	if p.Estate.Weights()["i-gw-b1"] > 0 {
		live = "b"
	}
	clients.Phase("both weights at once")
	if err := p.Estate.Literal(ctx, "v5", live); err != nil {
		return Row{}, err
	}
	if err := pause(ctx, 3*time.Second); err != nil { // what goes wrong shows within the caches' time
		return Row{}, err
	}
	return clients.Stop()[0], nil
}

func (p Play) args(version string) []string {
	args := []string{
		"run", "--yes", p.Plan, "--var", "version=" + version, "--var", "endpoint=" + p.Estate.Cloud.URL(),
		"--var", "nacos=" + p.Estate.Registry.URL, "--var", "deploy=" + p.Estate.Deploy,
	}
	for _, v := range p.Vars {
		args = append(args, "--var", v)
	}
	return args
}

// Environment has the access key of the cloud, and keeps the SDK from looking
// for one in the network.
func Environment() []string {
	return []string{
		"ALIBABA_CLOUD_ACCESS_KEY_ID=" + slbtest.DefaultKey.ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + slbtest.DefaultKey.Secret,
		"ALIBABA_CLOUD_ECS_METADATA_DISABLED=true",
	}
}

// warm waits until every client was answered.
func (p Play) warm(ctx context.Context, c Clients) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		web, sockets := c.Web.Now().Total(), c.Sockets.Now().Total()
		if web.Requests > 200 && sockets.Websockets.Opened >= int64(p.Websockets) {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("%d answers, %d of %d websockets: %w", web.Requests, sockets.Websockets.Opened, p.Websockets, err)
		}
	}
}

// left compares what a release left behind with what it should.
func (p Play) left(a act) error {
	var errs []error
	if got := p.Estate.Versions(a.live); !maps.Equal(got, a.versions) {
		errs = append(errs, fmt.Errorf("side %s runs %v, not %v", a.live, got, a.versions))
	}
	for name, weight := range p.Estate.Weights() {
		want := 0
		if name[len(name)-2:len(name)-1] == a.live {
			want = 100
		}
		if weight != want {
			errs = append(errs, fmt.Errorf("%s has weight %d, not %d", name, weight, want))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("after %s: %w", a.name, err)
	}
	return nil
}

func (p Play) say(format string, args ...any) {
	if p.Say != nil {
		p.Say(format, args...)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
