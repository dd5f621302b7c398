package gate

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/flip-cli/flip/pkg/hint"
)

func TestPercent(t *testing.T) {
	tests := []struct {
		text string
		want Percent
		err  string
		hint string
	}{
		{"1%", 0.01, "", ""},
		{" 0.5 % ", 0.005, "", ""},
		{"0.01", 0.01, "", ""},
		{"0", 0, "", ""},
		{"100%", 1, "", ""},
		{"1", 0, "1 could mean 1% or 100%", "write it with a percent sign: 1%"},
		{"101%", 0, "101% is not between 0% and 100%", ""},
		{"-1%", 0, "-1% is not between 0% and 100%", ""},
		{"NaN", 0, `"NaN" is not a percentage`, "write it like 1% or 0.01"},
		{"one", 0, `"one" is not a percentage`, "write it like 1% or 0.01"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			var p Percent
			err := p.UnmarshalText([]byte(test.text))
			check(t, "value", test.want, p)
			check(t, "error", test.err, text(err))
			check(t, "hint", test.hint, strings.Join(hint.Of(err), " "))
		})
	}
}

func TestPercentIsWrittenForPeople(t *testing.T) {
	for p, want := range map[Percent]string{0: "0 %", 0.01: "1 %", 0.0412: "4.1 %", 1: "100 %", 0.1: "10 %", 0.0005: "0.05 %"} {
		check(t, "text", want, p.String())
	}
}

func TestStatuses(t *testing.T) {
	tests := []struct {
		text string
		want Statuses
		err  string
	}{
		{"200", Statuses{"200"}, ""},
		{"2XX", Statuses{"2xx"}, ""},
		{"200, 204", Statuses{"200", "204"}, ""},
		{"600", nil, `"600" is not an HTTP status`},
		{"2x", nil, `"2x" is not an HTTP status`},
		{"", nil, `"" is not an HTTP status`},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			var s Statuses
			err := s.UnmarshalText([]byte(test.text))
			check(t, "value", test.want, s)
			check(t, "error", test.err, text(err))
		})
	}
}

func TestMissingIsOneOfThree(t *testing.T) {
	var m Missing
	check(t, "error", "", text(m.UnmarshalText([]byte("wait"))))
	check(t, "value", MissingWaits, m)
	check(t, "error", `"ignore" is not fail, pass or wait`, text(m.UnmarshalText([]byte("ignore"))))
}

func TestScalarTakesTextAsItIs(t *testing.T) {
	var s Scalar
	check(t, "error", "", text(s.UnmarshalText([]byte("1.50"))))
	check(t, "value", Scalar("1.50"), s)
}

func TestExcerptFitsIntoALine(t *testing.T) {
	for in, want := range map[string]string{
		"  a \n\t b\r\n ":      "a b",
		"\x1b[31mred\x00":      "[31mred",
		"0123456789abc":        "0123456789...",
		"0123456789":           "0123456789",
		"\xff\xfe ok":          "\ufffd\ufffd ok",
		strings.Repeat(" ", 9): "",
	} {
		check(t, "text", want, excerpt(in, 10))
	}
}

func TestTheRegistryHoldsEveryKindOnce(t *testing.T) {
	var names []string
	for _, k := range Kinds().All() {
		names = append(names, k.Name)
	}
	check(t, "kinds", []string{"command", "haproxy", "http", "log", "prometheus", "resolve", "tcp"}, names)
	_, ok := Kinds().Lookup("http")
	check(t, "found", true, ok)
	_, ok = Kinds().Lookup("htpp")
	check(t, "found", false, ok)
	defer func() { check(t, "panic", any("gate: two kinds named tcp"), recover()) }()
	NewRegistry(TCP(), TCP())
}

func TestADecodingErrorIsGivenAsItIs(t *testing.T) {
	broken := func(any) error { return errDown }
	check(t, "check", errDown.Error(), text(TCP().Check(broken)))
	_, err := TCP().Build(broken, Env{})
	check(t, "build", errDown.Error(), text(err))
}

func FuzzPercent(f *testing.F) {
	for _, s := range []string{"1%", "0.01", "1", "-0", "1e400%", "Inf"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var p Percent
		if p.UnmarshalText([]byte(s)) == nil && !(p >= 0 && p <= 1) {
			t.Errorf("%q is %v", s, float64(p))
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,{"c":"UP"}]}}`), "a.b[1].c", "UP")
	f.Add([]byte(`[1e999,"\ud800"]`), "@this|0", "1")
	f.Add([]byte("\x1b[2J"), "#(a==1)", "")
	always, err := compile(`body.a == 1`, output{}, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, path, want string) {
		jsonRules{path: Scalar(want)}.complaint(body, nil)
		always.complaint(body, nil, func(parsed any) any { return output{parsed, string(body)} })
		s := excerpt(string(body), 80)
		if strings.ContainsAny(s, "\n\r\x1b\x00") || utf8.RuneCountInString(s) > 84 || !utf8.ValidString(s) {
			t.Errorf("not fit for a line: %q", s)
		}
	})
}
