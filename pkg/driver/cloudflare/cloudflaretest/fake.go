// Package cloudflaretest is a stand-in for the DNS API of Cloudflare. It was
// written from the vendor's documentation and refuses what it does not know:
// it is not Cloudflare, and what passes here has passed here only.
//
// https://developers.cloudflare.com/api/resources/dns/subresources/records/
package cloudflaretest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/driver/internal/dnsserver"
)

// Token is the API token that the stand-in accepts.
const Token = "cf-token-9f8e7d6c5b4a"

// ZoneID and Zone are the zone that it has.
const (
	ZoneID = "023e105f4ecef8ad9ca31a8372d0c353"
	Zone   = "example.com"
)

// Options shape the stand-in.
type Options struct {
	// PerPage is the largest page of a list; 100 when 0.
	PerPage int
	// IgnorePage makes every page of a list the first one.
	IgnorePage bool
	// DNS serves the records on a UDP and TCP port, see DNSAddress.
	DNS bool
	// Propagation is how long a change takes to be served over DNS.
	Propagation time.Duration
	// NameServers are what the zone says; the DNS address when nil.
	NameServers []string
}

// Record is one record as the API shows it.
type Record struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Type     string         `json:"type"`
	Content  string         `json:"content"`
	TTL      int            `json:"ttl"`
	Proxied  bool           `json:"proxied"`
	Comment  string         `json:"comment,omitempty"`
	Tags     []string       `json:"tags,omitempty"`
	Settings map[string]any `json:"settings,omitempty"`
	Priority *int           `json:"priority,omitempty"`
}

// Call is one request that was answered.
type Call struct {
	Method, Path, Query, Body string
	Status                    int
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
	// Slow answers after Delay.
	Slow
	// Between runs Do before the call is looked at: another operator's write.
	Between
)

// Fault is what happens to calls of Method, empty for any. It happens Times
// times, once when 0.
type Fault struct {
	Kind       Kind
	Method     string
	Times      int
	Status     int
	RetryAfter string
	Code       int
	Message    string
	Delay      time.Duration
	Do         func()
}

// Fake is the stand-in.
type Fake struct {
	o      Options
	server *httptest.Server
	dns    string        // host:port, or empty
	gone   chan struct{} // closed when the test ends

	mu      sync.Mutex
	records []Record
	past    []version
	next    int
	calls   []Call
	faults  []Fault
}

// version are the records that DNS serves from then on.
type version struct {
	from    time.Time
	records []Record
}

// Start runs a stand-in until the test ends.
func Start(t testing.TB, o Options) *Fake {
	t.Helper()
	if o.PerPage == 0 {
		o.PerPage = 100
	}
	f := &Fake{o: o, gone: make(chan struct{})}
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.server.Close)
	t.Cleanup(func() { close(f.gone) })
	if o.DNS {
		f.dns = dnsserver.Start(t, f.resolve)
	}
	f.commit(nil)
	return f
}

// URL is the API's base URL.
func (f *Fake) URL() string { return f.server.URL + "/client/v4" }

// DNSAddress is where the records are served, host:port.
func (f *Fake) DNSAddress() string {
	return f.dns
}

// Down closes the API's port: connections are refused.
func (f *Fake) Down() { f.server.Close() }

// Fail makes coming calls go wrong, in the order given.
func (f *Fake) Fail(faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, faults...)
}

// fault takes the first fault that fits the method.
func (f *Fake) fault(method string) (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.faults, func(x Fault) bool { return x.Method == "" || x.Method == method })
	if i < 0 {
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

// Count tells how many calls of a method there were.
func (f *Fake) Count(method string) int {
	n := 0
	for _, c := range f.Calls() {
		if c.Method == method {
			n++
		}
	}
	return n
}

// Put makes records as an operator does on the dashboard, past all faults.
func (f *Fake) Put(records ...Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := slices.Clone(f.records)
	for _, r := range records {
		if r.ID == "" {
			r.ID = f.newID()
		}
		if r.Proxied {
			r.TTL = 1
		}
		now = append(now, r)
	}
	f.commitLocked(now)
}

// Remove takes away what is at a name and type.
func (f *Fake) Remove(name, kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commitLocked(slices.DeleteFunc(slices.Clone(f.records), func(r Record) bool { return r.Name == name && r.Type == kind }))
}

// Edit changes the records at a name and type.
func (f *Fake) Edit(name, kind string, edit func(*Record)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := slices.Clone(f.records)
	for i := range now {
		if now[i].Name == name && now[i].Type == kind {
			edit(&now[i])
		}
	}
	f.commitLocked(now)
}

// Records returns what there is, in the order of its making.
func (f *Fake) Records() []Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.records)
}

// Contents are the contents at a name and type, sorted.
func (f *Fake) Contents(name, kind string) []string {
	var all []string
	for _, r := range f.Records() {
		if r.Name == name && r.Type == kind {
			all = append(all, r.Content)
		}
	}
	slices.Sort(all)
	return all
}

func (f *Fake) newID() string {
	f.next++
	return fmt.Sprintf("%032x", f.next)
}

func (f *Fake) commit(records []Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commitLocked(records)
}

func (f *Fake) commitLocked(records []Record) {
	f.records = records
	f.past = append(f.past, version{time.Now().Add(f.o.Propagation), slices.Clone(records)})
}

// served are the records that DNS shows now.
func (f *Fake) served() []Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for _, v := range slices.Backward(f.past) {
		if !v.from.After(now) {
			return v.records
		}
	}
	return nil
}
