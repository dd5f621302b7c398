package resolve_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/resolve/resolvetest"
	"github.com/flip-cli/flip/pkg/secret"
)

// kinds are the views of one server, each as it asks it.
func kinds(t *testing.T, s *resolvetest.Server) map[string]resolve.View {
	t.Helper()
	url := doh(t, s)
	return map[string]resolve.View{
		"authoritative": authority(t, s.Addr),
		"dns":           open(t, resolve.Config{DNS: []string{s.Addr}, Timeout: 2 * time.Second}, resolve.Env{}),
		"doh wire":      open(t, resolve.Config{DoH: secret.Ref(url), Timeout: 2 * time.Second}, resolve.Env{}),
		"doh json":      open(t, resolve.Config{DoH: secret.Ref(url), Format: "json", Timeout: 2 * time.Second}, resolve.Env{}),
	}
}

func TestEveryViewSeesTheRecordSet(t *testing.T) {
	for question, c := range map[string]struct {
		set  []string
		want []string
	}{
		"www.example.com A":       {[]string{"192.0.2.2", "192.0.2.1"}, []string{"192.0.2.1", "192.0.2.2"}},
		"www.example.com AAAA":    {[]string{"2001:db8:0:0::1"}, []string{"2001:db8::1"}},
		"www.example.com CNAME":   {[]string{"Shop.Example.NET."}, []string{"shop.example.net"}},
		"www.example.com MX":      {[]string{"20 mail2.example.com.", "10 mail.example.com."}, []string{"10 mail.example.com", "20 mail2.example.com"}},
		"www.example.com TXT":     {[]string{`"v=spf1 " "-all"`}, []string{"v=spf1 -all"}},
		"www.example.com NS":      {[]string{"NS1.example.com."}, []string{"ns1.example.com"}},
		"_sip._tcp.x.example SRV": {[]string{"1 2 5060 sip.example.com."}, []string{"1 2 5060 sip.example.com"}},
		"www.example.com CAA":     {[]string{`0 issue "ca.example"`}, []string{`0 issue "ca.example"`}},
	} {
		s := resolvetest.Start(t, "127.0.0.1")
		s.Set(question, 60, c.set...)
		q, err := resolve.ParseQuestion(question)
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range kinds(t, s) {
			if name == "authoritative" && q.Name != www.Name {
				continue
			}
			t.Run(question+" "+name, func(t *testing.T) {
				got := v.Look(t.Context(), q)[0]
				if diff := cmp.Diff(c.want, got.Values); diff != "" {
					t.Errorf("%s (-want +got):\n%s", got.Unknown, diff)
				}
				if got.MinTTL != time.Minute || got.MaxTTL != time.Minute {
					t.Errorf("ttl %s to %s, want a minute", got.MinTTL, got.MaxTTL)
				}
				for i, value := range c.set {
					if own, err := resolve.Canonical(q.Type, value); err != nil || !slices.Contains(c.want, own) {
						t.Errorf("value %d is canonical as %q (%v)", i, own, err)
					}
				}
			})
		}
	}
}

func TestAnEmptyAnswerIsAnAnswer(t *testing.T) {
	s := resolvetest.Start(t, "127.0.0.1")
	s.SetSOA(60, 5)
	s.Set("www.example.com AAAA", 60, "2001:db8::1")
	for name, v := range kinds(t, s) {
		t.Run(name, func(t *testing.T) {
			aa := name == "authoritative"
			sees(t, v, www, resolve.Answer{Empty: resolve.NoData, HasTTL: true, MinTTL: seconds(5), MaxTTL: seconds(5), Authoritative: aa || name != "doh json"})
		})
	}
	s.Set("www.example.com AAAA", 60)
	for name, v := range kinds(t, s) {
		t.Run(name+", no such name", func(t *testing.T) {
			sees(t, v, www, resolve.Answer{Empty: resolve.NXDomain, HasTTL: true, MinTTL: seconds(5), MaxTTL: seconds(5), Authoritative: name != "doh json"})
		})
	}
}

func TestAliasesAreFollowedAndTheirTTLsCount(t *testing.T) {
	s := resolvetest.Start(t, "127.0.0.1")
	s.Set("www.example.com CNAME", 300, "edge.example.com.")
	s.Set("edge.example.com CNAME", 60, "Node.example.com.")
	s.Set("node.example.com A", 20, "192.0.2.1")
	v := open(t, resolve.Config{DNS: []string{s.Addr}}, resolve.Env{})
	sees(t, v, www, resolve.Answer{
		Values: []string{"192.0.2.1"}, Alias: []string{"edge.example.com", "node.example.com"},
		HasTTL: true, MinTTL: seconds(20), MaxTTL: seconds(300), Authoritative: true,
	})
	s.Set("node.example.com A", 20)
	s.Set("node.example.com CNAME", 20, "www.example.com.")
	if got := v.Look(t.Context(), www)[0]; got.Known() {
		t.Errorf("a circle of aliases is the answer %v", got.Values)
	}
}

