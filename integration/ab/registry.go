package ab

import (
	"context"
	"time"

	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

// StandIn runs the stand-in of Nacos 2.2.3 until stop. It pushes as late as
// real servers do.
func StandIn() (r Registry, stop func(), err error) {
	f, stop, err := nacostest.RunFake(nacostest.Options{PushDelay: 500 * time.Millisecond})
	if err != nil {
		return Registry{}, nil, err
	}
	return Registry{Name: "the stand-in of Nacos 2.2.3", URL: f.Servers()[0], Join: f.Join, Set: operator(f.Servers()[0], 2)}, stop, nil
}

// Official runs an official server with its home in dir until stop.
func Official(ctx context.Context, dir, version string) (r Registry, stop func(), err error) {
	real, err := nacostest.RunReal(ctx, dir, version)
	if err != nil {
		return Registry{}, nil, err
	}
	return OfficialOf(real), real.Stop, nil
}

// OfficialOf is an official server that runs.
func OfficialOf(r *nacostest.Real) Registry {
	return Registry{Name: "the official Nacos " + r.Version, URL: r.URL, Join: r.Join, Set: operator(r.URL, int(r.Version[0]-'0'))}
}

// operator writes as people do who know nothing of consumers.
func operator(server string, generation int) func(context.Context, string, nacostest.Instance, bool) error {
	return func(ctx context.Context, service string, i nacostest.Instance, enabled bool) error {
		i.Disabled = !enabled
		return nacostest.Write(ctx, server, generation, service, i)
	}
}
