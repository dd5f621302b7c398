package ui

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
)

// segment is a part of the status line.
type segment struct {
	text string
	tone tone
}

// status knows what is going on at this moment: the steps that are open and
// what the newest activity waits for.
type status struct {
	tell   *teller // for the open steps; told every record before status
	ended  bool
	undo   bool
	asked  bool              // an approval is asked for
	level  map[string]string // step key -> "25 %"
	acts   []activity
	until  map[string]time.Time
	gates  []gateNow
	counts map[string]journal.LookData // drain's, by key
	texts  map[string]string           // progress, by key
}

type gateNow struct {
	key, gate, member string
	look              journal.LookData
}

func newStatus(t *teller) *status {
	s := &status{tell: t}
	s.reset()
	return s
}

func (s *status) reset() {
	s.level, s.until = map[string]string{}, map[string]time.Time{}
	s.counts, s.texts = map[string]journal.LookData{}, map[string]string{}
	s.acts, s.gates, s.asked = nil, nil, false
}

func (s *status) record(r journal.Record) {
	switch r.Type {
	case journal.TypeTakeover:
		s.reset()
		s.ended = false
	case journal.TypeRollback:
		s.reset()
		s.undo = true
	case journal.TypeStep:
		s.step(r)
	case journal.TypeIntent:
		s.begin(r)
	case journal.TypeDone, journal.TypeFailed:
		s.finish(r.Key)
	case journal.TypeSleep, journal.TypeAwait:
		s.wait(r)
	case journal.TypeSignal:
		s.asked = false
		s.finish(r.Key)
	case journal.TypePause, journal.TypeEnd:
		s.reset()
		s.ended = true
	case journal.TypeLook:
		s.look(r)
	case journal.TypeRun, journal.TypeRetry:
	}
}

func (s *status) step(r journal.Record) {
	d, _ := journal.Decode[journal.Step](r)
	key := stepKey(r, d)
	// A sleep has no record of its end: the next step of its kind is the end.
	s.acts = slices.DeleteFunc(s.acts, func(a activity) bool { return within(a.key, key) || a.kind == "sleep" && !s.open(a.key) })
	if d.Status != "begin" {
		delete(s.level, key)
		s.gates = slices.DeleteFunc(s.gates, func(g gateNow) bool { return within(g.key, key) })
	}
}

func (s *status) open(key string) bool { return s.tell.owner(key).key != "" }

func (s *status) begin(r journal.Record) {
	switch r.Activity {
	case "observe", "clock":
		return
	case "apply":
		in, _ := journal.Decode[journal.Apply](r)
		if step := s.tell.owner(r.Key).key; in.Label != "" && step != "" {
			s.level[step] = clean(in.Label)
		}
	}
	d, _ := journal.Decode[struct {
		Until    time.Time `json:"until"`
		Deadline time.Time `json:"deadline"`
	}](r)
	if until := cmp.Or(d.Until, d.Deadline); !until.IsZero() {
		s.until[r.Key] = until
	}
	step := s.tell.owner(r.Key).key
	s.acts = slices.DeleteFunc(s.acts, func(a activity) bool {
		return a.key == r.Key || a.kind == "sleep" && s.tell.owner(a.key).key == step
	})
	s.acts = append(s.acts, activity{kind: r.Activity, key: r.Key, begun: r.Time})
}

func (s *status) finish(key string) {
	s.acts = slices.DeleteFunc(s.acts, func(a activity) bool { return a.key == key })
	s.gates = slices.DeleteFunc(s.gates, func(g gateNow) bool { return g.key == key })
	delete(s.until, key)
	delete(s.counts, key)
	delete(s.texts, key)
}

func (s *status) wait(r journal.Record) {
	u, _ := journal.Decode[journal.Until](r)
	kind := "sleep"
	if r.Type == journal.TypeAwait {
		kind, s.asked = "approval", true
	}
	s.texts[r.Key] = clean(u.Message)
	s.until[r.Key] = u.Until
	s.acts = append(slices.DeleteFunc(s.acts, func(a activity) bool { return a.key == r.Key }),
		activity{kind: kind, key: r.Key, begun: r.Time})
}

func (s *status) look(r journal.Record) {
	d, _ := journal.Decode[journal.LookData](r)
	if !d.Until.IsZero() {
		s.until[r.Key] = d.Until
	}
	// What only looks has no intent: its first look is its beginning.
	if r.Activity != "" && !slices.ContainsFunc(s.acts, func(a activity) bool { return a.key == r.Key }) {
		s.acts = append(s.acts, activity{kind: r.Activity, key: r.Key, begun: r.Time})
	}
	switch {
	case d.Gate != "":
		i := slices.IndexFunc(s.gates, func(g gateNow) bool {
			return g.key == r.Key && g.gate == d.Gate && g.member == d.Member
		})
		if i < 0 {
			s.gates = append(s.gates, gateNow{r.Key, d.Gate, d.Member, d})
			return
		}
		s.gates[i].look = d
	case d.InFlight != nil:
		s.counts[r.Key] = d
	case d.Text == r.Activity: // "hold": the line says so
	default:
		if _, told := s.texts[r.Key]; told && s.waiting(r.Key) && strings.HasPrefix(d.Text, "waiting") {
			return // that it waits, and for what, is said
		}
		s.texts[r.Key] = clean(d.Text)
	}
}

