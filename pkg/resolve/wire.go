package resolve

// This file and dohjson.go are the only ones that know the DNS library: its first version gets
// fixes only, and its second is another module.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// ask is one question as it goes over the line.
type ask struct {
	Question
	recurse bool
	subnet  netip.Prefix // client subnet (RFC 7871); zero: none
	id      bool         // a random id; DoH wants 0 (RFC 8484, 4.1)
}

// udpSize avoids fragments (DNS flag day 2020).
const udpSize = 1232

func (a ask) message() *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(a.Name), dns.StringToType[a.Type])
	if !a.id {
		m.Id = 0
	}
	m.RecursionDesired = a.recurse
	m.SetEdns0(udpSize, false)
	if a.subnet.IsValid() {
		e := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(a.subnet.Bits()), Address: a.subnet.Addr().AsSlice()}
		if a.subnet.Addr().Is6() {
			e.Family = 2
		}
		m.IsEdns0().Option = append(m.IsEdns0().Option, e)
	}
	return m
}

// pack is the question in wire format.
func (a ask) pack() ([]byte, error) { return a.message().Pack() }

// unpack reads an answer in wire format.
func (a ask) unpack(b []byte) (Answer, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		return Answer{}, fmt.Errorf("the answer is not a DNS message: %w", err)
	}
	return a.read(m)
}

// exchange asks a server (host:port) over UDP, twice where an answer is lost.
// What comes cut off, damaged or as the answer to something else is asked for
// over TCP, where nobody in between can answer so easily.
func (a ask) exchange(ctx context.Context, server string) (Answer, error) {
	a.id = true
	limit := DefaultTimeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline)
	}
	var lost error
	for try := range 2 {
		m, err := exchange(ctx, "udp", server, a.message(), limit/3*time.Duration(try+1))
		if err == nil && !m.Truncated && a.answeredBy(m) {
			return a.read(m)
		}
		if e, ok := errors.AsType[net.Error](err); !ok {
			return a.overTCP(ctx, server, limit)
		} else if lost = err; !e.Timeout() || ctx.Err() != nil {
			break
		}
	}
	return Answer{}, lost
}

func (a ask) overTCP(ctx context.Context, server string, limit time.Duration) (Answer, error) {
	m, err := exchange(ctx, "tcp", server, a.message(), limit)
	if err != nil {
		return Answer{}, err
	}
	return a.read(m)
}

