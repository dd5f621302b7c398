package state_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/state"
)

func TestEqualValuesAreTheSameText(t *testing.T) {
	tests := map[string]struct{ got, want state.Value }{
		"a whole float is the number":               {state.Float(100), state.Int(100)},
		"minus zero is zero":                        {state.Float(math.Copysign(0, -1)), state.Int(0)},
		"a whole float beyond 2^53 is the number":   {state.Float(1 << 60), state.Int(1 << 60)},
		"a fraction keeps its shortest form":        {state.Float(0.10), "0.1"},
		"a tiny fraction has an exponent":           {state.Float(1e-9), "1e-09"},
		"what is not finite is absent":              {state.Float(math.Inf(1)), state.Absent},
		"the order of a list does not count":        {state.List([]string{"b", "a"}), state.List([]string{"a", "b"})},
		"repetition in a list does not count":       {state.List([]string{"a", "a"}), state.List([]string{"a"})},
		"no list and an empty one are the same":     {state.List(nil), state.List([]string{})},
		"an empty list is not absent":               {state.List(nil), "[]"},
		"empty text is not absent":                  {state.Text(""), `""`},
		"the text 1 is not the number 1":            {state.Text("1"), `"1"`},
		"text for web pages is not escaped":         {state.Text("a<b>&c"), `"a<b>&c"`},
		"the order of a sequence counts":            {state.Sequence([]string{"b", "a", "b"}), `[["b","a"]]`},
		"a sequence in the order of a list is one":  {state.Sequence([]string{"a", "b", "a"}), state.List([]string{"a", "b"})},
		"an empty sequence is an empty list":        {state.Sequence(nil), state.List(nil)},
		"broken UTF-8 in a list is one replacement": {state.List([]string{"\xff", "\xfe"}), state.List([]string{"\ufffd"})},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.got != test.want {
				t.Errorf("got %q, want %q", string(test.got), string(test.want))
			}
		})
	}
}

func TestAListDoesNotReorderItsArgument(t *testing.T) {
	items := []string{"b", "a"}
	state.List(items)
	if diff := cmp.Diff([]string{"b", "a"}, items); diff != "" {
		t.Errorf("argument (-want +got):\n%s", diff)
	}
}

func TestOfTakesWhatDecodersYield(t *testing.T) {
	tests := map[string]struct {
		in   any
		want state.Value
	}{
		"nothing":             {nil, state.Absent},
		"text":                {"drain", `"drain"`},
		"a boolean":           {true, "true"},
		"an int":              {-3, "-3"},
		"an int64":            {int64(math.MaxInt64), "9223372036854775807"},
		"a uint64":            {uint64(math.MaxUint64), "18446744073709551615"},
		"a float":             {1.5, "1.5"},
		"a value":             {state.Int(7), "7"},
		"a list of text":      {[]string{"b", "a"}, `["a","b"]`},
		"a mixed list":        {[]any{"a", uint64(80), 1e6, true}, `["1000000","80","a","true"]`},
		"an exact big number": {json.Number("9007199254740993"), "9007199254740993"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := state.Of(test.in)
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", string(got), err, string(test.want))
			}
		})
	}
}

func TestOfRefusesWhatIsNoValue(t *testing.T) {
	tests := map[string]struct {
		in   any
		want string
	}{
		"a map":            {map[string]any{}, "map[string]interface {} is not a value"},
		"a list in a list": {[]any{[]any{"a"}}, "a list may hold text and numbers only, not []interface {}"},
		"null in a list":   {[]any{nil}, "a list may hold text and numbers only, not <nil>"},
		"not a number":     {math.NaN(), "not a number: NaN"},
		"NaN in a list":    {[]any{math.NaN()}, "not a number: NaN"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := state.Of(test.in)
			if err == nil || err.Error() != test.want {
				t.Errorf("got %q, %v, want the error %q", string(v), err, test.want)
			}
		})
	}
}

