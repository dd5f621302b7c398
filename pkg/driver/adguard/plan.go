package adguard

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset"
	"github.com/flip-cli/flip/pkg/driver/internal/recordset/wire"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// edit is all changes of one set.
type edit struct {
	name    name
	changes []state.Change
}

// values returns the change of the values, if there is one.
func (e edit) values() (state.Change, bool) {
	for _, c := range e.changes {
		if c.Attribute == recordset.Values {
			return c, true
		}
	}
	return state.Change{}, false
}

// editsOf groups changes by set and refuses what is wrong without a look at the
// server.
func editsOf(changes []state.Change) ([]edit, error) {
	var all []edit
	for _, c := range changes {
		n, err := parseName(c.Object)
		if err != nil {
			return nil, driver.Permanent(fmt.Errorf("%w: %w", err, driver.ErrNotFound))
		}
		if err := wellFormed(n, c); err != nil {
			return nil, driver.Permanent(err)
		}
		i := slices.IndexFunc(all, func(e edit) bool { return e.name == n })
		if i < 0 {
			i, all = len(all), append(all, edit{name: n})
		}
		all[i].changes = append(all[i].changes, c)
	}
	return all, nil
}

func wellFormed(n name, c state.Change) error {
	switch c.Attribute {
	case recordset.TTL:
		return nil
	case recordset.Values:
	default:
		return fmt.Errorf("%s: %s cannot be set", n, c.Attribute)
	}
	list := c.To.List()
	switch {
	case !c.To.Present():
		return nil
	case len(list) == 0:
		return hint.Wrap(fmt.Errorf("%s would be left without a value: a set is never empty", n), "values needs at least one")
	case n.wildcard() && len(list) > 1:
		return hint.Wrap(fmt.Errorf("%s: AdGuard Home answers a wildcard with one address only, so %d cannot be set", n, len(list)),
			"give each name below it a rewrite of its own")
	case n.typ == "CNAME" && len(list) > 1:
		return fmt.Errorf("%s: a name has one CNAME, not %d", n, len(list))
	}
	for _, v := range list {
		canonical, err := wire.Value(n.typ, v)
		if err != nil {
			return fmt.Errorf("%s: %w", n, err)
		}
		if canonical != v {
			return hint.Wrap(fmt.Errorf("%s: %q would be read as %q", n, v, canonical), "write it as %q", canonical)
		}
	}
	return nil
}

// plan compares every change with what the server says, refuses what breaks a
// rule, and returns the calls that are left: what is added before what goes, of
// all sets.
func plan(edits []edit, l look) ([]call, error) {
	sets := setsOf(l.rows)
	for _, e := range edits {
		if err := e.compare(l, sets[e.name]); err != nil {
			return nil, err
		}
	}
	var adds, rest []call
	for _, e := range edits {
		s := sets[e.name]
		c, ok := e.values()
		if !ok {
			continue
		}
		calls := steps(e.name, s.live, c.To.List())
		if err := allowed(e.name, c, s, calls); err != nil {
			return nil, driver.Permanent(err)
		}
		for _, one := range calls {
			if one.verb == add {
				adds = append(adds, one)
			} else {
				rest = append(rest, one)
			}
		}
	}
	if err := alone(edits, sets); err != nil {
		return nil, driver.Permanent(err)
	}
	return slices.Concat(leftovers(edits, l.rows), adds, rest), nil
}

// compare finds what somebody else changed. A value on the way from one to the
// other is that of a run which died there.
func (e edit) compare(l look, s set) error {
	attrs := l.attrs(s)
	gone := false
	if c, ok := e.values(); ok {
		now := attrs[recordset.Values]
		if now != c.From && now != c.To && !slices.Contains(via(c.From, c.To), now) {
			return &driver.DriftError{Change: c, Now: now}
		}
		gone = !c.To.Present()
	}
	for _, c := range e.changes {
		if c.Attribute != recordset.TTL {
			continue
		}
		if now := attrs[recordset.TTL]; now != c.From && now != c.To {
			if len(s.live) > 0 || now.Present() {
				return &driver.DriftError{Change: c, Now: now}
			}
		}
		switch {
		case c.To == state.Int(l.ttl), !c.To.Present() && gone:
		case !c.To.Present():
			return driver.Permanent(fmt.Errorf("%s: a set has a TTL as long as it exists", e.name))
		default:
			return driver.Permanent(hint.Wrap(
				fmt.Errorf("%s: the TTL is %d for all answers of this AdGuard Home and cannot be %s for one name", e.name, l.ttl, c.To),
				"leave ttl out, or change \"TTL of blocked responses\" in its DNS settings"))
		}
	}
	return nil
}

// allowed refuses what the server would answer otherwise than it is set, and
// what would take a row that flip does not own.
func allowed(n name, c state.Change, s set, calls []call) error {
	if s.through && c.To.Present() && len(calls) > 0 {
		return hint.Wrap(fmt.Errorf("%s: a rewrite with the answer %s lets the type through to the upstream, whatever else is set", n, n.typ), "remove that rewrite in AdGuard Home")
	}
	for _, one := range calls {
		for _, r := range s.disabled {
			if r.answer == one.row.answer || r.answer == one.next.answer {
				return hint.Wrap(fmt.Errorf("%s: there is a disabled rewrite with the answer %s, which the API cannot tell from an enabled one", n, r.answer),
					"delete it or enable it in AdGuard Home")
			}
		}
	}
	return nil
}

// alone refuses a CNAME beside addresses, unless it stood there before.
func alone(edits []edit, sets map[name]set) error {
	has := func(n name) bool {
		for _, e := range edits {
			if c, ok := e.values(); ok && e.name == n {
				return c.To.Present()
			}
		}
		return len(sets[n].live) > 0
	}
	for _, e := range edits {
		c, ok := e.values()
		if !ok || !c.To.Present() || len(sets[e.name].live) > 0 {
			continue
		}
		for _, typ := range types {
			other := name{e.name.host, typ}
			if (e.name.typ == "CNAME") != (typ == "CNAME") && has(other) {
				return hint.Wrap(fmt.Errorf("%s: there is a %s too, and with a CNAME addresses are not answered", e.name, other), "take one away in the same step")
			}
		}
	}
	return nil
}

// leftovers removes what a run that died had put aside.
func leftovers(edits []edit, rows []row) []call {
	var calls []call
	for _, e := range edits {
		for _, r := range rows {
			c := call{verb: remove, row: r}
			if r.domain == e.name.retired() && !slices.Contains(calls, c) {
				calls = append(calls, c)
			}
		}
	}
	return calls
}

// newestFirst refuses an address that is added behind one that stays.
func newestFirst(edits []edit) error {
	for _, e := range edits {
		c, ok := e.values()
		if !ok || !c.From.Present() {
			continue
		}
		from, to := c.From.List(), c.To.List()
		var fresh, stays []string
		late := false
		for _, v := range to {
			if slices.Contains(from, v) {
				stays = append(stays, v)
				continue
			}
			fresh = append(fresh, v)
			late = late || len(stays) > 0
		}
		if late {
			return hint.Wrap(fmt.Errorf("%s: %s comes behind %s, and clients that take the first answer would not see it (order: new-first)", e.name, fresh[len(fresh)-1], stays[0]),
				"values: [%s]", strings.Join(slices.Concat(fresh, stays), ", "))
		}
	}
	return nil
}
