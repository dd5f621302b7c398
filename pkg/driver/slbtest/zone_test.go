package slbtest_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/alidns"
	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

func zone(t *testing.T, o slbtest.Options) (*slbtest.Server, clients) {
	t.Helper()
	o.PlainHTTP = true
	o.Estate = slbtest.Estate{Zones: []slbtest.Zone{{Name: "example.com", Records: []slbtest.Record{
		{ID: "1", RR: "www", Type: "A", Value: "192.0.2.1"},
		{ID: "2", RR: "@", Type: "TXT", Value: "hello"},
	}}}}
	s := slbtest.Start(t, o)
	return s, dial(t, s)
}

// look asks a name server.
func look(t *testing.T, s *slbtest.Server, server int, network, name string, kind uint16) []string {
	t.Helper()
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
	answer, _, err := (&dns.Client{Net: network}).ExchangeContext(t.Context(), m, s.DNS(server))
	if err != nil {
		t.Fatal(err)
	}
	if answer.Rcode != dns.RcodeSuccess {
		return []string{dns.RcodeToString[answer.Rcode]}
	}
	values := []string{}
	for _, rr := range answer.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			values = append(values, rr.A.String())
		case *dns.TXT:
			values = append(values, rr.Txt...)
		default:
			values = append(values, rr.String())
		}
	}
	slices.Sort(values)
	return values
}

func add(c clients, value string, change ...func(*alidns.AddDomainRecordRequest)) (string, error) {
	r := alidns.CreateAddDomainRecordRequest()
	r.DomainName, r.RR, r.Type, r.Value = "example.com", "www", "A", value
	for _, fn := range change {
		fn(r)
	}
	answer, err := c.dns.AddDomainRecord(r)
	if err != nil {
		return "", err
	}
	return answer.RecordId, nil
}

