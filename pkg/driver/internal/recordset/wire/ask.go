package wire

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Record is one record of an answer, its value in the form of Value.
type Record struct {
	Name  string // canonical, but with the characters that it really has
	Type  string
	TTL   int // seconds
	Value string

	rr dns.RR
}

// Answer is what a server said to a question.
type Answer struct {
	Server string
	// Code is NOERROR or NXDOMAIN; the others are errors.
	Code string
	// Authoritative is the AA bit.
	Authoritative bool
	Records       []Record // answer section
	Authority     []Record
	Extra         []Record
}

// Set returns the records of the answer with exactly that name and type.
func (a Answer) Set(name, typ string) []Record {
	var set []Record
	for _, r := range a.Records {
		if r.Name == name && r.Type == typ {
			set = append(set, r)
		}
	}
	return set
}

// Negative is how long the answer's "there is none" may be kept: the smaller
// of the SOA's TTL and its minimum (RFC 2308, 5). It is false when the answer
// has no SOA.
func (a Answer) Negative() (time.Duration, bool) {
	for _, r := range slices.Concat(a.Authority, a.Records) {
		if soa, ok := r.rr.(*dns.SOA); ok {
			return time.Duration(min(soa.Hdr.Ttl, soa.Minttl)) * time.Second, true
		}
	}
	return 0, false
}

// SOA is what flip needs of a zone's SOA record.
type SOA struct {
	Zone    string
	Primary string // MNAME
	Serial  uint32
}

// SOA returns the SOA record of the answer, wherever it is.
func (a Answer) SOA() (SOA, bool) {
	for _, r := range slices.Concat(a.Records, a.Authority) {
		if soa, ok := r.rr.(*dns.SOA); ok {
			return SOA{Zone: r.Name, Primary: nameText(soa.Ns), Serial: soa.Serial}, true
		}
	}
	return SOA{}, false
}

// Ask asks a server (host:port) for the records of a name, without recursion:
// it answers what it knows itself. A code other than NOERROR and NXDOMAIN is
// an *Error.
func (c Client) Ask(ctx context.Context, server, name, typ string) (Answer, error) {
	return c.ask(ctx, server, name, typ, false)
}

// Resolve asks a server that looks names up for others.
func (c Client) Resolve(ctx context.Context, server, name, typ string) (Answer, error) {
	return c.ask(ctx, server, name, typ, true)
}

func (c Client) ask(ctx context.Context, server, name, typ string, recurse bool) (Answer, error) {
	number, ok := dns.StringToType[typ]
	if !ok {
		return Answer{}, fmt.Errorf("%s is not a record type", typ)
	}
	m := new(dns.Msg).SetQuestion(fqdn(name), number)
	m.RecursionDesired = recurse
	m.SetEdns0(ednsSize, false)
	r, err := c.exchange(ctx, server, m)
	if err != nil {
		return Answer{}, err
	}
	return answerOf(server, r)
}

func answerOf(server string, r *dns.Msg) (Answer, error) {
	a := Answer{Server: server, Code: dns.RcodeToString[r.Rcode], Authoritative: r.Authoritative}
	for to, section := range map[*[]Record][]dns.RR{&a.Records: r.Answer, &a.Authority: r.Ns, &a.Extra: r.Extra} {
		for _, rr := range section {
			switch rr.Header().Rrtype {
			case dns.TypeOPT, dns.TypeTSIG, dns.TypeRRSIG:
				continue
			}
			rec, err := recordOf(rr)
			if err != nil {
				return a, fmt.Errorf("%s: %s %s: %w", server, rec.Name, rec.Type, err)
			}
			*to = append(*to, rec)
		}
	}
	return a, nil
}

// Values are the values of records, sorted, each once.
func Values(records []Record) []string {
	var all []string
	for _, r := range records {
		all = append(all, r.Value)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// WithPort adds the port of DNS to an address that has none, and refuses what
// is neither host nor host:port.
func WithPort(server string) (string, error) {
	return withPort(strings.TrimSpace(server), "53")
}
