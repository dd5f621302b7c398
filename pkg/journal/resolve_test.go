package journal_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
)

// named is a store that only lists.
type named struct {
	journal.Store
	ids []string
}

func (n named) List(context.Context) ([]string, error) { return n.ids, nil }

func TestResolveFindsTheOneRunThatIsMeant(t *testing.T) {
	s := named{ids: []string{"01K9Z3M8AAAAAAAAAAAAAAAAA1", "01K9Z3M8AAAAAAAAAAAAAAAAB2", "01K9Z1QKAAAAAAAAAAAAAAAAC3"}}
	for name, tc := range map[string]struct {
		ref, want string
		hint      string
	}{
		"by the whole id":             {ref: s.ids[0], want: s.ids[0]},
		"by its beginning":            {ref: "01K9Z1QK", want: s.ids[2]},
		"in small letters":            {ref: "01k9z1", want: s.ids[2]},
		"by its end":                  {ref: "B2", want: s.ids[1]},
		"not when two begin so":       {ref: "01K9Z3M8", hint: "say more of it: " + s.ids[0] + ", " + s.ids[1]},
		"not when none does, near":    {ref: "01K9Z1QZ", hint: "close ones: " + s.ids[2]},
		"not when none does, far":     {ref: "7ZZZ", hint: "the newest runs: " + s.ids[0]},
		"not by nothing":              {ref: " "},
		"not by what is no id at all": {ref: "../x", hint: "the newest runs"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := journal.Resolve(t.Context(), s, tc.ref)
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Fatalf("Resolve(%q) = %q, %v; want %q", tc.ref, got, err, tc.want)
			}
			mentions(t, "the hint", strings.Join(hint.Of(err), "\n"), tc.hint)
		})
	}
	_, err := journal.Resolve(t.Context(), named{}, "01K9")
	if !errors.Is(err, journal.ErrNoRun) {
		t.Errorf("without runs: %v", err)
	}
}
