package wire_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
)

func TestAValueHasOneForm(t *testing.T) {
	for _, row := range []struct{ typ, value, want string }{
		{"A", "192.0.2.1", "192.0.2.1"},
		{"AAAA", "2001:DB8:0:0::1", "2001:db8::1"},
		{"AAAA", "::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"CNAME", "Target.Example.NET.", "target.example.net"},
		{"CNAME", "münchen.example", "xn--mnchen-3ya.example"},
		{"NS", "ns1.example.com", "ns1.example.com"},
		{"PTR", "host.example.com.", "host.example.com"},
		{"MX", "10  Mail.example.com.", "10 mail.example.com"},
		{"MX", "0 .", "0 ."},
		{"SRV", "010 5 443 host.example.com.", "10 5 443 host.example.com"},
		{"TXT", "v=spf1 -all", "v=spf1 -all"},
		{"TXT", `with "quotes" and \\ and \010`, `with "quotes" and \\ and \010`},
		{"TXT", `\065`, "A"},
		{"TXT", "grüße", "grüße"},
		{"TXT", "", ""},
		{"TXT", strings.Repeat("x", 700), strings.Repeat("x", 700)},
		{"CAA", `0 issue "letsencrypt.org"`, `0 issue "letsencrypt.org"`},
		{"CAA", `0 Issue ";"`, `0 issue ";"`},
		{"CAA", `0 issue letsencrypt.org`, `0 issue "letsencrypt.org"`},
		{"CAA", `0 iodef "mailto:\"x\"@example.com"`, `0 iodef "mailto:\"x\"@example.com"`},
		{"CAA", `128 issue "ca.example; policy=ev"`, `128 issue "ca.example; policy=ev"`},
		{"HTTPS", `1 . alpn="h2" ; a comment`, `1 . alpn="h2"`}, // and then refused, as it is read otherwise
		{"HTTPS", `1 . alpn=h2,h3`, `1 . alpn="h2,h3"`},
	} {
		got, err := wire.Value(row.typ, row.value)
		if err != nil || got != row.want {
			t.Errorf("%s %q is %q, want %q (%v)", row.typ, row.value, got, row.want, err)
		}
	}
}

func TestWhatIsNoValueIsRefused(t *testing.T) {
	for _, row := range []struct{ typ, value string }{
		{"A", ""},
		{"A", "2001:db8::1"},
		{"A", "192.0.2"},
		{"A", "192.0.2.1 192.0.2.2"},
		{"AAAA", "192.0.2.1"},
		{"AAAA", "fe80::1%eth0"},
		{"CNAME", ""},
		{"CNAME", "two words"},
		{"CNAME", "a..b"},
		{"CNAME", strings.Repeat("a", 64) + ".example"},
		{"CNAME", strings.Repeat("a.", 130) + "example"},
		{"MX", "mail.example.com"},
		{"MX", "70000 mail.example.com"},
		{"SRV", "1 2 3"},
		{"TXT", `\999`},
		{"TXT", `\q`},
		{"CAA", "0 issue \"a\"\nwww 60 IN A 192.0.2.66"},
		{"CAA", ""},
		{"CAA", `0 issue "a" "b"`},
		{"CAA", `0 issue "a\"`},
		{"CAA", `256 issue "a"`},
		{"CAA", `0 is_sue "a"`},
		{"CAA", `0 issue`},
		{"HTTPS", "1 . ( alpn=h2"},
		{"SOA", "a. b. 1 1 1 1 1"},
		{"RRSIG", "x"},
		{"NONSENSE", "x"},
	} {
		if got, err := wire.Value(row.typ, row.value); err == nil {
			t.Errorf("%s %q was taken for %q", row.typ, row.value, got)
		}
	}
}

func TestServersAreHostAndPort(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:53", "192.0.2.1:5353": "192.0.2.1:5353", "2001:DB8::1": "[2001:db8::1]:53", "[2001:db8::1]": "[2001:db8::1]:53",
		"[2001:db8::1]:5353": "[2001:db8::1]:5353", "NS1.example.com": "ns1.example.com:53", " ns1:53 ": "ns1:53",
		"": "", ":53": "", "ns1:": "", "ns1:0": "", "ns1:dns": "", "http://ns1": "", "a b": "",
	} {
		got, err := wire.WithPort(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q (%v), want %q", text, got, err, want)
		}
	}
}

func FuzzValue(f *testing.F) {
	for _, typ := range wire.Types() {
		f.Add(typ, "10 5 443 Host.Example.com.")
		f.Add(typ, `\\ \000 "x"`)
		f.Add(typ, "2001:DB8::1")
		f.Add(typ, `1 . alpn="h2" ipv4hint=192.0.2.1`)
	}
	f.Fuzz(func(t *testing.T, typ, value string) {
		once, err := wire.Value(typ, value)
		if err != nil {
			return
		}
		twice, err := wire.Value(typ, once)
		if err != nil || twice != once {
			t.Errorf("%s %q is %q, and that is %q (%v)", typ, value, once, twice, err)
		}
	})
}

func FuzzHost(f *testing.F) {
	for _, s := range []string{"www.example.com", "*.Example.com.", "münchen.example", ".", "", "_dmarc.a", strings.Repeat("a.", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := wire.Host(text)
		if err != nil {
			return
		}
		if twice, err := wire.Host(once); err != nil || twice != once {
			t.Errorf("%q is %q, and that is %q (%v)", text, once, twice, err)
		}
		if _, err := netip.ParseAddr(once); err == nil && strings.Contains(once, ":") {
			t.Errorf("%q is an address", once)
		}
	})
}
