package slbtest

import (
	"slices"
	"strconv"
	"strings"
)

type describeDomainInfoRequest struct {
	DomainName           string `api:"required"`
	NeedDetailAttributes bool
}

func (s *Server) describeDomainInfo(_ *call, r describeDomainInfoRequest) (reply, error) {
	z, err := s.findZone(r.DomainName)
	if err != nil {
		return nil, err
	}
	body := reply{
		"DomainName": z.Name, "DomainId": "id-" + z.Name, "VersionCode": z.Version, "AliDomain": true,
		"DnsServers": reply{"DnsServer": s.nameServerNames()},
	}
	if r.NeedDetailAttributes {
		ttls := []string{}
		for _, ttl := range []int{1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 43200, 86400} {
			if ttl >= z.MinTTL {
				ttls = append(ttls, strconv.Itoa(ttl))
			}
		}
		body["MinTtl"], body["AvailableTtls"] = z.MinTTL, reply{"AvailableTtl": ttls}
		body["RecordLines"] = reply{"RecordLine": []reply{{"LineCode": "default", "LineName": "default", "LineDisplayName": "default"}}}
	}
	return body, nil
}

type describeDomainRecordsRequest struct {
	DomainName                                    string `api:"required"`
	PageNumber, PageSize                          int
	KeyWord, RRKeyWord, TypeKeyWord, ValueKeyWord string
	Type, Line, Status, SearchMode                string
}

// describeDomainRecords finds parts of names, unless SearchMode is EXACT,
// where KeyWord is a whole one.
func (s *Server) describeDomainRecords(_ *call, r describeDomainRecordsRequest) (reply, error) {
	z, err := s.findZone(r.DomainName)
	if err != nil {
		return nil, err
	}
	if !slices.Contains([]string{"", "LIKE", "EXACT", "ADVANCED"}, r.SearchMode) {
		return nil, invalid("The SearchMode %q is not one that the stand-in knows.", r.SearchMode)
	}
	if !slices.Contains([]string{"", "Enable", "Disable"}, r.Status) {
		return nil, invalid("The Status must be Enable or Disable, not %q.", r.Status)
	}
	has := func(text, part string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(part)) }
	var found []Record
	for _, record := range z.Records {
		keyword := has(record.RR, r.KeyWord) || has(record.Value, r.KeyWord)
		if r.SearchMode == "EXACT" && r.KeyWord != "" {
			keyword = strings.EqualFold(record.RR, r.KeyWord)
		}
		if keyword && has(record.RR, r.RRKeyWord) && has(record.Value, r.ValueKeyWord) && (r.TypeKeyWord == "" || r.TypeKeyWord == record.Type) &&
			(r.Type == "" || r.Type == record.Type) && (r.Line == "" || r.Line == record.Line) &&
			(r.Status == "" || (r.Status == "Disable") == record.Disabled) {
			found = append(found, record)
		}
	}
	return s.recordsReply(*z, found, r.PageNumber, r.PageSize)
}

func (s *Server) recordsReply(z Zone, found []Record, number, size int) (reply, error) {
	page, err := pageOf(found, &number, &size, 20, 500)
	if err != nil {
		return nil, err
	}
	return reply{
		"TotalCount": len(found), "PageNumber": number, "PageSize": size,
		"DomainRecords": reply{"Record": list(page, func(r Record) reply { return s.recordReply(z, r) })},
	}, nil
}

type describeSubDomainRecordsRequest struct {
	SubDomain              string `api:"required"`
	DomainName, Type, Line string
	PageNumber, PageSize   int
}

// describeSubDomainRecords is exact: "example.com" means "@.example.com".
func (s *Server) describeSubDomainRecords(_ *call, r describeSubDomainRecordsRequest) (reply, error) {
	z, rr, err := s.splitName(r.SubDomain, r.DomainName)
	if err != nil {
		return nil, err
	}
	var found []Record
	for _, record := range z.Records {
		if strings.EqualFold(record.RR, rr) && (r.Type == "" || r.Type == record.Type) && (r.Line == "" || r.Line == record.Line) {
			found = append(found, record)
		}
	}
	return s.recordsReply(*z, found, r.PageNumber, r.PageSize)
}

type recordRequest struct {
	RecordId string `api:"required"`
}

func (s *Server) describeDomainRecordInfo(_ *call, r recordRequest) (reply, error) {
	z, at, err := s.findRecord(r.RecordId)
	if err != nil {
		return nil, err
	}
	body := s.recordReply(*z, z.Records[at])
	delete(body, "Weight") // the answer has none
	return body, nil
}

type describeDNSSLBSubDomainsRequest struct {
	DomainName           string `api:"required"`
	Rr                   string
	PageNumber, PageSize int
}

func (s *Server) describeDNSSLBSubDomains(_ *call, r describeDNSSLBSubDomainsRequest) (reply, error) {
	z, err := s.findZone(r.DomainName)
	if err != nil {
		return nil, err
	}
	type name struct{ rr, kind string }
	var names []name
	count, lines := map[name]int{}, map[name][]string{}
	for _, record := range z.Records {
		n := name{record.RR, record.Type}
		if record.Disabled || (record.Type != "A" && record.Type != "AAAA" && record.Type != "CNAME") || (r.Rr != "" && r.Rr != record.RR) {
			continue
		}
		if count[n]++; count[n] == 1 {
			names = append(names, n)
		}
		if !slices.Contains(lines[n], record.Line) {
			lines[n] = append(lines[n], record.Line)
		}
	}
	names = slices.DeleteFunc(names, func(n name) bool {
		return count[n] < 2 && !slices.ContainsFunc(z.Weighted, func(set string) bool { return strings.HasPrefix(set, n.rr+" "+n.kind+" ") })
	})
	page, err := pageOf(names, &r.PageNumber, &r.PageSize, 20, 100)
	if err != nil {
		return nil, err
	}
	return reply{
		"TotalCount": len(names), "PageNumber": r.PageNumber, "PageSize": r.PageSize,
		"SlbSubDomains": reply{"SlbSubDomain": list(page, func(n name) reply {
			opened := false
			algorithms := list(lines[n], func(line string) reply {
				open := z.open(n.rr + " " + n.kind + " " + line)
				opened = opened || open
				return reply{"Line": line, "Open": open}
			})
			return reply{
				"SubDomain": n.rr + "." + z.Name, "Type": n.kind, "RecordCount": count[n], "Open": opened,
				"LineAlgorithms": reply{"LineAlgorithm": algorithms},
			}
		})},
	}, nil
}
