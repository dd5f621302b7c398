package adguard_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/internal/expect"
	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/adguard"
	"github.com/flip-cli/flip/pkg/driver/adguard/adguardtest"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/state"
)

// first is what a client uses that takes the first answer.
func first(t *testing.T, l lab) string {
	t.Helper()
	answer, err := wire.Client{}.Resolve(t.Context(), l.DNSAddress(), host, "A")
	expect.Nil(t, err)
	if len(answer.Records) == 0 {
		return ""
	}
	return answer.Records[0].Value
}

// TestFirstAnswerClientsMoveWithTheOrder: the server does not rotate, so these
// clients are all on A or all on B, and the order says where.
func TestFirstAnswerClientsMoveWithTheOrder(t *testing.T) {
	for name, test := range map[string]struct {
		both state.Value
		want []string // the first answer of three look-ups
	}{
		"the new one last: nobody moves":  {seq(a, b), []string{a, a, a}},
		"the new one first: all move":     {seq(b, a), []string{b, b, b}},
		"the new one alone: all move too": {seq(b), []string{b, b, b}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, adguardtest.Options{}, nil, a)
			change := values(seq(a), test.both)
			expect.Nil(t, l.Apply(t.Context(), change))
			expect.Nil(t, l.Settle(t.Context(), change))
			var got []string
			for range 3 {
				got = append(got, first(t, l))
			}
			expect.Same(t, "first answers", test.want, got)
		})
	}
}

func TestTheOrderOfBeforeComesBack(t *testing.T) {
	for name, before := range map[string][]string{
		"sorted":            {a, b, c},
		"not sorted":        {c, a, b},
		"written otherwise": {b, c, a},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, adguardtest.Options{}, nil, before...)
			for _, to := range []state.Value{seq(a), seq("192.0.2.9"), seq("192.0.2.9", a, c)} {
				there := values(seq(before...), to)
				expect.Nil(t, l.Apply(t.Context(), there))
				expect.Same(t, "there", to.List(), l.Answers(host))
				expect.Nil(t, l.Apply(t.Context(), []state.Change{there[0].Inverse()}))
				expect.Same(t, "back", rowsOf(before...), l.Rows())
			}
		})
	}
}

func TestASetThatTheServerWroteItsOwnWay(t *testing.T) {
	t.Run("duplicates are shown, and gone after a change", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, nil, a, b, a)
		o := l.see(t).Objects[www]
		expect.Same(t, "values", seq(a, b), o.Attrs["values"])
		if !strings.Contains(o.Info["note"], "listed twice") {
			t.Errorf("note %q", o.Info["note"])
		}
		expect.Nil(t, l.Apply(t.Context(), values(seq(a, b), seq(a, b, c))))
		expect.Same(t, "rows", rowsOf(a, b, c), slices.Clone(l.Rows()))
	})
	t.Run("the only answer twice is never none", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, nil, a, a)
		expect.Nil(t, l.Apply(t.Context(), values(seq(a), seq(a))))
		expect.Same(t, "rows", rowsOf(a), l.Rows())
		expect.Same(t, "what was put aside", 0, len(l.retired()))
	})
	t.Run("an address in capitals is found by its text", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, nil, "2001:DB8::1")
		expect.Nil(t, l.Apply(t.Context(), []state.Change{set(v6, "values", seq("2001:db8::1"), seq("2001:db8::2", "2001:db8::3"))}))
		expect.Same(t, "rows", rowsOf("2001:db8::2", "2001:db8::3"), l.Rows())
	})
	t.Run("disabled rows are shown and stay", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, nil)
		off := row{Domain: host, Answer: c, Disabled: true}
		l.Set(off, row{Domain: host, Answer: a}, row{Domain: "off.example.com", Answer: a, Disabled: true})
		s := l.see(t)
		expect.Same(t, "www", map[string]state.Value{"values": seq(a), "ttl": "10", "disabled": seq(c)}, s.Objects[www].Attrs)
		expect.Same(t, "off", map[string]state.Value{"disabled": seq(a)}, s.Objects["off.example.com A"].Attrs)
		expect.Nil(t, l.Apply(t.Context(), values(seq(a), seq(b, a))))
		expect.Same(t, "the first row", off, l.Rows()[0])
		expect.Same(t, "answers", []string{b, a}, l.Answers(host))
	})
	t.Run("upper case in a name is found", func(t *testing.T) {
		l := newLab(t, adguardtest.Options{}, nil)
		l.Set(row{Domain: "WWW.Example.COM", Answer: a})
		expect.Nil(t, l.Apply(t.Context(), values(seq(a), seq(a, b))))
		expect.Same(t, "answers", []string{a, b}, l.Answers(host))
	})
}

