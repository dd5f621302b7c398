package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/integration/traffic"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

// TestNacosConsumersLoseNothing has two consumers call four providers all the
// time: one whose list the vendor's client keeps, one that uses a list for 3 s.
func TestNacosConsumersLoseNothing(t *testing.T) {
	t.Parallel()
	nacosTraffic(t, standIn(t, 2*time.Second), nacosProgram(t))
}

// TestNacosConsumersLoseNothingOnTheOfficialServer is the same, where the
// official servers were asked for (make nacos).
func TestNacosConsumersLoseNothingOnTheOfficialServer(t *testing.T) {
	t.Parallel()
	for _, version := range nacostest.RealVersions {
		t.Run(version, func(t *testing.T) { nacosTraffic(t, officialServer(t, version, 2*time.Second), nacosProgram(t)) })
	}
}

// nacosTraffic runs everything on one server at once: most of it is waiting.
func nacosTraffic(t *testing.T, n nacosServer, program string) {
	t.Helper()
	t.Run("a rolling restart", func(t *testing.T) { t.Parallel(); nacosRolling(t, n, program) })
	t.Run("an A/B release", func(t *testing.T) { t.Parallel(); nacosRelease(t, n, program) })
	t.Run("sleep 1 instead", func(t *testing.T) { t.Parallel(); nacosSleep(t, n, program) })
	t.Run("a restart that Nacos forgets", func(t *testing.T) { t.Parallel(); nacosSlow(t, n, program) })
}

// four providers, two of each side.
func four() []*provider {
	var all []*provider
	for i := range 4 {
		side := "a"
		if i > 1 {
			side = "b"
		}
		all = append(all, &provider{
			away: 200 * time.Millisecond, warm: 300 * time.Millisecond,
			instance: nacostest.Instance{Weight: 1, Metadata: map[string]string{"side": side}},
		})
	}
	return all
}

func nacosRolling(t *testing.T, n nacosServer, program string) {
	m := newMarket(t, n, program, "user-service", four()...)
	m.consume(program)
	m.want(0, m.run("nacos-rolling", "version=v2", "nacos="+n.url, "cache=dubbo", "deploy="+m.deploy, "drain=20s")...)
	m.lost(20_000, "a rolling restart")
	for _, p := range m.providers {
		if times, version := p.restarted(); times != 1 || version != "v2" {
			t.Errorf("%s was restarted %d times and runs %s", p.instance.Address, times, version)
		}
	}
	m.shown(m.addresses(func(*provider) bool { return true })...)
}

func nacosRelease(t *testing.T, n nacosServer, program string) {
	const service = "ab-service"
	m := newMarket(t, n, program, service, four()...)
	a := m.addresses(func(p *provider) bool { return p.instance.Metadata["side"] == "a" })
	b := m.addresses(func(p *provider) bool { return p.instance.Metadata["side"] == "b" })
	var members []haproxytest.Member
	for i, p := range m.providers {
		member := haproxytest.Member{Name: fmt.Sprintf("web%d", i+1), Address: p.instance.Address, Weight: 100}
		if i > 1 {
			member.Weight, member.Params = 0, []string{"weight 0"}
			if err := n.set(t.Context(), service, p.instance, false); err != nil {
				t.Fatal(err)
			}
		}
		members = append(members, member)
	}
	m.shown(a...)
	ha := haproxytest.Start(t, haproxytest.Config{
		CheckInterval: 100 * time.Millisecond, Fall: 20, // a busy machine answers a check late
		Backends: []haproxytest.Backend{{Name: "be_web", Servers: members}},
	})
	m.consume(program)
	clients := traffic.Start(context.WithoutCancel(t.Context()), traffic.Config{Addr: ha.Front, KeepAlive: 2, Close: 2, Pause: 10 * time.Millisecond})
	defer clients.Stop()
	m.until("clients", func() error { return enough(clients.Now().Total(), traffic.Config{KeepAlive: 2, Close: 2}, 100) })
	m.want(0, "run", "--yes", m.plan("nacos-ab", "service: user-service", "service: "+service),
		"--var", "version=v2", "--var", "nacos="+n.url, "--var", "cache=dubbo", "--var", "deploy="+m.deploy, "--var", "socket="+ha.Socket, "--var", "hold=500ms", "--var", "drain=20s")
	m.lost(5_000, "an A/B release")
	if total := clients.Stop().Total(); total.Failed > 0 || total.Versions["v2"] == 0 {
		t.Errorf("clients of HAProxy: %d of %d failed, answers by version %v\n%s", total.Failed, total.Requests, total.Versions, strings.Join(total.Examples, "\n"))
	}
	m.shown(b...)
	for _, p := range m.providers {
		times, version := p.restarted()
		if idle := slices.Contains(b, p.instance.Address); idle != (times == 1) || idle != (version == "v2") {
			t.Errorf("%s of side %s was restarted %d times and runs %s", p.instance.Address, p.instance.Metadata["side"], times, version)
		}
	}
}

