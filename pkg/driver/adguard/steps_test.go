package adguard

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flip-cli/flip/pkg/state"
)

// orders are all lists of different values, up to n of them.
func orders(n int) [][]string {
	var all [][]string
	var grow func(have []string)
	grow = func(have []string) {
		all = append(all, slices.Clone(have))
		for _, v := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}[:n] {
			if !slices.Contains(have, v) {
				grow(append(slices.Clone(have), v))
			}
		}
	}
	grow(nil)
	return all
}

type move struct{ from, to []string }

// moves are all between orders of up to three values, and all to and from one
// of four.
func moves() []move {
	var all []move
	for _, from := range orders(3) {
		for _, to := range orders(3) {
			all = append(all, move{from, to})
		}
	}
	four := []string{"192.0.2.2", "192.0.2.4", "192.0.2.1", "192.0.2.3"}
	for _, other := range orders(4) {
		all = append(all, move{four, other}, move{other, four})
	}
	return all
}

var www = name{"www.example.com", "A"}

func rowsOf(values []string) []row {
	var rows []row
	for _, v := range values {
		rows = append(rows, row{domain: www.host, answer: v})
	}
	return rows
}

func setAt(rows []row) set { return setsOf(rows)[www] }

// TestEveryWayFromOneOrderToAnother: no state in between is empty or lacks a value that is in both, the
// end is exactly what was wanted with nothing put aside, and every state in
// between is foreseen.
func TestEveryWayFromOneOrderToAnother(t *testing.T) {
	for _, m := range moves() {
		from, to := m.from, m.to
		begin, end := setAt(rowsOf(from)).value(), setAt(rowsOf(to)).value()
		foreseen := append(via(begin, end), begin, end)
		rows := rowsOf(from)
		for _, c := range steps(www, rows, to) {
			rows = c.after(rows)
			s := setAt(rows)
			if len(s.live) == 0 && len(to) > 0 {
				t.Fatalf("%v -> %v: empty after %s", from, to, c)
			}
			for _, v := range to {
				if slices.Contains(from, v) && !slices.Contains(s.values(), v) {
					t.Fatalf("%v -> %v: %s is missing after %s", from, to, v, c)
				}
			}
			if !slices.Contains(foreseen, s.value()) {
				t.Fatalf("%v -> %v: %s after %s was not foreseen", from, to, s.value(), c)
			}
		}
		if diff := cmp.Diff(rowsOf(to), rows, cmp.AllowUnexported(row{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%v -> %v (-want +got):\n%s", from, to, diff)
		}
	}
}

// TestARunThatDiesAnywhereGoesOn: from every state in between, planned anew as
// often as it dies again, the end is reached, and no state on that way is one
// that nobody foresaw.
func TestARunThatDiesAnywhereGoesOn(t *testing.T) {
	for _, m := range moves() {
		from, to := m.from, m.to
		begin, end := setAt(rowsOf(from)).value(), setAt(rowsOf(to)).value()
		foreseen := append(via(begin, end), begin, end)
		rows := rowsOf(from)
		edits := []edit{{name: www, changes: []state.Change{{Object: www.String(), Attribute: "values", From: begin, To: end}}}}
		for n := 0; ; n++ {
			if n > 20 {
				t.Fatalf("%v -> %v: still not there: %v", from, to, rows)
			}
			calls, err := plan(edits, look{rows: rows, used: true})
			if err != nil {
				t.Fatalf("%v -> %v: at %v: %v", from, to, rows, err)
			}
			if len(calls) == 0 {
				break
			}
			rows = calls[0].after(rows) // and dies
			if v := setAt(rows).value(); !slices.Contains(foreseen, v) {
				t.Fatalf("%v -> %v: %s was not foreseen", from, to, v)
			}
		}
		if diff := cmp.Diff(rowsOf(to), rows, cmp.AllowUnexported(row{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%v -> %v (-want +got):\n%s", from, to, diff)
		}
	}
}

// TestDuplicatesGo: whatever is listed twice, one of each is left, in order.
func TestDuplicatesGo(t *testing.T) {
	const a, b, c = "192.0.2.1", "192.0.2.2", "192.0.2.3"
	for name, test := range map[string]struct{ live, want []string }{
		"the only one twice":             {[]string{a, a}, []string{a}},
		"three times":                    {[]string{a, a, a}, []string{a}},
		"two in a mix":                   {[]string{a, b, a, b}, []string{a, b}},
		"the other order":                {[]string{a, b, a}, []string{b, a}},
		"twice, and one goes":            {[]string{a, b, b, a}, []string{b}},
		"twice what goes":                {[]string{a, a, b}, []string{b}},
		"twice, and another goes before": {[]string{a, a}, []string{c, a}},
	} {
		t.Run(name, func(t *testing.T) {
			rows := rowsOf(test.live)
			for range 20 {
				calls := steps(www, setAt(rows).live, test.want)
				if len(calls) == 0 {
					break
				}
				for _, one := range calls {
					rows = one.after(rows)
					if len(setAt(rows).live) == 0 {
						t.Fatalf("empty after %s", one)
					}
				}
			}
			if diff := cmp.Diff(rowsOf(test.want), rows, cmp.AllowUnexported(row{}), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheUsualStepsAreFew(t *testing.T) {
	const a, b = "192.0.2.1", "192.0.2.2"
	for name, test := range map[string]struct {
		from, to []string
		want     []string
	}{
		"nothing to do":             {[]string{a, b}, []string{a, b}, nil},
		"one more":                  {[]string{a}, []string{a, b}, []string{"add www.example.com 192.0.2.2"}},
		"the old one goes":          {[]string{a, b}, []string{b}, []string{"delete www.example.com 192.0.2.1"}},
		"one for another, compared": {[]string{a}, []string{b}, []string{"update www.example.com 192.0.2.1 to www.example.com 192.0.2.2"}},
		"the new one in front": {[]string{a}, []string{b, a}, []string{
			"add www.example.com 192.0.2.1", "update www.example.com 192.0.2.1 to www.example.com 192.0.2.2",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, c := range steps(www, rowsOf(test.from), test.to) {
				got = append(got, c.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzAnswers: no answer makes flip panic; the values of a set are different,
// and a set that is made of its own rows is unchanged.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{
		`[{"domain":"www.example.com","answer":"192.0.2.1","enabled":true},{"domain":"WWW.example.com","answer":"AAAA"}]`,
		`[{"domain":"*.example.com","answer":"2001:DB8::1"},{"domain":"a","answer":"b.example."},{"domain":"","answer":""}]`,
		`[]`, `null`, `{}`, `[null]`, `{"enabled":true}`, `{"blocked_response_ttl":10}`, `{"blocked_response_ttl":1e400}`,
		`[{"domain":"_flip-retired.www.example.com","answer":"192.0.2.1"}]`, `[{"domain":"x","answer":"::ffff:192.0.2.1"}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = parseSwitch(body)
		if ttl, err := parseTTL(body); err == nil && (ttl < 0 || ttl > maxTTL) {
			t.Errorf("ttl %d", ttl)
		}
		_ = reason(body)
		rows, err := parseRows(body)
		if err != nil {
			return
		}
		l := look{rows: rows, used: true}
		sets := setsOf(rows)
		for n, s := range sets {
			_, _ = l.attrs(s), l.info(n, s, sets)
			values := s.values()
			if len(values) != len(slices.Compact(slices.Sorted(slices.Values(values)))) {
				t.Errorf("%s has %q", n, values)
			}
			live := s.live
			for i := 0; i < 3*len(rows)+1 && len(live) > len(values); i++ {
				for _, c := range steps(n, live, values) {
					live = slices.DeleteFunc(c.after(live), func(r row) bool { return r.domain == n.retired() })
				}
			}
			if got := (set{live: live}).values(); len(live) != len(values) || !slices.Equal(got, values) {
				t.Errorf("%s: %q became %q in %d rows", n, values, got, len(live))
			}
		}
	})
}
