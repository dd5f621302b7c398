package aliyun_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/aliyun"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
)

// dnsOf answers every request with what body says.
func dnsOf(t testing.TB, body func(action string, q map[string]string) string) (aliyun.DNS, *[]map[string]string) {
	t.Helper()
	var sent []map[string]string
	w := newWorld(answers(func(r *http.Request) (*http.Response, error) {
		q := map[string]string{"host": r.URL.Host}
		for k, v := range r.URL.Query() {
			q[k] = v[0]
		}
		sent = append(sent, q)
		return say(200, body(q["Action"], q)), nil
	}), stsKey())
	c, err := aliyun.OpenDNS(account(), w.Env)
	expect.Nil(t, err)
	return c, &sent
}

func TestAlidnsIsOneForAllRegions(t *testing.T) {
	c, sent := dnsOf(t, func(string, map[string]string) string { return `{"DomainName":"example.com"}` })
	if _, err := c.Domain(t.Context(), "example.com"); err != nil {
		t.Fatal(err)
	}
	expect.Same(t, "host", "alidns.aliyuncs.com", (*sent)[0]["host"])
}

func TestADomainIsReadWhateverItsNumbersAreWrittenAs(t *testing.T) {
	c, _ := dnsOf(t, func(string, map[string]string) string {
		return `{"DomainName":"example.com","VersionCode":"mianfei","MinTtl":"600","AvailableTtls":{"AvailableTtl":["600",1800]},"DnsServers":{"DnsServer":["dns1.hichina.com"]}}`
	})
	d, err := c.Domain(t.Context(), "example.com")
	expect.Nil(t, err)
	expect.Same(t, "domain", aliyun.Domain{Name: "example.com", Plan: "mianfei", MinTTL: 600, TTLs: []string{"600", "1800"}, Servers: []string{"dns1.hichina.com"}}, d)
}

// page is one page of n records of www, of total that there are.
func page(from, n, total int) string {
	var records []string
	for i := from; i < from+n; i++ {
		records = append(records, fmt.Sprintf(`{"RecordId":"%d","RR":"www","Type":"A","Value":"192.0.2.1","Status":"ENABLE"}`, i))
	}
	return fmt.Sprintf(`{"TotalCount":%d,"DomainRecords":{"Record":[%s]}}`, total, strings.Join(records, ","))
}

func TestRecordsAreReadInPages(t *testing.T) {
	t.Run("to the last", func(t *testing.T) {
		c, sent := dnsOf(t, func(_ string, q map[string]string) string {
			n, _ := strconv.Atoi(q["PageNumber"])
			return page((n-1)*2, 2, 5)
		})
		all, err := c.Records(t.Context(), "example.com", "www")
		if err != nil || len(all) != 6 || len(*sent) != 3 {
			t.Errorf("%d records in %d calls, %v", len(all), len(*sent), err)
		}
		expect.Same(t, "name", "www.example.com", (*sent)[0]["SubDomain"])
	})
	t.Run("that repeat themselves are no answer", func(t *testing.T) {
		c, sent := dnsOf(t, func(string, map[string]string) string { return page(0, 2, 5) })
		_, err := c.Records(t.Context(), "example.com", "www")
		expect.Error(t, err, "the pages hold 2 of 5 entries", "")
		expect.Same(t, "calls", 2, len(*sent))
	})
	t.Run("that are empty are no answer", func(t *testing.T) {
		c, _ := dnsOf(t, func(string, map[string]string) string { return page(0, 0, 5) })
		_, err := c.Records(t.Context(), "example.com", "www")
		expect.Error(t, err, "the pages hold 0 of 5 entries", "")
	})
	t.Run("and records of other names are left out", func(t *testing.T) {
		c, _ := dnsOf(t, func(string, map[string]string) string { return page(0, 2, 2) })
		all, err := c.Records(t.Context(), "example.com", "w")
		if err != nil || len(all) != 0 {
			t.Errorf("%v, %v", all, err)
		}
	})
}

func TestWeightsAreThoseOfTheNameAndTheLine(t *testing.T) {
	c, _ := dnsOf(t, func(string, map[string]string) string {
		return `{"TotalCount":3,"SlbSubDomains":{"SlbSubDomain":[
		 {"SubDomain":"www1.example.com","Type":"A","Open":true,"LineAlgorithms":{"LineAlgorithm":[{"Line":"default","Open":true}]}},
		 {"SubDomain":"www.example.com","Type":"AAAA","Open":true,"LineAlgorithms":{"LineAlgorithm":[{"Line":"telecom","Open":true},{"Line":"default","Open":false}]}},
		 {"SubDomain":"WWW.example.com","Type":"CNAME","Open":true,"LineAlgorithms":{"LineAlgorithm":[{"Line":"default","Open":"true"}]}}]}}`
	})
	open, err := c.Weighted(t.Context(), "example.com", "www", "default")
	expect.Nil(t, err)
	expect.Same(t, "open", map[string]bool{"AAAA": false, "CNAME": true}, open)
}

func TestARecordOfThisNameIsBusyWhileTheDNSChanges(t *testing.T) {
	s := slbtest.Start(t, slbtest.Options{PlainHTTP: true, Keys: []slbtest.Key{stsKey()}, Estate: slbtest.Estate{Zones: []slbtest.Zone{{
		Name: "example.com", Records: []slbtest.Record{{ID: "1", RR: "www", Type: "A", Value: "192.0.2.1"}},
	}}}})
	s.Inject(slbtest.Fault{Kind: slbtest.Refuse, Action: "DeleteDomainRecord", Times: 1, Code: "RecordForbidden.DNSChange"})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := aliyun.OpenDNS(at(s), newWorld(transport, stsKey()).Env)
	expect.Nil(t, err)
	t.Cleanup(c.Close)
	r := aliyun.DNSRecord{ID: "1", RR: "www", Type: "A", Value: "192.0.2.1"}
	expect.Nil(t, c.Delete(t.Context(), r))
	err = c.Delete(t.Context(), r)
	expect.Error(t, err, "DeleteDomainRecord www A 192.0.2.1 (record 1): DomainRecordNotBelongToUser", "")
	expect.Same(t, "class", aliyun.Invalid, aliyun.ClassOf(err))
	var env driver.Env
	if _, err := aliyun.OpenDNS(aliyun.Account{Region: "cn-hangzhou", Endpoint: "http://192.0.2.1"}, env); err == nil {
		t.Error("plain http to another machine")
	}
}

func FuzzRecords(f *testing.F) {
	f.Add([]byte(page(0, 2, 2)))
	f.Add([]byte(`{"TotalCount":"2","DomainRecords":{"Record":[{"RecordId":1,"TTL":"x"}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, sent := dnsOf(t, func(string, map[string]string) string { return string(body) })
		_, err := c.Records(t.Context(), "example.com", "www")
		if err == nil && len(*sent) == 0 {
			t.Error("nobody was asked")
		}
		if len(*sent) > 3 {
			t.Errorf("%d calls for answers that are all the same", len(*sent))
		}
	})
}
