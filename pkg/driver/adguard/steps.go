package adguard

import (
	"slices"

	"github.com/flip-cli/flip/pkg/state"
)

// The API changes one row a call: it appends, replaces the first row that fits
// in its place, or deletes all rows that are alike. Answers follow the list. So
// a set goes to a new order through states in between. They are chosen so that
// no state is empty and nothing is missing that is in both the old set and the
// new one, and they are known beforehand: a run that died among them goes on.

// verb is a call of the API.
type verb string

const (
	add    verb = "add"
	update verb = "update"
	remove verb = "delete"
)

// call changes one row.
type call struct {
	verb verb
	row  row // what is added, removed or replaced
	next row // what replaces it
}

// after is what the rows are once the server made the call.
func (c call) after(rows []row) []row {
	rows = slices.Clone(rows)
	same := func(r row) bool { return r.domain == c.row.domain && r.answer == c.row.answer }
	switch c.verb {
	case add:
		rows = append(rows, c.row)
	case remove:
		rows = slices.DeleteFunc(rows, same)
	case update:
		if i := slices.IndexFunc(rows, same); i >= 0 {
			next := c.next
			next.disabled = rows[i].disabled
			rows[i] = next
		}
	}
	return rows
}

// steps are the calls that lead the enabled rows of a set to want, which has no
// value twice. Without want the set is taken away.
func steps(n name, live []row, want []string) []call {
	for _, easy := range []func(name, []row, []string) []call{unchanged, inPlace, inFront} {
		if calls := easy(n, live, want); calls != nil {
			return calls
		}
	}
	keep, first := kept(live, want)
	var calls []call
	for _, v := range want[first:] {
		calls = append(calls, call{verb: add, row: row{domain: n.host, answer: v}})
	}
	var gone []string
	for i, r := range live {
		switch _, v := r.read(); {
		case keep[i] || slices.Contains(gone, r.answer):
		case slices.Contains(want, v):
			calls = append(calls, retire(n, r)...)
		default:
			calls = append(calls, call{verb: remove, row: r})
			gone = append(gone, r.answer)
		}
	}
	return calls
}

// retire takes away the first of several rows that are alike.
func retire(n name, r row) []call {
	aside := row{domain: n.retired(), answer: r.answer}
	return []call{{verb: update, row: r, next: aside}, {verb: remove, row: aside}}
}

// kept finds the rows that can stay where they are: the longest beginning of
// want that the last rows of each value have in that order.
func kept(live []row, want []string) (keep map[int]bool, n int) {
	keep = map[int]bool{}
	at := -1
	for _, v := range want {
		last := -1
		for i, r := range live {
			if _, have := r.read(); have == v {
				last = i
			}
		}
		if last <= at {
			break
		}
		at = last
		keep[last] = true
		n++
	}
	return keep, n
}

// unchanged: nothing is to do.
func unchanged(_ name, live []row, want []string) []call {
	if len(live) != len(want) {
		return nil
	}
	for i, r := range live {
		if _, v := r.read(); v != want[i] {
			return nil
		}
	}
	return []call{}
}

// inPlace: one row is replaced, which the server compares and sets.
func inPlace(n name, live []row, want []string) []call {
	if len(live) != len(want) {
		return nil
	}
	at := -1
	for i, r := range live {
		switch _, v := r.read(); {
		case v == want[i]:
		case at >= 0:
			return nil
		default:
			at = i
		}
	}
	first := slices.IndexFunc(live, func(r row) bool { return r.answer == live[at].answer })
	if first != at {
		return nil
	}
	return []call{{verb: update, row: live[at], next: row{domain: n.host, answer: want[at]}}}
}

// inFront: a value goes before the only one. The old one is there twice for a
// moment and then replaced where it stood first.
func inFront(n name, live []row, want []string) []call {
	if len(live) != 1 || len(want) != 2 {
		return nil
	}
	if _, v := live[0].read(); v != want[1] {
		return nil
	}
	return []call{
		{verb: add, row: row{domain: n.host, answer: live[0].answer}},
		{verb: update, row: live[0], next: row{domain: n.host, answer: want[0]}},
	}
}

// via are the values that a set shows on its way from one to another.
func via(from, to state.Value) []state.Value {
	n := name{"example.com", "A"}
	var rows []row
	for _, v := range from.List() {
		rows = append(rows, row{domain: n.host, answer: v})
	}
	var seen []state.Value
	for _, c := range steps(n, rows, to.List()) {
		rows = c.after(rows)
		var s set
		for _, r := range rows {
			if r.domain == n.host {
				s.live = append(s.live, r)
			}
		}
		if v := s.value(); v != from && v != to && !slices.Contains(seen, v) {
			seen = append(seen, v)
		}
	}
	return seen
}
