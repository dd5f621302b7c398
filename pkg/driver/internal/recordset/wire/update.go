package wire

import (
	"context"
	"fmt"

	"github.com/miekg/dns"
)

// Update is one message that changes a zone: all of it or nothing (RFC 2136).
// The methods keep the first error for Send.
type Update struct {
	msg  *dns.Msg
	zone string
	err  error
}

// NewUpdate begins an update of a zone.
func NewUpdate(zone string) *Update {
	return &Update{msg: new(dns.Msg).SetUpdate(fqdn(zone)), zone: zone}
}

// Size is how many records the message holds.
func (u *Update) Size() int { return len(u.msg.Answer) + len(u.msg.Ns) }

// RequireSet: the server refuses with NXRRSET unless the set has exactly the
// values of records, which are what it answered before. TTLs do not count.
func (u *Update) RequireSet(records []Record) {
	var all []dns.RR
	for _, r := range records {
		rr := dns.Copy(r.rr)
		rr.Header().Ttl = 0
		all = append(all, rr)
	}
	u.msg.Used(all)
}

// RequireNoSet: the server refuses with YXRRSET when the set exists.
func (u *Update) RequireNoSet(name, typ string) {
	u.msg.RRsetNotUsed([]dns.RR{&dns.ANY{Hdr: header(name, typ, 0)}})
}

// RequireNoName: the server refuses with YXDOMAIN when the name has any record.
func (u *Update) RequireNoName(name string) {
	u.msg.NameNotUsed([]dns.RR{&dns.ANY{Hdr: header(name, "A", 0)}})
}

// RemoveSet removes all records of a name and type. Servers leave the SOA and
// the NS records of the zone itself as they are.
func (u *Update) RemoveSet(name, typ string) {
	u.msg.RemoveRRset([]dns.RR{&dns.ANY{Hdr: header(name, typ, 0)}})
}

// Remove removes single records.
func (u *Update) Remove(records []Record) {
	for _, r := range records {
		u.msg.Remove([]dns.RR{dns.Copy(r.rr)})
	}
}

// Insert adds records. The TTL becomes that of the whole set.
func (u *Update) Insert(name, typ string, ttl int, values []string) {
	for _, v := range values {
		rr, err := parseValue(fqdn(name), typ, uint32(max(ttl, 0)), v)
		if err != nil {
			if u.err == nil {
				u.err = fmt.Errorf("%s %s: %w", name, typ, err)
			}
			return
		}
		u.msg.Insert([]dns.RR{rr})
	}
}

func header(name, typ string, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: fqdn(name), Rrtype: dns.StringToType[typ], Class: dns.ClassINET, Ttl: ttl}
}

// Send sends an update over TCP, whatever the client says. What the server
// refuses is an *Error; a *LostError means that the update may have been made.
func (c Client) Send(ctx context.Context, server string, u *Update) error {
	if u.err != nil {
		return u.err
	}
	c.TCP = true
	_, err := c.exchange(ctx, server, u.msg)
	return err
}