func TestWhatABlockedVantageSeesIsUnknownWithTheReason(t *testing.T) {
	for what, c := range map[string]struct {
		habit resolvetest.Habit
		only  string // views that this is about
		why   string
	}{
		"a server that fails":                      {resolvetest.Habit{Rcode: "SERVFAIL"}, "", "SERVFAIL"},
		"a server that says why":                   {resolvetest.Habit{Rcode: "SERVFAIL", Why: "no keys"}, "authoritative dns doh wire", "SERVFAIL (DNSSEC Bogus: no keys)"},
		"a server that refuses":                    {resolvetest.Habit{Rcode: "REFUSED"}, "", "REFUSED"},
		"a server that is silent":                  {resolvetest.Habit{Drop: -1}, "authoritative dns", "no answer within 2s"},
		"a server that answers something else":     {resolvetest.Habit{Other: true}, "authoritative dns doh wire", "another question"},
		"a server that says what it was asked":     {resolvetest.Habit{Echo: true}, "authoritative dns doh wire", "another question"},
		"a page in front of the server":            {resolvetest.Habit{ContentType: "text/html"}, "doh wire", `the answer is "text/html", not application/dns-message`},
		"a page in front of the JSON":              {resolvetest.Habit{Body: `{"Status":0,"Answer":[]}`, ContentType: "text/html; charset=utf-8"}, "doh json", `the answer is "text/html", not JSON`},
		"a name server without authority":          {resolvetest.Habit{Resolver: true}, "authoritative", "without authority"},
		"a resolver that refers":                   {resolvetest.Habit{Referral: true}, "dns doh wire", "refers to other servers"},
		"a web server that fails":                  {resolvetest.Habit{Status: 503}, "doh wire doh json", "status 503"},
		"a web server that redirects":              {resolvetest.Habit{Status: 302}, "doh wire doh json", "status 302"},
		"a web server that says nonsense":          {resolvetest.Habit{Body: "nonsense"}, "doh wire doh json", "not "},
		"a web server that never stops talking":    {resolvetest.Habit{Body: strings.Repeat("x", 70<<10)}, "doh wire doh json", "longer than 64 KiB"},
		"a web server that hides a record in text": {resolvetest.Habit{Body: `{"Status":0,"Answer":[{"name":"www.example.com. 5 IN A 192.0.2.9\n","type":1,"TTL":5,"data":"192.0.2.1"}]}`}, "doh json", "not the name of a record"},
		"JSON that says that it is cut off":        {resolvetest.Habit{Body: `{"Status":0,"TC":true,"Answer":[{"name":"www.example.com.","type":1,"TTL":5,"data":"192.0.2.1"}]}`}, "doh json", "cut off"},
		"JSON of a failure with an answer":         {resolvetest.Habit{Body: `{"Status":2,"Answer":[{"name":"www.example.com.","type":1,"TTL":5,"data":"192.0.2.1"}]}`}, "doh json", "SERVFAIL"},
		"JSON with an address that is none":        {resolvetest.Habit{Body: `{"Status":0,"Answer":[{"name":"www.example.com.","type":1,"TTL":5,"data":"192.0.2"}]}`}, "doh json", "not the data"},
		"an answer that is cut off":                {resolvetest.Habit{Truncate: true}, "doh wire", "cut off"},
		"JSON without a status":                    {resolvetest.Habit{Body: `{"Answer":[]}`}, "doh json", "no Status"},
	} {
		s := resolvetest.Start(t, "127.0.0.1")
		s.Set("www.example.com A", 60, "192.0.2.1")
		s.Behave(c.habit)
		for name, v := range kinds(t, s) {
			if c.only != "" && !strings.Contains(c.only, name) {
				continue
			}
			t.Run(what+", "+name, func(t *testing.T) {
				got := v.Look(t.Context(), www)
				if len(got) != 1 || !strings.Contains(got[0].Unknown, c.why) || len(got[0].Values) > 0 || got[0].NoRoute {
					t.Errorf("it sees %+v, want unknown: %s", got, c.why)
				}
			})
		}
	}
}

