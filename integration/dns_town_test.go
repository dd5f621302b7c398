package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flip-cli/flip/integration/dnslab"
	"github.com/flip-cli/flip/integration/estate"
	"github.com/flip-cli/flip/pkg/driver/dnstest"
)

// town is a zone on a real BIND and the resolvers that people ask. Names in it move side by side.
type town struct {
	testing.TB
	bind *dnstest.Server
	net  string // of the servers' addresses: 127.0.40
	next atomic.Int32

	mu        sync.Mutex
	resolvers map[string]*dnstest.Server
}

// The resolvers.
const (
	unbound = "unbound"
	dnsmasq = "dnsmasq"
	// stretching is unbound that keeps every answer for at least 6 s.
	stretching = "unbound, cache-min-ttl 6"
)

func newTown(tb testing.TB, network string) *town {
	tb.Helper()
	return &town{TB: tb, net: network, bind: dnstest.BIND(tb, dnstest.Zone{}), resolvers: map[string]*dnstest.Server{}}
}

// resolver is one of them; it is started for the first who asks.
func (w *town) resolver(name string) *dnstest.Server {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.resolvers[name] == nil {
		switch name {
		case unbound:
			w.resolvers[name] = dnstest.Unbound(w, w.bind)
		case dnsmasq:
			w.resolvers[name] = dnstest.Dnsmasq(w, w.bind)
		case stretching:
			w.resolvers[name] = dnstest.Unbound(w, w.bind, dnstest.MinCacheTTL(6))
		}
	}
	return w.resolvers[name]
}

// house is one name of a town that moves: the servers at its old and its new address, clients, and flip.
type house struct {
	*home
	town     *town
	name     string
	ttl      int
	resolver *dnstest.Server
	old, new *dnslab.Host
	oldIP    string
	newIP    string
	port     int
	service  string // the command for plans
	clients  []*dnslab.Client
}

// house builds one. The old server runs, the new one does not.
func (w *town) house(tb testing.TB, resolver string, ttl int) *house {
	tb.Helper()
	dir, err := os.MkdirTemp("", "flip") // a test's own directory is too long for a socket
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	n := w.next.Add(1)
	h := &house{
		home: newHome(tb, dir), town: w, name: fmt.Sprintf("www%d.%s", n, w.bind.Zone()), ttl: ttl, resolver: w.resolver(resolver),
		oldIP: fmt.Sprintf("%s.%d", w.net, 2*n), newIP: fmt.Sprintf("%s.%d", w.net, 2*n+1), service: filepath.Join(dir, "service"),
	}
	h.env["FLIP_TSIG"] = dnstest.TestKey().Secret
	if h.port, err = dnslab.Port(tb.Context(), h.oldIP, h.newIP); err != nil {
		tb.Fatal(err)
	}
	h.old = dnslab.NewHost("old", fmt.Sprintf("%s:%d", h.oldIP, h.port), h.log("old"))
	h.new = dnslab.NewHost("new", fmt.Sprintf("%s:%d", h.newIP, h.port), h.log("new"))
	tb.Cleanup(func() { h.leave(); h.old.Stop(); h.new.Stop() })
	if err := h.old.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	w.bind.Set(tb, h.name, "A", ttl, h.oldIP)
	h.commands(dir)
	return h
}

func (h *house) log(server string) string { return filepath.Join(h.dir, server+".log") }

func (h *house) record() string { return h.name + " A" }

// commands are what plans call: start and stop of a server.
func (h *house) commands(dir string) {
	h.Helper()
	ctx := context.WithoutCancel(h.Context())
	control, err := estate.Listen(filepath.Join(dir, "control"), func(words []string) error { return h.obey(ctx, words) })
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(control.Close)
	if err := control.Script(h.service, "service"); err != nil {
		h.Fatal(err)
	}
}

func (h *house) obey(ctx context.Context, words []string) error {
	switch strings.Join(words[1:], " ") {
	case "start old":
		return h.old.Start(ctx)
	case "start new":
		return h.new.Start(ctx)
	case "stop old":
		h.old.Stop()
		return nil
	case "stop new":
		h.new.Stop()
		return nil
	case "fresh answer":
		return h.fresh()
	}
	return fmt.Errorf("no order: %q", words)
}

