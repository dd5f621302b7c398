package integration

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// nacosSlow restarts a provider more slowly than Nacos remembers a disable, and
// counts the calls that reach it before it is healthy: without flip, with flip,
// with flip that writes while the provider is gone, and with flip where the
// application registers itself disabled.
func nacosSlow(t *testing.T, n nacosServer, program string) {
	var mu sync.Mutex
	early := map[string]int{}
	restart := func(how, service string, disabled bool, do func(*market, *provider)) {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			all := four()[:3]
			slow := all[0]
			slow.away, slow.warm = 2*n.keep+2*time.Second, 8*time.Second
			m := newMarket(t, n, program, service, all...)
			slow.instance.Disabled = disabled // from its restart on
			m.consume(program)
			do(m, slow)
			calls, last := slow.tooEarly()
			seen := m.consumers.now()
			fmt.Printf("%s, a restart that it forgets, %s: %d calls before health (by push %d, by 3 s cache %d), the last %.1f s after the registration, of %d\n",
				n.name, how, calls, seen["push"].Cold, seen["cache"].Cold, last.Seconds(), seen["push"].Calls+seen["cache"].Calls)
			mu.Lock()
			defer mu.Unlock()
			early[how] = calls
		})
	}
	flip := func(m *market, slow *provider, oldnew ...string) {
		oldnew = append(oldnew, `users: ["*"]`, fmt.Sprintf("users: [%q]", slow.instance.Address))
		m.want(0, "run", "--yes", m.plan("nacos-rolling", oldnew...),
			"--var", "version=v2", "--var", "nacos="+n.url, "--var", "service="+m.service, "--var", "cache=dubbo", "--var", "deploy="+m.deploy, "--var", "drain=20s")
		m.shown(m.addresses(func(*provider) bool { return true })...)
	}
	t.Cleanup(func() {
		if early["without flip"] == 0 {
			t.Error("nobody called the provider that Nacos gave back: nothing was tested")
		}
		if early["held by flip"] >= early["without flip"] {
			t.Errorf("with flip %d calls came before health, without %d", early["held by flip"], early["without flip"])
		}
		if early["held while absent"] > 0 {
			t.Errorf("%d calls came to a provider that flip held while it was absent", early["held while absent"])
		}
		if early["registered disabled"] > 0 {
			t.Errorf("%d calls came to an application that registers disabled", early["registered disabled"])
		}
	})
	restart("without flip", "slow-without", false, func(m *market, slow *provider) { m.sleepAndRestart(slow) })
	restart("held by flip", "slow-held", false, func(m *market, slow *provider) { flip(m, slow) })
	restart("held while absent", "slow-absent", false, func(m *market, slow *provider) {
		flip(m, slow, `{driver: nacos, `, `{driver: nacos, hold_absent: true, `)
	})
	restart("registered disabled", "slow-disabled", true, func(m *market, slow *provider) { flip(m, slow) })
}
