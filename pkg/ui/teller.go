package ui

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
)

// line is one event for a person.
type line struct {
	at   time.Time
	step string // the column before the text; empty in a final block
	text string
	tone tone
	more bool   // belongs to the line before it
	of   string // the step's id on the way back, where step is "rollback"
}

// teller turns the records of one run into lines, in order. It remembers only
// what later lines need.
type teller struct {
	o     Options
	plan  journal.Meta
	begun bool // plan is known
	steps []openStep
	acts  map[string]activity // begun, by key
	looks looks
	said  map[string]string // last error told, by step key
	waits []journal.Record  // asked for or begun, and not over
	state runState
	// askedBefore are the keys at which members were asked something.
	askedBefore map[string]bool
}

// runState is what a final block has to know besides the end itself.
type runState struct {
	started  time.Time
	awaiting bool // an approval is asked for
	waits    time.Time
	rollback bool
}

type openStep struct {
	journal.Step
	key   string
	begun time.Time
}

type activity struct {
	kind   string
	key    string
	begun  time.Time
	data   json.RawMessage
	label  string
	output []string // last lines that a command printed
}

// keptOutput is how many lines of a failed command's output are shown.
const keptOutput = 20

func newTeller(o Options) *teller {
	t := &teller{o: o, acts: map[string]activity{}, said: map[string]string{}}
	t.looks.all = o.Verbose
	for _, r := range o.Past {
		t.tell(r)
	}
	t.looks = looks{all: o.Verbose}
	return t
}

// tell returns the lines that r is worth.
func (t *teller) tell(r journal.Record) []line {
	if r.Type == journal.TypeLook {
		return t.look(r)
	}
	out := t.looks.flush()
	out = append(out, t.event(r)...)
	t.track(r)
	return out
}

// track keeps the waits that are not over: who resumes a run has to be told of
// them once more.
func (t *teller) track(r journal.Record) {
	switch r.Type {
	case journal.TypeSleep, journal.TypeAwait:
		t.waits = append(t.waits, r)
	case journal.TypeDone, journal.TypeFailed, journal.TypeSignal:
		t.waits = slices.DeleteFunc(t.waits, func(w journal.Record) bool { return w.Key == r.Key })
	case journal.TypeRetry:
		t.waits = slices.DeleteFunc(t.waits, func(w journal.Record) bool { return within(w.Key, r.Key) })
	case journal.TypeRollback, journal.TypeEnd:
		t.waits = nil
	}
}

func (t *teller) event(r journal.Record) []line {
	switch r.Type {
	case journal.TypeRun:
		t.plan, _ = journal.Decode[journal.Meta](r)
		t.begun = true
		t.state.started = r.Time
	case journal.TypeTakeover:
		return t.takeover(r)
	case journal.TypeStep:
		return t.step(r)
	case journal.TypeIntent:
		return t.intent(r)
	case journal.TypeDone:
		return t.done(r)
	case journal.TypeFailed:
		return t.failed(r)
	case journal.TypeSleep, journal.TypeAwait:
		return t.wait(r)
	case journal.TypeSignal:
		return t.signal(r)
	case journal.TypeRetry:
		return []line{t.line(r, toneWarn, "is done anew")}
	case journal.TypeRollback:
		return t.rollback(r)
	case journal.TypePause, journal.TypeEnd:
		return t.end(r)
	case journal.TypeLook: // see tell
	}
	return nil
}

func (t *teller) takeover(r journal.Record) []line {
	h, _ := journal.Decode[journal.Holder](r)
	t.state.awaiting, t.acts = false, map[string]activity{}
	did := "started"
	switch h.Verb {
	case "", "run":
	case "resume":
		did = "resumed"
	case "rollback":
		did = "is rolled back"
	default:
		did = "taken over (" + clean(h.Verb) + ")"
	}
	words := []string{"run", t.o.Run, clean(t.plan.Plan), did}
	if h.Who != "" || h.Host != "" {
		words = append(words, "by", clean(h.Who+"@"+h.Host))
	}
	text := strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " ")
	if t.o.Dir != "" {
		text += ", state " + t.o.Dir
	}
	lines := []line{{at: r.Time, text: text, tone: toneBold}}
	if h.Verb != "resume" {
		return lines
	}
	for _, w := range t.waits {
		w.Time = r.Time
		lines = append(lines, t.wait(w)...)
	}
	return lines
}

// stepKey is the step's place in the plan; a record of its end may carry the
// status in its key.
func stepKey(r journal.Record, s journal.Step) string {
	return strings.TrimSuffix(r.Key, "."+s.Status)
}

