package aliyun

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
)

// DNS is Alidns, API version 2015-01-09. Its calls are synchronous, and none
// has a ClientToken: an add that is sent again is a second add. Name servers
// follow later.
type DNS struct{ *Client }

// dnsEndpoint: there is one for all regions.
const dnsEndpoint = "alidns.aliyuncs.com"

// OpenDNS makes a client of Alidns.
func OpenDNS(a Account, env driver.Env) (DNS, error) {
	if a.Endpoint == "" && a.Network != "vpc" {
		a.Endpoint = dnsEndpoint
	}
	c, err := Open(Product{Name: "alidns", Version: "2015-01-09"}, a, env)
	return DNS{c}, err
}

// Domain is what Alidns says about a domain.
type Domain struct {
	Name    string
	Plan    string // VersionCode
	MinTTL  int    // seconds, 0 when it does not say
	TTLs    []string
	Servers []string // host names
}

// Domain reads a domain.
func (c DNS) Domain(ctx context.Context, name string) (Domain, error) {
	var out struct {
		DomainName    string
		VersionCode   Word
		MinTTL        Number `json:"MinTtl"`
		AvailableTTLs struct {
			AvailableTTL []Word `json:"AvailableTtl"`
		} `json:"AvailableTtls"`
		DNSServers struct {
			DNSServer []string `json:"DnsServer"`
		} `json:"DnsServers"`
	}
	p := Params{"DomainName": name, "NeedDetailAttributes": "true"}
	err := c.Do(ctx, Request{Action: "DescribeDomainInfo", Resource: name, Params: p}, &out)
	d := Domain{Name: out.DomainName, Plan: string(out.VersionCode), MinTTL: int(out.MinTTL), Servers: out.DNSServers.DNSServer}
	for _, ttl := range out.AvailableTTLs.AvailableTTL {
		d.TTLs = append(d.TTLs, string(ttl))
	}
	return d, err
}

// DNSRecord is a record as Alidns has it.
type DNSRecord struct {
	ID       Word `json:"RecordId"`
	RR       string
	Type     string
	Value    string
	Line     string
	TTL      Number
	Priority Number
	Status   string // ENABLE, DISABLE
	Locked   Flag
	Weight   Number
}

// Enabled reports whether name servers answer with r.
func (r DNSRecord) Enabled() bool { return strings.EqualFold(r.Status, "ENABLE") }

// most is how many entries one page of the API has at most, of records and of
// weighted names.
const (
	mostRecords  = 500
	mostWeighted = 100
)

// Records reads the records of one name, of all types and lines. rr is "@" for
// the domain itself.
func (c DNS) Records(ctx context.Context, domain, rr string) ([]DNSRecord, error) {
	var all []DNSRecord
	seen := map[Word]bool{}
	req := Request{Action: "DescribeSubDomainRecords", Resource: rr + "." + domain}
	err := numbered(mostRecords, func(page, size string) (found, total int, err error) {
		var out struct {
			TotalCount    Number
			DomainRecords struct{ Record []DNSRecord }
		}
		req.Params = Params{"SubDomain": rr + "." + domain, "DomainName": domain, "PageNumber": page, "PageSize": size}
		err = c.Do(ctx, req, &out)
		for _, r := range out.DomainRecords.Record {
			if !seen[r.ID] {
				seen[r.ID] = true
				all = append(all, r)
			}
		}
		return len(all), int(out.TotalCount), err
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(r DNSRecord) bool { return !strings.EqualFold(r.RR, rr) }), nil
}

// Weighted are the types of one name whose records are answered by weight on a
// line.
func (c DNS) Weighted(ctx context.Context, domain, rr, line string) (map[string]bool, error) {
	open := map[string]bool{}
	found := 0
	err := numbered(mostWeighted, func(page, size string) (int, int, error) {
		var out struct {
			TotalCount    Number
			SlbSubDomains struct {
				SlbSubDomain []struct {
					SubDomain      string
					Type           string
					LineAlgorithms struct {
						LineAlgorithm []struct {
							Line string
							Open Flag
						}
					}
				}
			}
		}
		p := Params{"DomainName": domain, "Rr": rr, "PageNumber": page, "PageSize": size}
		err := c.Do(ctx, Request{Action: "DescribeDNSSLBSubDomains", Resource: rr + "." + domain, Params: p}, &out)
		for _, sub := range out.SlbSubDomains.SlbSubDomain {
			found++
			name := strings.ToLower(strings.TrimPrefix(sub.SubDomain, "@."))
			if name != strings.ToLower(strings.TrimPrefix(rr+"."+domain, "@.")) {
				continue // the filter may match parts of names
			}
			for _, a := range sub.LineAlgorithms.LineAlgorithm {
				open[sub.Type] = open[sub.Type] || (a.Line == line && bool(a.Open))
			}
		}
		return found, int(out.TotalCount), err
	})
	return open, err
}

// Add makes a record, which answers at once, and returns its id. It must not be
// repeated before somebody has looked.
func (c DNS) Add(ctx context.Context, domain string, r DNSRecord) (string, error) {
	var out struct {
		RecordID Word `json:"RecordId"`
	}
	err := c.Do(ctx, Request{Action: "AddDomainRecord", Resource: r.RR + "." + domain, Params: r.params().With("DomainName", domain), Write: true}, &out)
	return string(out.RecordID), err
}

// params are all of a record: what is left out of an update goes back to its
// default.
func (r DNSRecord) params() Params {
	p := Params{"RR": r.RR, "Type": r.Type, "Value": r.Value, "Line": r.Line, "TTL": strconv.Itoa(int(r.TTL))}
	if r.Type == "MX" {
		p["Priority"] = strconv.Itoa(int(r.Priority))
	}
	return p
}

// Update replaces a record.
func (c DNS) Update(ctx context.Context, r DNSRecord) error {
	return c.write(ctx, "UpdateDomainRecord", r, r.params())
}

// Delete takes a record away.
func (c DNS) Delete(ctx context.Context, r DNSRecord) error {
	return c.write(ctx, "DeleteDomainRecord", r, nil)
}

// Enable makes name servers answer with a record, or not.
func (c DNS) Enable(ctx context.Context, r DNSRecord, on bool) error {
	status := "Disable"
	if on {
		status = "Enable"
	}
	return c.write(ctx, "SetDomainRecordStatus", r, Params{"Status": status})
}

// Weigh sets the weight of an enabled record, 1..100, of a name whose weights
// are open.
func (c DNS) Weigh(ctx context.Context, r DNSRecord, weight int) error {
	return c.write(ctx, "UpdateDNSSLBWeight", r, Params{"Weight": strconv.Itoa(weight)})
}

func (c DNS) write(ctx context.Context, action string, r DNSRecord, p Params) error {
	resource := fmt.Sprintf("%s %s %s (record %s)", r.RR, r.Type, r.Value, r.ID)
	return c.Do(ctx, Request{Action: action, Resource: resource, Params: p.With("RecordId", string(r.ID)), Write: true}, nil)
}

// OpenWeights makes name servers answer with one record by weight, all weights
// being equal at first; or with all records again.
func (c DNS) OpenWeights(ctx context.Context, domain, rr, typ, line string, open bool) error {
	p := Params{"SubDomain": rr + "." + domain, "DomainName": domain, "Type": typ, "Line": line, "Open": strconv.FormatBool(open)}
	return c.Do(ctx, Request{Action: "SetDNSSLBStatus", Resource: rr + "." + domain + " " + typ, Params: p, Write: true}, nil)
}
