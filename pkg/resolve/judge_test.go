package resolve_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/resolve"
)

// said is a known answer with a TTL of 37 s.
func said(view string, values ...string) resolve.Answer {
	return resolve.Answer{View: view, Vantage: "x", Values: values, HasTTL: true, MinTTL: seconds(7), MaxTTL: seconds(37)}
}

func blind(view, why string) resolve.Answer {
	return resolve.Answer{View: view, Vantage: "10.0.0.2:53", Unknown: why}
}

func noRoute(view string) resolve.Answer {
	return resolve.Answer{View: view, Vantage: "[2001:db8::1]:53", Unknown: "network is unreachable", NoRoute: true}
}

func missing(view string) resolve.Answer { return resolve.Answer{View: view, Empty: resolve.NXDomain} }

func TestAnAnswerIsJudgedByWhatIsExpected(t *testing.T) {
	const a, b, c = "192.0.2.1", "192.0.2.2", "198.51.100.9"
	within := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for what, c := range map[string]struct {
		expect resolve.Expectation
		answer resolve.Answer
		why    string
	}{
		"the set, in any order":            {resolve.Expectation{Set: []string{b, a}}, said("v", a, b), ""},
		"the set and an old value":         {resolve.Expectation{Set: []string{b}}, said("v", a, b), "still 192.0.2.1 (ttl 37)"},
		"the old value only":               {resolve.Expectation{Set: []string{b}}, said("v", a), "still 192.0.2.1 (ttl 37)"},
		"a part of the set":                {resolve.Expectation{Set: []string{a, b}}, said("v", a), "without 192.0.2.2 (ttl 37)"},
		"nothing instead of the set":       {resolve.Expectation{Set: []string{a}}, missing("v"), "no such name"},
		"nothing, as expected":             {resolve.Expectation{Set: []string{}}, missing("v"), ""},
		"something instead of nothing":     {resolve.Expectation{Set: []string{}}, said("v", a), "still 192.0.2.1 (ttl 37)"},
		"has it among others":              {resolve.Expectation{Has: []string{b}}, said("v", a, b), ""},
		"has it not":                       {resolve.Expectation{Has: []string{b}}, said("v", a), "without 192.0.2.2 (ttl 37)"},
		"free of the old one":              {resolve.Expectation{Not: []string{a}}, said("v", b), ""},
		"free of it because it is empty":   {resolve.Expectation{Not: []string{a}}, missing("v"), ""},
		"not free of it":                   {resolve.Expectation{Not: []string{a}}, said("v", a, b), "still 192.0.2.1 (ttl 37)"},
		"within":                           {resolve.Expectation{Within: within}, said("v", a, b), ""},
		"partly outside":                   {resolve.Expectation{Within: within}, said("v", a, c), "198.51.100.9 outside 192.0.2.0/24 (ttl 37)"},
		"nothing is not within":            {resolve.Expectation{Within: within}, missing("v"), "no such name"},
		"changed":                          {resolve.Expectation{Changed: []string{a}}, said("v", b), ""},
		"changed by one more":              {resolve.Expectation{Changed: []string{a}}, said("v", a, b), ""},
		"unchanged":                        {resolve.Expectation{Changed: []string{a}}, said("v", a), "unchanged 192.0.2.1 (ttl 37)"},
		"gone is not changed":              {resolve.Expectation{Changed: []string{a}}, missing("v"), "no such name"},
		"all that is given must hold":      {resolve.Expectation{Has: []string{b}, Not: []string{a}}, said("v", a, b), "still 192.0.2.1 (ttl 37)"},
		"values are compared in one form":  {resolve.Expectation{Set: []string{"192.0.2.1 "}}, said("v", a), ""},
		"a set that is written out longer": {resolve.Expectation{Set: []string{a, a}}, said("v", a), ""},
	} {
		e, err := c.expect.For(www)
		if err != nil {
			t.Fatal(err)
		}
		if ok, why := e.Judge(c.answer); why != c.why || ok != (c.why == "") {
			t.Errorf("%s: %t %q, want %q", what, ok, why, c.why)
		}
	}
}

