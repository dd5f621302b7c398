package ui

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
)

// How often an observation that says nothing new is told again.
const (
	gateEvery  = 10 * time.Second
	drainEvery = 2 * time.Second
	waitEvery  = time.Minute
	// oneRound is the longest time between the looks at the members of one
	// gate that are told in one line.
	oneRound = time.Second
)

// looks thins observations out. What is told at once: a verdict that changes,
// and a wording that changes. Amounts alone are told every now and then.
type looks struct {
	all    bool // everything is told
	quiet  bool // only verdicts are told: something else shows the rest
	gates  []*gateLooks
	drains map[string]told
	texts  map[string]told
}

type told struct {
	text    string
	at      time.Time
	flights map[string]int // of a drain
}

// gateLooks is one gate with its last look at each member.
type gateLooks struct {
	step    string // key
	name    string
	order   []string
	seen    map[string]journal.LookData
	pending []string  // members looked at since the last flush
	at      time.Time // of the first pending
	last    line      // where a line would be written
	changed bool
	printed time.Time
}

func (t *teller) look(r journal.Record) []line {
	d, _ := journal.Decode[journal.LookData](r)
	kind := cmp.Or(r.Activity, t.acts[r.Key].kind)
	switch {
	case d.Gate != "":
		return t.looks.gate(d, r.Time, t.owner(r.Key).key, t.line(r, toneNone, ""))
	case d.InFlight != nil || kind == "drain":
		return t.looks.drain(d, r, t.line(r, toneNone, inFlight(d, t.looks.drains[r.Key].flights)))
	case kind == "run", kind == journal.ActivityAsk, kind == journal.ActivityKill:
		return t.output(d, r)
	}
	text := clean(d.Text)
	if kind == "hold" && d.Text == kind {
		return t.looks.text(d, r, t.line(r, toneNone, "hold "+Duration(d.Until.Sub(r.Time).Round(100*time.Millisecond))))
	}
	if d.Until.After(r.Time) {
		text += ", at most " + Duration(d.Until.Sub(r.Time).Round(time.Second)) + " more"
	}
	return t.looks.text(d, r, t.line(r, toneNone, text))
}

// output keeps the last lines of a command for the case that it fails.
func (t *teller) output(d journal.LookData, r journal.Record) []line {
	var lines []line
	for text := range strings.SplitSeq(strings.TrimRight(d.Text, "\n"), "\n") {
		if a, ok := t.acts[r.Key]; ok {
			a.output = append(a.output, text)
			a.output = a.output[max(0, len(a.output)-keptOutput):]
			t.acts[r.Key] = a
		}
		if t.looks.all {
			lines = append(lines, t.line(r, toneDim, "| "+clean(text)))
		}
	}
	return append(t.looks.flush(), lines...)
}

func (l *looks) gate(d journal.LookData, at time.Time, step string, where line) []line {
	i := slices.IndexFunc(l.gates, func(g *gateLooks) bool { return g.step == step && g.name == d.Gate })
	if i < 0 {
		l.gates = append(l.gates, &gateLooks{step: step, name: d.Gate, seen: map[string]journal.LookData{}})
		i = len(l.gates) - 1
	}
	g := l.gates[i]
	var out []line
	if slices.Contains(g.pending, d.Member) || (len(g.pending) > 0 && at.Sub(g.at) >= oneRound) {
		out = l.flushGate(g)
	}
	before, known := g.seen[d.Member]
	if !known {
		g.order = append(g.order, d.Member)
	}
	turned := !known || verdictOf(before) != verdictOf(d)
	g.changed = g.changed || turned || (!l.quiet && wording(before.Text) != wording(d.Text))
	if len(g.pending) == 0 {
		g.at = at
	}
	g.seen[d.Member] = d
	g.pending = append(g.pending, d.Member)
	g.last = where
	if d.Member == "" {
		out = append(out, l.flushGate(g)...)
	}
	return out
}

func (l *looks) flushGate(g *gateLooks) []line {
	due := g.last.at.Sub(g.printed) >= gateEvery && !l.quiet
	tell := len(g.pending) > 0 && (g.changed || due || l.all)
	g.pending = nil
	if !tell {
		return nil
	}
	g.changed, g.printed = false, g.last.at
	out := g.last
	out.text += "gate " + clean(g.name) + ": " + g.text()
	return []line{out}
}

// text is the verdict on every member, those that are not fine first where
// there are too many to name.
func (g *gateLooks) text() string {
	order := g.order
	if len(order) > longList {
		order = slices.Clone(order)
		slices.SortStableFunc(order, func(a, b string) int { return rank(g.seen[a]) - rank(g.seen[b]) })
		order = order[:longList]
	}
	var parts []string
	for _, m := range order {
		parts = append(parts, strings.TrimLeft(clean(m)+" ", " ")+verdict(g.seen[m]))
	}
	text := strings.Join(parts, ", ")
	if more := len(g.order) - len(order); more > 0 {
		text += " and " + Count(more) + " more"
	}
	return text
}

func rank(d journal.LookData) int {
	if d.Pass != nil && *d.Pass {
		return 1
	}
	return 0
}

func verdictOf(d journal.LookData) string {
	switch {
	case d.Pass == nil:
		return "unknown"
	case *d.Pass:
		return "ok"
	}
	return "not ok"
}

// verdict is what one look saw: "ok: 200", "not ok: 503 (warming)".
func verdict(d journal.LookData) string {
	if text := clean(d.Text); text != "" {
		return verdictOf(d) + ": " + text
	}
	return verdictOf(d)
}

func (l *looks) drain(d journal.LookData, r journal.Record, where line) []line {
	if l.drains == nil {
		l.drains = map[string]told{}
	}
	before, known := l.drains[r.Key]
	now := inFlight(d, nil) // without what was before, to see whether it is news
	if l.quiet || known && !l.all && (before.text == now || r.Time.Sub(before.at) < drainEvery) {
		return l.flush()
	}
	l.drains[r.Key] = told{now, r.Time, d.InFlight}
	return append(l.flush(), where)
}

func (l *looks) text(d journal.LookData, r journal.Record, where line) []line {
	if l.texts == nil {
		l.texts = map[string]told{}
	}
	before, known := l.texts[r.Key]
	again := known && (before.text == "" || wording(before.text) == wording(d.Text)) && r.Time.Sub(before.at) < waitEvery
	if d.Text == "" || again && !l.all {
		return l.flush()
	}
	l.texts[r.Key] = told{text: d.Text, at: r.Time}
	if l.quiet {
		return l.flush()
	}
	return append(l.flush(), where)
}

// expect notes that a wait was told by r, so that its first look says nothing
// new, whatever its words are.
func (l *looks) expect(r journal.Record) {
	if l.texts == nil {
		l.texts = map[string]told{}
	}
	l.texts[r.Key] = told{at: r.Time}
}

// flush tells the rounds of looks that are complete because something else
// happened.
func (l *looks) flush() []line {
	var out []line
	for _, g := range l.gates {
		out = append(out, l.flushGate(g)...)
	}
	return out
}

// forget drops what a step that has ended had looked at.
func (l *looks) forget(step string) {
	l.gates = slices.DeleteFunc(l.gates, func(g *gateLooks) bool { return g.step == step })
	below := func(key string, _ told) bool { return within(key, step) }
	maps.DeleteFunc(l.drains, below)
	maps.DeleteFunc(l.texts, below)
}
