package ui

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// Story is one run as its records tell it. Its JSON fields are stable: they
// keep their names and meanings, new ones may come. What stands in text, why
// and said is for people and may be worded anew.
type Story struct {
	Run         string           `json:"run"`
	Plan        string           `json:"plan"`
	File        string           `json:"file,omitempty"`
	Description string           `json:"description,omitempty"`
	Flip        string           `json:"flip,omitempty"`
	Live        string           `json:"live,omitempty"`
	Idle        string           `json:"idle,omitempty"`
	State       journal.Outcome  `json:"state"`
	Step        string           `json:"step,omitempty"` // where it stands or failed
	Why         string           `json:"why,omitempty"`
	Started     time.Time        `json:"started,omitzero"`
	Last        time.Time        `json:"last,omitzero"` // time of the last record
	Took        float64          `json:"took_s"`
	Changed     int              `json:"changed"`
	Restored    int              `json:"restored"`
	Holders     []journal.Holder `json:"holders,omitempty"`
	Steps       []StepStory      `json:"steps"`
	Rollbacks   []RollbackStory  `json:"rollbacks,omitempty"`
	Drift       []journal.Drift  `json:"drift,omitempty"`
	Files       []string         `json:"files,omitempty"`

	end  *journal.End
	meta journal.Meta
	view runState
}

// StepStory is one step of a run, or of the way back.
type StepStory struct {
	Key     string         `json:"key"`
	ID      string         `json:"id"`
	Verb    string         `json:"verb"`
	Status  string         `json:"status"` // begin while it runs, done, skipped, failed
	What    string         `json:"what,omitempty"`
	Text    string         `json:"text,omitempty"`
	Started time.Time      `json:"started,omitzero"`
	Took    float64        `json:"took_s"`
	Depth   int            `json:"depth,omitempty"` // how many steps it lies in
	Changes []state.Change `json:"changes,omitempty"`
	Gates   []GateStory    `json:"gates,omitempty"`
	Said    []string       `json:"said,omitempty"` // outcomes of its waits
	Error   *journal.Error `json:"error,omitempty"`
}

// GateStory is the last that a gate said about a member.
type GateStory struct {
	Gate   string    `json:"gate"`
	Member string    `json:"member,omitempty"`
	Pass   *bool     `json:"pass"` // null: it could not be looked at
	Text   string    `json:"text,omitempty"`
	Time   time.Time `json:"time"`
}

// RollbackStory is one attempt at the way back.
type RollbackStory struct {
	journal.Rollback
	Time  time.Time   `json:"time"`
	Steps []StepStory `json:"steps"`
}

// Merge puts the chain and the observations of a run into the order in which
// they were written.
func Merge(chain, looks []journal.Record) []journal.Record {
	all := slices.Concat(chain, looks)
	slices.SortStableFunc(all, func(a, b journal.Record) int { return a.Time.Compare(b.Time) })
	return all
}

// Tell makes the story of a run out of its records. A state that records
// cannot know (IN DOUBT) may be set afterwards.
func Tell(run string, records []journal.Record) Story {
	b := &storyBuilder{teller: newTeller(Options{Run: run}), inputs: map[string]journal.Record{}, slept: map[string]slept{}}
	b.Story = Story{Run: run, State: journal.OutcomeRunning, Steps: []StepStory{}}
	for _, r := range records {
		b.teller.tell(r)
		b.record(r)
	}
	if !b.Last.IsZero() && !b.Started.IsZero() {
		b.Took = b.Last.Sub(b.Started).Seconds()
	}
	b.view = b.teller.state
	return b.Story
}

type storyBuilder struct {
	Story
	teller *teller
	inputs map[string]journal.Record
	slept  map[string]slept
}

// slept is a wait of the way back that says what for.
type slept struct {
	what  string
	since time.Time
}

// list is where the steps go at this point: into the run or the way back.
func (b *storyBuilder) list() *[]StepStory {
	if n := len(b.Rollbacks); n > 0 {
		return &b.Rollbacks[n-1].Steps
	}
	return &b.Steps
}

func (b *storyBuilder) record(r journal.Record) {
	if r.Type != journal.TypeLook {
		b.Last = r.Time
	}
	switch r.Type {
	case journal.TypeRun:
		b.meta, _ = journal.Decode[journal.Meta](r)
		m := b.meta
		b.Plan, b.File, b.Description, b.Flip, b.Live, b.Idle = m.Plan, m.File, m.Description, m.Flip, m.Live, m.Idle
		b.Started = r.Time
	case journal.TypeTakeover:
		h, _ := journal.Decode[journal.Holder](r)
		b.Holders = append(b.Holders, h)
		b.State, b.Step, b.Why, b.end = journal.OutcomeRunning, "", "", nil
	case journal.TypeStep:
		b.step(r)
	case journal.TypeRollback:
		d, _ := journal.Decode[journal.Rollback](r)
		b.Rollbacks = append(b.Rollbacks, RollbackStory{Rollback: d, Time: r.Time, Steps: []StepStory{}})
	case journal.TypePause, journal.TypeEnd:
		e, _ := journal.Decode[journal.End](r)
		b.end = &e
		b.State, b.Step, b.Why = e.Outcome, e.Step, e.Reason
		b.Drift, b.Changed, b.Restored = e.Drift, e.Changed, e.Restored
	case journal.TypeIntent:
		b.inputs[r.Key] = r
		if in, _ := journal.Decode[journal.Command](r); r.Activity == "run" && in.Log != "" && !slices.Contains(b.Files, in.Log) {
			b.Files = append(b.Files, in.Log)
		}
	case journal.TypeDone, journal.TypeFailed:
		b.activity(r)
	case journal.TypeLook:
		b.look(r)
	case journal.TypeSleep:
		if u, _ := journal.Decode[journal.Until](r); u.Message != "" {
			b.slept[r.Key] = slept{clean(u.Message), r.Time}
		}
	case journal.TypeAwait, journal.TypeSignal, journal.TypeRetry:
	}
}

