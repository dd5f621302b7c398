package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// Nothing is said to be done, or to be as before, on the strength of a look of
// an hour ago. So before a run ends well every value that it claims is looked
// at once more. That writes nothing: whoever changed one of them meanwhile had
// a reason.
const (
	lastLooks     = 3 // what is being made again right now is not gone
	lastLookPause = 500 * time.Millisecond
	lastLookLimit = 30 * time.Second
)

// claims are the values that a run which came to the plan's end left. Of a
// change that failed and that the plan went on without, nothing is claimed.
func claims(effects []journal.Effect) map[state.Key]state.Value {
	left := map[state.Key]state.Value{}
	for _, e := range forward(effects) {
		for _, c := range e.Changes {
			if e.Done {
				left[c.Key()] = c.To
			} else {
				delete(left, c.Key())
			}
		}
	}
	return left
}

// lastLook returns what does not read as it should, in order. Before is what it
// should be.
func (s *session) lastLook(want map[state.Key]state.Value) []journal.Drift {
	ctx, cancel := context.WithTimeout(s.o.Hard, lastLookLimit)
	defer cancel()
	var off []journal.Drift
	for look := 1; ; look++ {
		off = nil
		byTarget := map[string][]state.Key{}
		for _, k := range slices.SortedFunc(maps.Keys(want), state.Key.Compare) {
			byTarget[k.Target] = append(byTarget[k.Target], k)
		}
		for _, target := range slices.Sorted(maps.Keys(byTarget)) {
			off = append(off, s.prog.differ(ctx, target, byTarget[target], want)...)
		}
		if len(off) == 0 || look == lastLooks || s.ctx.time.Sleep(ctx, lastLookPause) != nil {
			return off
		}
	}
}

// differ compares the values of one target.
func (p *Program) differ(ctx context.Context, target string, keys []state.Key, want map[state.Key]state.Value) []journal.Drift {
	now, err := p.Targets[target].Read(ctx)
	silent := map[string]error{}
	if partial, ok := errors.AsType[*driver.PartialError](err); ok {
		silent, err = partial.Nodes, nil
	}
	var off []journal.Drift
	for _, k := range keys {
		d := journal.Drift{Key: k, Before: want[k], Now: now.Get(k.Object, k.Attribute)}
		why := err
		if why == nil {
			why = silent[p.Pins.Targets[target].Objects[k.Object].Node]
		}
		if why != nil {
			d.Now, d.Unreadable = state.Absent, why.Error()
		}
		if why != nil || d.Now != d.Before {
			off = append(off, d)
		}
	}
	return off
}

// done ends a run that came to the plan's end, unless something is not as the
// run left it: then a person decides.
func (s *session) done() (journal.End, error) {
	want := claims(s.status().Effects)
	off := s.lastLook(want)
	if s.o.Hard.Err() != nil {
		return journal.End{}, s.ctx.killed()
	}
	if m, asked := s.lastWord(); asked && m.Kind == journal.AskRollback && s.touched() {
		return s.back(journal.Rollback{Reason: says(m)})
	}
	if len(off) == 0 {
		return s.end(journal.End{Uncertain: s.unclean || s.ctx.uncertain, Outcome: journal.OutcomeDone, Changed: s.changed()}, nil)
	}
	var says []string
	for i, d := range off {
		if i == 5 {
			says = append(says, fmt.Sprintf("and %d more", len(off)-i))
			break
		}
		name := d.Target + ": " + s.prog.name(d.Target, d.Object) + " " + d.Attribute
		if d.Unreadable != "" {
			says = append(says, name+" cannot be read: "+d.Unreadable)
			continue
		}
		says = append(says, fmt.Sprintf("%s: this run left it %s, now %s", name, d.Before, d.Now))
	}
	reason := "every step is done, but not everything is as this run left it: " + strings.Join(says, "; ")
	effects := s.status().Effects
	first, ours := firstBefore(effects), s.prog.intended(effects)
	for i := range off {
		off[i].Before, off[i].Ours = first[off[i].Key], ours[off[i].Key]
	}
	return s.pause(journal.End{Outcome: journal.OutcomePaused, Reason: reason, Drift: off, Changed: s.changed(), Off: len(off)})
}

// stillBefore adds to a report of a way back what does not read as before the
// run any more, though it did when it was put back. Of a way back that did not
// come to its end it only counts what does.
func (s *session) stillBefore(effects []journal.Effect, r *UndoReport) {
	want, ours := firstBefore(effects), s.prog.intended(effects)
	for _, d := range r.Drift {
		delete(want, d.Key)
	}
	off := s.lastLook(want)
	if r.Err != nil {
		r.Restored = len(want) - len(off)
		return
	}
	for _, d := range off {
		d.Ours = ours[d.Key]
		r.Drift = append(r.Drift, d)
		r.Restored--
	}
	slices.SortFunc(r.Drift, func(a, b journal.Drift) int { return a.Compare(b.Key) })
}
