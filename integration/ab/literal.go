package ab

import (
	"context"
	"strings"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

// Literal releases a version as the method is usually written down: both
// weights of a load balancer in one call, the old side out of the registry, and
// then the upgrade of the old side at once, without waiting for anything that
// is still on it. It is what flip's zero is worth something against.
func (e *Estate) Literal(ctx context.Context, version, live string) error {
	weight := func(m slbtest.Member) int {
		if strings.HasSuffix(strings.TrimRight(m.ServerID, "0123456789"), live) {
			return 0
		}
		return 100
	}
	for _, m := range e.of(Services) {
		if err := e.Registry.Set(ctx, Service, m.instance(), m.Side != live); err != nil {
			return err
		}
	}
	e.Cloud.Edit(func(all *slbtest.Estate) {
		for _, members := range [][]slbtest.Member{all.CLB[0].Groups[0].Members, all.ALBGroups[0].Members} {
			for i := range members {
				members[i].Weight = weight(members[i])
			}
		}
	})
	for _, addr := range e.Addresses(live) {
		if err := e.Install(version, addr); err != nil {
			return err
		}
	}
	return nil
}
