package integration

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/integration/dnslab"
	"github.com/flip-cli/flip/integration/estate"
	"github.com/flip-cli/flip/pkg/driver/adguard/adguardtest"
)

// offices are two stand-ins for AdGuard Home that serve the name of the service itself, clients that use them, and flip.
type offices struct {
	*home
	fakes        map[string]*adguardtest.Fake
	fronts       map[string]*dnslab.Front
	ips          map[string]string
	flocks       map[string]*dnslab.Flock
	share        string // URL
	service      string
	port         int
	sampled      sync.WaitGroup
	stopSampling context.CancelFunc
	rounds       [][]int // clients on the old one, by flock
}

const (
	officeName = "dns.example.com"
	officeTTL  = time.Second
	flockSize  = 100
)

var flockNames = []string{"random", "first address"}

func newOffices(tb testing.TB, network string) *offices {
	tb.Helper()
	dir, err := os.MkdirTemp("", "flip") // a test's own directory is too long for a socket
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	o := &offices{
		home: newHome(tb, dir), fakes: map[string]*adguardtest.Fake{}, fronts: map[string]*dnslab.Front{},
		ips: map[string]string{"old": network + ".2", "new": network + ".3"}, service: filepath.Join(dir, "service"),
	}
	if o.port, err = dnslab.Port(tb.Context(), o.ips["old"], o.ips["new"]); err != nil {
		tb.Fatal(err)
	}
	for name, ip := range o.ips {
		f := adguardtest.Start(tb, adguardtest.Options{})
		f.SetTTL(int(officeTTL.Seconds()))
		f.Set(adguardtest.Row{Domain: officeName, Answer: o.ips["old"]})
		o.fakes[name], o.fronts[name] = f, dnslab.NewFront(fmt.Sprintf("%s:%d", ip, o.port), f.DNSAddress())
		tb.Cleanup(o.fronts[name].Stop)
		o.env["ADGUARD_"+strings.ToUpper(name)] = adguardtest.Password
	}
	page := httptest.NewServer(dnslab.Share(o.fronts["old"], o.fronts["new"], officeName, 2*officeTTL))
	tb.Cleanup(page.Close)
	o.share = page.URL
	ctx := context.WithoutCancel(tb.Context())
	control, err := estate.Listen(filepath.Join(dir, "control"), func(words []string) error { return o.obey(ctx, words) })
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(control.Close)
	if err := control.Script(o.service, "service"); err != nil {
		tb.Fatal(err)
	}
	if err := o.fronts["old"].Start(ctx); err != nil {
		tb.Fatal(err)
	}
	return o
}

func (o *offices) obey(ctx context.Context, words []string) error {
	front := o.fronts[words[2]]
	if words[1] == "start" {
		return front.Start(ctx)
	}
	front.Stop()
	return nil
}