// fresh returns when the resolver has just asked again: a wrong order is then as wrong as it can be.
func (h *house) fresh() error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(20 * time.Second)
	for last := 0; time.Now().Before(end); <-tick.C {
		ttl := h.resolver.Lookup(h.TB, h.name, "A").TTL
		if ttl > last && last > 0 || ttl == max(h.ttl, 6) {
			return nil
		}
		last = max(ttl, 1)
	}
	return fmt.Errorf("the answer is never fresh")
}

// live starts a client without and one with fail-over and waits until both were answered.
func (h *house) live() {
	h.Helper()
	for _, failover := range []bool{false, true} {
		h.clients = append(h.clients, dnslab.Go(context.WithoutCancel(h.Context()), dnslab.Config{
			Resolver: h.resolver.Addr(), Name: h.name, Port: h.port, Failover: failover, Every: 20 * time.Millisecond,
		}))
	}
	h.more(25)
}

// more waits until each client has made so many more requests.
func (h *house) more(requests int) {
	h.Helper()
	for _, c := range h.clients {
		until := c.Now().Requests + requests
		soon(h, "requests", func() bool { return c.Now().Requests >= until })
	}
}

// leave ends the clients and returns what they have seen: without and with fail-over.
func (h *house) leave() []dnslab.Result {
	var all []dnslab.Result
	for _, c := range h.clients {
		all = append(all, c.Stop())
	}
	return all
}

// plan is a copy of a plan of the repository with replacements.
func (h *house) plan(name string, oldnew ...string) string {
	h.Helper()
	return h.file(name+".yaml", edited(h, "../plans/"+name+".yaml", oldnew...))
}

// steps is dns-move.yaml with other steps.
func (h *house) steps(steps string) string {
	h.Helper()
	head, _, ok := strings.Cut(edited(h, "../plans/dns-move.yaml"), "\nsteps:\n")
	if !ok {
		h.Fatal("dns-move.yaml has no steps")
	}
	return h.file("steps.yaml", head+"\nsteps:\n"+steps)
}

// args are those of flip run, with the times of a test: TTLs of 2 s, and resolvers that count whole seconds.
func (h *house) args(plan string, vars ...string) []string {
	args := []string{"run", "--yes", plan}
	for _, v := range append([]string{
		"old=" + h.oldIP, "new=" + h.newIP, "record=" + h.record(), "zone=" + h.town.bind.Zone(), "primary=" + h.town.bind.Addr(), "key=" + dnstest.TestKey().Name,
		"name_servers=" + h.town.bind.Addr(), "resolvers=" + h.resolver.Addr(),
		fmt.Sprintf("health=http://%s/healthz", h.name), fmt.Sprintf("port=%d", h.port), "service=" + h.service, "log=" + h.log("old"),
		"soak=500ms", "every=300ms", "slack=1500ms", "quiet=1500ms",
	}, vars...) {
		args = append(args, "--var", v)
	}
	return args
}

// serves is what there is: the record's values and TTL, and the servers that run.
func (h *house) serves() string {
	h.Helper()
	r := h.town.bind.Lookup(h, h.name, "A")
	var running []string
	for name, host := range map[string]*dnslab.Host{"old": h.old, "new": h.new} {
		if host.Running() {
			running = append(running, name)
		}
	}
	slices.Sort(running)
	text := fmt.Sprintf("%s ttl %d, %s running", strings.Join(r.Values, " "), r.TTL, strings.Join(running, " and "))
	return strings.NewReplacer(h.oldIP, "A", h.newIP, "B").Replace(text)
}

// sideBySide runs subtests at the same time, however few processors there are: they mostly wait.
func sideBySide(t *testing.T, tests map[string]func(*testing.T)) {
	t.Helper()
	var all sync.WaitGroup
	for name, test := range tests {
		all.Go(func() { t.Run(name, test) })
	}
	all.Wait()
}
