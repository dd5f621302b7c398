package adguardtest

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// startDNS serves look-ups on a free port, UDP and TCP.
func startDNS(t testing.TB, f *Fake) string {
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
	return udp.LocalAddr().String()
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

// resolve answers without authority, in the order of the list, never rotated.
func (f *Fake) resolve(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	if len(q.Question) != 1 {
		m.Rcode = dns.RcodeFormatError
		return m
	}
	ask := q.Question[0]
	name := strings.ToLower(strings.TrimSuffix(ask.Name, "."))
	f.mu.Lock()
	rows, off, ttl := slices.Clone(f.rows), f.off, f.ttl
	f.mu.Unlock()
	if !off {
		if answers, matched := find(rows, name, dns.TypeToString[ask.Qtype]); matched {
			for _, a := range answers {
				f.append(m, ask.Name, ttl, a)
			}
			return m // a rewrite for another type: NOERROR without an answer
		}
	}
	if values, ok := f.o.Upstream[name+" "+dns.TypeToString[ask.Qtype]]; ok {
		for _, v := range values {
			f.append(m, ask.Name, 3600, Row{Answer: v})
		}
		return m
	}
	m.Rcode = dns.RcodeNameError
	return m
}

func (f *Fake) append(m *dns.Msg, owner string, ttl int, r Row) {
	kind, _ := r.kind()
	value := r.Answer
	if kind == "CNAME" {
		value = dns.Fqdn(value)
	}
	if rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %s %s", owner, ttl, kind, value)); err == nil {
		m.Answer = append(m.Answer, rr)
	}
}

// find is findRewrites: an exact name before wildcards, a CNAME before
// addresses, one row only of a wildcard. matched without rows is an answer
// without records.
func find(rows []Row, name, kind string) (answers []Row, matched bool) {
	best := ""
	for _, r := range rows {
		wild := strings.HasPrefix(r.Domain, "*.") && strings.HasSuffix(name, r.Domain[1:])
		if !r.Disabled && (r.Domain == name || wild) && better(r.Domain, best) {
			best = r.Domain
		}
	}
	if best == "" {
		return nil, false
	}
	for _, r := range rows {
		k, through := r.kind()
		switch {
		case r.Disabled || r.Domain != best:
		case k == "CNAME":
			return []Row{r}, true
		case k == kind && through:
			return nil, false // let through to the upstream
		case k == kind && !through:
			answers = append(answers, r)
		}
	}
	if strings.HasPrefix(best, "*.") && len(answers) > 1 {
		answers = answers[:1]
	}
	return answers, true
}

// better: exact before wildcard, then the longer one.
func better(domain, than string) bool {
	wild, thanWild := strings.HasPrefix(domain, "*."), strings.HasPrefix(than, "*.")
	if than == "" || wild != thanWild {
		return than == "" || thanWild
	}
	return len(domain) > len(than)
}
