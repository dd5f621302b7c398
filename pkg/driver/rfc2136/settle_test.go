package rfc2136

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/dnstest"
	"github.com/flip-cli/flip/pkg/hint"
)

// watched collects what a call says that it waits for.
func watched(t *testing.T) (context.Context, func() string) {
	t.Helper()
	var mu sync.Mutex
	var lines []string
	ctx := driver.WithProgress(t.Context(), func(line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	})
	return ctx, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(lines, "\n")
	}
}

func TestSettlingWaitsForASecondaryThatLags(t *testing.T) {
	primary, secondary := dnstest.Pair(t, dnstest.Zone{Records: []string{"www 60 IN A 192.0.2.1"}}, dnstest.NotifyDelay(5*time.Second))
	// The first notify may go out at once; what follows within 5 s waits.
	primary.Set(t, wwwHost, "A", 60, "192.0.2.7")
	primary.Set(t, wwwHost, "A", 60, "192.0.2.1")
	d := opened(t, config(primary, func(c *Config) {
		c.NameServers, c.SettleTimeout = []string{primary.Addr(), secondary.Addr()}, 30*time.Second
	}))
	move := values(www, list("192.0.2.1"), list("192.0.2.2"))
	apply(t, d, move)
	if got := secondary.Lookup(t, wwwHost, "A").Values; got[0] == "192.0.2.2" {
		t.Fatal("the secondary does not lag: this proves nothing")
	}
	ctx, said := watched(t)
	if err := settle(ctx, t, d, move); err != nil {
		t.Fatal(err)
	}
	if got := secondary.Lookup(t, wwwHost, "A").Values; got[0] != "192.0.2.2" {
		t.Errorf("settled although the secondary answers %v", got)
	}
	if want := secondary.Addr() + " still answers 192.0.2.1"; !strings.Contains(said(), want) {
		t.Errorf("nothing says %q:\n%s", want, said())
	}
}

func TestSettlingIsBoundedAndSaysWhoIsBehind(t *testing.T) {
	move := values(www, list("192.0.2.1"), list("192.0.2.2"))
	for name, row := range map[string]struct {
		spoil func(*testing.T, *dnstest.Server)
		says  string
	}{
		"a name server that is down":   {func(_ *testing.T, s *dnstest.Server) { s.Stop() }, "connection refused"},
		"a name server that is frozen": {func(t *testing.T, s *dnstest.Server) { s.Freeze(t) }, "does not answer in time"},
		"one that follows nobody":      {func(*testing.T, *dnstest.Server) {}, "still answers 192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			zone := dnstest.Zone{Records: []string{"www 60 IN A 192.0.2.1"}}
			primary, other := dnstest.BIND(t, zone), dnstest.BIND(t, zone)
			d := opened(t, config(primary, func(c *Config) {
				c.NameServers = []string{primary.Addr(), other.Addr()}
				c.SettleTimeout, c.Timeout = time.Second, 500*time.Millisecond
			}))
			apply(t, d, move)
			row.spoil(t, other)
			err := settle(t.Context(), t, d, move)
			if err == nil {
				t.Fatal("settled")
			}
			for _, want := range []string{other.Addr(), row.says, "after 1s"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), primary.Addr()) {
				t.Errorf("the primary is not behind: %v", err)
			}
			if len(hint.Of(err)) == 0 {
				t.Error("no hint")
			}
		})
	}
}

func TestAServerWithoutAuthorityIsNoWitness(t *testing.T) {
	primary := dnstest.BIND(t, dnstest.Zone{Records: []string{"www 60 IN A 192.0.2.1"}})
	resolver := dnstest.Unbound(t, primary, dnstest.Config("access-control: 127.0.0.0/8 allow_snoop")) // tells what it has without recursion
	d := opened(t, config(primary, func(c *Config) {
		c.NameServers, c.SettleTimeout = []string{resolver.Addr()}, time.Second
	}))
	move := values(www, list("192.0.2.1"), list("192.0.2.2"))
	apply(t, d, move)
	resolver.Lookup(t, wwwHost, "A") // in its cache: it would answer
	if err := settle(t.Context(), t, d, move); err == nil || !strings.Contains(err.Error(), resolver.Addr()+" answers for www.example.com without authority") {
		t.Errorf("got %v", err)
	}
}

func TestATTLThatNameServersDoNotHaveYetIsWaitedFor(t *testing.T) {
	zone := dnstest.Zone{Records: []string{"www 60 IN A 192.0.2.1"}}
	primary, other := dnstest.BIND(t, zone), dnstest.Knot(t, zone)
	d := opened(t, config(primary, func(c *Config) {
		c.NameServers, c.SettleTimeout = []string{primary.Addr(), other.Addr()}, 20*time.Second
	}))
	lower := changeTTL(60, 5)
	apply(t, d, lower)
	ctx, said := watched(t)
	ctx = driver.WithProgress(ctx, func(line string) {
		if strings.Contains(line, "with TTL 60") {
			other.Set(t, wwwHost, "A", 5, "192.0.2.1")
		}
	})
	if err := settle(ctx, t, d, lower); err != nil {
		t.Errorf("%v\n%s", err, said())
	}
	if ttl := other.Lookup(t, wwwHost, "A").TTL; ttl != 5 {
		t.Errorf("settled although a name server answers with TTL %d", ttl)
	}
}
