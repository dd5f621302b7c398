package recordset_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

func TestNamesHaveOneForm(t *testing.T) {
	for text, want := range map[string]recordset.Name{
		"www.example.com A":           {Host: "www.example.com", Type: "A"},
		"*.example.com CNAME":         {Host: "*.example.com", Type: "CNAME"},
		"_dmarc.example.com TXT":      {Host: "_dmarc.example.com", Type: "TXT"},
		"xn--mnchen-3ya.example AAAA": {Host: "xn--mnchen-3ya.example", Type: "AAAA"},
		"www.example.com A+AAAA":      {Host: "www.example.com", Type: recordset.Both},
	} {
		if got, err := recordset.ParseName(text); err != nil || got != want || got.String() != text {
			t.Errorf("%q is %+v (%v)", text, got, err)
		}
	}
}

func TestNamesInAnotherFormAreRefusedWithTheForm(t *testing.T) {
	for text, says := range map[string]string{
		"WWW.Example.com A": `"www.example.com A"`, "www.example.com. A": `"www.example.com A"`, "www.example.com a": `"www.example.com A"`,
		"  www.example.com   A": `"www.example.com A"`, "www.example.com\tA": "name and type",
		"münchen.example A": `"xn--mnchen-3ya.example A"`, "www.example.com": "name and type", "": "name and type", "A": "name and type",
		"www.example.com SOA": "types: A, AAAA", "www.example.com A B": "name and type", "a..b A": "", "www.ex ample.com A": "name and type",
		strings.Repeat("a", 64) + ".example A": "", "-\x00.example A": "",
	} {
		_, err := recordset.ParseName(text)
		if err == nil || !strings.Contains(strings.Join(hint.Of(err), " "), says) {
			t.Errorf("%q: %v %q, want a hint with %s", text, err, hint.Of(err), says)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{www, both, "WWW.example.com. a", "*.é.example TXT", ". A", "a b c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := recordset.ParseName(text); err == nil && n.String() != text {
			t.Errorf("%q is %q", text, n)
		}
	})
}

func TestRulesThatNoChangeMayBreak(t *testing.T) {
	zone := map[string]recordset.Set{
		www: set(300, "192.0.2.1"), www6: set(300, "2001:db8::1"),
		"alias.example.com CNAME": set(300, "www.example.com"),
	}
	limits := recordset.Limits{MinTTL: 60, MaxTTL: 86400, Types: []string{"A", "AAAA", "CNAME"}, Why: "the plan is free"}
	values := func(id string, from, to state.Value) []state.Change {
		return []state.Change{change(id, recordset.Values, from, to)}
	}
	one := list("192.0.2.1")
	lives := func(id string) state.Change { return change(id, recordset.TTL, state.Absent, state.Int(300)) }
	for _, row := range []struct {
		name    string
		changes []state.Change
		says    string
	}{
		{"a set is never emptied", values(www, one, "[]"), "without a value"},
		{"addresses are of their kind", values(www, one, list("2001:db8::1")), "not an IPv4 address"},
		{"values are written as they are read", values(www6, list("2001:db8::1"), list("2001:DB8::2")), `write it as "2001:db8::2"`},
		{"a name has one CNAME", append(values("new.example.com CNAME", state.Absent, list("a.example.com", "b.example.com")), lives("new.example.com CNAME")), "one CNAME"},
		{"a CNAME does not come beside addresses", append(values("www.example.com CNAME", state.Absent, list("a.example.com")), lives("www.example.com CNAME")), "stands alone"},
		{"addresses do not come beside a CNAME", append(values("alias.example.com A", state.Absent, one), lives("alias.example.com A")), "stands alone"},
		{"nor do both at once", append(values("x.example.com A", state.Absent, one), lives("x.example.com A"), lives("x.example.com CNAME"), change("x.example.com CNAME", recordset.Values, state.Absent, list("a.example.com"))), "stands alone"},
		{"a TTL is not shorter than the provider takes", []state.Change{change(www, recordset.TTL, state.Int(300), state.Int(59))}, "too short: the plan is free | at least 60 seconds"},
		{"nor longer", []state.Change{change(www, recordset.TTL, state.Int(300), state.Int(86401))}, "at most 86400 seconds"},
		{"nor a fraction", []state.Change{change(www, recordset.TTL, state.Int(300), state.Float(60.5))}, "number of seconds"},
		{"a set has a TTL as long as it exists", []state.Change{change(www, recordset.TTL, state.Int(300), state.Absent)}, "as long as it exists"},
		{"what does not exist has no TTL", []state.Change{change("new.example.com A", recordset.TTL, state.Absent, state.Int(60))}, "does not exist"},
		{"a new set needs its TTL from the plan", values("new.example.com A", state.Absent, one), "values and ttl in one step"},
		{"types that the provider does not take are refused", append(values("new.example.com TXT", state.Absent, list("x")), lives("new.example.com TXT")), "cannot be set here"},
		{"names are of the zone", values("www.example.org A", one, list("192.0.2.2")), "not in zone example.com"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newShelf(zone)
			s.limits = limits
			d := target(t, s)
			err := d.Apply(t.Context(), row.changes)
			if !refused(err) {
				t.Fatalf("want a refusal for good, got %v", err)
			}
			if text := err.Error() + " | " + strings.Join(hint.Of(err), " | "); !strings.Contains(text, row.says) {
				t.Errorf("%q is not in: %s", row.says, text)
			}
			if len(s.swaps) > 0 {
				t.Errorf("something was written: %v", s.swaps)
			}
			now, rerr := target(t, s, func(o *recordset.Options) { o.Records = []string{www, www6, "alias.example.com CNAME"} }).Read(t.Context())
			if rerr != nil {
				t.Fatal(rerr)
			}
			if checked := d.Check(t.Context(), now, row.changes); !refused(checked) || checked.Error() != err.Error() {
				t.Errorf("Check says beforehand: %v\nApply says: %v", checked, err)
			}
		})
	}
}

