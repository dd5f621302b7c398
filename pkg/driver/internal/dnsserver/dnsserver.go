// Package dnsserver answers look-ups for the stand-ins of DNS services, over
// UDP and TCP of one free port.
package dnsserver

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Question is one look-up.
type Question struct {
	Name string // lower case, without a dot at the end
	Type string // A, AAAA, ...
}

// Answer fills the reply to a question. It may be called by several at once.
type Answer func(q Question, reply *Reply)

// Reply is the message that goes back.
type Reply struct{ *dns.Msg }

// Add puts a record under the name that was asked for into the reply. A value
// that is none of its type is left out.
func (r *Reply) Add(ttl int, typ, value string) {
	if typ == "CNAME" {
		value = dns.Fqdn(value)
	}
	if rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %s %s", r.Question[0].Name, ttl, typ, value)); err == nil {
		r.Answer = append(r.Answer, rr)
	}
}

// Start serves until the test ends and returns host:port.
func Start(t testing.TB, answer Answer) string {
	t.Helper()
	udp, tcp := listen(t)
	var ready, done sync.WaitGroup
	t.Cleanup(done.Wait) // runs after the shutdowns
	for _, s := range []*dns.Server{{PacketConn: udp}, {Listener: tcp}} {
		s.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(reply(q, answer)) })
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

func reply(q *dns.Msg, answer Answer) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	if len(q.Question) != 1 {
		m.Rcode = dns.RcodeFormatError
		return m
	}
	ask := q.Question[0]
	answer(Question{strings.ToLower(strings.TrimSuffix(ask.Name, ".")), dns.TypeToString[ask.Qtype]}, &Reply{m})
	return m
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
