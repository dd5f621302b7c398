// Package resolvetest is a DNS server for tests, on UDP, TCP and HTTPS, that
// can misbehave in the ways that views must tell from an answer.
package resolvetest

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Server answers for the records that it was given. It is safe for concurrent
// use.
type Server struct {
	// Addr is host:port, the same for UDP and TCP.
	Addr string

	mu      sync.Mutex
	records map[string][]dns.RR // by question: "www.example.com. A"
	soa     *dns.SOA
	habit   Habit
	queries []Query
	asked   *sync.Cond // queries grew
	turn    int
}

// Habit is how a server behaves. The zero value answers with authority.
type Habit struct {
	Resolver    bool          // answers as a resolver: recursion available, no authority
	Rcode       string        // always this: SERVFAIL, REFUSED
	Why         string        // the extended error (RFC 8914) that goes with Rcode
	Drop        int           // the next queries get no answer; -1: all
	Slow        time.Duration // waits before it answers
	Truncate    bool          // except over TCP: nothing but the TC bit
	Cut         bool          // over UDP: the TC bit, and the message ends within a record
	Forged      bool          // over UDP: another question's answer, as somebody in between sends it
	Other       bool          // answers another question
	Referral    bool          // refers to other servers
	NoSOA       bool          // an empty answer tells no time
	Echo        bool          // sends back what it was asked
	ContentType string        // of DoH: this type
	Age         string        // of DoH: the Age header
	Status      int           // of DoH: this HTTP status
	Body        string        // of DoH: this body
}

// Query is what the server was asked.
type Query struct {
	Name, Type string
	Recurse    bool
	Network    string // udp, tcp, https
	Subnet     string // client subnet (RFC 7871)
	ID         uint16
}

// New returns a server that does not listen.
func New() *Server {
	s := &Server{records: map[string][]dns.RR{}}
	s.asked = sync.NewCond(&s.mu)
	s.SetSOA(60, 5)
	return s
}

// Start serves on a free port of an address of this machine until the test
// ends.
func Start(tb testing.TB, host string) *Server {
	tb.Helper()
	s := New()
	for range 20 {
		if s.listen(tb, host) {
			return s
		}
	}
	tb.Fatal("no port is free for both UDP and TCP")
	return nil
}

// listen takes one port for both; another program may have one of them.
func (s *Server) listen(tb testing.TB, host string) bool {
	tb.Helper()
	packet, err := (&net.ListenConfig{}).ListenPacket(tb.Context(), "udp", net.JoinHostPort(host, "0"))
	if err != nil {
		tb.Fatal(err)
	}
	stream, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", packet.LocalAddr().String())
	if err != nil {
		packet.Close()
		return false
	}
	s.Addr = packet.LocalAddr().String()
	for _, srv := range []*dns.Server{{PacketConn: packet}, {Listener: stream}} {
		up, over := make(chan struct{}), make(chan struct{})
		srv.Handler = dns.HandlerFunc(s.serve)
		srv.NotifyStartedFunc = func() { close(up) }
		go func() {
			defer close(over)
			_ = srv.ActivateAndServe()
		}()
		<-up
		tb.Cleanup(func() {
			_ = srv.Shutdown()
			<-over
		})
	}
	return true
}

// Set replaces a record set: Set("www.example.com A", 60, "192.0.2.1"). No
// values remove it.
func (s *Server) Set(record string, ttl int, values ...string) {
	name, kind, _ := strings.Cut(record, " ")
	var set []dns.RR
	for _, v := range values {
		rr, err := dns.NewRR(dns.Fqdn(name) + " " + kind + " " + v)
		if err != nil {
			panic(err)
		}
		rr.Header().Ttl = uint32(ttl)
		set = append(set, rr)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[strings.ToLower(dns.Fqdn(name))+" "+kind] = set
	if len(set) == 0 {
		delete(s.records, strings.ToLower(dns.Fqdn(name))+" "+kind)
	}
}

// SetSOA sets the TTL and the minimum of the SOA, of which empty answers take
// the smaller.
func (s *Server) SetSOA(ttl, minimum uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.soa = &dns.SOA{Hdr: dns.RR_Header{Name: "example.com.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl}, Ns: "ns1.example.com.", Mbox: "admin.example.com.", Serial: 1, Minttl: minimum}
}

// Behave changes the habit.
func (s *Server) Behave(h Habit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.habit = h
}

// Queries are the queries so far.
func (s *Server) Queries() []Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.queries)
}

// Await returns once there were n queries.
func (s *Server) Await(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queries) < n {
		s.asked.Wait()
	}
}

func (s *Server) serve(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	slow := s.habit.Slow
	s.mu.Unlock()
	time.Sleep(slow)
	m := s.answer(q, w.LocalAddr().Network())
	if m == nil {
		return
	}
	if b, err := m.Pack(); err == nil && m.Truncated && len(m.Answer) > 0 {
		_, _ = w.Write(b[:len(b)-3])
		return
	}
	_ = w.WriteMsg(m)
}

// answer is the reply to a query, nil when there is none.
func (s *Server) answer(q *dns.Msg, network string) *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(q, network)
	h := s.habit
	if h.Drop != 0 {
		s.habit.Drop = max(h.Drop-1, -1)
		return nil
	}
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative, m.RecursionAvailable = !h.Resolver, h.Resolver
	switch {
	case h.Rcode != "":
		m.Rcode = dns.StringToRcode[h.Rcode]
		if h.Why != "" {
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus, ExtraText: h.Why})
		}
	case h.Truncate && network != "tcp":
		m.Truncated = true
	case h.Echo:
		return q
	case h.Cut && network == "udp":
		m.Truncated = true
		s.fill(m, q.Question[0])
		m.Ns = nil
	case h.Other, h.Forged && network == "udp":
		m.Question[0].Name = "other.example.com."
	case h.Referral:
		m.Authoritative = false
		m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: "com.", Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 60}, Ns: "a.example."}}
	default:
		s.fill(m, q.Question[0])
	}
	return m
}

func (s *Server) note(q *dns.Msg, network string) {
	got := Query{Name: strings.TrimSuffix(q.Question[0].Name, "."), Type: dns.TypeToString[q.Question[0].Qtype], Recurse: q.RecursionDesired, Network: network, ID: q.Id}
	if opt := q.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_SUBNET); ok {
				got.Subnet = fmt.Sprintf("%s/%d", e.Address, e.SourceNetmask)
			}
		}
	}
	s.queries = append(s.queries, got)
	s.asked.Broadcast()
}

// fill puts the records into the answer, following aliases that it knows and
// turning the order round by one each time.
func (s *Server) fill(m *dns.Msg, q dns.Question) {
	name := strings.ToLower(q.Name)
	for range 8 {
		if set := s.records[name+" "+dns.TypeToString[q.Qtype]]; len(set) > 0 {
			s.turn++
			at := s.turn % len(set)
			m.Answer = append(m.Answer, append(slices.Clone(set[at:]), set[:at]...)...)
			return
		}
		alias := s.records[name+" CNAME"]
		if len(alias) == 0 {
			break
		}
		m.Answer = append(m.Answer, alias...)
		name = strings.ToLower(alias[0].(*dns.CNAME).Target)
	}
	if !s.habit.NoSOA {
		m.Ns = []dns.RR{s.soa}
	}
	for known := range s.records {
		if strings.HasPrefix(known, name+" ") {
			return
		}
	}
	if len(m.Answer) == 0 {
		m.Rcode = dns.RcodeNameError
	}
}