func TestAValueIsReadAsWhatItHolds(t *testing.T) {
	if n, ok := state.Int(42).Int(); n != 42 || !ok {
		t.Errorf("Int: %d, %t", n, ok)
	}
	if _, ok := state.Text("42").Int(); ok {
		t.Error("text is not a number")
	}
	if f, ok := state.Float(0.5).Float(); f != 0.5 || !ok {
		t.Errorf("Float: %g, %t", f, ok)
	}
	if !state.Bool(true).Bool() || state.Bool(false).Bool() || state.Text("true").Bool() {
		t.Error("only the boolean true is true")
	}
	if got := state.Text("a \"quoted\" one").Text(); got != `a "quoted" one` {
		t.Errorf("Text: %s", got)
	}
	if diff := cmp.Diff([]string{"a", "b"}, state.List([]string{"b", "a"}).List()); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b", "a"}, state.Sequence([]string{"b", "a"}).List()); diff != "" {
		t.Errorf("a sequence keeps its order (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"80"}, state.Int(80).List()); diff != "" {
		t.Errorf("a scalar is a list of one (-want +got):\n%s", diff)
	}
	if got := state.Absent.List(); got != nil {
		t.Errorf("absent is no list: %q", got)
	}
}

func TestPeopleCanTellValuesApart(t *testing.T) {
	tests := map[string]struct {
		v    state.Value
		want string
	}{
		"absent":        {state.Absent, "absent"},
		"empty text":    {state.Text(""), `""`},
		"an empty list": {state.List(nil), "[]"},
		"text":          {state.Text("drain"), "drain"},
		"a list":        {state.List([]string{"b", "a"}), "a, b"},
		"a sequence":    {state.Sequence([]string{"b", "a"}), "b, a"},
		"a number":      {state.Int(0), "0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.v.String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestAValueSurvivesJSON(t *testing.T) {
	for _, v := range []state.Value{
		state.Absent, state.Int(0), state.Int(-1), state.Int(math.MaxInt64), state.Int(math.MinInt64), state.Float(0.1), state.Float(1e300),
		"18446744073709551615", state.Text(""), state.Text("\u2028\x00\xff"), state.Text("null"), state.Bool(false),
		state.List(nil), state.List([]string{"b", "a", "\xff\xfe"}), state.Sequence([]string{"b", "\xff", "a"}),
	} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%q: %v", string(v), err)
			continue
		}
		var got state.Value
		if err := json.Unmarshal(b, &got); err != nil || got != v {
			t.Errorf("%q came back as %q, %v", string(v), string(got), err)
		}
	}
}

func TestForeignJSONBecomesCanonical(t *testing.T) {
	tests := map[string]struct {
		in   string
		want state.Value
	}{
		"an exponent":          {"1e2", "100"},
		"a fraction of zero":   {"100.0", "100"},
		"minus zero":           {"-0", "0"},
		"a list out of order":  {`["b","a","b"]`, `["a","b"]`},
		"numbers in a list":    {`[80, 1e2]`, `["100","80"]`},
		"an escaped character": {`"\u0061"`, `"a"`},
		"null":                 {"null", state.Absent},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got state.Value
			if err := json.Unmarshal([]byte(test.in), &got); err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", string(got), err, string(test.want))
			}
		})
	}
}

func FuzzValueJSON(f *testing.F) {
	for _, s := range []string{"0", "-0", "1e400", "1e20", "18446744073709551616", `"a\ud800"`, `["b","a"]`, `[1,true,"\ufffd"]`, "null", "{}", "0.1", "00", `[["b","a"]]`, `[["a","b"]]`, `[[]]`, `[[null]]`, `[["a"],["b"]]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v state.Value
		if err := json.Unmarshal(b, &v); err != nil {
			return
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("%q was read as %q, which cannot be written: %v", b, string(v), err)
		}
		var again state.Value
		if err := json.Unmarshal(out, &again); err != nil || again != v {
			t.Fatalf("%q: %q came back as %q, %v", b, string(v), string(again), err)
		}
		if strings.HasPrefix(string(v), "[[") {
			if got := state.Sequence(v.List()); got != v {
				t.Fatalf("%q: the sequence %q is not canonical, but %q is", b, string(v), string(got))
			}
			return
		}
		if got := state.List(v.List()); v.Present() && v[0] == '[' && got != v {
			t.Fatalf("%q: the list %q is not canonical, but %q is", b, string(v), string(got))
		}
	})
}