func exchange(ctx context.Context, network, server string, m *dns.Msg, limit time.Duration) (*dns.Msg, error) {
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(timed, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(timed, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	// Without a limit of its own the library gives up after two seconds.
	c := &dns.Client{Net: network, UDPSize: udpSize, Timeout: limit}
	reply, _, err := c.ExchangeWithConnContext(timed, m, &dns.Conn{Conn: conn, UDPSize: udpSize})
	return reply, err
}

// answeredBy reports whether a message is an answer to the question.
func (a ask) answeredBy(m *dns.Msg) bool {
	return m.Response && len(m.Question) == 1 && strings.EqualFold(m.Question[0].Name, dns.Fqdn(a.Name)) && m.Question[0].Qtype == dns.StringToType[a.Type]
}

// read turns a message into an answer. An error is why it tells nothing.
func (a ask) read(m *dns.Msg) (Answer, error) {
	switch {
	case !a.answeredBy(m) && len(m.Question) == 0 && m.Response && m.Rcode != dns.RcodeSuccess:
		return Answer{}, errors.New(refusal(m)) // an error may leave the question out
	case !a.answeredBy(m):
		return Answer{}, errors.New("the answer is to another question")
	case m.Truncated:
		return Answer{}, errors.New("the answer is cut off")
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return Answer{}, errors.New(refusal(m))
	}
	got := Answer{Authoritative: m.Authoritative}
	owner, ends := a.follow(m, &got)
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == dns.StringToType[a.Type] && strings.EqualFold(rr.Header().Name, owner) {
			got.Values = append(got.Values, rdata(rr))
			got.hasTTL(rr.Header().Ttl)
		}
	}
	got.sort()
	switch {
	case len(got.Values) > 0:
		return got, nil
	case !ends:
		return Answer{}, errors.New("the aliases in the answer turn in a circle")
	}
	return a.empty(m, got)
}

// follow walks the aliases and returns the name that the values belong to.
func (a ask) follow(m *dns.Msg, got *Answer) (owner string, ends bool) {
	owner = dns.Fqdn(a.Name)
	if a.Type == "CNAME" {
		return owner, true
	}
	for range len(m.Answer) + 1 {
		next := ""
		for _, rr := range m.Answer {
			if c, ok := rr.(*dns.CNAME); ok && strings.EqualFold(c.Hdr.Name, owner) {
				next = c.Target
				got.Alias = append(got.Alias, plain(c.Target))
				got.hasTTL(c.Hdr.Ttl)
				break
			}
		}
		if next == "" {
			return owner, true
		}
		owner = next
	}
	return owner, false
}

// empty says what an answer without values is.
func (a ask) empty(m *dns.Msg, got Answer) (Answer, error) {
	referral := false
	for _, rr := range m.Ns {
		switch rr := rr.(type) {
		case *dns.SOA:
			got.hasTTL(min(rr.Hdr.Ttl, rr.Minttl))
		case *dns.NS:
			referral = true
		}
	}
	got.Empty = NoData
	if m.Rcode == dns.RcodeNameError {
		got.Empty = NXDomain
		return got, nil
	}
	switch {
	case a.recurse && referral && !got.HasTTL && !m.Authoritative:
		return Answer{}, errors.New("it refers to other servers instead of asking them")
	case !a.recurse && len(got.Alias) > 0:
		return Answer{}, fmt.Errorf("the name is an alias of %s, which it does not serve", got.Alias[len(got.Alias)-1])
	}
	return got, nil
}

// hasTTL counts the TTL of one record of the answer.
func (a *Answer) hasTTL(seconds uint32) {
	ttl := time.Duration(seconds) * time.Second
	if seconds > 1<<31-1 { // RFC 2181, 8
		ttl = 0
	}
	if !a.HasTTL {
		a.HasTTL, a.MinTTL, a.MaxTTL = true, ttl, ttl
		return
	}
	a.MinTTL, a.MaxTTL = min(a.MinTTL, ttl), max(a.MaxTTL, ttl)
}

// refusal is the reason of an answer that tells nothing about the name, with
// what the server adds (RFC 8914).
func refusal(m *dns.Msg) string {
	text := dns.RcodeToString[m.Rcode]
	if text == "" {
		text = fmt.Sprintf("response code %d", m.Rcode)
	}
	opt := m.IsEdns0()
	if opt == nil {
		return text
	}
	for _, o := range opt.Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			words := dns.ExtendedErrorCodeToString[e.InfoCode]
			if e.ExtraText != "" {
				words = strings.TrimSpace(words + ": " + short(e.ExtraText, 80))
			}
			return text + " (" + words + ")"
		}
	}
	return text
}

// rdata is a record's value as it is compared: names in lower case without the
// final dot, addresses in their shortest form, text without quotes.
func rdata(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.A:
		return address(rr.A)
	case *dns.AAAA:
		return address(rr.AAAA)
	case *dns.CNAME:
		return plain(rr.Target)
	case *dns.NS:
		return plain(rr.Ns)
	case *dns.PTR:
		return plain(rr.Ptr)
	case *dns.MX:
		return fmt.Sprintf("%d %s", rr.Preference, plain(rr.Mx))
	case *dns.SRV:
		return fmt.Sprintf("%d %d %d %s", rr.Priority, rr.Weight, rr.Port, plain(rr.Target))
	case *dns.TXT:
		return strings.Join(rr.Txt, "")
	}
	return strings.TrimSpace(strings.TrimPrefix(rr.String(), rr.Header().String()))
}

func address(ip net.IP) string {
	a, ok := netip.AddrFromSlice(ip)
	if !ok {
		return ip.String()
	}
	return a.Unmap().String()
}

func plain(name string) string {
	if name == "." {
		return name
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// Canonical is a value of a record set in the form of Answer.Values.
func Canonical(kind, value string) (string, error) {
	value = strings.TrimSpace(value)
	kind = strings.ToUpper(kind)
	if kind == "TXT" && !strings.HasPrefix(value, `"`) {
		return value, nil
	}
	if _, ok := dns.StringToType[kind]; !ok || value == "" || strings.ContainsAny(value, "\n\r;()") && kind != "TXT" {
		return "", fmt.Errorf("%.80q is not a value of a record of type %s", value, kind)
	}
	rr, err := dns.NewRR(". 0 IN " + kind + " " + value)
	if err != nil || rr == nil {
		return "", fmt.Errorf("%.80q is not a value of a record of type %s", value, kind)
	}
	return rdata(rr), nil
}

// validName is the check of names: labels of 1 to 63 octets, 255 in all.
func validName(name string) bool {
	_, ok := dns.IsDomainName(name)
	return ok && !strings.Contains(name, "..") && !strings.HasPrefix(name, ".")
}
