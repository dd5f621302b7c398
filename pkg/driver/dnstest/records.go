package dnstest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// What follows is done past flip, by a second operator or by a client that
// looks.

// Set makes a record set what it is told, whatever it was: one signed update
// that replaces it. Values are as in zone files, names in them end with a dot.
// name is in full: "www.example.com".
func (s *Server) Set(t testing.TB, name, typ string, ttl int, values ...string) {
	t.Helper()
	m := new(dns.Msg).SetUpdate(dns.Fqdn(s.zone))
	m.RemoveRRset([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.StringToType[typ]}}})
	for _, v := range values {
		rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %s %s", dns.Fqdn(name), ttl, typ, v))
		if err != nil || rr == nil {
			t.Fatalf("%s %s %s: %v", name, typ, v, err)
		}
		m.Insert([]dns.RR{rr})
	}
	s.update(t, m)
}

// Delete takes a record set away.
func (s *Server) Delete(t testing.TB, name, typ string) {
	t.Helper()
	s.Set(t, name, typ, 0)
}

func (s *Server) update(t testing.TB, m *dns.Msg) {
	t.Helper()
	m.SetTsig(dns.Fqdn(key.Name), key.Algorithm+".", 300, time.Now().Unix())
	c := &dns.Client{Net: "tcp", Timeout: 5 * time.Second, TsigSecret: map[string]string{dns.Fqdn(key.Name): key.Secret}}
	r, _, err := c.Exchange(m, s.addr)
	if err != nil {
		t.Fatalf("update %s: %v", s.addr, err)
	}
	if r.Rcode != dns.RcodeSuccess {
		t.Fatalf("update %s: %s", s.addr, dns.RcodeToString[r.Rcode])
	}
}

// Reply is a server's answer to one question.
type Reply struct {
	Code          string // NOERROR, NXDOMAIN, ...
	Authoritative bool
	Values        []string // of the asked type, sorted, as zone files have them
	TTL           int      // of the first record; 0 without one
}

// Lookup asks the server over UDP.
func (s *Server) Lookup(t testing.TB, name, typ string) Reply {
	t.Helper()
	r, err := s.exchange(question(name, typ))
	if err != nil {
		t.Fatalf("%s: %s %s: %v", s.addr, name, typ, err)
	}
	out := Reply{Code: dns.RcodeToString[r.Rcode], Authoritative: r.Authoritative}
	for _, rr := range r.Answer {
		if rr.Header().Rrtype != dns.StringToType[typ] {
			continue
		}
		if len(out.Values) == 0 {
			out.TTL = int(rr.Header().Ttl)
		}
		out.Values = append(out.Values, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(out.Values)
	return out
}

// WaitFor asks until the values of a name are those.
func (s *Server) WaitFor(t testing.TB, name, typ string, values ...string) {
	t.Helper()
	slices.Sort(values)
	s.Wait(t, func() error {
		if got := s.Lookup(t, name, typ).Values; !slices.Equal(got, values) {
			return fmt.Errorf("%s %s is %v, not %v", name, typ, got, values)
		}
		return nil
	})
}

// Serial is the serial of the zone's SOA record.
func (s *Server) Serial(t testing.TB) uint32 {
	t.Helper()
	r, err := s.exchange(question(s.zone, "SOA"))
	if err != nil {
		t.Fatalf("%s: SOA: %v", s.addr, err)
	}
	for _, rr := range r.Answer {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa.Serial
		}
	}
	t.Fatalf("%s has no SOA of %s", s.addr, s.zone)
	return 0
}

func question(name, typ string) *dns.Msg {
	return new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.StringToType[typ])
}

func (s *Server) exchange(m *dns.Msg) (*dns.Msg, error) {
	c := &dns.Client{Timeout: 2 * time.Second}
	r, _, err := c.Exchange(m, s.addr)
	return r, err
}
