package resolve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/flip-cli/flip/pkg/hint"
)

// Question is a record set: a name and a type.
type Question struct {
	Name string // lower case, without a final dot
	Type string // A, AAAA, CNAME, ...
}

// NewQuestion checks a name and a type; an empty type is A. A name that is not
// ASCII is brought into its xn-- form.
func NewQuestion(name, kind string) (Question, error) {
	low := strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
	if strings.ContainsFunc(low, func(r rune) bool { return r > 0x7f }) {
		ascii, err := idna.Lookup.ToASCII(low)
		if err != nil {
			return Question{}, fmt.Errorf("%.80q is not a domain name: %w", name, err)
		}
		low = ascii
	}
	if low == "" || strings.ContainsAny(low, " \t/:@\"") || !validName(low) {
		return Question{}, hint.Wrap(fmt.Errorf("%.80q is not a domain name", name), "like www.example.com")
	}
	kind = strings.ToUpper(cmp.Or(strings.TrimSpace(kind), "A"))
	if !slices.Contains(Types(), kind) {
		return Question{}, hint.Wrap(fmt.Errorf("%.20q is not a record type that can be looked up", kind), "types: %s", strings.Join(Types(), ", "))
	}
	return Question{Name: low, Type: kind}, nil
}

// ParseQuestion reads "www.example.com" or "www.example.com A".
func ParseQuestion(text string) (Question, error) {
	fields := strings.Fields(text)
	switch len(fields) {
	case 1:
		return NewQuestion(fields[0], "")
	case 2:
		return NewQuestion(fields[0], fields[1])
	}
	return Question{}, hint.Wrap(fmt.Errorf("%.80q is not a name and a type", text), `like "www.example.com A"`)
}

func (q Question) String() string { return q.Name + " " + q.Type }

// Types are the record types that can be looked up.
func Types() []string {
	return []string{"A", "AAAA", "CAA", "CNAME", "HTTPS", "MX", "NS", "PTR", "SOA", "SRV", "SVCB", "TLSA", "TXT"}
}
