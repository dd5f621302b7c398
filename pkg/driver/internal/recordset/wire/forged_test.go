package wire_test

import (
	"errors"
	"net"
	"testing"

	"github.com/miekg/dns"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
)

// answering runs a DNS server whose answers are made by f.
func answering(t *testing.T, network string, f dns.HandlerFunc) string {
	t.Helper()
	s := &dns.Server{Handler: f, TsigSecret: map[string]string{"flip-key.": client().Key.Secret}, MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }}
	var addr string
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.PacketConn, addr = c, c.LocalAddr().String()
	} else {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.Listener, addr = l, l.Addr().String()
	}
	up, done := make(chan struct{}), make(chan struct{})
	s.NotifyStartedFunc = func() { close(up) }
	go func() {
		defer close(done)
		_ = s.ActivateAndServe() // ends with Shutdown
	}()
	<-up
	t.Cleanup(func() {
		_ = s.Shutdown()
		<-done
	})
	return addr
}

func address(r *dns.Msg, ip string) *dns.Msg {
	m := new(dns.Msg).SetReply(r)
	m.Authoritative = true
	rr, _ := dns.NewRR(www + ". 60 IN A " + ip)
	m.Answer = append(m.Answer, rr)
	return m
}

func TestAnAnswerWithoutSignatureIsNotBelieved(t *testing.T) {
	addr := answering(t, "tcp", func(w dns.ResponseWriter, r *dns.Msg) {
		_ = w.WriteMsg(address(r, "192.0.2.66"))
	})
	c := client(func(c *wire.Client) { c.TCP = true })
	if _, err := c.Ask(t.Context(), addr, www, "A"); err == nil {
		t.Error("a question that was signed took an answer that was not")
	} else if _, lost := errors.AsType[*wire.LostError](err); !lost {
		t.Errorf("it says nothing about the outcome, but: %v", err)
	}
	c.Key = wire.Key{}
	if _, err := c.Ask(t.Context(), addr, www, "A"); err != nil {
		t.Errorf("without a key: %v", err)
	}
}

func TestPacketsThatAnswerSomethingElseArePassedOver(t *testing.T) {
	addr := answering(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		forged := address(r, "192.0.2.66")
		forged.Id++
		_ = w.WriteMsg(forged)
		other := address(r, "192.0.2.67")
		other.Question[0].Name = "evil.example.com."
		_ = w.WriteMsg(other)
		_, _ = w.Write([]byte{1, 2, 3}) // no message at all
		_ = w.WriteMsg(address(r, "192.0.2.1"))
	})
	a, err := wire.Client{}.Ask(t.Context(), addr, www, "A")
	if err != nil {
		t.Fatal(err)
	}
	if got := wire.Values(a.Set(www, "A")); len(got) != 1 || got[0] != "192.0.2.1" {
		t.Errorf("took %v", got)
	}
}

func TestOtherNamesInAnAnswerAreNotTheSet(t *testing.T) {
	addr := answering(t, "udp", func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		for _, line := range []string{"WWW.Example.com. 60 IN CNAME Target.Example.NET.", "target.example.net. 60 IN A 192.0.2.1"} {
			rr, _ := dns.NewRR(line)
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})
	a, err := wire.Client{}.Ask(t.Context(), addr, www, "A")
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Set(www, "A"); len(got) != 0 {
		t.Errorf("the target's addresses are not those of %s: %v", www, got)
	}
	if got := wire.Values(a.Set(www, "CNAME")); len(got) != 1 || got[0] != "target.example.net" {
		t.Errorf("CNAME %v", got)
	}
}