func TestWhatNoRuleForbidsIsNotRefusedBeforehand(t *testing.T) {
	s := newShelf(map[string]recordset.Set{www: set(30, "192.0.2.1")})
	s.limits.MinTTL = 60 // the live one is shorter: that is no reason against new values
	d := target(t, s)
	changes := []state.Change{change(www, recordset.Values, list("192.0.2.1"), list("192.0.2.2"))}
	read(t, d, www)
	now, err := d.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(t.Context(), now, changes); err != nil {
		t.Error(err)
	}
	if err := d.Apply(t.Context(), changes); err != nil {
		t.Error(err)
	}
}

func TestOnlyNamedSetsAreRead(t *testing.T) {
	s := newShelf(map[string]recordset.Set{www: set(300, "192.0.2.1"), "other.example.com A": set(300, "192.0.2.2")})
	d := target(t, s)
	if got := read(t, d); len(got) != 0 {
		t.Errorf("nothing was named, but: %v", got)
	}
	want := map[string]map[string]state.Value{www: {"values": list("192.0.2.1"), "ttl": state.Int(300)}}
	if diff := cmp.Diff(want, read(t, d, www, "absent.example.com A")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if last := s.asked[len(s.asked)-1]; len(last) != 2 {
		t.Errorf("asked for %v", last)
	}
	if len(s.asked[0]) != 0 {
		t.Errorf("without names only the zone is looked at, but it asked for %v", s.asked[0])
	}
}

func TestSuccessWithoutEffectIsAnError(t *testing.T) {
	s := newShelf(map[string]recordset.Set{www: set(300, "192.0.2.1")})
	s.lies = true
	err := target(t, s).Apply(t.Context(), []state.Change{change(www, recordset.Values, list("192.0.2.1"), list("192.0.2.2"))})
	if err == nil || errors.Is(err, driver.ErrUnknown) || !strings.Contains(err.Error(), "192.0.2.1 with TTL 300, not 192.0.2.2") {
		t.Errorf("got %v", err)
	}
}

func TestALostAnswerIsDecidedByReading(t *testing.T) {
	s := newShelf(map[string]recordset.Set{www: set(300, "192.0.2.1")})
	s.lost = driver.Uncertain(errors.New("502"))
	move := []state.Change{change(www, recordset.Values, list("192.0.2.1"), list("192.0.2.2"))}
	if err := target(t, s).Apply(t.Context(), move); err != nil {
		t.Errorf("it took effect, but: %v", err)
	}
	s.lies, s.lost = true, nil
	s.put(www, set(300, "192.0.2.1"))
	unknown := &unknownSwap{s}
	err := target(t, s, func(o *recordset.Options) { o.Provider = unknown }).Apply(t.Context(), move)
	if !errors.Is(err, driver.ErrUnknown) {
		t.Errorf("it may still land, but: %v", err)
	}
}

// unknownSwap swaps nothing and does not know that.
type unknownSwap struct{ *shelf }

func (u *unknownSwap) Swap(_ context.Context, _ []recordset.Swap) error {
	return driver.Uncertain(errors.New("no answer"))
}

func TestAConflictIsDriftWithTheLiveValueAndNeverOverwritten(t *testing.T) {
	s := newShelf(map[string]recordset.Set{www: set(300, "192.0.2.1")})
	s.before = func() { s.put(www, set(300, "203.0.113.9")) }
	err := target(t, s).Apply(t.Context(), []state.Change{change(www, recordset.Values, list("192.0.2.1"), list("192.0.2.2"))})
	drift, ok := errors.AsType[*driver.DriftError](err)
	if !ok || drift.Now != list("203.0.113.9") {
		t.Errorf("got %v", err)
	}
	if len(s.swaps) > 0 {
		t.Errorf("written: %v", s.swaps)
	}
}

func TestBothKindsOfAddressesAreOneObject(t *testing.T) {
	s := newShelf(map[string]recordset.Set{www: set(300, "192.0.2.1"), www6: set(300, "2001:db8::1")})
	d := target(t, s)
	want := map[string]map[string]state.Value{both: {"values": list("192.0.2.1", "2001:db8::1"), "ttl": state.Int(300)}}
	if diff := cmp.Diff(want, read(t, d, both)); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if err := d.Apply(t.Context(), []state.Change{change(both, recordset.Values, list("192.0.2.1", "2001:db8::1"), list("192.0.2.1", "2001:db8::2"))}); err != nil {
		t.Fatal(err)
	}
	if len(s.swaps) != 1 || s.swaps[0].Name.Type != "AAAA" {
		t.Errorf("the A set did not change, but these were written: %v", s.swaps)
	}
	s.put(www, set(60, "192.0.2.1"))
	if _, err := d.Read(t.Context()); err == nil || !strings.Contains(err.Error(), "TTL 60 and the AAAA records 300") {
		t.Errorf("two TTLs are not one value: %v", err)
	}
}

func TestASetThatTheProviderHidesIsNotResolvable(t *testing.T) {
	s := newShelf(map[string]recordset.Set{www: set(300, "192.0.2.1")})
	d := target(t, s, func(o *recordset.Options) { o.Unseen = false })
	if err := d.Resolvable(t.Context(), www); err != nil {
		t.Error(err)
	}
	s.hidden = errors.New("proxied")
	if err := d.Resolvable(t.Context(), www); err == nil || !strings.Contains(err.Error(), "proxied") {
		t.Errorf("got %v", err)
	}
	// Nobody is asked about it either: this needs no name server.
	if err := d.Settle(t.Context(), []state.Change{change(www, recordset.TTL, state.Int(1), state.Int(300))}); err != nil {
		t.Error(err)
	}
}

func TestASwapSaysWhatToAddFirstAndWhatToRemoveThen(t *testing.T) {
	s := recordset.Swap{Old: set(60, "a", "b"), New: set(60, "b", "c")}
	got := [][]string{s.Added(), s.Kept(), s.Removed()}
	if diff := cmp.Diff([][]string{{"c"}, {"b"}, {"a"}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAHostWithoutAddressIsNoNameServerThatWasAsked(t *testing.T) {
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		return map[string][]netip.Addr{"ns1": {netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}}[host], nil
	}
	got, err := recordset.Addresses(t.Context(), []string{"ns1"}, lookup)
	if diff := cmp.Diff([]string{"192.0.2.1:53", "[2001:db8::1]:53"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := recordset.Addresses(t.Context(), []string{"ns1", "ns2"}, lookup); err == nil || !strings.Contains(err.Error(), "ns2") {
		t.Errorf("got %v", err)
	}
}
