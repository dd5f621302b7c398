package journal

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/flip-cli/flip/pkg/state"
)

// Fold computes a run's status from its records. It reads no clock and no
// disk. Looks are passed over, so a mixed stream will do. A record type that
// it does not know is a *NewerError: guessing at it could undo too little.
func Fold(records []Record) (Status, error) {
	f := fold{
		s: Status{
			Outcome: OutcomeFailed,
			Results: map[string]Result{}, Sleeps: map[string]time.Time{}, Consumed: map[string]bool{},
			ours: map[state.Key][]state.Value{}, first: map[state.Key]state.Value{},
		},
		steps: map[string]int{}, pending: map[string]Intent{}, effects: map[string]int{}, waits: map[string]Wait{},
		born: map[state.Key]bool{},
	}
	for _, r := range records {
		if r.Type == TypeLook {
			continue
		}
		if err := f.add(r); err != nil {
			return Status{}, fmt.Errorf("record %d (%s %s): %w", r.Seq, r.Type, r.Key, err)
		}
	}
	return f.finish(), nil
}

// fold is a status that grows record by record.
type fold struct {
	s       Status
	steps   map[string]int // index in s.Steps
	pending map[string]Intent
	effects map[string]int // index in s.Effects of what has no result yet
	waits   map[string]Wait
	born    map[state.Key]bool // objects that the run made; without an attribute
	paused  bool               // the last word is a pause or an end
}

func (f *fold) add(r Record) error {
	f.s.Seq, f.s.Updated = r.Seq, r.Time
	if err := f.apply(r); err != nil {
		return err
	}
	if r.Type == TypePause || r.Type == TypeEnd {
		return nil
	}
	if f.s.Open || reopens(r.Type) || r.Type == TypeRun {
		if f.paused {
			f.s.Since = r.Time
		}
		f.s.Open, f.paused, f.s.Outcome = true, false, OutcomeRunning
	}
	return nil
}

func (f *fold) apply(r Record) error {
	switch r.Type {
	case TypeRun:
		return into(r, func(m Meta) { f.s.Meta, f.s.Since = m, r.Time })
	case TypeTakeover:
		return into(r, func(h Holder) { f.s.Holder, f.s.Epochs = h, f.s.Epochs+1 })
	case TypeIntent:
		return f.intent(r)
	case TypeDone, TypeFailed:
		return f.result(r)
	case TypeSleep, TypeAwait:
		return into(r, func(u Until) {
			f.s.Sleeps[r.Key] = u.Until
			f.waits[r.Key] = Wait{Key: r.Key, Type: r.Type, Seq: r.Seq, Since: r.Time, Until: u.Until, Message: u.Message}
		})
	case TypeSignal:
		return into(r, func(s Signal) { f.signal(r, s) })
	case TypeStep:
		return into(r, func(s Step) { f.step(r, s) })
	case TypeRetry:
		f.forget(r.Key)
		return nil
	case TypeRollback:
		return into(r, func(b Rollback) {
			f.s.Rollbacks, f.s.RollingBack, f.s.Since = append(f.s.Rollbacks, b), true, r.Time
			clear(f.waits)
		})
	case TypePause, TypeEnd:
		return into(r, func(e End) { f.end(r, e) })
	}
	return Newer(NewerError{"the journal", "record type", strconv.Quote(string(r.Type)), "all up to format " + strconv.Itoa(Format)})
}

func into[T any](r Record, use func(T)) error {
	v, err := Decode[T](r)
	if err != nil {
		return fmt.Errorf("its data: %w", err)
	}
	use(v)
	return nil
}

func (f *fold) intent(r Record) error {
	f.pending[r.Key] = Intent{Seq: r.Seq, Key: r.Key, Activity: r.Activity, Time: r.Time}
	e := Effect{Seq: r.Seq, Key: r.Key, Kind: r.Activity, Time: r.Time}
	if f.s.RollingBack {
		e.Rollback = len(f.s.Rollbacks)
	}
	var err error
	switch r.Activity {
	case ActivityApply:
		err = into(r, func(a Apply) {
			e.Target, e.Label, e.Changes, e.Creates = a.Target, a.Label, a.Changes, a.Creates
			for _, id := range a.Creates {
				f.born[state.Key{Target: a.Target, Object: id}] = true
			}
			for _, c := range a.Changes {
				f.change(c)
			}
		})
	case ActivityRun:
		err = into(r, func(c Command) { e.Command = c })
	case ActivityRestore:
		err = into(r, func(b Restore) {
			e.Target = b.Target
			for _, i := range b.Items {
				f.mean(state.Key{Target: b.Target, Object: i.Object, Attribute: i.Attribute}, i.Before)
			}
		})
	default:
		return nil
	}
	f.effects[r.Key] = len(f.s.Effects)
	f.s.Effects = append(f.s.Effects, e)
	return err
}

