package resolve_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver/dnstest"
	"github.com/flip-cli/flip/pkg/resolve"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// zone is what the real servers of these tests serve.
var zone = dnstest.Zone{Minimum: 2, Records: []string{
	"www 60 IN A 192.0.2.1", "www 60 IN A 192.0.2.2",
	"shop 300 IN CNAME www", "away 300 IN CNAME www.example.net.",
	`@ 60 IN TXT "v=spf1 -all"`,
}}

// summary is an answer on one line.
func summary(a resolve.Answer) string {
	text := fmt.Sprintf("%s%s%s", strings.Join(a.Values, " "), a.Empty, a.Unknown)
	if len(a.Alias) > 0 {
		text += " by " + strings.Join(a.Alias, " ")
	}
	if a.Authoritative {
		text += " aa"
	}
	return text
}

func TestRealNameServersAreSeenWithAuthority(t *testing.T) {
	primary, secondary := dnstest.Pair(t, zone)
	for question, want := range map[string]string{
		"www.example.com A":    "192.0.2.1 192.0.2.2 aa",
		"www.example.com AAAA": "NODATA aa",
		"none.example.com A":   "NXDOMAIN aa",
		"shop.example.com A":   "192.0.2.1 192.0.2.2 by www.example.com aa",
		"away.example.com A":   "the name is an alias of www.example.net, which it does not serve",
		"example.com TXT":      "v=spf1 -all aa",
		"example.com NS":       "ns1.example.com aa",
		"www.example.org A":    "REFUSED",
	} {
		q, err := resolve.ParseQuestion(question)
		if err != nil {
			t.Fatal(err)
		}
		got := authorityFor(t, q.Name, primary.Addr(), secondary.Addr()).Look(t.Context(), q)
		for _, a := range got {
			if text := summary(a); text != want && (want != "REFUSED" || !strings.HasPrefix(text, want)) {
				t.Errorf("%s at %s: %s, want %s", question, a.Vantage, text, want)
			}
		}
	}
	secondary.Stop()
	got := authorityFor(t, www.Name, primary.Addr(), secondary.Addr()).Look(t.Context(), www)
	if !got[0].Known() || got[1].Unknown != "connection refused" {
		t.Errorf("with one server down: %s; %s", summary(got[0]), summary(got[1]))
	}
}

func TestARealServerThatHangsIsUnknown(t *testing.T) {
	s := dnstest.BIND(t, zone)
	s.Freeze(t)
	got := authorityFor(t, www.Name, s.Addr()).Look(t.Context(), www)[0]
	if got.Unknown != "no answer within 2s" {
		t.Errorf("it sees %s", summary(got))
	}
}

func TestARealResolverCountsDownAndIsAskedOnlyInALook(t *testing.T) {
	bind := dnstest.BIND(t, zone)
	for name, resolver := range map[string]*dnstest.Server{"unbound": dnstest.Unbound(t, bind), "dnsmasq": dnstest.Dnsmasq(t, bind)} {
		t.Run(name, func(t *testing.T) {
			v := open(t, resolve.Config{DNS: []string{resolver.Addr()}, Samples: 4}, resolve.Env{})
			bind.Set(t, "www.example.com", "A", 2, "192.0.2.1")
			rule := resolve.Rule{Expect: must(resolve.Expectation{Not: []string{"192.0.2.1"}, Has: []string{"192.0.2.2"}}.For(www))}
			answers := v.Look(t.Context(), www)
			for _, a := range answers {
				if a.MaxTTL > 2*time.Second || !slices.Equal(a.Values, []string{"192.0.2.1"}) {
					t.Errorf("first look: %s (ttl %s)", summary(a), a.MaxTTL)
				}
			}
			bind.Set(t, "www.example.com", "A", 2, "192.0.2.2")
			if got := rule.Judge(v.Look(t.Context(), www)).Decision; got != resolve.Fail {
				t.Errorf("while the cache has the old answer the verdict is %s", got)
			}
			resolver.Wait(t, func() error {
				if verdict := rule.Judge(v.Look(t.Context(), www)); verdict.Decision != resolve.Pass {
					return errors.New(verdict.String())
				}
				return nil
			})
		})
	}
}

func TestARealServerOverHTTPSIsSeen(t *testing.T) {
	bind := dnstest.BIND(t, zone, dnstest.DoH())
	c := resolve.Config{DoH: secret.Ref(bind.URL()), TLS: trust.TLS{CA: bind.CA()}, Samples: 2}
	for _, a := range open(t, c, resolve.Env{}).Look(t.Context(), www) {
		if diff := cmp.Diff([]string{"192.0.2.1", "192.0.2.2"}, a.Values); diff != "" || a.MaxTTL != time.Minute {
			t.Errorf("%s (ttl %s) (-want +got):\n%s", summary(a), a.MaxTTL, diff)
		}
	}
	c.TLS = trust.TLS{}
	if got := open(t, c, resolve.Env{}).Look(t.Context(), www)[0]; !strings.Contains(got.Unknown, "certificate") {
		t.Errorf("an authority that nobody trusts: %s", summary(got))
	}
}

func TestARealServerThatIsNoResolverSaysSo(t *testing.T) {
	bind := dnstest.BIND(t, zone)
	got := open(t, resolve.Config{DNS: []string{bind.Addr()}}, resolve.Env{}).Look(t.Context(), resolve.Question{Name: "www.example.org", Type: "A"})[0]
	if !strings.HasPrefix(got.Unknown, "REFUSED") {
		t.Errorf("it sees %s", summary(got))
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
