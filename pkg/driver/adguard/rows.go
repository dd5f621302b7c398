package adguard

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/state"
)

// row is one rewrite as the server lists it.
type row struct {
	domain, answer string
	disabled       bool
}

// The types that a rewrite can be of.
var types = []string{"A", "AAAA", "CNAME"}

// read says what a row is: its type and its value in the form of plans. A row
// whose answer is "A" or "AAAA" has no value: it lets that type through to the
// upstream. A CNAME whose target is no name keeps its text.
func (r row) read() (typ, value string) {
	if r.answer == "A" || r.answer == "AAAA" {
		return r.answer, ""
	}
	addr, err := netip.ParseAddr(r.answer)
	switch {
	case err != nil:
		typ = "CNAME"
	case addr.Is4():
		typ = "A"
	default:
		typ = "AAAA"
	}
	if value, err = wire.Value(typ, r.answer); err != nil {
		return typ, r.answer
	}
	return typ, value
}

// name names a record set.
type name struct{ host, typ string }

func (n name) String() string { return n.host + " " + n.typ }
func (n name) wildcard() bool { return strings.HasPrefix(n.host, "*.") }

// retired is the name under which a row is put that has to go while another
// with the same answer stays: `delete` takes all rows that are alike.
func (n name) retired() string { return retiredPrefix + strings.TrimPrefix(n.host, "*.") }

const retiredPrefix = "_flip-retired."

// set are the rows of one name and type, in the order of the list.
type set struct {
	live     []row // enabled
	disabled []row
	through  bool // a row lets the type through to the upstream
}

// values are those of the enabled rows, each once, in the order of answers.
func (s set) values() []string {
	var all []string
	for _, r := range s.live {
		if _, v := r.read(); !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// value is the attribute: absent without rows.
func (s set) value() state.Value {
	if len(s.live) == 0 {
		return state.Absent
	}
	return state.Sequence(s.values())
}

// setsOf sorts rows into sets. What flip put aside is none of them.
func setsOf(rows []row) map[name]set {
	all := map[name]set{}
	for _, r := range rows {
		if strings.HasPrefix(r.domain, retiredPrefix) {
			continue
		}
		typ, value := r.read()
		n := name{strings.ToLower(r.domain), typ}
		s := all[n]
		switch {
		case r.disabled:
			s.disabled = append(s.disabled, r)
		case value == "":
			s.through = true
		default:
			s.live = append(s.live, r)
		}
		all[n] = s
	}
	return all
}
