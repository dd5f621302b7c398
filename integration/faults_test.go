package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
)

// shakyPlan makes many small changes on a load balancer that cannot be trusted.
const shakyPlan = `flip: 1
name: shaky
targets:
  web: {driver: haproxy, endpoints: ["unix://SOCKET"], backend: be_web, timeout: 500ms, max_in_flight: FLIGHT}
groups:
  blue:  {web: [web1, web2]}
  green: {web: [web3, web4]}
alternate: [blue, green]
guards:
  - {target: web, min_serving: 2}
steps:
  - id: shift
    ramp: {from: live, to: idle, percent: [10, 30, 50, 70, 100], hold: 5ms}
  - id: out
    set: {group: live, state: drain}
`

const (
	// latest is when a lost command still takes effect.
	latest = 400 * time.Millisecond
	// flight is what the plan says about that.
	flight = latest + 100*time.Millisecond
)

// fourServers is a load balancer without traffic: blue has all of it.
func fourServers() (*haproxytest.Fake, error) {
	return haproxytest.NewFake(haproxytest.FakeBackend{Name: "be_web", Servers: []haproxytest.FakeServer{
		{Name: "web1", Address: "127.0.0.1:8001", Weight: 100},
		{Name: "web2", Address: "127.0.0.1:8002", Weight: 100},
		{Name: "web3", Address: "127.0.0.1:8003", Zero: true},
		{Name: "web4", Address: "127.0.0.1:8004", Zero: true},
	}})
}

// values is what flip may change on a fake.
func values(f *haproxytest.Fake) []string {
	var all []string
	for i := range 4 {
		s := f.Server("be_web", fmt.Sprintf("web%d", i+1))
		all = append(all, fmt.Sprintf("%s weight %d admin %d", s.Name, s.Weight, s.Admin))
	}
	return all
}

// storm counts what came of rounds with kills at random.
type storm struct {
	mu                   sync.Mutex
	rounds, kills, wrong int
	told                 []string
}

func (s *storm) note(killed bool, wrong string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rounds++
	if killed {
		s.kills++
	}
	if wrong != "" {
		s.wrong++
		s.told = append(s.told, wrong)
	}
}

// play runs n rounds, several at a time, each with its own load balancer. Round i always has the same random numbers.
func (s *storm) play(t *testing.T, seed uint64, n int, order childOrder) {
	t.Helper()
	dir := memoryDir(t)
	var wg sync.WaitGroup
	next := make(chan int)
	for range 6 { // they mostly wait
		wg.Go(func() {
			for i := range next {
				s.round(t, filepath.Join(dir, fmt.Sprint(i)), rand.New(rand.NewPCG(seed, uint64(i))), i, order)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}

// memoryDir is a directory in memory where there is one: a rollback has to come before what is late.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "flip")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// round kills one run at random and takes it back; every second one is resumed first. In rounds 0 and 1 of four the load
// balancer is well from the kill on, and what comes late is what the dead process sent.
func (s *storm) round(t *testing.T, dir string, random *rand.Rand, i int, order childOrder) {
	fake, err := shaky(random)
	if err != nil {
		t.Error(err)
		return
	}
	defer fake.Close()
	before := values(fake)
	h := newHome(t, dir)
	h.order = order
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Error(err)
		return
	}
	plan := h.file("p.yaml", strings.NewReplacer("SOCKET", fake.Socket, "FLIGHT", flight.String()).Replace(shakyPlan))
	c := h.start(order, "run", plan)
	timer := time.AfterFunc(30*time.Millisecond+time.Duration(random.Int64N(int64(1200*time.Millisecond))), func() { _ = c.Process.Kill() })
	killed := h.wait(c).code == -1
	timer.Stop()
	if i%4 < 2 {
		fake.Heal()
	}
	var story []string
	if h.run() != "" {
		if i%2 == 1 {
			end := h.flip("resume")
			story = append(story, end.String())
			if i%8 > 4 { // in the other rounds what resume sent may land during the rollback
				fake.Late()
			}
			if diff := cmp.Diff(shakyEnd, values(fake)); diff != "" && end.code == 0 && i%8 > 4 {
				s.note(killed, strings.Join(append(story, "resume: the end is wrong (-want +got):\n"+diff, h.flip("logs").out), "\n"))
				return
			}
		}
		back := h.flip("rollback")
		story = append(story, back.String())
		if back.code != 0 && back.code != 3 { // 3: it went back by itself
			s.note(killed, strings.Join(story, "\n"))
			return
		}
	}
	fake.Late()
	diff := cmp.Diff(before, values(fake))
	if diff != "" {
		story = append(story, "the end is wrong (-want +got):\n"+diff)
		if h.run() != "" {
			story = append(story, h.flip("logs").out)
		}
		diff = strings.Join(story, "\n")
	}
	s.note(killed, diff)
}

// shakyEnd is what shakyPlan is to reach.
var shakyEnd = []string{"web1 weight 0 admin 8", "web2 weight 0 admin 8", "web3 weight 100 admin 0", "web4 weight 100 admin 0"}

// shaky loses the answers to half of the commands: some of these take effect at once, most late.
func shaky(random *rand.Rand) (*haproxytest.Fake, error) {
	fake, err := fourServers()
	if err != nil {
		return nil, err
	}
	for skip := random.IntN(3); skip < 60; skip += random.IntN(4) {
		f := haproxytest.Fault{Kind: haproxytest.LoseReply, Match: "set server", Skip: skip, Times: 1}
		if random.IntN(3) > 0 {
			f.Kind, f.After = haproxytest.LateApply, time.Duration(max(random.Int64N(int64(latest)), random.Int64N(int64(latest))))
		}
		fake.Fault(f)
	}
	return fake, nil
}

func seedOf(t *testing.T) uint64 {
	seed := rand.Uint64()
	if text := os.Getenv("FLIP_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FLIP_SEED=%d", seed)
	return seed
}

// TestKillsAtRandomLeaveNothingBehind kills runs with SIGKILL at random instants over a load balancer that loses answers
// and applies late, and goes back.
func TestKillsAtRandomLeaveNothingBehind(t *testing.T) {
	rounds := 200
	if soak() {
		rounds = 1000
	}
	var s storm
	began := time.Now()
	s.play(t, seedOf(t), rounds, childOrder{})
	t.Logf("rounds %d, killed %d, wrong %d, %s", s.rounds, s.kills, s.wrong, time.Since(began).Round(time.Second))
	for _, wrong := range s.told {
		t.Error(wrong)
	}
	if s.kills < rounds/2 {
		t.Errorf("only %d of %d runs were killed before their end", s.kills, rounds)
	}
}

// TestAMissingSweepIsFound is the same storm without the last look after an unclean death: it must
// find wrong ends, or the test above could not fail.
func TestAMissingSweepIsFound(t *testing.T) {
	seed := seedOf(t)
	var s storm
	for try := range uint64(10) {
		if s.play(t, seed+try, 20, childOrder{NoSweep: true}); s.wrong > 0 {
			break
		}
	}
	t.Logf("rounds %d, killed %d, wrong %d", s.rounds, s.kills, s.wrong)
	if s.wrong == 0 {
		t.Error("no round ended wrong without the sweep: the storm proves nothing")
	}
}
