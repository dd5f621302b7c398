package gate_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/resolve"
)

// place is a view whose answers the test decides.
type place struct {
	name  string
	looks int
	see   func(q resolve.Question) []resolve.Answer
}

func (p *place) Look(_ context.Context, q resolve.Question) []resolve.Answer {
	p.looks++
	answers := p.see(q)
	for i := range answers {
		answers[i].View, answers[i].Vantage = p.name, "10.0.0.2:53"
	}
	return answers
}

// seen is one answer with a TTL in seconds.
func seen(ttl int, values ...string) resolve.Answer {
	d := time.Duration(ttl) * time.Second
	return resolve.Answer{Values: values, HasTTL: true, MinTTL: d, MaxTTL: d}
}

// lookup makes a resolve gate from its block, over these places.
func lookup(t *testing.T, block string, places ...*place) gate.Gate {
	t.Helper()
	g, err := gate.Resolve().Build(decoder(t, block), gate.Env{Views: func(names []string) ([]resolve.View, error) {
		var views []resolve.View
		for _, p := range places {
			for _, name := range names {
				if name == p.name {
					views = append(views, p)
				}
			}
			if len(names) == 0 {
				views = append(views, p)
			}
		}
		return views, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// decoder is the block of a gate as a plan decodes it.
func decoder(t *testing.T, block string) func(any) error {
	t.Helper()
	p, err := plan.Load([]byte("flip: 1\nname: n\nviews: {auth: {system: true}, isp: {system: true}}\ngates: {g: {resolve: "+block+"}}\nsteps: [{id: a, gate: g}]\n"), plan.Options{File: "p.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	return func(out any) error { return p.Gates[0].Config.Decode(out, plan.Scope{}) }
}

func TestANameResolvesAsExpectedFromEveryPlace(t *testing.T) {
	const old, now = "192.0.2.1", "192.0.2.2"
	auth := &place{name: "auth", see: func(q resolve.Question) []resolve.Answer {
		if q.String() != "www.example.com A" {
			t.Errorf("asked for %s", q)
		}
		return []resolve.Answer{seen(60, now), seen(60, now)}
	}}
	isp := &place{name: "isp"}
	for what, c := range map[string]struct {
		block string
		isp   []resolve.Answer
		want  string
	}{
		"all see the new set":           {`{name: www.example.com A, set: 192.0.2.2}`, []resolve.Answer{seen(9, now)}, "pass auth 2/2, isp 1/1"},
		"a resolver still has the old":  {`{name: www.example.com, type: a, set: 192.0.2.2}`, []resolve.Answer{seen(37, old), seen(9, now)}, "no auth 2/2, isp 1/2 still 192.0.2.1 (ttl 37)"},
		"a share suffices":              {`{name: www.example.com, not: 192.0.2.1, quorum: 50%}`, []resolve.Answer{seen(37, old), seen(9, now)}, "pass auth 2/2, isp 1/2 still 192.0.2.1 (ttl 37)"},
		"a silent resolver is no pass":  {`{name: www.example.com, set: 192.0.2.2}`, []resolve.Answer{{Unknown: "no answer within 5s"}}, "undecided auth 2/2, isp unknown: 10.0.0.2:53: no answer within 5s"},
		"but it may be ignored":         {`{name: www.example.com, set: 192.0.2.2, unknown: ignore}`, []resolve.Answer{{Unknown: "REFUSED"}}, "pass auth 2/2, isp unknown: 10.0.0.2:53: REFUSED"},
		"or fail":                       {`{name: www.example.com, set: 192.0.2.2, unknown: fail}`, []resolve.Answer{{Unknown: "REFUSED"}}, "no auth 2/2, isp unknown: 10.0.0.2:53: REFUSED"},
		"only some places are asked":    {`{name: www.example.com, set: 192.0.2.2, from: auth}`, nil, "pass auth 2/2"},
		"nobody answers":                {`{name: www.example.com, set: 192.0.2.2, from: isp}`, []resolve.Answer{{Unknown: "SERVFAIL"}}, "could not look: isp unknown: 10.0.0.2:53: SERVFAIL"},
		"the name is gone, as expected": {`{name: www.example.com, set: [], from: isp}`, []resolve.Answer{{Empty: resolve.NXDomain}}, "pass isp 1/1"},
	} {
		t.Run(what, func(t *testing.T) {
			isp.see = func(resolve.Question) []resolve.Answer { return append([]resolve.Answer(nil), c.isp...) }
			res, err := lookup(t, c.block, auth, isp).Check(t.Context())
			got := map[bool]string{true: "pass ", false: "no "}[res.Pass] + res.Detail
			if res.Undecided {
				got = "undecided " + res.Detail
			}
			if err != nil {
				got = "could not look: " + err.Error()
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAnswerMustHoldForItsTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		isp := &place{name: "isp", see: func(resolve.Question) []resolve.Answer {
			at := time.Since(start)
			switch {
			case at < 10*time.Second: // an old answer, counted down
				return []resolve.Answer{seen(10-int(at.Seconds()), "192.0.2.1")}
			case at >= 40*time.Second && at < 45*time.Second: // another cache of the same resolver
				return []resolve.Answer{seen(5, "192.0.2.1")}
			}
			return []resolve.Answer{seen(60-int(at.Seconds())%60, "192.0.2.2")}
		}}
		g := lookup(t, `{name: www.example.com, not: 192.0.2.1, stable: 1ttl}`, isp)
		var texts []string
		observe := func(l gate.Look) { texts = append(texts, l.Result.Detail) }
		err := gate.Wait(t.Context(), []gate.Named{{Name: "seen", Gate: g, Policy: gate.Policy{Every: 5 * time.Second, Timeout: 5 * time.Minute}}}, observe)
		if err != nil {
			t.Fatal(err)
		}
		// From 45 s on it is new; the longest TTL seen since is the 60 s of second 60.
		if got := time.Since(start); got != 105*time.Second {
			t.Errorf("it passed after %s, want 1m45s:\n%s", got, strings.Join(texts, "\n"))
		}
		if !strings.Contains(texts[2], "so for 0s of 50s") {
			t.Errorf("the third look says %q", texts[2])
		}
	})
}

func TestPassesInARowMayBeAskedForInTheGateItself(t *testing.T) {
	isp := &place{name: "isp"}
	g := lookup(t, `{name: www.example.com, has: 192.0.2.2, stable: 3}`, isp)
	var got []bool
	for _, value := range []string{"192.0.2.2", "192.0.2.2", "192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.2"} {
		isp.see = func(resolve.Question) []resolve.Answer { return []resolve.Answer{seen(60, value)} }
		res, err := g.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, res.Pass)
	}
	if diff := cmp.Diff([]bool{false, false, false, false, false, true}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNothingIsAskedBeforeTheFirstLook(t *testing.T) {
	isp := &place{name: "isp", see: func(resolve.Question) []resolve.Answer { return []resolve.Answer{seen(60, "192.0.2.2")} }}
	g := lookup(t, `{name: www.example.com, has: 192.0.2.2}`, isp)
	if isp.looks != 0 {
		t.Errorf("%d looks while the gate was made: they fill caches", isp.looks)
	}
	if _, err := g.Check(t.Context()); err != nil || isp.looks != 1 {
		t.Errorf("%d looks in the first, %v", isp.looks, err)
	}
}

func TestTTLsThatNobodyTellsCannotBeWaitedFor(t *testing.T) {
	here := &place{name: "isp", see: func(resolve.Question) []resolve.Answer { return []resolve.Answer{{Values: []string{"192.0.2.2"}}} }}
	_, err := lookup(t, `{name: www.example.com, has: 192.0.2.2, stable: 1ttl}`, here).Check(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no view tells a TTL") {
		t.Errorf("it ends with %v", err)
	}
}

func TestWhatIsWrongWithAResolveGateIsSaid(t *testing.T) {
	for block, want := range map[string]string{
		`{name: www.example.com}`:                                        "nothing is expected",
		`{set: 192.0.2.1}`:                                               `"name" is missing`,
		`{name: "www example com A", set: 192.0.2.1}`:                    "not a name and a type",
		`{name: www.example.com ANY, set: 192.0.2.1}`:                    "not a record type",
		`{name: www.example.com, set: "2001:db8::1"}`:                    "not a value of a record of type A",
		`{name: www.example.com, within: 10.0.0.0}`:                      "no '/'",
		`{name: www.example.com TXT, within: 10.0.0.0/8}`:                "no addresses",
		`{name: www.example.com, set: 192.0.2.1, quorum: most}`:          "not a quorum",
		`{name: www.example.com, set: 192.0.2.1, unknown: pass}`:         "what unknown answers mean",
		`{name: www.example.com, set: 192.0.2.1, stable: long}`:          "does not say how long",
		`{name: www.example.com, set: 192.0.2.1, stable: 0ttl}`:          "does not say how long",
		`{name: www.example.com, expect: {set: 192.0.2.1}, changed: []}`: `unknown key "expect"`,
	} {
		if err := gate.Resolve().Check(decoder(t, block)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", block, err, want)
		}
	}
}

func TestAResolveGateNeedsViews(t *testing.T) {
	g, err := gate.Resolve().Build(decoder(t, `{name: www.example.com, set: 192.0.2.1}`), gate.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Check(t.Context()); err == nil {
		t.Error("without views it looks")
	}
}
