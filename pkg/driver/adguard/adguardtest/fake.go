// Package adguardtest is a stand-in for AdGuard Home: the part of its HTTP API
// that is about rewrites, and its DNS answers. It copies what a running one
// (the v0.108 beta line) was seen to do, oddities included, and refuses what it
// does not know. It is not AdGuard Home.
//
// https://github.com/AdguardTeam/AdGuardHome/blob/master/openapi/openapi.yaml
package adguardtest

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/dnsserver"
)

// The credentials that the stand-in accepts.
const (
	User     = "flip"
	Password = "agh-secret-1c2d3e4f"
)

// Attempts is how many wrong passwords it takes to be locked out: from then on
// the right one is wrong too, for 15 minutes in the real program, for ever here.
const Attempts = 6

// DefaultTTL is blocked_response_ttl of a new installation, in seconds.
const DefaultTTL = 10

// Options shape the stand-in.
type Options struct {
	// Old is a version before v0.107.68: rewrites have no `enabled` and there
	// is no switch for all of them.
	Old bool
	// NoUpdate is a version before v0.107.30.
	NoUpdate bool
	// Upstream answers names without a rewrite: values by "name TYPE".
	Upstream map[string][]string
}

// Row is one rewrite.
type Row struct {
	Domain, Answer string
	Disabled       bool
}

// Call is one request that was answered.
type Call struct {
	Method, Path, Body string
	Status             int
}

// Kind says how a call goes wrong.
type Kind int

// The kinds of faults.
const (
	// Refuse answers with Status and does nothing.
	Refuse Kind = iota
	// LoseAnswer does what was asked, then answers with Status.
	LoseAnswer
	// BreakOff does what was asked and closes the connection.
	BreakOff
	// Hang never answers; nothing is done.
	Hang
	// Between runs Do before the call is looked at: another operator's write.
	Between
	// Ignore answers 200 and does nothing.
	Ignore
)

// Fault is what happens to calls whose path ends in Path, empty for any. It
// happens after Skip calls went through, Times times, once when 0.
type Fault struct {
	Kind   Kind
	Path   string
	Skip   int
	Times  int
	Status int
	Text   string
	Do     func()
}

// Fake is the stand-in.
type Fake struct {
	o      Options
	server *httptest.Server
	dns    string
	gone   chan struct{} // closed when the test ends

	mu     sync.Mutex
	rows   []Row
	off    bool // all rewrites
	ttl    int
	wrong  int // passwords
	calls  []Call
	faults []Fault
}

// Start runs a stand-in until the test ends.
func Start(t testing.TB, o Options) *Fake {
	t.Helper()
	f := &Fake{o: o, ttl: DefaultTTL, gone: make(chan struct{})}
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.server.Close)
	t.Cleanup(func() { close(f.gone) })
	f.dns = dnsserver.Start(t, f.resolve)
	return f
}

// URL is where the API is.
func (f *Fake) URL() string { return f.server.URL }

// DNSAddress is where names are looked up, host:port, UDP and TCP.
func (f *Fake) DNSAddress() string { return f.dns }

// Down closes the API's port: connections are refused.
func (f *Fake) Down() { f.server.Close() }

// Fail makes coming calls go wrong, in the order given.
func (f *Fake) Fail(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

// fault takes the first fault that fits the path.
func (f *Fake) fault(path string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.faults, func(x Fault) bool { return strings.HasSuffix(path, x.Path) })
	if i < 0 {
		return Fault{}, false
	}
	if f.faults[i].Skip > 0 {
		f.faults[i].Skip--
		return Fault{}, false
	}
	x := f.faults[i]
	if f.faults[i].Times--; f.faults[i].Times <= 0 {
		f.faults = slices.Delete(f.faults, i, i+1)
	}
	return x, true
}

// Calls returns what was asked so far.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Writes are the calls that change something, as "add", "delete", "update".
func (f *Fake) Writes() []string {
	var all []string
	for _, c := range f.Calls() {
		if verb := c.Path[strings.LastIndex(c.Path, "/")+1:]; c.Method != http.MethodGet {
			all = append(all, verb)
		}
	}
	return all
}

// Set puts these rows in place of all others, past all faults.
func (f *Fake) Set(rows ...Row) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = nil
	for _, r := range rows {
		f.rows = append(f.rows, normal(r))
	}
}

// SetTTL is another operator's dns_config.
func (f *Fake) SetTTL(seconds int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ttl = seconds
}

// Switch turns all rewrites on or off.
func (f *Fake) Switch(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = !on
}

// Restart forgets the wrong passwords, as a restart does.
func (f *Fake) Restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wrong = 0
}

// Rows are all rewrites in their order.
func (f *Fake) Rows() []Row {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.rows)
}

// Answers are the answers of the enabled rewrites of a domain, in their order.
func (f *Fake) Answers(domain string) []string {
	var all []string
	for _, r := range f.Rows() {
		if r.Domain == domain && !r.Disabled {
			all = append(all, r.Answer)
		}
	}
	return all
}

// normal is what the program makes of a new row: the domain, and nothing else,
// in lower case.
func normal(r Row) Row {
	r.Domain = strings.ToLower(r.Domain)
	return r
}

// kind is the record type that a row is for: A, AAAA or CNAME. A row whose
// answer is "A" or "AAAA" lets that type through to the upstream.
func (r Row) kind() (kind string, through bool) {
	if r.Answer == "A" || r.Answer == "AAAA" {
		return r.Answer, true
	}
	addr, err := netip.ParseAddr(r.Answer)
	switch {
	case err != nil:
		return "CNAME", false
	case addr.Is4():
		return "A", false
	}
	return "AAAA", false
}

// wait ends when the client or the test does.
func (f *Fake) wait(r *http.Request) {
	select {
	case <-time.After(time.Hour):
	case <-r.Context().Done():
	case <-f.gone:
	}
}