// gather starts both kinds of clients, and a count of them in every TTL from the moment on at which the old service
// answers with both addresses.
func (o *offices) gather() {
	o.Helper()
	ctx := context.WithoutCancel(o.Context())
	o.flocks = map[string]*dnslab.Flock{}
	for _, name := range flockNames {
		choice := dnslab.Random
		if name != "random" {
			choice = dnslab.First
		}
		o.flocks[name] = dnslab.Gather(ctx, officeName, o.ips["old"], o.port, flockSize, choice)
	}
	ctx, o.stopSampling = context.WithCancel(ctx)
	o.Cleanup(func() { o.scatter() })
	o.sampled.Go(func() {
		tick := time.NewTicker(officeTTL)
		defer tick.Stop()
		for {
			var round []int
			for _, name := range flockNames {
				round = append(round, o.flocks[name].On(o.ips["old"]))
			}
			o.rounds = append(o.rounds, round)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	soon(o, "clients", func() bool { return o.fronts["old"].Asked(officeName, time.Hour) > 2*flockSize })
}

// scatter ends the clients and returns how many look-ups got no answer.
func (o *offices) scatter() (made, lost int, first string) {
	o.stopSampling()
	o.sampled.Wait()
	for _, f := range o.flocks {
		f.Scatter()
		m, l, why := f.Lookups()
		made, lost = made+m, lost+l
		if why != "" {
			first = why
		}
	}
	return made, lost, first
}

func (o *offices) args(plan string, vars ...string) []string {
	args := []string{"run", "--yes", plan}
	for _, v := range append([]string{
		"old=" + o.ips["old"], "new=" + o.ips["new"], "old_url=" + o.fakes["old"].URL(), "new_url=" + o.fakes["new"].URL(),
		"old_dns=" + o.fronts["old"].Addr(), "new_dns=" + o.fronts["new"].Addr(), "share=" + o.share, "service=" + o.service, "every=1s", "slack=1500ms", "patience=1m",
	}, vars...) {
		args = append(args, "--var", v)
	}
	return args
}

// answers is what both services say.
func (o *offices) answers() map[string]string {
	all := map[string]string{}
	for name, f := range o.fakes {
		text := strings.Join(f.Answers(officeName), " ")
		if !o.fronts[name].Running() {
			text += ", stopped"
		}
		all[name] = strings.NewReplacer(o.ips["old"], "A", o.ips["new"], "B").Replace(text)
	}
	return all
}

// table prints how many clients use the old service, TTL by TTL.
func (o *offices) table(what string) {
	text := fmt.Sprintf("dns service: %s: clients on the old one, by TTL\n", what)
	for i, name := range flockNames {
		var row []string
		for _, round := range o.rounds {
			row = append(row, fmt.Sprint(round[i]))
		}
		text += fmt.Sprintf("  %-14s %s\n", name, strings.Join(row, " "))
	}
	fmt.Print(text)
}

// TestTheDNSServiceItselfMoves runs dns-service-move over two stand-ins with real DNS answers and 400 clients.
func TestTheDNSServiceItselfMoves(t *testing.T) {
	t.Parallel()
	o := newOffices(t, "127.0.46")
	o.gather()
	o.wants([]int{0}, o.args("../plans/dns-service-move.yaml")...)
	if diff := cmp.Diff(map[string]string{"old": "B, stopped", "new": "B"}, o.answers()); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
	for _, name := range flockNames {
		if n := o.flocks[name].On(o.ips["new"]); n != flockSize {
			t.Errorf("%d of %d clients that take the %s use the new service", n, flockSize, name)
		}
	}
	o.wants([]int{0}, "rollback", "--yes")
	if diff := cmp.Diff(map[string]string{"old": "A", "new": "A, stopped"}, o.answers()); diff != "" {
		t.Errorf("after the rollback (-want +got):\n%s", diff)
	}
	for _, name := range flockNames {
		if n := o.flocks[name].On(o.ips["old"]); n != flockSize {
			t.Errorf("after the rollback %d of %d clients that take the %s use the old service", n, flockSize, name)
		}
	}
	made, lost, first := o.scatter()
	o.table("new address first, then back")
	fmt.Printf("dns service: look-ups %d, failed %d %s\n", made, lost, first)
	if lost > 0 {
		t.Errorf("%d of %d look-ups failed: %s", lost, made, first)
	}
	o.halves()
}

// halves wants the clients that choose at random to leave bit by bit.
func (o *offices) halves() {
	o.Helper()
	between := slices.ContainsFunc(o.rounds, func(r []int) bool { return r[0] > flockSize/8 && r[0] < flockSize*7/8 })
	if !between {
		o.Errorf("clients that choose at random did not leave bit by bit: %v", o.rounds)
	}
}

// TestADNSServiceThatIsStoppedAtOnceIsMissed proves that these clients can notice.
func TestADNSServiceThatIsStoppedAtOnceIsMissed(t *testing.T) {
	t.Parallel()
	o := newOffices(t, "127.0.48")
	o.gather()
	head, rest, _ := strings.Cut(edited(t, "../plans/dns-service-move.yaml"), "  - id: share-falls\n")
	_, stop, _ := strings.Cut(rest, "  - id: stop-old\n")
	o.wants([]int{0}, o.args(o.file("plan.yaml", head+"  - id: stop-old\n"+stop))...)
	soon(t, "failures", func() bool {
		_, lost, _ := o.flocks["random"].Lookups()
		return lost > 0
	})
	made, lost, first := o.scatter()
	fmt.Printf("dns service: control, stopped at once: look-ups %d, failed %d %s\n", made, lost, first)
}

// TestWithTheOldAddressFirstNobodyMoves is why the share is measured: clients that take the first address never go, the
// plan stops there, and nothing is taken away.
func TestWithTheOldAddressFirstNobodyMoves(t *testing.T) {
	t.Parallel()
	o := newOffices(t, "127.0.47")
	o.gather()
	plan := o.file("plan.yaml", edited(t, "../plans/dns-service-move.yaml",
		`["${{ vars.new }}", "${{ vars.old }}"]`, `["${{ vars.old }}", "${{ vars.new }}"]`,
		"    order: new-first            # refuses this plan with the addresses the other way round\n", ""))
	got := o.wants([]int{11}, o.args(plan, "patience=12s")...)
	saysAll(t, got, "share-falls", "body.share")
	if n := o.flocks["first address"].On(o.ips["old"]); n != flockSize {
		t.Errorf("%d of %d clients that take the first address use the old service", n, flockSize)
	}
	o.wants([]int{0}, "rollback", "--yes")
	made, lost, first := o.scatter()
	o.table("old address first, then back")
	fmt.Printf("dns service: look-ups %d, failed %d %s\n", made, lost, first)
	if lost > 0 {
		t.Errorf("%d of %d look-ups failed: %s", lost, made, first)
	}
}