func TestBothAddressFamiliesAreAddedBeforeAnythingGoes(t *testing.T) {
	l := newLab(t, adguardtest.Options{}, nil, a, "2001:db8::1")
	expect.Nil(t, l.Apply(t.Context(), []state.Change{
		set(www, "values", seq(a), seq(b, c)),
		set(v6, "values", seq("2001:db8::1"), seq("2001:db8::2", "2001:db8::3")),
	}))
	expect.Same(t, "calls", []string{"add", "add", "add", "add", "delete", "delete"}, l.Writes())
	expect.Same(t, "answers", []string{b, c, "2001:db8::2", "2001:db8::3"}, l.Answers(host))
}

func TestTheTTLIsTheServers(t *testing.T) {
	l := newLab(t, adguardtest.Options{}, nil, a)
	l.SetTTL(7)
	expect.Same(t, "ttl", state.Int(7), l.see(t).Get(www, "ttl"))
	expect.Nil(t, l.Apply(t.Context(), []state.Change{set(www, "ttl", "7", "7")}))
	change := []state.Change{set(www, "ttl", "7", "60")}
	for _, err := range []error{l.Apply(t.Context(), change), l.Check(t.Context(), l.see(t), change)} {
		expect.Error(t, err, "the TTL is 7 for all answers of this AdGuard Home and cannot be 60 for one name", "leave ttl out")
		expect.Is(t, err, driver.ErrPermanent, true)
	}
	for want, attrs := range map[time.Duration]map[string]state.Value{
		7 * time.Second:  {"values": seq(a)},
		30 * time.Second: {"values": seq(a), "ttl": "30"}, // as it was when the answer was given
		time.Hour:        nil,
	} {
		got, err := l.CacheTime(t.Context(), www, attrs)
		expect.Nil(t, err)
		expect.Same(t, "kept", want.String(), got.String())
	}
}

func TestAnARewriteThatHidesTheUpstreamsAAAAIsTold(t *testing.T) {
	const words = "AAAA look-ups of the name get no answer"
	l := newLab(t, adguardtest.Options{Upstream: map[string][]string{v6: {"2001:db8::ee"}}}, nil)
	told := make(chan string, 10)
	ctx := driver.WithProgress(t.Context(), func(text string) { told <- text })
	expect.Nil(t, l.Apply(ctx, values("", seq(a))))
	if text := <-told; !strings.Contains(text, words) {
		t.Errorf("told %q", text)
	}
	if !strings.Contains(l.logged(), words) {
		t.Errorf("logged %q", l.logged())
	}
	note := func() string { return l.see(t).Objects[www].Info["note"] }
	if !strings.Contains(note(), words) {
		t.Errorf("note %q", note())
	}
	answer, err := wire.Client{}.Resolve(t.Context(), l.DNSAddress(), host, "AAAA")
	expect.Nil(t, err)
	expect.Same(t, "the answer", 0, len(answer.Records))

	l.Set(append(l.Rows(), row{Domain: host, Answer: "AAAA"})...) // lets AAAA through
	expect.Same(t, "note", "", note())
	answer, err = wire.Client{}.Resolve(t.Context(), l.DNSAddress(), host, "AAAA")
	expect.Nil(t, err)
	expect.Same(t, "the upstream's", []string{"2001:db8::ee"}, wire.Values(answer.Records))
}