func (t *teller) step(r journal.Record) []line {
	s, _ := journal.Decode[journal.Step](r)
	key := stepKey(r, s)
	text := clean(s.Text)
	if s.Status == "begin" {
		t.steps = append(slices.DeleteFunc(t.steps, func(o openStep) bool { return o.key == key }), openStep{s, key, r.Time})
		return []line{t.lineAt(key, r, toneNone, cmp.Or(text, clean(s.Verb)))}
	}
	took := fromSeconds(s.Took)
	i := slices.IndexFunc(t.steps, func(o openStep) bool { return o.key == key })
	if i < 0 {
		t.steps = append(t.steps, openStep{s, key, r.Time}) // for the line's name
		i = len(t.steps) - 1
	} else if took == 0 {
		took = r.Time.Sub(t.steps[i].begun)
	}
	var l line
	told := t.said[key]
	switch s.Status {
	case "done":
		l = t.lineAt(key, r, toneGood, "done"+inTime(took)+colon(text))
	case "skipped":
		l = t.lineAt(key, r, toneDim, "skipped"+colon(text))
	default:
		l = t.lineAt(key, r, toneBad, "FAILED"+after(took)+colon(text))
	}
	t.steps = slices.Delete(t.steps, i, i+1)
	t.looks.forget(key)
	delete(t.said, key)
	if s.Status == "failed" && told != "" && strings.Contains(text, told) {
		if up := t.owner(key); up.key != "" {
			t.said[up.key] = told
		}
		return nil
	}
	return []line{l}
}

func (t *teller) rollback(r journal.Record) []line {
	b, _ := journal.Decode[journal.Rollback](r)
	t.state.rollback = true
	t.steps, t.acts, t.said = nil, map[string]activity{}, map[string]string{}
	text := "because " + cmp.Or(clean(b.Reason), "a person asked for it")
	if b.Step != "" && !strings.Contains(text, clean(b.Step)) {
		text += " in step " + clean(b.Step)
	}
	if b.Attempt > 1 {
		text += "; attempt " + Count(b.Attempt)
	}
	if b.OnDrift == "force" {
		text += "; values that others changed are overwritten (--on-drift=force)"
	}
	if b.Unclean {
		text += "; a process died before: what is in doubt is looked at again, and swept once more at the end"
	}
	return []line{{at: r.Time, step: "rollback", text: text, tone: toneWarn}}
}

func (t *teller) wait(r journal.Record) []line {
	u, _ := journal.Decode[journal.Until](r)
	text := "waits"
	if r.Type == journal.TypeAwait {
		t.state.awaiting = true
		text = "waits for approval"
	}
	t.state.waits = u.Until
	t.looks.expect(r)
	if !u.Until.IsZero() {
		if r.Type == journal.TypeSleep && u.Until.After(r.Time) {
			text += " " + Duration(u.Until.Sub(r.Time)) + ","
		}
		text += " until " + t.o.moment(r.Time, u.Until)
	}
	text += colon(clean(u.Message))
	if r.Type == journal.TypeAwait {
		text = sentence(text) + " Say so: " + t.o.command("approve")
	}
	return []line{t.line(r, toneWarn, text)}
}

func (t *teller) signal(r journal.Record) []line {
	s, _ := journal.Decode[journal.Signal](r)
	t.state.awaiting = false
	text, tone := "approved", toneGood
	if !s.Approved {
		text, tone = "DENIED", toneBad
	}
	if s.By != "" {
		text += " by " + clean(s.By)
	}
	return []line{t.line(r, tone, text+colon(clean(s.Reason)))}
}

// owner is the innermost open step that key lies in.
func (t *teller) owner(key string) openStep {
	var found openStep
	for _, s := range t.steps {
		if within(key, s.key) && len(s.key) > len(found.key) {
			found = s
		}
	}
	return found
}

// within reports whether key is a place inside the step with that key: below
// it ("/"), one of its activities ("."), another attempt at it ("#"), or the
// part of one member ("[").
func within(key, step string) bool {
	rest, ok := strings.CutPrefix(key, step)
	return ok && rest != "" && strings.ContainsAny(rest[:1], "/.#[")
}

// line is r's text behind the name of the step that it belongs to.
func (t *teller) line(r journal.Record, tone tone, text string) line {
	return t.lineAt(t.owner(r.Key).key, r, tone, text)
}

func (t *teller) lineAt(step string, r journal.Record, tone tone, text string) line {
	l := line{at: r.Time, text: text, tone: tone, step: t.name(step, r.Key)}
	if m := member(r.Key); m != "" {
		l.text = m + ": " + l.text
	}
	if undoing(r.Key) {
		if l.step != "" {
			l.text, l.of = l.step+": "+l.text, l.step
		}
		l.step = "rollback"
	}
	return l
}

// name is the id of the step with that key; what a person calls the place.
func (t *teller) name(step, key string) string {
	for _, s := range t.steps {
		if s.key == step && s.ID != "" {
			return clean(s.ID)
		}
	}
	if parts := strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune("/.#[", r) }); len(parts) > 1 && parts[0] == "steps" {
		return clean(parts[1])
	}
	return ""
}

// member is the member that a key inside an each is about: the last name in
// brackets.
func member(key string) string {
	_, inside, ok := strings.Cut(key[max(0, strings.LastIndex(key, "[")):], "[")
	name, _, closed := strings.Cut(inside, "]")
	if !ok || !closed {
		return ""
	}
	return clean(name)
}

func undoing(key string) bool { return strings.HasPrefix(key, "/undo") }

// sentence ends s with a full stop, if nothing ends it.
func sentence(s string) string {
	if strings.HasSuffix(s, "?") || strings.HasSuffix(s, "!") || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

func colon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

func inTime(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return " in " + Duration(d)
}

func after(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return " after " + Duration(d)
}
