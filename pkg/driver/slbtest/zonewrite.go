package slbtest

import (
	"net/http"
	"slices"
	"strings"
)

type recordFields struct {
	RR, Type, Value string
	Line            string
	TTL, Priority   int
}

type addDomainRecordRequest struct {
	DomainName    string `api:"required"`
	RR            string `api:"required"`
	Type          string `api:"required"`
	Value         string `api:"required"`
	Line          string
	TTL, Priority int
}

// record has the documented defaults: TTL 600 and line "default".
func (f recordFields) record(id string) Record {
	r := Record{ID: id, RR: f.RR, Type: f.Type, Value: f.Value, Line: f.Line, TTL: f.TTL, Priority: f.Priority, Weight: 1}
	orElse(&r.Line, "default")
	orElse(&r.TTL, 600)
	return r
}

func (s *Server) addDomainRecord(_ *call, r addDomainRecordRequest) (reply, error) {
	z, err := s.findZone(r.DomainName)
	if err != nil {
		return nil, err
	}
	record := recordFields{r.RR, r.Type, r.Value, r.Line, r.TTL, r.Priority}.record("")
	if err := z.valid(record); err != nil {
		return nil, err
	}
	if err := z.clashes(record, -1); err != nil {
		return nil, err
	}
	if err := s.beginZone(z); err != nil {
		return nil, err
	}
	record.ID = s.recordID()
	z.Records = append(slices.Clone(z.Records), record)
	s.endZone(z)
	return reply{"RecordId": record.ID}, nil
}

type updateDomainRecordRequest struct {
	RecordId      string `api:"required"`
	RR            string `api:"required"`
	Type          string `api:"required"`
	Value         string `api:"required"`
	Line          string
	TTL, Priority int
}

// updateDomainRecord replaces the record: what is left out gets its default.
func (s *Server) updateDomainRecord(_ *call, r updateDomainRecordRequest) (reply, error) {
	z, at, err := s.findRecord(r.RecordId)
	if err != nil {
		return nil, err
	}
	old := z.Records[at]
	if old.Locked {
		return nil, locked(old)
	}
	record := recordFields{r.RR, r.Type, r.Value, r.Line, r.TTL, r.Priority}.record(r.RecordId)
	record.Disabled, record.Remark, record.Weight = old.Disabled, old.Remark, old.Weight
	if err := z.valid(record); err != nil {
		return nil, err
	}
	if err := z.clashes(record, at); err != nil {
		return nil, err
	}
	if record == old {
		return nil, refuse(http.StatusBadRequest, "DomainRecordDuplicate", "The DNS record already exists.") // from memory
	}
	if err := s.beginZone(z); err != nil {
		return nil, err
	}
	z.Records = slices.Clone(z.Records)
	z.Records[at] = record
	s.endZone(z)
	return reply{"RecordId": record.ID}, nil
}

func locked(r Record) error {
	return refuse(http.StatusBadRequest, "DomainRecordLocked", "The record %s is locked.", r.ID) // from memory
}

func (s *Server) deleteDomainRecord(_ *call, r recordRequest) (reply, error) {
	z, at, err := s.findRecord(r.RecordId)
	if err != nil {
		return nil, err
	}
	if z.Records[at].Locked {
		return nil, locked(z.Records[at])
	}
	if err := s.beginZone(z); err != nil {
		return nil, err
	}
	z.Records = slices.Delete(slices.Clone(z.Records), at, at+1)
	s.endZone(z)
	return reply{"RecordId": r.RecordId}, nil
}

type setDomainRecordStatusRequest struct {
	RecordId string `api:"required"`
	Status   string `api:"required"`
}

func (s *Server) setDomainRecordStatus(_ *call, r setDomainRecordStatusRequest) (reply, error) {
	z, at, err := s.findRecord(r.RecordId)
	if err != nil {
		return nil, err
	}
	if r.Status != "Enable" && r.Status != "Disable" {
		return nil, invalid("The Status must be Enable or Disable, not %q.", r.Status)
	}
	if z.Records[at].Locked {
		return nil, locked(z.Records[at])
	}
	if err := s.beginZone(z); err != nil {
		return nil, err
	}
	z.Records = slices.Clone(z.Records)
	z.Records[at].Disabled = r.Status == "Disable"
	s.endZone(z)
	return reply{"RecordId": r.RecordId, "Status": r.Status}, nil
}

type setDNSSLBStatusRequest struct {
	SubDomain  string `api:"required"`
	Open       *bool
	Type, Line string
	DomainName string
}

// setDNSSLBStatus opens or closes the weights of a name; opening makes them
// equal. Only enabled, unlocked records can have one, and no wildcard.
func (s *Server) setDNSSLBStatus(_ *call, r setDNSSLBStatusRequest) (reply, error) {
	z, rr, err := s.splitName(r.SubDomain, r.DomainName)
	if err != nil {
		return nil, err
	}
	orElse(&r.Type, "A")
	orElse(&r.Line, "default")
	if r.Type != "A" && r.Type != "AAAA" && r.Type != "CNAME" {
		return nil, invalid("The Type must be A, AAAA or CNAME, not %q.", r.Type)
	}
	open := r.Open == nil || *r.Open
	records, set, n := slices.Clone(z.Records), rr+" "+r.Type+" "+r.Line, 0
	for i := range records {
		o := &records[i]
		if o.set() == set && !o.Disabled && !o.Locked && !strings.HasPrefix(o.RR, "*") {
			n++
			if open && !z.open(set) {
				o.Weight = 1
			}
		}
	}
	if n == 0 {
		return nil, refuse(http.StatusBadRequest, "InvalidRR.NoExist", "No record of %s can have a weight.", r.SubDomain)
	}
	if err := s.beginZone(z); err != nil {
		return nil, err
	}
	z.Records = records
	z.Weighted = slices.DeleteFunc(slices.Clone(z.Weighted), func(o string) bool { return o == set })
	if open {
		z.Weighted = append(z.Weighted, set)
	}
	s.endZone(z)
	return reply{"RecordCount": n, "Open": open}, nil
}

type updateDNSSLBWeightRequest struct {
	RecordId string `api:"required"`
	Weight   int    `api:"required"`
}

func (s *Server) updateDNSSLBWeight(_ *call, r updateDNSSLBWeightRequest) (reply, error) {
	z, at, err := s.findRecord(r.RecordId)
	if err != nil {
		return nil, err
	}
	if r.Weight < 1 || r.Weight > 100 {
		return nil, invalid("The Weight %d is not in 1..100.", r.Weight)
	}
	o := z.Records[at]
	if o.Disabled || o.Locked || !z.open(o.set()) {
		return nil, refuse(http.StatusBadRequest, "DisableDNSSLB", "The weights of %s %s are not open, or the record is disabled or locked.", o.RR, o.Type) // from memory
	}
	if err := s.beginZone(z); err != nil {
		return nil, err
	}
	z.Records = slices.Clone(z.Records)
	z.Records[at].Weight = r.Weight
	s.endZone(z)
	return reply{"RecordId": r.RecordId, "Weight": r.Weight}, nil
}