// change notes that the run means to make c.
func (f *fold) change(c state.Change) {
	k := c.Key()
	born := f.born[state.Key{Target: k.Target, Object: k.Object}]
	if _, seen := f.s.first[k]; !seen {
		f.s.first[k] = c.From
		if born {
			f.s.first[k] = state.Absent
		}
	}
	if born && c.From.Present() {
		f.mean(k, c.From) // what the system gave to what the run made
	}
	f.mean(k, c.To)
}

func (f *fold) mean(k state.Key, v state.Value) {
	if !slices.Contains(f.s.ours[k], v) {
		f.s.ours[k] = append(f.s.ours[k], v)
	}
}

func (f *fold) result(r Record) error {
	done := r.Type == TypeDone
	activity := cmp.Or(r.Activity, f.pending[r.Key].Activity)
	f.s.Results[r.Key] = Result{Done: done, Data: r.Data, Err: r.Error, Activity: activity, Seq: r.Seq}
	delete(f.pending, r.Key)
	delete(f.waits, r.Key)
	n, ok := f.effects[r.Key]
	if !ok {
		return nil
	}
	delete(f.effects, r.Key)
	e := &f.s.Effects[n]
	e.Done, e.Failed = done, !done
	e.Unwritten = r.Error != nil && r.Error.Unwritten
	if e.Kind == ActivityApply && len(r.Data) > 0 {
		return into(r, func(a Applied) { e.Replaced = a.Replaced })
	}
	if e.Kind != ActivityRestore || len(r.Data) == 0 {
		return nil
	}
	return into(r, func(b Restored) {
		e.Changes, e.Replaced = b.Changes, b.Replaced
		for _, c := range b.Changes {
			f.mean(c.Key(), c.To)
		}
	})
}

func (f *fold) signal(r Record, s Signal) {
	if s.Message != "" {
		f.s.Consumed[s.Message] = true
	}
	delete(f.waits, r.Key)
	if _, ok := f.s.Results[r.Key]; !ok {
		f.s.Results[r.Key] = Result{Done: true, Data: r.Data, Activity: string(TypeAwait), Seq: r.Seq}
	}
}

func (f *fold) step(r Record, s Step) {
	key := cmp.Or(r.Key, s.ID)
	n, ok := f.steps[key]
	if !ok {
		n = len(f.s.Steps)
		f.steps[key] = n
		f.s.Steps = append(f.s.Steps, StepState{Key: key, Began: r.Time})
	}
	st := &f.s.Steps[n]
	st.ID, st.Status, st.Text = s.ID, s.Status, s.Text
	st.Verb = cmp.Or(s.Verb, st.Verb)
	st.Took = time.Duration(s.Took * float64(time.Second))
	if st.Running() {
		st.Began, f.s.Since = r.Time, r.Time
	}
	if s.Commit && s.Status == "done" {
		f.s.Commit = r.Seq
	}
}

// forget drops the results below key, so that the step is done anew. What the
// run meant to do stays in Effects and Ours.
func (f *fold) forget(key string) {
	under := func(k string) bool { return below(k, key) }
	maps.DeleteFunc(f.s.Results, func(k string, _ Result) bool { return under(k) })
	maps.DeleteFunc(f.s.Sleeps, func(k string, _ time.Time) bool { return under(k) })
	maps.DeleteFunc(f.pending, func(k string, _ Intent) bool { return under(k) })
	maps.DeleteFunc(f.waits, func(k string, _ Wait) bool { return under(k) })
	maps.DeleteFunc(f.effects, func(k string, _ int) bool { return under(k) })
}

func (f *fold) end(r Record, e End) {
	f.s.End, f.s.Outcome, f.s.Since, f.paused = e, e.Outcome, r.Time, true
	if r.Type == TypeEnd {
		f.s.Open, f.s.RollingBack = false, false
		clear(f.waits)
	}
}

func (f *fold) finish() Status {
	s := f.s
	s.Pending = slices.SortedFunc(maps.Values(f.pending), func(a, b Intent) int { return cmp.Compare(a.Seq, b.Seq) })
	s.Waiting = slices.SortedFunc(maps.Values(f.waits), func(a, b Wait) int { return cmp.Compare(a.Seq, b.Seq) })
	if f.paused {
		s.Step = s.End.Step
		return s
	}
	for _, st := range slices.Backward(s.Steps) {
		if st.Running() {
			s.Step = st.ID
			break
		}
	}
	if s.Step == "" && s.RollingBack {
		s.Step = s.Rollbacks[len(s.Rollbacks)-1].Step
	}
	if n := len(s.Waiting); n > 0 {
		s.Since = s.Waiting[n-1].Since
	}
	return s
}
