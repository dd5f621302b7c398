package cloudflaretest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Anycast are the addresses that a proxied name answers with.
var anycast = map[uint16][]string{dns.TypeA: {"104.16.132.229", "104.16.133.229"}, dns.TypeAAAA: {"2606:4700::6810:84e5"}}

// NegativeTTL is the minimum of the zone's SOA.
const NegativeTTL = 1800

const autoTTL = 300

type dnsServer struct{ address string }

// startDNS serves the records with authority on a free port, UDP and TCP.
func startDNS(t testing.TB, f *Fake) *dnsServer {
	t.Helper()
	udp, tcp := listen(t)
	var ready, done sync.WaitGroup
	t.Cleanup(done.Wait) // runs after the shutdowns
	for _, s := range []*dns.Server{{PacketConn: udp}, {Listener: tcp}} {
		s.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(f.resolve(q)) })
		ready.Add(1)
		s.NotifyStartedFunc = ready.Done
		done.Go(func() { _ = s.ActivateAndServe() })
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
		})
	}
	ready.Wait()
	return &dnsServer{udp.LocalAddr().String()}
}

// listen opens one port number for both protocols.
func listen(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	var lc net.ListenConfig
	for range 50 {
		tcp, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := lc.ListenPacket(t.Context(), "udp", tcp.Addr().String())
		if err == nil {
			return udp, tcp
		}
		_ = tcp.Close() // somebody has the UDP port
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

// resolve answers as the zone's name servers do.
func (f *Fake) resolve(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative = true
	if len(q.Question) != 1 {
		m.Rcode = dns.RcodeFormatError
		return m
	}
	ask := q.Question[0]
	name := strings.ToLower(strings.TrimSuffix(ask.Name, "."))
	if name != Zone && !strings.HasSuffix(name, "."+Zone) {
		m.Rcode, m.Authoritative = dns.RcodeRefused, false
		return m
	}
	if ask.Qtype == dns.TypeSOA && name == Zone {
		m.Answer = append(m.Answer, soa())
		return m
	}
	exists := name == Zone
	proxied := map[string]bool{}
	for _, r := range f.served() {
		if r.Name != name {
			continue
		}
		exists = true
		if r.Proxied {
			proxied[r.Type] = true
		}
		if r.Type != dns.TypeToString[ask.Qtype] && r.Type != "CNAME" {
			continue
		}
		ttl := r.TTL
		if ttl == 1 {
			ttl = autoTTL
		}
		if rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %s %s", ask.Name, ttl, r.Type, content(r))); err == nil {
			m.Answer = append(m.Answer, rr)
		}
	}
	if len(proxied) > 0 { // one is enough: all are treated as proxied
		m.Answer = nil
		for _, a := range anycast[ask.Qtype] {
			rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %s %s", ask.Name, autoTTL, dns.TypeToString[ask.Qtype], a))
			if err == nil {
				m.Answer = append(m.Answer, rr)
			}
		}
	}
	if len(m.Answer) == 0 {
		m.Ns = append(m.Ns, soa())
		if !exists {
			m.Rcode = dns.RcodeNameError
		}
	}
	return m
}

func content(r Record) string {
	switch {
	case r.Type == "CNAME":
		return r.Content + "."
	case r.Type == "MX" && r.Priority != nil:
		return fmt.Sprintf("%d %s.", *r.Priority, r.Content)
	}
	return r.Content
}

func soa() dns.RR {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: Zone + ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: NegativeTTL},
		Ns:  "ns." + Zone + ".", Mbox: "dns." + Zone + ".", Serial: 1, Refresh: 10000, Retry: 2400, Expire: 604800, Minttl: NegativeTTL,
	}
}
