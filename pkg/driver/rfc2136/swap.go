package rfc2136

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
)

// Swap sends one message: what is stored now as prerequisites, and all sets of
// the name as they shall be.
func (p *primary) Swap(ctx context.Context, swaps []recordset.Swap) error {
	c, err := p.signed(ctx)
	if err != nil {
		return err
	}
	server, err := p.address(ctx)
	if err != nil {
		return err
	}
	err = c.Send(ctx, server, p.update(swaps))
	_, lost := errors.AsType[*wire.LostError](err)
	if said, ok := errors.AsType[*wire.Error](err); lost || (ok && said.Code == "SERVFAIL") {
		return driver.Uncertain(p.explain(err))
	}
	return p.explain(err)
}

func (p *primary) update(swaps []recordset.Swap) *wire.Update {
	u := wire.NewUpdate(p.zone)
	for _, s := range swaps {
		p.require(u, s, swaps)
	}
	for _, s := range swaps {
		if s.New.Absent() {
			p.write(u, s)
		}
	}
	for _, s := range swaps { // a CNAME goes before what stands in its place
		if !s.New.Absent() {
			p.write(u, s)
		}
	}
	return u
}

// require makes the server compare. A server ignores a CNAME beside other
// records and says NOERROR (RFC 2136, 3.4.2.2): a new set also requires that
// there is nothing that it cannot stand beside.
func (p *primary) require(u *wire.Update, s recordset.Swap, swaps []recordset.Swap) {
	if !s.Old.Absent() {
		records, _ := s.Old.Raw.([]wire.Record)
		u.RequireSet(records)
		return
	}
	alone := !slices.ContainsFunc(swaps, func(o recordset.Swap) bool { return !o.Old.Absent() })
	switch {
	case s.Name.Type == "CNAME" && alone:
		u.RequireNoName(s.Name.Host)
		return
	case s.Name.Type != "CNAME" && alone:
		u.RequireNoSet(s.Name.Host, "CNAME")
	}
	u.RequireNoSet(s.Name.Host, s.Name.Type)
}

// write replaces the whole set, which sets the TTL of every record. The NS
// records of the zone itself cannot be removed as a set (RFC 2136, 3.4.2.3):
// they are changed one by one, new ones first.
func (p *primary) write(u *wire.Update, s recordset.Swap) {
	if s.Name.Type != "NS" || s.Name.Host != p.zone {
		u.RemoveSet(s.Name.Host, s.Name.Type)
		u.Insert(s.Name.Host, s.Name.Type, s.New.TTL, s.New.Values)
		return
	}
	u.Insert(s.Name.Host, s.Name.Type, s.New.TTL, s.New.Values)
	records, _ := s.Old.Raw.([]wire.Record)
	u.Remove(slices.DeleteFunc(slices.Clone(records), func(r wire.Record) bool { return slices.Contains(s.New.Values, r.Value) }))
}

// Refuse keeps the zone's own NS records from vanishing.
func (p *primary) Refuse(swaps []recordset.Swap) error {
	for _, s := range swaps {
		if s.Name.Type == "NS" && s.Name.Host == p.zone && s.New.Absent() {
			return fmt.Errorf("%s: a zone has NS records; servers ignore that they are removed", s.Name)
		}
	}
	return nil
}

// explain turns what a server said into what flip does about it.
func (p *primary) explain(err error) error {
	if err == nil {
		return nil
	}
	said, ok := errors.AsType[*wire.Error](err)
	if !ok {
		return err
	}
	if said.Signature != "" {
		return driver.Permanent(p.signature(said))
	}
	switch said.Code {
	case "NXRRSET", "YXRRSET", "YXDOMAIN", "NXDOMAIN":
		return hint.Wrap(fmt.Errorf("%w: %w", said, recordset.ErrConflict),
			"is the answer made by a wildcard record? Then the name has no record of its own; create it with another tool first. A CNAME cannot stand beside other records")
	case "SERVFAIL":
		return hint.Wrap(said, "the server's log says why; often it cannot write its journal or the zone has expired")
	case "REFUSED":
		return driver.Permanent(hint.Wrap(said, "%s; BIND also refuses an MX, SRV or NS record whose host in the zone has no address", p.refusedHint()))
	case "NOTAUTH":
		return driver.Permanent(hint.Wrap(said, "the server does not hold zone %s, or %s", p.zone, p.refusedHint()))
	case "NOTZONE":
		return driver.Permanent(hint.Wrap(said, "a record is not in zone %s as the server has it: is it delegated, or is zone another one?", p.zone))
	case "NOTIMP":
		return driver.Permanent(hint.Wrap(said, "the server takes no dynamic updates"))
	case "FORMERR":
		return driver.Permanent(hint.Wrap(said, "the server could not read the message; its log says why"))
	}
	return said
}

func (p *primary) policies() string {
	return "BIND: update-policy or allow-update; Knot: acl with action update; PowerDNS: allow-dnsupdate-from and TSIG-ALLOW-DNSUPDATE"
}

func (p *primary) refusedHint() string {
	if p.tsig.Name == "" {
		return "the request was not signed: set tsig, or allow this address on the server (" + p.policies() + ")"
	}
	return fmt.Sprintf("key %s may not do this on the server (%s)", p.tsig.Name, p.policies())
}

func (p *primary) signature(said *wire.Error) error {
	switch said.Signature {
	case "BADKEY":
		return hint.Wrap(said, "the server has no key %s with %s; Knot says the same when the key may not do this (acl with action update)", p.tsig.Name, p.tsig.algorithm())
	case "BADSIG":
		return hint.Wrap(said, "the secret of key %s is another one on the server", p.tsig.Name)
	case "BADTIME":
		if said.Ahead == 0 {
			return hint.Wrap(said, "the clocks of this machine and of the server are more than 5 minutes apart")
		}
		return hint.Wrap(fmt.Errorf("%w: its clock is %s", said, apart(said.Ahead)), "set the clock of this machine or of the server; they may be 5 minutes apart")
	}
	return hint.Wrap(said, "key %s, %s", p.tsig.Name, p.tsig.algorithm())
}

func apart(ahead time.Duration) string {
	if ahead < 0 {
		return (-ahead).String() + " behind"
	}
	return ahead.String() + " ahead"
}
