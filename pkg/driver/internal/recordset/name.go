// Package recordset is what all drivers of DNS records share: the kind of
// object, how names and values are written, the rules that no change may
// break, one Driver over a small Provider, and waiting until every name server
// with authority answers as it should.
//
// A record set is all records of one name and type; they have one TTL
// (RFC 2181, 5.2). It is changed whole: a set that shares nothing with the old
// one is added before the old one goes, and nothing empties a set.
package recordset

import (
	"fmt"
	"strings"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
)

// Both is the type that means the A and the AAAA records of a name as one set:
// clients with both kinds of addresses move at once.
const Both = "A+AAAA"

// Name names a record set. Its text is the object's id and its name in plans:
// "www.example.com A".
type Name struct {
	Host string // canonical, see wire.Host
	Type string // one of wire.Types, or Both
}

func (n Name) String() string { return n.Host + " " + n.Type }

// ParseName reads "www.example.com A". Names have one form only, since they
// are the keys of the journal: what is written otherwise is an error whose hint
// is that form.
func ParseName(text string) (Name, error) {
	_, typ, ok := strings.Cut(text, " ")
	bad := fmt.Errorf("%q does not name a record set", text)
	if !ok || strings.TrimSpace(typ) == "" || len(strings.Fields(text)) != 2 {
		return Name{}, hint.Wrap(bad, `name and type, as in "www.example.com A"`)
	}
	typ = strings.ToUpper(strings.Fields(text)[1])
	if !wire.Known(typ) && typ != Both {
		return Name{}, hint.Wrap(fmt.Errorf("record %q: %s is not a type that flip sets", text, typ), "types: %s, and %s for both addresses of a name as one",
			strings.Join(wire.Types(), ", "), Both)
	}
	host, err := wire.Host(strings.Fields(text)[0])
	if err != nil {
		return Name{}, fmt.Errorf("record %q: %w", text, err)
	}
	n := Name{host, typ}
	if n.String() != text {
		return Name{}, hint.Wrap(bad, "write it as %q: lower case, no dot at the end, the type in capitals", n)
	}
	return n, nil
}

// Parts are the record sets that n stands for: itself, or A and AAAA.
func (n Name) Parts() []Name {
	if n.Type == Both {
		return []Name{{n.Host, "A"}, {n.Host, "AAAA"}}
	}
	return []Name{n}
}

// partOf is the part that a value belongs to.
func (n Name) partOf(value string) Name {
	switch {
	case n.Type != Both:
		return n
	case strings.Contains(value, ":"):
		return Name{n.Host, "AAAA"}
	}
	return Name{n.Host, "A"}
}

// ParseZone returns the canonical form of a zone's name.
func ParseZone(text string) (string, error) {
	zone, err := wire.Host(text)
	switch {
	case text == "":
		return "", hint.Wrap(fmt.Errorf("zone is missing"), "for example zone: example.com")
	case err != nil:
		return "", fmt.Errorf("zone: %w", err)
	case strings.HasPrefix(zone, "*"):
		return "", fmt.Errorf("zone: %q is not a zone", text)
	}
	return zone, nil
}

// CanonicalValue returns the one form in which a value of that type is
// written, see wire.Value.
func CanonicalValue(typ, value string) (string, error) { return wire.Value(typ, value) }

// checkValue refuses a value that is wrong or written otherwise than it will
// be read.
func (n Name) checkValue(value string) error {
	typ := n.partOf(value).Type
	canonical, err := wire.Value(typ, value)
	if err != nil {
		return fmt.Errorf("%s: %w", n, err)
	}
	if canonical != value {
		return hint.Wrap(fmt.Errorf("%s: %q would be read as %q", n, value, canonical), "write it as %q", canonical)
	}
	return nil
}
