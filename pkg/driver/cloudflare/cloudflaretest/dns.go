package cloudflaretest

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"

	"github.com/flip-cli/flip/pkg/driver/internal/dnsserver"
)

// Anycast are the addresses that a proxied name answers with.
var anycast = map[string][]string{"A": {"104.16.132.229", "104.16.133.229"}, "AAAA": {"2606:4700::6810:84e5"}}

// NegativeTTL is the minimum of the zone's SOA.
const NegativeTTL = 1800

const autoTTL = 300

// resolve answers as the zone's name servers do.
func (f *Fake) resolve(q dnsserver.Question, m *dnsserver.Reply) {
	m.Authoritative = true
	if q.Name != Zone && !strings.HasSuffix(q.Name, "."+Zone) {
		m.Rcode, m.Authoritative = dns.RcodeRefused, false
		return
	}
	if q.Type == "SOA" && q.Name == Zone {
		m.Answer = append(m.Answer, soa())
		return
	}
	exists, proxied := q.Name == Zone, false
	for _, r := range f.served() {
		if r.Name != q.Name {
			continue
		}
		exists, proxied = true, proxied || r.Proxied
		if r.Type == q.Type || r.Type == "CNAME" {
			m.Add(effective(r.TTL), r.Type, content(r))
		}
	}
	if proxied { // one is enough: all are treated as proxied
		m.Answer = nil
		for _, a := range anycast[q.Type] {
			m.Add(autoTTL, q.Type, a)
		}
	}
	if len(m.Answer) > 0 {
		return
	}
	m.Ns = append(m.Ns, soa())
	if !exists {
		m.Rcode = dns.RcodeNameError
	}
}

// effective is the TTL that is answered: 1 means automatic.
func effective(ttl int) int {
	if ttl == 1 {
		return autoTTL
	}
	return ttl
}

func content(r Record) string {
	if r.Type == "MX" && r.Priority != nil {
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