func TestAClosedPortIsUnknown(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	for name, v := range map[string]resolve.View{
		"authoritative": authority(t, addr),
		"dns":           open(t, resolve.Config{DNS: []string{addr}}, resolve.Env{}),
		"doh":           open(t, resolve.Config{DoH: secret.Ref("https://" + addr + "/dns-query")}, resolve.Env{}),
		"httpdns":       open(t, resolve.Config{HTTPDNS: &resolve.HTTPDNS{Clusters: []string{addr}}}, resolve.Env{}),
	} {
		if got := v.Look(t.Context(), www)[0]; !strings.Contains(got.Unknown, "connection refused") {
			t.Errorf("%s sees %+v", name, got)
		}
	}
}

func TestNameServersAreAskedWithoutRecursionAndResolversWithIt(t *testing.T) {
	one, two := resolvetest.Start(t, "127.0.0.1"), resolvetest.Start(t, "127.0.0.2")
	one.Set("www.example.com A", 60, "192.0.2.1")
	two.Set("www.example.com A", 60, "192.0.2.2") // a server that lags
	got := authority(t, one.Addr, two.Addr).Look(t.Context(), www)
	var seen [][]string
	for _, a := range got {
		seen = append(seen, append([]string{a.Vantage}, a.Values...))
	}
	if diff := cmp.Diff([][]string{{one.Addr, "192.0.2.1"}, {two.Addr, "192.0.2.2"}}, seen); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	open(t, resolve.Config{DNS: []string{one.Addr}, Samples: 3, Subnet: "203.0.113.7"}, resolve.Env{}).Look(t.Context(), www)
	queries := one.Queries()
	want := []resolvetest.Query{{Name: "www.example.com", Type: "A", Network: "udp"}}
	for range 3 {
		want = append(want, resolvetest.Query{Name: "www.example.com", Type: "A", Network: "udp", Recurse: true, Subnet: "203.0.113.7/32"})
	}
	for i := range queries {
		queries[i].ID = 0
	}
	if diff := cmp.Diff(want, queries); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
}

func TestATargetWithoutNameServersIsUnknown(t *testing.T) {
	failing := open(t, resolve.Config{Authoritative: "zone"}, resolve.Env{NameServers: func(context.Context, string, string) ([]string, error) {
		return nil, errors.New("the zone cannot be read")
	}})
	for want, v := range map[string]resolve.View{"which servers these are: the zone cannot be read": failing, "there are none": authority(t)} {
		if got := v.Look(t.Context(), www); len(got) != 1 || got[0].Unknown != want || got[0].View != "v" {
			t.Errorf("%+v, want %q", got, want)
		}
	}
}

func TestTheSystemViewAsksAsProgramsDo(t *testing.T) {
	s := resolvetest.Start(t, "127.0.0.1")
	s.Behave(resolvetest.Habit{Resolver: true})
	s.Set("www.example.com A", 60, "192.0.2.1")
	s.Set("www.example.com TXT", 60, `"a text"`)
	s.Set("www.example.com MX", 60, "10 mail.example.com.")
	env := resolve.Env{System: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Addr)
	}}}
	v := open(t, resolve.Config{System: true, Timeout: time.Second}, env)
	for kind, want := range map[string]resolve.Answer{
		"A":    {Values: []string{"192.0.2.1"}},
		"TXT":  {Values: []string{"a text"}},
		"MX":   {Values: []string{"10 mail.example.com"}},
		"AAAA": {Empty: resolve.Nothing},
		"NS":   {Empty: resolve.Nothing},
		"CAA":  {Unknown: "this machine's resolver is not asked for CAA records"},
	} {
		sees(t, v, resolve.Question{Name: www.Name, Type: kind}, want)
	}
	s.Behave(resolvetest.Habit{Resolver: true, Rcode: "SERVFAIL"})
	if got := v.Look(t.Context(), www)[0]; got.Known() {
		t.Errorf("a server that fails: %+v", got)
	}
}

func TestALookEndsWithItsContext(t *testing.T) {
	s := resolvetest.Start(t, "127.0.0.1")
	s.Behave(resolvetest.Habit{Drop: -1})
	v := open(t, resolve.Config{DNS: []string{s.Addr}, Samples: 40, Timeout: time.Hour}, resolve.Env{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		s.Await(16)
		cancel()
	}()
	got := v.Look(ctx, www)
	if len(got) != 40 || got[39].Unknown != "not asked to the end" {
		t.Errorf("%d answers, the last %+v", len(got), got[len(got)-1])
	}
	if n := len(s.Queries()); n > 40 {
		t.Errorf("%d queries", n)
	}
}