// lost waits for so many calls and wants none of them to have failed.
func (m *market) lost(calls int, what string) {
	m.Helper()
	m.until("calls", func() error {
		if n := m.consumers.total(); n.Calls < calls && n.Failed == 0 {
			return fmt.Errorf("%d of %d", n.Calls, calls)
		}
		return nil
	})
	total, seconds := m.consumers.total(), time.Since(m.consumers.began).Seconds()
	fmt.Printf("%s, %s: requests %d, failed %d, %.0f seconds\n", m.nacos.name, what, total.Calls, total.Failed, seconds)
	if total.Failed > 0 {
		m.Errorf("%d of %d calls failed:\n%s", total.Failed, total.Calls, strings.Join(total.Examples, "\n"))
	}
	for _, p := range m.providers {
		if n, last := p.tooEarly(); n > 0 {
			m.Errorf("%s was called %d times before it was healthy, at last %s after it registered", p.instance.Address, n, last)
		}
	}
}

// nacosSleep is what people do without flip: write, sleep 1, stop. It proves
// that the others can fail.
func nacosSleep(t *testing.T, n nacosServer, program string) {
	m := newMarket(t, n, program, "sleep-service", four()...)
	m.consume(program)
	for _, p := range m.providers {
		m.sleepAndRestart(p)
		if err := n.set(t.Context(), m.service, p.instance, true); err != nil {
			t.Fatal(err)
		}
		m.shown(m.addresses(func(*provider) bool { return true })...)
	}
	total, seconds := m.consumers.total(), time.Since(m.consumers.began).Seconds()
	fmt.Printf("%s, sleep 1 instead of settle and drain: requests %d, failed %d, %.0f seconds\n", n.name, total.Calls, total.Failed, seconds)
	if total.Failed == 0 {
		t.Error("nothing failed: this harness cannot see a loss")
	}
}

// sleepAndRestart takes a provider out for a second, restarts it and waits for
// its health.
func (m *market) sleepAndRestart(p *provider) {
	m.Helper()
	if err := m.nacos.set(m.Context(), m.service, p.instance, false); err != nil {
		m.Fatal(err)
	}
	<-time.After(time.Second) // this is what is wrong with it
	if err := p.restart(m.Context(), "v2"); err != nil {
		m.Fatal(err)
	}
	m.until("health", func() error {
		if p.cold() {
			return errors.New("it warms up")
		}
		return nil
	})
}

// plan is a copy of a plan of the repository with replacements.
func (m *market) plan(name string, oldnew ...string) string {
	m.Helper()
	path := filepath.Join(m.dir, name+".yaml")
	if err := os.WriteFile(path, []byte(edited(m.TB, "../plans/"+name+".yaml", oldnew...)), 0o600); err != nil {
		m.Fatal(err)
	}
	return path
}