func TestWhatIsRefusedWritesNothing(t *testing.T) {
	tests := map[string]struct {
		rows          []row
		changes       []state.Change
		words, advice string
	}{
		"an empty set": {rowsOf(a), values(seq(a), seq()), "would be left without a value", "at least one"},
		"a wildcard with two addresses": {
			[]row{{Domain: "*.apps.example.com", Answer: a}},
			[]state.Change{set(wild, "values", seq(a), seq(a, b))},
			"answers a wildcard with one address only", "a rewrite of its own",
		},
		"a CNAME beside addresses": {rowsOf(a), []state.Change{set(host+" CNAME", "values", "", seq("x.example.net"))}, "there is a www.example.com A too", "in the same step"},
		"addresses beside a CNAME": {rowsOf("x.example.net"), values("", seq(a)), "there is a www.example.com CNAME too", ""},
		"two CNAMEs":               {nil, []state.Change{set(alias, "values", "", seq("x.example.net", "y.example.net"))}, "a name has one CNAME", ""},
		"an address behind a row that lets the type through": {
			[]row{{Domain: host, Answer: "A"}}, values("", seq(a)), "lets the type through to the upstream", "remove that rewrite",
		},
		"an answer that there is as a disabled row": {
			append(rowsOf(a), row{Domain: host, Answer: b, Disabled: true}), values(seq(a), seq(a, b)), "there is a disabled rewrite with the answer 192.0.2.2", "delete it or enable it",
		},
		"a value that is no address":      {rowsOf(a), values(seq(a), seq("example.com")), "example.com", ""},
		"an address in another form":      {nil, []state.Change{set(v6, "values", "", seq("2001:DB8::1"))}, "would be read as", `write it as "2001:db8::1"`},
		"a name in capitals":              {rowsOf(a), []state.Change{set("WWW.example.com A", "values", seq(a), seq(b))}, "does not name a record set", host},
		"a type that is no rewrite":       {nil, []state.Change{set(host+" TXT", "values", "", seq("x"))}, "a rewrite is A, AAAA or CNAME, not TXT", ""},
		"what can only be read":           {rowsOf(a), []state.Change{set(www, "disabled", "", seq(b))}, "disabled cannot be set", ""},
		"a TTL taken away":                {rowsOf(a), []state.Change{set(www, "ttl", "10", "")}, "has a TTL as long as it exists", ""},
		"values in another order than is": {rowsOf(a, b), values(seq(b, a), seq(c)), "192.0.2.1, 192.0.2.2", ""},
		"one of two sets that drifted":    {rowsOf(a, "2001:db8::9"), append(values(seq(a), seq(b)), set(v6, "values", seq("2001:db8::1"), seq("2001:db8::2"))), "2001:db8::9", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, adguardtest.Options{}, nil)
			l.Set(test.rows...)
			before := l.Rows()
			expect.Error(t, l.Apply(t.Context(), test.changes), test.words, test.advice)
			expect.Same(t, "rows", before, l.Rows())
			expect.Same(t, "writes", 0, len(l.Writes()))
		})
	}
}

func TestACNAMEAndAddressesTakeTurnsInOneStep(t *testing.T) {
	l := newLab(t, adguardtest.Options{}, nil, "x.example.net")
	expect.Nil(t, l.Apply(t.Context(), []state.Change{set(host+" CNAME", "values", seq("x.example.net"), ""), set(www, "values", "", seq(a))}))
	expect.Same(t, "answers", []string{a}, l.Answers(host))
	expect.Same(t, "calls", []string{"add", "delete"}, l.Writes())
}

func TestOrderNewFirst(t *testing.T) {
	l := newLab(t, adguardtest.Options{}, func(c *adguard.Config) { c.Order = "new-first" }, a)
	s := l.see(t)
	err := l.Check(t.Context(), s, values(seq(a), seq(a, b)))
	expect.Error(t, err, "192.0.2.2 comes behind 192.0.2.1, and clients that take the first answer would not see it", "values: [192.0.2.2, 192.0.2.1]")
	expect.Is(t, err, driver.ErrPermanent, true)
	expect.Nil(t, l.Check(t.Context(), s, values(seq(a), seq(b, a))))
	expect.Nil(t, l.Check(t.Context(), s, values(seq(a), seq(b))))
	expect.Nil(t, l.Apply(t.Context(), values(seq(a), seq(b))))
	expect.Nil(t, l.Apply(t.Context(), values(seq(b), seq(b, a)))) // the way back restores what was, whatever its order
}

func TestCheckLooksAtTheStateThatItIsGiven(t *testing.T) {
	l := newLab(t, adguardtest.Options{}, nil, a)
	later := l.see(t).With(values(seq(a), seq(a, b)))
	expect.Nil(t, l.Check(t.Context(), later, values(seq(a, b), seq(b))))
	expect.Error(t, l.Check(t.Context(), l.see(t), values(seq(a, b), seq(b))), "192.0.2.1", "")
	l.Switch(false)
	expect.Error(t, l.Check(t.Context(), later, values(seq(a, b), seq(b))), "rewrites are switched off", "switch them on")
	if note := l.see(t).Objects[www].Info["note"]; !strings.Contains(note, "switched off") {
		t.Errorf("note %q", note)
	}
	l.Down()
	err := l.Check(t.Context(), later, values(seq(a, b), seq(b)))
	expect.Is(t, err, driver.ErrUnknown, true)
}

func TestAWildcardCannotBeLookedUp(t *testing.T) {
	l := newLab(t, adguardtest.Options{}, nil, a)
	expect.Nil(t, l.Resolvable(t.Context(), www))
	expect.Error(t, l.Resolvable(t.Context(), wild), "no name that can be looked up", "below it")
}

func TestNamesThatNoPlanCanWriteAreLeftOut(t *testing.T) {
	l := newLab(t, adguardtest.Options{}, nil)
	l.Set(row{Domain: "a..b", Answer: a}, row{Domain: "||ads^", Answer: a}, row{Domain: host, Answer: a}, row{Domain: "_flip-retired.x.example.com", Answer: a})
	expect.Same(t, "objects", []string{www}, l.see(t).IDs())
}