func TestWhatNoAnswerCanBeIsRefused(t *testing.T) {
	mx := resolve.Question{Name: "example.com", Type: "MX"}
	for what, err := range map[string]error{
		"nothing":              second(resolve.Expectation{}.For(www)),
		"a name for A":         second(resolve.Expectation{Set: []string{"www.example.net"}}.For(www)),
		"IPv6 for A":           second(resolve.Expectation{Has: []string{"2001:db8::1"}}.For(www)),
		"an empty value":       second(resolve.Expectation{Not: []string{""}}.For(www)),
		"a network for MX":     second(resolve.Expectation{Within: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}.For(mx)),
		"a value with a line":  second(resolve.Expectation{Set: []string{"192.0.2.1\n"}}.For(mx)),
		"a value with comment": second(resolve.Expectation{Set: []string{"192.0.2.1 ; x"}}.For(www)),
	} {
		if err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestAViewDecidesByItsQuorum(t *testing.T) {
	old, now := said("isp", "192.0.2.1"), said("isp", "192.0.2.2")
	auth := said("auth", "192.0.2.2")
	silent, v6 := blind("isp", "no answer within 5s"), noRoute("auth")
	for what, c := range map[string]struct {
		quorum, unknown string
		answers         []resolve.Answer
		want            string // decision: text
	}{
		"all see it":                                    {"all", "wait", []resolve.Answer{auth, auth, now}, "pass: auth 2/2, isp 1/1"},
		"one of five still sees the old":                {"all", "wait", []resolve.Answer{auth, old, now, now, now, now}, "fail: auth 1/1, isp 1/5 still 192.0.2.1 (ttl 37)"},
		"four of five suffice":                          {"80%", "wait", []resolve.Answer{auth, old, now, now, now, now}, "pass: auth 1/1, isp 1/5 still 192.0.2.1 (ttl 37)"},
		"three of five do not":                          {"80%", "wait", []resolve.Answer{old, old, now, now, now}, "fail: isp 2/5 still 192.0.2.1 (ttl 37)"},
		"a number suffices":                             {"2", "wait", []resolve.Answer{old, now, now}, "pass: isp 1/3 still 192.0.2.1 (ttl 37)"},
		"a smaller number does not":                     {"2", "wait", []resolve.Answer{old, old, now}, "fail: isp 2/3 still 192.0.2.1 (ttl 37)"},
		"a view with fewer needs all":                   {"2", "wait", []resolve.Answer{said("auth", "192.0.2.1"), now, now}, "fail: auth 1/1 still 192.0.2.1 (ttl 37), isp 2/2"},
		"many samples do not outvote a name server":     {"90%", "wait", []resolve.Answer{said("auth", "192.0.2.1"), now, now, now, now, now, now, now, now, now, now}, "fail: auth 1/1 still 192.0.2.1 (ttl 37), isp 10/10"},
		"a silent one decides nothing":                  {"all", "wait", []resolve.Answer{auth, silent, now}, "undecided: auth 1/1, isp 1/2, 1 unknown: 10.0.0.2:53: no answer within 5s"},
		"a silent one is not needed":                    {"50%", "wait", []resolve.Answer{silent, now}, "pass: isp 1/2, 1 unknown: 10.0.0.2:53: no answer within 5s"},
		"a silent one cannot help":                      {"all", "wait", []resolve.Answer{silent, old}, "fail: isp 1/2 still 192.0.2.1 (ttl 37)"},
		"a silent view decides nothing":                 {"all", "wait", []resolve.Answer{auth, silent}, "undecided: auth 1/1, isp unknown: 10.0.0.2:53: no answer within 5s"},
		"a silent view is ignored where asked":          {"all", "ignore", []resolve.Answer{auth, silent}, "pass: auth 1/1, isp unknown: 10.0.0.2:53: no answer within 5s"},
		"a silent view fails where asked":               {"all", "fail", []resolve.Answer{auth, silent}, "fail: auth 1/1, isp unknown: 10.0.0.2:53: no answer within 5s"},
		"nobody answers, and that is ignored":           {"all", "ignore", []resolve.Answer{silent}, "unseen: isp unknown: 10.0.0.2:53: no answer within 5s"},
		"nobody answers":                                {"all", "wait", []resolve.Answer{silent, silent}, "unseen: isp unknown: 10.0.0.2:53: no answer within 5s"},
		"no IPv6 here says nothing":                     {"all", "wait", []resolve.Answer{auth, v6}, "pass: auth 1/1 (1 without a route from here)"},
		"nor does it where unknown fails":               {"all", "fail", []resolve.Answer{auth, v6}, "pass: auth 1/1 (1 without a route from here)"},
		"but no route at all is no pass":                {"all", "wait", []resolve.Answer{v6}, "unseen: auth unknown: [2001:db8::1]:53: network is unreachable"},
		"and no route at all is no pass where it fails": {"all", "fail", []resolve.Answer{v6, now}, "fail: auth unknown: [2001:db8::1]:53: network is unreachable, isp 1/1"},
	} {
		t.Run(what, func(t *testing.T) {
			expect, err := resolve.Expectation{Set: []string{"192.0.2.2"}}.For(www)
			if err != nil {
				t.Fatal(err)
			}
			r := resolve.Rule{Expect: expect}
			if err := r.Quorum.UnmarshalText([]byte(c.quorum)); err != nil {
				t.Fatal(err)
			}
			if err := r.Unknown.UnmarshalText([]byte(c.unknown)); err != nil {
				t.Fatal(err)
			}
			v := r.Judge(c.answers)
			if diff := cmp.Diff(c.want, v.Decision.String()+": "+v.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if v := (resolve.Rule{}).Judge(nil); v.Decision == resolve.Pass {
		t.Error("no answers at all are a pass")
	}
}

func TestWordsThatMeanNothingAreRefused(t *testing.T) {
	for _, word := range []string{"", "0", "-1", "0%", "101%", "some", "1.5"} {
		var q resolve.Quorum
		if err := q.UnmarshalText([]byte(word)); err == nil {
			t.Errorf("quorum %q is %s", word, q)
		}
	}
	for _, word := range []string{"all", "3", "90%", "99.5%"} {
		var q resolve.Quorum
		if err := q.UnmarshalText([]byte(word)); err != nil || q.String() != word {
			t.Errorf("quorum %q is %s, %v", word, q, err)
		}
	}
	var u resolve.OnUnknown
	if err := u.UnmarshalText([]byte("pass")); err == nil {
		t.Error("an unknown answer can be made a pass")
	}
}

func TestQuestionsAreReadAndRefused(t *testing.T) {
	for text, want := range map[string]string{
		"www.example.com": "www.example.com A", "WWW.Example.COM. aaaa": "www.example.com AAAA",
		"_sip._tcp.example.com SRV": "_sip._tcp.example.com SRV", "*.example.com": "*.example.com A",
		"bücher.example": "xn--bcher-kva.example A", "10.2.0.192.in-addr.arpa PTR": "10.2.0.192.in-addr.arpa PTR",
	} {
		if q, err := resolve.ParseQuestion(text); err != nil || q.String() != want {
			t.Errorf("%q is %s, %v", text, q, err)
		}
	}
	for _, text := range []string{"", "a b c", "www.example.com ANY", "www.example.com AXFR", "www..example.com", ".", "https://example.com", "www.example.com:53", strings.Repeat("a", 64) + ".com"} {
		if q, err := resolve.ParseQuestion(text); err == nil {
			t.Errorf("%q is %s", text, q)
		}
	}
}
