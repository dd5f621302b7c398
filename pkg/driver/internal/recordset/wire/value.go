package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// Types are the record types whose values flip understands, in the order in
// which they are told.
func Types() []string {
	return []string{"A", "AAAA", "CNAME", "TXT", "MX", "SRV", "NS", "PTR", "CAA", "HTTPS", "SVCB"}
}

// Known reports whether values of a type are understood.
func Known(typ string) bool { return slices.Contains(Types(), typ) }

// Value returns the canonical form of a record's value:
//
//	A, AAAA          192.0.2.1, 2001:db8::1
//	CNAME, NS, PTR   target.example.com
//	MX               10 mail.example.com
//	SRV              10 5 443 host.example.com
//	TXT              the text, without quotes around it
//	CAA              0 issue "letsencrypt.org"
//	HTTPS, SVCB      1 . alpn="h2"
//
// Names are lower case without a dot at the end, except in HTTPS and SVCB.
func Value(typ, value string) (string, error) {
	once, err := shown(typ, value)
	if err != nil {
		return "", err
	}
	if again, err := shown(typ, once); err != nil || again != once {
		return "", fmt.Errorf("%q is not a value of a %s record: it cannot be written as it is read", value, typ)
	}
	return once, nil
}

func shown(typ, value string) (string, error) {
	rr, err := parseValue("x.", typ, 0, value)
	if err != nil {
		return "", err
	}
	r, err := recordOf(rr)
	return r.Value, err
}

// parseValue makes a record of a value.
func parseValue(owner, typ string, ttl uint32, value string) (dns.RR, error) {
	number, ok := dns.StringToType[typ]
	if !ok || !Known(typ) {
		return nil, fmt.Errorf("%s is not a type that flip sets; it sets %s", typ, strings.Join(Types(), ", "))
	}
	h := dns.RR_Header{Name: owner, Rrtype: number, Class: dns.ClassINET, Ttl: ttl}
	fields := strings.Fields(value)
	switch typ {
	case "A", "AAAA":
		return parseAddress(h, typ, value)
	case "TXT":
		b, err := parseText(value)
		if err != nil {
			return nil, err
		}
		if len(b) > 60000 {
			return nil, errors.New("the text is longer than 60000 bytes")
		}
		return &dns.TXT{Hdr: h, Txt: cutText(b)}, nil
	case "CNAME", "NS", "PTR":
		host, err := Host(value)
		if err != nil {
			return nil, err
		}
		return target(h, fqdn(host)), nil
	case "MX", "SRV":
		return parseNumbered(h, typ, fields, value)
	case "CAA":
		return parseCAA(h, value)
	}
	return parseGeneric(h, typ, value)
}

func parseAddress(h dns.RR_Header, typ, value string) (dns.RR, error) {
	a, err := netip.ParseAddr(value)
	if err != nil || a.Zone() != "" || a.Is4() != (typ == "A") {
		kind := map[string]string{"A": "an IPv4", "AAAA": "an IPv6"}[typ]
		return nil, fmt.Errorf("%q is not %s address", value, kind)
	}
	if typ == "A" {
		return &dns.A{Hdr: h, A: a.AsSlice()}, nil
	}
	return &dns.AAAA{Hdr: h, AAAA: a.AsSlice()}, nil
}

func target(h dns.RR_Header, host string) dns.RR {
	switch h.Rrtype {
	case dns.TypeCNAME:
		return &dns.CNAME{Hdr: h, Target: host}
	case dns.TypeNS:
		return &dns.NS{Hdr: h, Ns: host}
	}
	return &dns.PTR{Hdr: h, Ptr: host}
}

// parseNumbered reads a value of some numbers and a name.
func parseNumbered(h dns.RR_Header, typ string, fields []string, value string) (dns.RR, error) {
	want, form := 2, "PREFERENCE HOST"
	if typ == "SRV" {
		want, form = 4, "PRIORITY WEIGHT PORT HOST"
	}
	bad := fmt.Errorf("%q is not %s", value, form)
	if len(fields) != want {
		return nil, bad
	}
	var n []uint16
	for _, f := range fields[:want-1] {
		v, err := strconv.ParseUint(f, 10, 16)
		if err != nil {
			return nil, bad
		}
		n = append(n, uint16(v))
	}
	host, err := Host(fields[want-1])
	if err != nil {
		return nil, err
	}
	if typ == "MX" {
		return &dns.MX{Hdr: h, Preference: n[0], Mx: fqdn(host)}, nil
	}
	return &dns.SRV{Hdr: h, Priority: n[0], Weight: n[1], Port: n[2], Target: fqdn(host)}, nil
}

// parseGeneric lets the DNS library read the value as a zone file has it.
func parseGeneric(h dns.RR_Header, typ, value string) (dns.RR, error) {
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, fmt.Errorf("%q is not a value of a %s record", value, typ)
	}
	rr, err := dns.NewRR(fmt.Sprintf("%s %d IN %s %s", h.Name, h.Ttl, typ, value))
	if err != nil || rr == nil || rr.Header().Rrtype != h.Rrtype {
		return nil, fmt.Errorf("%q is not a value of a %s record", value, typ)
	}
	buf := make([]byte, dns.MaxMsgSize)
	if _, err := dns.PackRR(rr, buf, 0, nil, false); err != nil { // takes what cannot be sent
		return nil, fmt.Errorf("%q is not a value of a %s record: %w", value, typ, err)
	}
	return rr, nil
}

// recordOf shows a record of a message. A value that flip does not understand
// is as the DNS library writes it.
func recordOf(rr dns.RR) (Record, error) {
	h := rr.Header()
	r := Record{Name: strings.ToLower(strings.TrimSuffix(h.Name, ".")), Type: dns.TypeToString[h.Rrtype], TTL: int(h.Ttl), rr: rr}
	if r.Name == "" {
		r.Name = "."
	}
	var err error
	switch v := rr.(type) {
	case *dns.A:
		r.Value, err = addressText(v.A)
	case *dns.AAAA:
		r.Value, err = addressText(v.AAAA)
	case *dns.CNAME:
		r.Value = nameText(v.Target)
	case *dns.NS:
		r.Value = nameText(v.Ns)
	case *dns.PTR:
		r.Value = nameText(v.Ptr)
	case *dns.MX:
		r.Value = fmt.Sprintf("%d %s", v.Preference, nameText(v.Mx))
	case *dns.SRV:
		r.Value = fmt.Sprintf("%d %d %d %s", v.Priority, v.Weight, v.Port, nameText(v.Target))
	case *dns.TXT:
		r.Value, err = joinText(v.Txt)
	case *dns.CAA:
		r.Value, err = showCAA(v)
	default:
		r.Value = strings.TrimSpace(strings.TrimPrefix(rr.String(), h.String()))
	}
	return r, err
}

func addressText(ip []byte) (string, error) {
	a, ok := netip.AddrFromSlice(ip)
	if !ok {
		return "", fmt.Errorf("an address of %d bytes", len(ip))
	}
	return a.String(), nil
}

func nameText(name string) string {
	if name == "." || name == "" {
		return "."
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}
