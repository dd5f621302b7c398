package ui

import (
	"maps"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/journal"
)

// inFlight is what is open on each member, and what was where that was told
// before: "web1 214 -> 12, web2 0 in flight; web3 did not tell (status 503)".
func inFlight(d journal.LookData, before map[string]int) string {
	if d.InFlight == nil {
		return clean(d.Text)
	}
	var parts []string
	if text := flightList(d.InFlight, before); text != "" {
		parts = append(parts, text)
	}
	if text := unseen(d.Unseen); text != "" {
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "nothing in flight"
	}
	return strings.Join(parts, "; ")
}

func flightList(now, before map[string]int) string {
	total, was, known := 0, 0, len(before) > 0
	for name, n := range now {
		b, ok := before[name]
		known = known && ok
		total, was = total+n, was+b
	}
	if len(now) == 0 {
		return ""
	}
	if len(now) > longList {
		return trend(was, total, known) + " in flight on " + plural(len(now), "member")
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(now)) {
		b, ok := before[name]
		parts = append(parts, clean(name)+" "+trend(b, now[name], ok))
	}
	return strings.Join(parts, ", ") + " in flight"
}

// trend is "12 -> 3", or the number alone where it is news or the same.
func trend(was, now int, known bool) string {
	if !known || was == now {
		return Count(now)
	}
	return Count(was) + " -> " + Count(now)
}

// unseen are the members of which nobody knows what is in flight.
func unseen(why map[string]string) string {
	names := slices.Sorted(maps.Keys(why))
	var parts []string
	for _, name := range names[:min(len(names), 3)] {
		parts = append(parts, clean(name)+" did not tell ("+clean(why[name])+")")
	}
	if more := len(names) - 3; more > 0 {
		parts = append(parts, "and "+Count(more)+" more")
	}
	return strings.Join(parts, ", ")
}

// asks says that members are asked, when that begins. A process that died
// before it had the answers does it again.
func (t *teller) asks(r journal.Record) []line {
	in, _ := journal.Decode[journal.Call](r)
	if len(in.Members) == 0 {
		return nil // what the driver does is told when it is done
	}
	var names []string
	for _, m := range in.Members {
		names = append(names, clean(m.Label))
	}
	verb := "asks"
	if r.Activity == journal.ActivityKill {
		verb = "ends what is open on"
	}
	again := ""
	if t.askedBefore[r.Key] {
		again = " once more, since a process died before it had the answers"
	}
	if t.askedBefore == nil {
		t.askedBefore = map[string]bool{}
	}
	t.askedBefore[r.Key] = true
	return []line{t.line(r, toneNone, verb+" "+shorten(names)+again+": "+clean(in.What))}
}

// wereAsked tells only of members that did not do it, though they need not.
func (t *teller) wereAsked(r journal.Record) []line {
	out, _ := journal.Decode[journal.Called](r)
	if len(out.Failed) == 0 {
		return nil
	}
	var parts []string
	names := slices.Sorted(maps.Keys(out.Failed))
	for _, name := range names[:min(len(names), longList)] {
		parts = append(parts, clean(name)+": "+clean(out.Failed[name]))
	}
	if more := len(names) - len(parts); more > 0 {
		parts = append(parts, "and "+Count(more)+" more")
	}
	return []line{t.line(r, toneWarn, "not done, and the drain goes on: "+strings.Join(parts, "; "))}
}
