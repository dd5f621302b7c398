package slbtest

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

func dnsActions() map[string]*action {
	return map[string]*action{
		"DescribeDomainInfo":       read((*Server).describeDomainInfo),
		"DescribeDomainRecords":    read((*Server).describeDomainRecords),
		"DescribeSubDomainRecords": read((*Server).describeSubDomainRecords),
		"DescribeDomainRecordInfo": read((*Server).describeDomainRecordInfo),
		"DescribeDNSSLBSubDomains": read((*Server).describeDNSSLBSubDomains),
		"AddDomainRecord":          write((*Server).addDomainRecord),
		"UpdateDomainRecord":       write((*Server).updateDomainRecord),
		"DeleteDomainRecord":       write((*Server).deleteDomainRecord),
		"SetDomainRecordStatus":    write((*Server).setDomainRecordStatus),
		"SetDNSSLBStatus":          write((*Server).setDNSSLBStatus),
		"UpdateDNSSLBWeight":       write((*Server).updateDNSSLBWeight),
	}
}

// recordID needs mu.
func (s *Server) recordID() string {
	s.ids++
	return strconv.Itoa(990000000000000000 + s.ids)
}

func (s *Server) fillRecord(z *Zone, r *Record) {
	orElse(&r.Line, "default")
	orElse(&r.TTL, z.MinTTL)
	orElse(&r.Weight, 1)
}

// Records are those of a zone now; nil when there is no such zone.
func (s *Server) Records(zone string) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	z, err := s.findZone(zone)
	if err != nil {
		return nil
	}
	return slices.Clone(z.Records)
}

func (s *Server) findZone(name string) (*Zone, error) {
	for i := range s.estate.Zones {
		if strings.EqualFold(s.estate.Zones[i].Name, name) {
			return &s.estate.Zones[i], nil
		}
	}
	return nil, refuse(http.StatusBadRequest, "InvalidDomainName.NoExist", "The specified domain name %q does not exist.", name)
}

func (s *Server) findRecord(id string) (*Zone, int, error) {
	for i := range s.estate.Zones {
		z := &s.estate.Zones[i]
		if at := slices.IndexFunc(z.Records, func(r Record) bool { return r.ID == id }); at >= 0 {
			return z, at, nil
		}
	}
	return nil, 0, refuse(http.StatusBadRequest, "DomainRecordNotBelongToUser", "The record %q does not belong to the user.", id)
}

// splitName finds the zone of a name: "www.example.com" or "@.example.com".
func (s *Server) splitName(name, domain string) (*Zone, string, error) {
	var best *Zone
	rr := ""
	for i := range s.estate.Zones {
		z := &s.estate.Zones[i]
		head, ok := strings.CutSuffix(strings.ToLower(name), strings.ToLower(z.Name))
		if !ok || (domain != "" && !strings.EqualFold(domain, z.Name)) || (head != "" && !strings.HasSuffix(head, ".")) {
			continue
		}
		if best == nil || len(z.Name) > len(best.Name) {
			best, rr = z, strings.TrimSuffix(head, ".")
		}
	}
	if best == nil {
		return nil, "", refuse(http.StatusBadRequest, "InvalidDomainName.NoExist", "The specified domain name %q does not exist.", name)
	}
	if rr == "" {
		rr = "@"
	}
	return best, rr, nil
}

// valid checks a record by itself and against its zone's plan. The codes are
// from memory.
func (z Zone) valid(r Record) error {
	bad := func(code, format string, args ...any) error {
		return refuse(http.StatusBadRequest, code, format, args...)
	}
	if r.RR == "" || strings.HasSuffix(r.RR, ".") || strings.Contains(r.RR, " ") {
		return bad("SubDomainInvalid.RR", "The RR %q is not valid.", r.RR)
	}
	if r.Line == "" {
		return bad("SubDomainInvalid.Line", "The line is not valid.")
	}
	if r.TTL < z.MinTTL || r.TTL > 86400 {
		return bad("QuotaExceeded.TTL", "The TTL %d is not in %d..86400, which the plan of the domain allows.", r.TTL, z.MinTTL)
	}
	ip, err := netip.ParseAddr(r.Value)
	var good bool
	switch r.Type {
	case "A":
		good = err == nil && ip.Is4()
	case "AAAA":
		good = err == nil && ip.Is6()
	case "CNAME", "NS", "MX":
		good = err != nil && strings.Contains(r.Value, ".") && !strings.ContainsAny(r.Value, " /:")
	case "TXT":
		good = r.Value != ""
	default:
		return bad("SubDomainInvalid.Type", "The type %q is not one that the stand-in knows.", r.Type)
	}
	if !good {
		return bad("SubDomainInvalid.Value", "The value %q is not one of a record of type %s.", r.Value, r.Type)
	}
	if r.Type == "MX" && (r.Priority < 1 || r.Priority > 50) {
		return bad("SubDomainInvalid.Priority", "The priority %d is not in 1..50.", r.Priority)
	}
	return nil
}

// clashes says what a record would be beside those that there are. skip is the
// index of the record that it replaces, -1 for none.
func (z Zone) clashes(r Record, skip int) error {
	for i, o := range z.Records {
		if i == skip || !strings.EqualFold(o.RR, r.RR) || o.Line != r.Line {
			continue
		}
		if o.Type == r.Type && o.Value == r.Value {
			return refuse(http.StatusBadRequest, "DomainRecordDuplicate", "The DNS record already exists.") // from memory
		}
		if (o.Type == "CNAME") != (r.Type == "CNAME") && !o.Disabled {
			return refuse(http.StatusBadRequest, "DomainRecordConflict", "The DNS record conflicts with another one: %s %s.", o.RR, o.Type) // from memory
		}
	}
	return nil
}

func (z Zone) open(set string) bool { return slices.Contains(z.Weighted, set) }

// beginZone refuses a write that overlaps another one to the zone.
func (s *Server) beginZone(z *Zone) error {
	if time.Since(s.touched["zone "+z.Name]) < s.o.Timing.ZoneOverlap {
		return fail(errZoneBusy)
	}
	return nil
}

func (s *Server) endZone(z *Zone) {
	s.touched["zone "+z.Name] = time.Now()
	s.zonesChanged()
}

func (s *Server) recordReply(z Zone, r Record) reply {
	status := "ENABLE"
	if r.Disabled {
		status = "DISABLE"
	}
	body := reply{
		"RecordId": r.ID, "DomainName": z.Name, "RR": r.RR, "Type": r.Type, "Value": r.Value, "Line": r.Line, "TTL": r.TTL,
		"Status": status, "Locked": r.Locked, "Weight": r.Weight, "Remark": r.Remark,
	}
	if r.Type == "MX" {
		body["Priority"] = r.Priority
	}
	return body
}

func fqdn(rr, zone string) string {
	if rr == "@" {
		return zone
	}
	return fmt.Sprintf("%s.%s", rr, zone)
}
