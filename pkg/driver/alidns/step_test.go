package alidns_test

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver/alidns"
	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/state"
)

// TestAChangeIsARowOfStepsThatAddsBeforeItTakesAway: the calls, and what is
// stored in the end.
func TestAChangeIsARowOfStepsThatAddsBeforeItTakesAway(t *testing.T) {
	weighted := func(records ...slbtest.Record) slbtest.Zone {
		return slbtest.Zone{Records: records, Weighted: []string{"www A default"}}
	}
	tests := map[string]struct {
		zone          slbtest.Zone
		changes       []state.Change
		calls, stored []string
	}{
		"another value": {
			records(rec(a)),
			[]state.Change{values(list(a), list(b))},
			[]string{"AddDomainRecord 192.0.2.2 600", "DeleteDomainRecord"},
			[]string{"A 192.0.2.2 600"},
		},
		"a kept value is not touched": {
			records(rec(a), rec(b)),
			[]state.Change{values(list(a, b), list(b, c))},
			[]string{"AddDomainRecord 192.0.2.3 600", "DeleteDomainRecord"},
			[]string{"A 192.0.2.2 600", "A 192.0.2.3 600"},
		},
		"another TTL, of each record": {
			records(rec(a), rec(b)),
			[]state.Change{set(www, "ttl", "600", "1200")},
			[]string{"UpdateDomainRecord 192.0.2.1 1200", "UpdateDomainRecord 192.0.2.2 1200"},
			[]string{"A 192.0.2.1 1200", "A 192.0.2.2 1200"},
		},
		"switching off": {
			records(rec(a), rec(b)),
			[]state.Change{set(www, "disabled", list(), list(a)), values(list(a, b), list(b))},
			[]string{"SetDomainRecordStatus Disable"},
			[]string{"A 192.0.2.1 600 off", "A 192.0.2.2 600"},
		},
		"switching over to one that was off, with a new TTL": {
			records(rec(a), rec(b, off)),
			[]state.Change{set(www, "disabled", list(b), list(a)), set(www, "ttl", "600", "1200"), values(list(a), list(b))},
			[]string{"SetDomainRecordStatus Enable", "UpdateDomainRecord 192.0.2.1 1200", "UpdateDomainRecord 192.0.2.2 1200", "SetDomainRecordStatus Disable"},
			[]string{"A 192.0.2.1 1200 off", "A 192.0.2.2 1200"},
		},
		"a first share is small: the old value is weighed before the new one comes": {
			records(rec(a)),
			[]state.Change{values(list(a), list(a, b)), set(www, "weights", list(), list(a+"=99", b+"=1"))},
			[]string{"SetDNSSLBStatus true", "UpdateDNSSLBWeight 99", "AddDomainRecord 192.0.2.2 600"},
			[]string{"A 192.0.2.1 600 x99", "A 192.0.2.2 600 x1"},
		},
		"shares move: raised before they are lowered": {
			weighted(rec(a, weight(80)), rec(b, weight(20))),
			[]state.Change{set(www, "weights", list(a+"=80", b+"=20"), list(a+"=10", b+"=90"))},
			[]string{"UpdateDNSSLBWeight 90", "UpdateDNSSLBWeight 10"},
			[]string{"A 192.0.2.1 600 x10", "A 192.0.2.2 600 x90"},
		},
		"the old value goes, then weights end": {
			weighted(rec(a, weight(1)), rec(b, weight(99))),
			[]state.Change{values(list(a, b), list(b)), set(www, "weights", list(a+"=1", b+"=99"), list())},
			[]string{"DeleteDomainRecord", "SetDNSSLBStatus false"},
			[]string{"A 192.0.2.2 600"},
		},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			l := newLab(t, world{zone: test.zone})
			before := l.stored()
			expect.Nil(t, l.Apply(t.Context(), test.changes))
			expect.Same(t, "calls", test.calls, l.writes())
			expect.Same(t, "stored", test.stored, l.stored())
			expect.Nil(t, l.Apply(t.Context(), test.changes))
			expect.Same(t, "calls after applying again", len(test.calls), len(l.writes()))
			expect.Nil(t, l.Settle(t.Context(), test.changes))
			var back []state.Change
			for _, c := range test.changes {
				back = append(back, c.Inverse())
			}
			expect.Nil(t, l.Apply(t.Context(), back))
			expect.Same(t, "stored after the way back", before, l.stored())
			expect.Nil(t, l.Settle(t.Context(), back))
		})
	}
}

func TestAnUpdateSendsAllOfTheRecord(t *testing.T) {
	mx := slbtest.Record{RR: "www", Type: "MX", Value: "mail.example.com", Priority: 20, TTL: 600, Line: "telecom", Remark: "keep"}
	l := newLab(t, world{zone: records(mx), edit: func(c *alidns.Config) { c.Line, c.Records = "telecom", nil }})
	expect.Nil(t, l.Apply(t.Context(), []state.Change{set("www.example.com MX", "ttl", "600", "3600")}))
	got := l.Records("example.com")[0]
	want := mx
	want.ID, want.TTL, want.Weight = got.ID, 3600, got.Weight
	expect.Same(t, "record", want, got)
}

func TestACNAMEIsReplacedInItsPlace(t *testing.T) {
	const alias = "www.example.com CNAME"
	l := newLab(t, world{zone: records(slbtest.Record{RR: "www", Type: "CNAME", Value: "one.example.net", TTL: 600})})
	expect.Nil(t, l.Apply(t.Context(), []state.Change{set(alias, "values", list("one.example.net"), list("two.example.net"))}))
	expect.Same(t, "calls", []string{"UpdateDomainRecord two.example.net 600"}, l.writes())
	expect.Error(t, l.Apply(t.Context(), []state.Change{
		set(alias, "values", list("two.example.net"), list("three.example.net")), set(alias, "disabled", list(), list("two.example.net")),
	}), "a CNAME cannot be switched off for another one", "takes the place")
	expect.Error(t, l.Apply(t.Context(), []state.Change{set(www, "values", "", list(a))}), "a CNAME stands alone", "")
}

func TestNameServersAnswerWithWhatWasSet(t *testing.T) {
	l := newLab(t, world{options: slbtest.Options{NameServers: 2}, zone: records(rec(a), rec(b))})
	expect.Same(t, "before", []string{a, b}, l.answers(t, dns.TypeA))
	offNow := []state.Change{values(list(a, b), list(b)), set(www, "disabled", list(), list(a))}
	expect.Nil(t, l.Apply(t.Context(), offNow))
	expect.Nil(t, l.Settle(t.Context(), offNow))
	expect.Same(t, "switched off", []string{b}, l.answers(t, dns.TypeA))
	on := []state.Change{
		values(list(b), list(a, b)), set(www, "disabled", list(a), list()), set(www, "weights", list(), list(a+"=50", b+"=50")),
	}
	expect.Nil(t, l.Apply(t.Context(), on))
	expect.Nil(t, l.Settle(t.Context(), on))
	seen := map[string]int{}
	for range 40 {
		for _, v := range l.answers(t, dns.TypeA) {
			seen[v]++
		}
	}
	expect.Same(t, "answers at 50:50", map[string]int{a: 20, b: 20}, seen)
	expect.Nil(t, l.Resolvable(t.Context(), www))
}