func TestARecordIsServedLaterThanItIsRead(t *testing.T) {
	s, c := zone(t, slbtest.Options{NameServers: 2})
	s.Hold()
	if _, err := add(c, "192.0.2.2"); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Records("example.com")); n != 3 {
		t.Fatalf("%d records at once", n)
	}
	old, both := []string{"192.0.2.1"}, []string{"192.0.2.1", "192.0.2.2"}
	if diff := cmp.Diff(old, look(t, s, 0, "udp", "www.example.com", dns.TypeA)); diff != "" {
		t.Errorf("at once (-want +got):\n%s", diff)
	}
	s.Release()
	quiet(t, s)
	for i, network := range []string{"udp", "tcp"} {
		if diff := cmp.Diff(both, look(t, s, i, network, "www.example.com", dns.TypeA)); diff != "" {
			t.Errorf("name server %d in the end (-want +got):\n%s", i, diff)
		}
	}
	if diff := cmp.Diff([]string{"NXDOMAIN"}, look(t, s, 0, "udp", "x.example.com", dns.TypeA)); diff != "" {
		t.Errorf("an unknown name (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"REFUSED"}, look(t, s, 0, "udp", "example.org", dns.TypeA)); diff != "" {
		t.Errorf("another zone (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"hello"}, look(t, s, 0, "udp", "example.com", dns.TypeTXT)); diff != "" {
		t.Errorf("the apex (-want +got):\n%s", diff)
	}
}

func TestRecordsAreRefusedAsByAlidns(t *testing.T) {
	s, c := zone(t, slbtest.Options{})
	ttl := func(n int) func(*alidns.AddDomainRecordRequest) {
		return func(r *alidns.AddDomainRecordRequest) { r.TTL = requests.NewInteger(n) }
	}
	for _, tt := range []struct {
		name, value, code string
		change            func(*alidns.AddDomainRecordRequest)
	}{
		{"a duplicate", "192.0.2.1", "DomainRecordDuplicate", ttl(600)},
		{"a TTL under the plan's", "192.0.2.9", "QuotaExceeded.TTL", ttl(60)},
		{"an address that is none", "192.0.2", "SubDomainInvalid.Value", ttl(600)},
		{"a type that is none", "192.0.2.9", "SubDomainInvalid.Type", func(r *alidns.AddDomainRecordRequest) { r.Type = "B" }},
		{"a CNAME beside an A", "a.example.org", "DomainRecordConflict", func(r *alidns.AddDomainRecordRequest) { r.Type = "CNAME" }},
		{"an unknown zone", "192.0.2.9", "InvalidDomainName.NoExist", func(r *alidns.AddDomainRecordRequest) { r.DomainName = "example.org" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := add(c, tt.value, tt.change); code(err) != tt.code {
				t.Errorf("code %q, want %q", code(err), tt.code)
			}
		})
	}
	r := alidns.CreateDeleteDomainRecordRequest()
	r.RecordId = "17"
	if _, err := c.dns.DeleteDomainRecord(r); code(err) != "DomainRecordNotBelongToUser" {
		t.Errorf("an unknown record: %q", code(err))
	}
	if n := len(s.Writes()); n != 0 {
		t.Errorf("%d writes", n)
	}
}

func TestAnUpdateReplacesTheWholeRecord(t *testing.T) {
	s, c := zone(t, slbtest.Options{})
	s.Edit(func(e *slbtest.Estate) { e.Zones[0].Records[0].TTL = 3600 })
	r := alidns.CreateUpdateDomainRecordRequest()
	r.RecordId, r.RR, r.Type, r.Value = "1", "www", "A", "192.0.2.7"
	if _, err := c.dns.UpdateDomainRecord(r); err != nil {
		t.Fatal(err)
	}
	if got := s.Records("example.com")[0]; got.TTL != 600 || got.Value != "192.0.2.7" {
		t.Errorf("after an update without a TTL: %+v", got)
	}
	if _, err := c.dns.UpdateDomainRecord(r); code(err) != "DomainRecordDuplicate" {
		t.Errorf("the same again: %q", code(err))
	}
}

func TestWeightsNeedToBeOpenAndAreFrom1(t *testing.T) {
	s, c := zone(t, slbtest.Options{})
	second, err := add(c, "192.0.2.2")
	if err != nil {
		t.Fatal(err)
	}
	weigh := func(id string, weight int) string {
		r := alidns.CreateUpdateDNSSLBWeightRequest()
		r.RecordId, r.Weight = id, requests.NewInteger(weight)
		_, err := c.dns.UpdateDNSSLBWeight(r)
		return code(err)
	}
	if got := weigh("1", 9); got != "DisableDNSSLB" {
		t.Errorf("closed: %q", got)
	}
	open := alidns.CreateSetDNSSLBStatusRequest()
	open.SubDomain, open.Open = "www.example.com", requests.NewBoolean(true)
	if answer, err := c.dns.SetDNSSLBStatus(open); err != nil || answer.RecordCount != 2 || !answer.Open {
		t.Fatalf("open: %+v, %v", answer, err)
	}
	for _, weight := range []int{0, 101} {
		if got := weigh("1", weight); got != "InvalidParameter" {
			t.Errorf("weight %d: %q", weight, got)
		}
	}
	if got := weigh("1", 9); got != "" {
		t.Fatalf("weight 9: %q", got)
	}
	quiet(t, s)
	seen := map[string]int{}
	for range 20 {
		for _, v := range look(t, s, 0, "udp", "www.example.com", dns.TypeA) {
			seen[v]++
		}
	}
	if diff := cmp.Diff(map[string]int{"192.0.2.1": 18, "192.0.2.2": 2}, seen); diff != "" {
		t.Errorf("answers at 9:1 (-want +got):\n%s", diff)
	}
	state := alidns.CreateDescribeDNSSLBSubDomainsRequest()
	state.DomainName = "example.com"
	answer, err := c.dns.DescribeDNSSLBSubDomains(state)
	if err != nil || len(answer.SlbSubDomains.SlbSubDomain) != 1 || !answer.SlbSubDomains.SlbSubDomain[0].LineAlgorithms.LineAlgorithm[0].Open {
		t.Errorf("state: %+v, %v", answer, err)
	}
	off := alidns.CreateSetDomainRecordStatusRequest()
	off.RecordId, off.Status = second, "Disable"
	if _, err := c.dns.SetDomainRecordStatus(off); err != nil {
		t.Fatal(err)
	}
	if got := weigh(second, 5); got != "DisableDNSSLB" {
		t.Errorf("disabled: %q", got)
	}
	quiet(t, s)
	if diff := cmp.Diff([]string{"192.0.2.1"}, look(t, s, 0, "udp", "www.example.com", dns.TypeA)); diff != "" {
		t.Errorf("after Disable (-want +got):\n%s", diff)
	}
}

func TestZonesAreReadExactlyAndInPages(t *testing.T) {
	s, c := zone(t, slbtest.Options{})
	s.Edit(func(e *slbtest.Estate) {
		for i := range 24 {
			e.Zones[0].Records = append(e.Zones[0].Records, slbtest.Record{ID: fmt.Sprint("x", i), RR: fmt.Sprint("www", i), Type: "A", Value: "192.0.2.3"})
		}
	})
	sub := alidns.CreateDescribeSubDomainRecordsRequest()
	sub.SubDomain, sub.Type = "www.example.com", "A"
	if answer, err := c.dns.DescribeSubDomainRecords(sub); err != nil || answer.TotalCount != 1 || answer.DomainRecords.Record[0].Status != "ENABLE" {
		t.Errorf("exact: %+v, %v", answer, err)
	}
	sub = alidns.CreateDescribeSubDomainRecordsRequest() // one that was sent keeps its parameters
	sub.SubDomain = "example.com"
	if answer, err := c.dns.DescribeSubDomainRecords(sub); err != nil || answer.TotalCount != 1 || answer.DomainRecords.Record[0].RR != "@" {
		t.Errorf("the apex: %+v, %v", answer, err)
	}
	all := alidns.CreateDescribeDomainRecordsRequest()
	all.DomainName, all.RRKeyWord, all.PageNumber = "example.com", "www", requests.NewInteger(2)
	if answer, err := c.dns.DescribeDomainRecords(all); err != nil || answer.TotalCount != 25 || len(answer.DomainRecords.Record) != 5 {
		t.Errorf("second page: %+v, %v", answer, err)
	}
	all.PageSize = requests.NewInteger(501)
	if _, err := c.dns.DescribeDomainRecords(all); code(err) != "InvalidParameter" {
		t.Errorf("501 at once: %q", code(err))
	}
	info := alidns.CreateDescribeDomainInfoRequest()
	info.DomainName, info.NeedDetailAttributes = "example.com", requests.NewBoolean(true)
	if answer, err := c.dns.DescribeDomainInfo(info); err != nil || answer.MinTtl != 600 || answer.AvailableTtls.AvailableTtl[0] != "600" {
		t.Errorf("info: %+v, %v", answer, err)
	}
	one := alidns.CreateDescribeDomainRecordInfoRequest()
	one.RecordId = "1"
	if answer, err := c.dns.DescribeDomainRecordInfo(one); err != nil || answer.Value != "192.0.2.1" || answer.TTL != 600 {
		t.Errorf("record: %+v, %v", answer, err)
	}
}

func TestAZoneTakesOneChangeAtATime(t *testing.T) {
	_, c := zone(t, slbtest.Options{Timing: slbtest.Timing{ZoneOverlap: time.Minute}})
	if _, err := add(c, "192.0.2.2"); err != nil {
		t.Fatal(err)
	}
	if _, err := add(c, "192.0.2.3"); code(err) != "LastOperationNotFinished" {
		t.Errorf("right after: %q", code(err))
	}
}

// This is why flip looks before it repeats an add.
func TestALostAnswerOfAnAddHasBeenApplied(t *testing.T) {
	s, c := zone(t, slbtest.Options{})
	s.Inject(slbtest.Fault{Kind: slbtest.DropAfter, Action: "AddDomainRecord", Times: 1})
	if _, err := add(c, "192.0.2.2"); err == nil {
		t.Fatal("the answer was not lost")
	}
	if _, err := add(c, "192.0.2.2"); code(err) != "DomainRecordDuplicate" {
		t.Errorf("again: %q", code(err))
	}
	calls := s.Calls()
	if len(calls) != 2 || calls[0].Status != 0 || !calls[0].Applied || calls[1].Status != http.StatusBadRequest || calls[1].Applied {
		t.Errorf("calls: %+v", calls)
	}
}
