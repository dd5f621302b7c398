package httpdns

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"msg":"Success","data":{"www.example.com":{"ips":["192.0.2.1","2001:db8::1"],"ttl":300}},"retCode":"0"}`,
		`{"msg":"Success","data":{"WWW.example.com.":{"ips":["192.0.2.1"],"ttl":"300"}},"retCode":0}`,
		`{"msg":"bad","data":[],"retCode":1}`, `{"data":null,"retCode":"0"}`, `{"retCode":{}}`, `[]`, ``,
		`{"data":{"a":{"ips":["::ffff:192.0.2.1","fe80::1%eth0","0.0.0.0"],"ttl":-1}},"retCode":"0"}`,
		`{"data":{"a":{"ips":["192.0.2.1"],"ttl":1e300}},"retCode":"0.0"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		found, err := parseJSON(body)
		if err != nil && len(found) > 0 {
			t.Error("an answer with an error")
		}
		for name, r := range found {
			if name != strings.ToLower(name) {
				t.Errorf("%q is not canonical", name)
			}
			sound(t, r)
		}
	})
}

func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"192.0.2.1 300\n192.0.2.2 60\n", "2001:db8::1 5", "", "\n\n", "192.0.2.1", "192.0.2.1 x", "192.0.2.1 18446744073709551615", "<html>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if r, err := parsePlain(body); err == nil {
			sound(t, r)
		}
	})
}

// sound: what is used has addresses that can be connected to and a TTL that
// can be waited for.
func sound(t *testing.T, r record) {
	t.Helper()
	if len(r.ips) == 0 || r.ttl < 0 || r.ttl > maxTTL || r.ttl%time.Second != 0 {
		t.Errorf("%v for %s", r.ips, r.ttl)
	}
	for _, ip := range r.ips {
		if back, err := netip.ParseAddr(ip.String()); err != nil || back != ip || ip.IsUnspecified() || ip.Is4In6() {
			t.Errorf("the address %s", ip)
		}
	}
}
