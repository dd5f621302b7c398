package haproxytest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fake answers the runtime API of HAProxy 2.6 as far as the driver uses it, on
// a unix socket and on TCP, and refuses everything else. It balances no
// traffic. All methods are safe for concurrent use.
type Fake struct {
	// Socket is the path of the unix socket, TCP the same on "127.0.0.1:port".
	Socket, TCP string

	listeners []net.Listener
	dir       string
	serving   sync.WaitGroup

	mu       sync.Mutex
	late     int        // lines that LateApply still owes
	landed   *sync.Cond // of mu
	conns    map[net.Conn]bool
	stopped  bool
	closing  chan struct{}
	pid      int
	since    time.Time
	initial  []FakeBackend
	backends []*fakeBackend
	maps     []*fakeMap
	faults   []*Fault
	before   []hook
	log      []string
	level    string // admin, or a lower one that may only look
}

// FakeBackend is a backend at the start, and again after Reload.
type FakeBackend struct {
	Name    string
	Static  bool // a static algorithm of `balance`
	Servers []FakeServer
}

// FakeServer is a server. The zero value of every field but Name and Address
// is what `server name address` makes, without checks.
type FakeServer struct {
	Name    string
	Address string // ip:port
	// Weight is the weight now, Initial the one of the configuration; 1 when 0,
	// unless Zero.
	Weight, Initial int
	Zero            bool
	// Admin are the administrative bits (1 maint, 4 disabled in the
	// configuration, 8 drain; 2, 16 and 32 inherited).
	Admin int
	// Check and Agent: configured, and disabled unless the other is set.
	Check, CheckOff, Agent, AgentOff bool
	// Dead: its checks fail. Fall is the checks that it takes to be down, 2
	// when 0; Rise is 2. A check runs at every `show`.
	Dead bool
	Fall int
	// Sessions, Queued and Total are shown as they are.
	Sessions, Queued, Total int
	// OK and Failed are its answers with status 200 and 500.
	OK, Failed int

	health  int
	last    string // check_status
	dynamic bool
	changed time.Time
}

type fakeBackend struct {
	FakeBackend
	order []*FakeServer
	by    map[string]*FakeServer
}

type fakeMap struct {
	file    string
	entries [][2]string
}

// FaultKind is a way to misbehave.
type FaultKind int

// The faults.
const (
	CloseWithoutReply FaultKind = iota // reads the line and closes; nothing is applied
	Hang                               // reads the line and says nothing; nothing is applied
	Garbage                            // answers like another kind of server; nothing is applied
	LoseReply                          // applies, then closes without an answer
	CutReply                           // applies, and closes in the middle of the answer
	LateApply                          // closes without an answer, and applies After that
	Slow                               // waits After before it does all as it should
)

// Fault is misbehaviour on lines that hold Match.
type Fault struct {
	Kind  FaultKind
	Match string // part of the line; empty matches every line
	Skip  int    // leave the first lines that match alone
	Times int    // how often; 0 is always
	After time.Duration
}

// StartFake starts a fake that ends with the test.
func StartFake(tb testing.TB, backends ...FakeBackend) *Fake {
	tb.Helper()
	f, err := NewFake(backends...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(f.Close)
	return f
}

// NewFake starts a fake; Close ends it.
func NewFake(backends ...FakeBackend) (*Fake, error) {
	dir, err := shortDir()
	if err != nil {
		return nil, fmt.Errorf("fake haproxy: %w", err)
	}
	f := &Fake{
		dir: dir, Socket: filepath.Join(dir, "fake.sock"), conns: map[net.Conn]bool{}, closing: make(chan struct{}),
		pid: 1000, since: time.Now(), initial: backends, level: "admin",
	}
	f.landed = sync.NewCond(&f.mu)
	f.reset()
	if err := f.listen("127.0.0.1:0"); err != nil {
		f.Close()
		return nil, fmt.Errorf("fake haproxy: %w", err)
	}
	return f, nil
}

func (f *Fake) listen(tcp string) error {
	for _, at := range [][2]string{{"unix", f.Socket}, {"tcp", tcp}} {
		l, err := net.Listen(at[0], at[1])
		if err != nil {
			return err
		}
		f.listeners = append(f.listeners, l)
		f.serving.Go(func() { f.accept(l) })
	}
	f.TCP = f.listeners[1].Addr().String()
	return nil
}

// Break ends the listeners and every connection: connections are refused.
func (f *Fake) Break() {
	f.mu.Lock()
	if !f.stopped {
		f.stopped = true
		close(f.closing)
	}
	for c := range f.conns {
		_ = c.Close()
	}
	f.mu.Unlock()
	for _, l := range f.listeners {
		_ = l.Close()
	}
	f.serving.Wait()
}

// Close is Break, and waits for late writes.
func (f *Fake) Close() {
	f.Break()
	f.Late()
	_ = os.RemoveAll(f.dir)
}

// Fault adds a fault; the first one that matches a line is used.
func (f *Fake) Fault(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &fault)
}

// Heal removes all faults.
func (f *Fake) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Late waits until what LateApply promised has been applied.
func (f *Fake) Late() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.late > 0 {
		f.landed.Wait()
	}
}

func (f *Fake) applyLate(line string, after time.Duration) {
	f.mu.Lock()
	f.late++
	f.mu.Unlock()
	time.AfterFunc(after, func() {
		f.run(line)
		f.mu.Lock()
		f.late--
		f.mu.Unlock()
		f.landed.Broadcast()
	})
}

// Level sets what the socket allows: admin, operator or user.
func (f *Fake) Level(level string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.level = level
}

// AddMap adds a map file, or replaces it.
func (f *Fake) AddMap(file string, entries ...[2]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.maps = slices.DeleteFunc(f.maps, func(m *fakeMap) bool { return m.file == file })
	f.maps = append(f.maps, &fakeMap{file, slices.Clone(entries)})
}

// Reload is a new process: another pid, and servers as they were configured.
func (f *Fake) Reload() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pid++
	f.since = time.Now()
	f.reset()
}

// Server returns a server as it is now; it panics when there is none.
func (f *Fake) Server(backend, name string) FakeServer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return *f.mustFind(backend, name)
}

// Update changes a server past the runtime API.
func (f *Fake) Update(backend, name string, change func(*FakeServer)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.mustFind(backend, name))
}

// Remove deletes a server past the runtime API.
func (f *Fake) Remove(backend, name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.mustFind(backend, name)
	be := f.backend(backend)
	delete(be.by, name)
	be.order = slices.DeleteFunc(be.order, func(o *FakeServer) bool { return o == s })
}

// Before calls do once, before the next line that holds match is run: what
// another operator does between a driver's reading and its writing.
func (f *Fake) Before(match string, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = append(f.before, hook{match, do})
}

type hook struct {
	match string
	do    func()
}

func (f *Fake) interfere(line string) {
	f.mu.Lock()
	i := slices.IndexFunc(f.before, func(h hook) bool { return strings.Contains(line, h.match) })
	if i < 0 {
		f.mu.Unlock()
		return
	}
	do := f.before[i].do
	f.before = slices.Delete(f.before, i, i+1)
	f.mu.Unlock()
	do()
}

// Commands returns the commands that came in and were not lost, in order,
// without those that only look.
func (f *Fake) Commands() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

// Forget empties Commands.
func (f *Fake) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = nil
}