// waiting reports whether the run itself waits at that key, for a time or a
// person.
func (s *status) waiting(key string) bool {
	return slices.ContainsFunc(s.acts, func(a activity) bool {
		return a.key == key && (a.kind == "sleep" || a.kind == "approval")
	})
}

// segments are the parts of the status line, the most telling first. There
// are none when nothing runs.
func (s *status) segments(now time.Time) []segment {
	steps := s.tell.steps
	if s.ended || (len(steps) == 0 && len(s.acts) == 0) {
		return nil
	}
	var out []segment
	var a activity
	if len(s.acts) > 0 {
		a = s.acts[len(s.acts)-1]
	}
	step := s.tell.owner(a.key)
	if step.key == "" && len(steps) > 0 {
		step = steps[len(steps)-1]
	}
	if s.undo {
		out = append(out, segment{"rollback", toneWarn})
	}
	if step.ID != "" {
		out = append(out, segment{clean(step.ID), toneBold})
	}
	if m := member(cmp.Or(a.key, step.key)); m != "" {
		out = append(out, segment{m, toneNone})
	}
	if level := s.level[step.key]; level != "" {
		out = append(out, segment{level, toneNone})
	}
	if a.key == "" {
		return append(out, segment{clean(step.Verb) + " " + elapsed(now, step.begun), toneNone})
	}
	out = append(out, segment{s.doing(a, now), toneNone})
	out = append(out, s.gateSegments(a.key)...)
	if d, ok := s.counts[a.key]; ok {
		out = append(out, segment{inFlight(d, nil), toneNone})
	}
	if text := s.texts[a.key]; text != "" {
		out = append(out, segment{text, toneNone})
	}
	if others := len(s.acts) - 1; others > 0 {
		out = append(out, segment{"and " + Count(others) + " more at once", toneDim})
	}
	return out
}

// place is which of the plan's steps is being done, "" on the way back and
// where the plan's steps are not known.
func (s *status) place() string {
	if s.undo || len(s.tell.steps) == 0 {
		return ""
	}
	of := s.tell.o.Steps
	if i := slices.Index(of, s.tell.name("", s.tell.steps[0].key)); i >= 0 {
		return "step " + Count(i+1) + " of " + Count(len(of))
	}
	return ""
}

// Doing says what a run does at this moment, of which these are the records
// and looks in their order: what the live view says, without the step's name.
func Doing(records []journal.Record, now time.Time) string {
	t := newTeller(Options{})
	s := newStatus(t)
	for _, r := range records {
		t.tell(r)
		s.record(r)
	}
	var parts []string
	for _, g := range s.segments(now) {
		if g.tone != toneBold && g.text != "rollback" {
			parts = append(parts, g.text)
		}
	}
	return strings.Join(parts, "; ")
}

// doing says what an activity does, for how long, and for how long at most.
func (s *status) doing(a activity, now time.Time) string {
	names := map[string]string{"apply": "changes", "restore": "puts back", "run": "command", "sleep": "waits", journal.ActivityViews: "looks", "approval": "waits for approval"}
	text := cmp.Or(names[a.kind], clean(a.kind)) + " " + elapsed(now, a.begun)
	until := s.until[a.key]
	if !until.After(a.begun) {
		return text
	}
	whole := Duration(until.Sub(a.begun).Round(time.Second))
	if a.kind == "hold" || a.kind == "sleep" {
		return text + " of " + whole
	}
	return text + ", up to " + whole
}

func elapsed(now, since time.Time) string {
	return Duration(max(0, now.Sub(since)).Truncate(time.Second))
}

// gateSegments are the gates of one activity: each one's worst verdict.
func (s *status) gateSegments(key string) []segment {
	var out []segment
	var names []string
	for _, g := range s.gates {
		if g.key == key && !slices.Contains(names, g.gate) {
			names = append(names, g.gate)
		}
	}
	for _, name := range names {
		var of []gateNow
		for _, g := range s.gates {
			if g.key == key && g.gate == name {
				of = append(of, g)
			}
		}
		out = append(out, gateSegment(name, of))
	}
	return out
}

func gateSegment(name string, members []gateNow) segment {
	fine := countIf(members, func(g gateNow) bool { return rank(g.look) == 1 })
	if len(members) == 1 {
		t := toneWarn
		if fine == 1 {
			t = toneGood
		}
		return segment{clean(name) + " " + verdict(members[0].look), t}
	}
	if fine == len(members) {
		return segment{clean(name) + " ok on " + Count(fine), toneGood}
	}
	i := slices.IndexFunc(members, func(g gateNow) bool { return rank(g.look) == 0 })
	worst := members[i]
	return segment{clean(name) + " ok on " + Count(fine) + " of " + Count(len(members)) + ", " +
		clean(worst.member) + " " + verdict(worst.look), toneWarn}
}

// fit puts segments side by side in at most w columns; what is too long is
// cut, and colour is put on what is left.
func (o Options) fit(segments []segment, w int) string {
	var out strings.Builder
	for i, s := range segments {
		if i > 0 {
			if w <= gap {
				break
			}
			out.WriteString("  ")
			w -= gap
		}
		text := cut(s.text, w)
		if text == "" {
			break
		}
		out.WriteString(o.paint(s.tone, text))
		w -= width(text)
	}
	return out.String()
}
