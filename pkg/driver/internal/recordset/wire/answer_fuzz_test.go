package wire

import (
	"testing"

	"github.com/miekg/dns"
)

// FuzzAnswer reads any bytes as an answer: it must not panic, and every value
// that is understood has the form that Value gives it, so that what was read
// can be set again.
func FuzzAnswer(f *testing.F) {
	seed := new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA)
	for _, line := range []string{
		"www.example.com. 60 IN A 192.0.2.1", "www.example.com. 60 IN AAAA 2001:db8::1", "www.example.com. 60 IN TXT \"a\" \"\\000\\\"\"",
		"www.example.com. 60 IN MX 10 Mail.example.com.", "www.example.com. 60 IN SRV 1 2 3 .", "www.example.com. 60 IN CAA 0 issue \"x; y=\\200\"",
		"www.example.com. 60 IN HTTPS 1 . alpn=h2", "example.com. 60 IN SOA a. b. 1 2 3 4 5", "WWW.example.com. 60 IN CNAME X.example.",
	} {
		rr, err := dns.NewRR(line)
		if err != nil {
			f.Fatal(err)
		}
		m := seed.Copy()
		m.Response, m.Authoritative, m.Answer = true, true, []dns.RR{rr}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return
		}
		a, err := answerOf("server", m)
		if err != nil {
			return
		}
		a.Negative()
		a.SOA()
		for _, r := range a.Records {
			switch r.Type {
			case "A", "AAAA", "TXT":
				if again, err := Value(r.Type, r.Value); err != nil || again != r.Value {
					t.Errorf("%s %q cannot be set again: %q, %v", r.Type, r.Value, again, err)
				}
			}
		}
	})
}