func (b *storyBuilder) step(r journal.Record) {
	d, _ := journal.Decode[journal.Step](r)
	key := stepKey(r, d)
	s := b.find(key)
	if s == nil {
		steps := b.list()
		depth := countIf(b.teller.steps, func(o openStep) bool { return within(key, o.key) })
		*steps = append(*steps, StepStory{Key: key, ID: d.ID, Verb: d.Verb, Started: r.Time, Depth: depth})
		s = &(*steps)[len(*steps)-1]
	}
	s.Status = d.Status
	if d.Status == "begin" {
		s.What, s.Started, s.Text, s.Error, s.Took = d.Text, r.Time, "", nil, 0
		return
	}
	s.Text = d.Text
	s.Took = cmp.Or(d.Took, r.Time.Sub(s.Started).Seconds())
}

func (b *storyBuilder) find(key string) *StepStory {
	steps := *b.list()
	for i := range steps {
		if steps[i].Key == key {
			return &steps[i]
		}
	}
	return nil
}

// owner is the step that a record belongs to, nil when there is none.
func (b *storyBuilder) owner(r journal.Record) *StepStory {
	var best *StepStory
	steps := *b.list()
	for i := range steps {
		if within(r.Key, steps[i].Key) && (best == nil || len(steps[i].Key) > len(best.Key)) {
			best = &steps[i]
		}
	}
	return best
}

// wayBack makes a step out of an activity of the way back, which has none of
// its own, once it has begun or did something.
func (b *storyBuilder) wayBack(r journal.Record) *StepStory {
	if !undoing(r.Key) || len(b.Rollbacks) == 0 {
		return nil
	}
	s := StepStory{Key: r.Key, ID: "put back", Verb: r.Activity, Status: "done", Started: r.Time}
	input := b.inputs[r.Key]
	if r.Activity == "sleep" {
		s.ID, s.What = "caches", b.slept[r.Key].what
		s.Started, s.Took = b.slept[r.Key].since, r.Time.Sub(b.slept[r.Key].since).Seconds()
	} else if r.Activity == "run" {
		in, _ := journal.Decode[journal.Command](input)
		s.ID, s.What = cmp.Or(in.Env["FLIP_STEP"], "run"), commandLine(in)
	} else if in, _ := journal.Decode[journal.Restore](input); in.Target != "" {
		s.What = strings.TrimSpace(in.Target + " " + in.Phase)
	}
	if !input.Time.IsZero() {
		s.Started, s.Took = input.Time, r.Time.Sub(input.Time).Seconds()
	}
	list := b.list()
	*list = append(*list, s)
	return &(*list)[len(*list)-1]
}

func (b *storyBuilder) activity(r journal.Record) {
	if r.Activity == "observe" && r.Error == nil || r.Activity == "clock" {
		return
	}
	s := b.owner(r)
	if s == nil && b.telling(r) {
		s = b.wayBack(r)
	}
	if s == nil {
		return
	}
	if r.Error != nil {
		s.Error = r.Error
		if undoing(r.Key) {
			s.Status = "failed"
		}
		return
	}
	switch r.Activity {
	case "run":
		out, _ := journal.Decode[journal.Exit](r)
		if out.Code != 0 {
			s.Error = &journal.Error{Text: "command exited with " + Count(out.Code)}
			if undoing(r.Key) {
				s.Status = "failed"
			}
		}
	case "apply":
		in, _ := journal.Decode[journal.Apply](b.inputs[r.Key])
		s.Changes = append(s.Changes, in.Changes...)
	case "restore":
		out, _ := journal.Decode[journal.Restored](r)
		s.Changes = append(s.Changes, out.Changes...)
		in, _ := journal.Decode[journal.Restore](b.inputs[r.Key])
		if _, fine := restored(in.Phase, out); !fine {
			s.Said = append(s.Said, "NOT put back: "+driftList(out.Drift))
		}
	case "hold":
		if begun := b.inputs[r.Key].Time; !begun.IsZero() {
			s.Said = append(s.Said, "held "+Duration(r.Time.Sub(begun).Round(time.Second)))
		}
	default:
		if text := clean(outcomeText(r)); text != "" {
			s.Said = append(s.Said, text)
		}
	}
}

// telling reports whether an activity of the way back is worth a line.
func (b *storyBuilder) telling(r journal.Record) bool {
	if r.Activity != "restore" || r.Error != nil {
		_, waited := b.slept[r.Key]
		return r.Activity == "run" || r.Error != nil || waited
	}
	in, _ := journal.Decode[journal.Restore](b.inputs[r.Key])
	out, _ := journal.Decode[journal.Restored](r)
	text, _ := restored(in.Phase, out)
	return text != ""
}

func (b *storyBuilder) look(r journal.Record) {
	d, _ := journal.Decode[journal.LookData](r)
	s := b.owner(r)
	if s == nil || d.Gate == "" {
		return
	}
	g := GateStory{d.Gate, d.Member, d.Pass, d.Text, r.Time}
	i := slices.IndexFunc(s.Gates, func(g GateStory) bool { return g.Gate == d.Gate && g.Member == d.Member })
	if i < 0 {
		s.Gates = append(s.Gates, g)
		return
	}
	s.Gates[i] = g
}
