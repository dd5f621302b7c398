package ui

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// verdictBlock is what is said last about a run: the outcome, what stands, and
// the next command to type. It says only what the end record knows.
type verdictBlock struct {
	head string
	tone tone
	more []string
}

func (t *teller) end(r journal.Record) []line {
	e, err := journal.Decode[journal.End](r)
	if err != nil {
		return []line{{at: r.Time, text: "the last record cannot be read: " + clean(err.Error()), tone: toneBad}}
	}
	b := t.o.block(e, t.plan, t.state, r.Time)
	lines := []line{{at: r.Time, text: b.head, tone: b.tone}}
	for _, m := range b.more {
		lines = append(lines, line{at: r.Time, text: m, more: true})
	}
	return lines
}

// block makes the final block; at is when the run ended.
func (o Options) block(e journal.End, meta journal.Meta, s runState, at time.Time) verdictBlock {
	why, step := clean(e.Reason), clean(e.Step)
	var b verdictBlock
	switch e.Outcome {
	case journal.OutcomeDone:
		b.tone = toneGood
		b.head = "DONE" + inTime(ran(s, at)) + ". " + plural(e.Changed, "value") + " changed and read back."
		if e.Changed == 0 {
			b.head = "DONE" + inTime(ran(s, at)) + ". No value had to be changed."
		}
		b.say("Why", why)
		b.next(o, "See", "show")
		b.next(o, "Way back", "rollback")
	case journal.OutcomeRolledBack:
		b.tone = toneWarn
		b.head = "ROLLED BACK" + afterStep(step) + ". " + putBack(e)
		b.say("Why", why)
		if e.Cached != nil {
			b.say("Caches", clean(strings.Join(e.Cached.Values, ", "))+" may still be answered until "+o.moment(at, e.Cached.Until))
		}
		b.next(o, "See", "show")
	case journal.OutcomeFailed:
		b.tone = toneBad
		b.head = "FAILED" + inStep(step) + ": nothing was changed."
		if e.Changed > 0 {
			b.head = "FAILED" + inStep(step) + ". " + stands(e)
		}
		b.say("Why", why)
		b.next(o, "See", "show")
		if meta.File != "" {
			b.more = append(b.more, "Next: mend it, then  flip run "+shellWord(clean(meta.File)))
		}
	case journal.OutcomeIncomplete:
		o.incomplete(&b, e)
	case journal.OutcomePaused, journal.OutcomeInterrupted, journal.OutcomeWaiting:
		o.standing(&b, e, s, at)
	case journal.OutcomeAccepted:
		b.tone = toneWarn
		b.head = "ACCEPTED: everything stays as it is. " + stands(e)
		if len(e.Drift) > 0 { // not all of what stands is flip's
			b.head = "ACCEPTED: everything stays as it is. " + putBack(e)
		}
		b.say("Why", why)
		b.next(o, "See", "show")
	case journal.OutcomeRunning, journal.OutcomeInDoubt:
		b.tone = toneBad
		b.head = strings.ToUpper(string(e.Outcome)) + inStep(step) + ". " + stands(e)
		b.say("Why", why)
		b.more = append(b.more, "Next: "+o.command("resume")+"  or  "+o.command("rollback"))
	default:
		b.head = strings.ToUpper(clean(cmp.Or(string(e.Outcome), "ended"))) + inStep(step) + ". " + stands(e)
		b.say("Why", why)
		b.next(o, "See", "show")
	}
	return b
}

func (b *verdictBlock) say(what, text string) {
	if text != "" {
		b.more = append(b.more, what+": "+text)
	}
}

func (b *verdictBlock) next(o Options, what, verb string) { b.say(what, o.command(verb)) }

// standing is the end of what can go on: paused, interrupted, waiting.
func (o Options) standing(b *verdictBlock, e journal.End, s runState, at time.Time) {
	b.tone = toneWarn
	b.head = strings.ToUpper(string(e.Outcome)) + inStep(clean(e.Step)) + ". " + stands(e)
	b.say("Why", clean(e.Reason))
	back := "go back:  " + o.command("rollback")
	switch {
	case s.rollback:
		b.say("Next", "go on going back:  "+o.command("rollback"))
	case e.Outcome == journal.OutcomeWaiting && s.awaiting:
		b.say("Next", "say go:  "+o.command("approve")+"  then  "+o.command("resume")+"  or "+back)
	case e.Outcome == journal.OutcomeWaiting && !s.waits.IsZero() && s.waits.After(at):
		b.say("Next", "at "+o.moment(at, s.waits)+":  "+o.command("resume")+"  or "+back)
	default:
		b.say("Next", "go on:  "+o.command("resume")+"  or "+back)
	}
}

// incomplete is the end that a person has to look at.
func (o Options) incomplete(b *verdictBlock, e journal.End) {
	b.tone = toneBad
	unread := countIf(e.Drift, func(d journal.Drift) bool { return d.Unreadable != "" })
	gone := countIf(e.Drift, isGone)
	foreign := len(e.Drift) - unread - gone
	var what []string
	if foreign > 0 {
		what = append(what, plural(foreign, "value")+" "+wasWere(foreign)+" changed by someone else; flip left "+itThem(foreign)+" alone")
	}
	if gone > 0 {
		what = append(what, plural(gone, "value")+" "+wasWere(gone)+" of something that is not there any more")
	}
	if unread > 0 {
		what = append(what, plural(unread, "value")+" could not be read")
	}
	if len(what) == 0 {
		what = append(what, cmp.Or(clean(e.Reason), "a person is needed"))
	}
	b.head = "ROLLBACK INCOMPLETE: " + strings.Join(what, "; ") + "."
	b.more = append(b.more, o.driftTable(e.Drift, 2)...)
	b.say("What stands", putBack(e))
	if len(e.Drift) > 0 {
		b.say("Why", clean(e.Reason))
	}
	leave := "leave it and  " + o.command("stop", "--accept")
	switch {
	case foreign > 0:
		b.say("Next", "look at who set "+whatIsNow(e.Drift)+", then  "+o.command("rollback", "--on-drift=force")+"  or "+leave)
	case gone > 0:
		b.say("Next", "bring back what is gone, then  "+o.command("rollback")+"  or "+leave)
	case unread > 0:
		b.say("Next", "when it can be read again:  "+o.command("rollback")+"  or "+leave)
	default:
		b.say("Next", "mend the cause, then  "+o.command("rollback")+"  or "+leave)
	}
}

// isGone reports whether the object of a value is not there any more.
func isGone(d journal.Drift) bool {
	return d.Unreadable == "" && !d.Now.Present() && d.Before.Present()
}

func whatIsNow(drift []journal.Drift) string {
	for _, d := range drift {
		if d.Unreadable == "" && !isGone(d) {
			return value(d.Now)
		}
	}
	return "it"
}

// putBack says how much is as it was.
func putBack(e journal.End) string {
	switch {
	case e.Changed == 0 && len(e.Drift) == 0:
		return "flip had changed no value."
	case e.Restored >= e.Changed && len(e.Drift) == 0:
		return fmt.Sprintf("Everything flip changed is as it was (%s of %s read back).", Count(e.Restored), Count(e.Changed))
	}
	return fmt.Sprintf("%s of %s are as they were and were read back.", Count(e.Restored), plural(e.Changed, "value"))
}

// stands says how much of what the run changed is not back.
func stands(e journal.End) string {
	left := e.Changed - e.Restored
	if e.Off > 0 {
		return fmt.Sprintf("%d of %s %s as flip set %s.", left-e.Off, plural(left, "value"), standStands(left-e.Off), itThem(left-e.Off))
	}
	if left > 0 {
		return plural(left, "value") + " " + standStands(left) + " as flip set " + itThem(left) + "."
	}
	if e.Changed > 0 {
		return "Every value that flip changed is as it was."
	}
	return "flip has changed no value."
}

// driftTable shows what neither the run's beginning nor the run explains.
func (o Options) driftTable(drift []journal.Drift, indent int) []string {
	if len(drift) == 0 {
		return nil
	}
	several := slices.ContainsFunc(drift, func(d journal.Drift) bool { return d.Target != drift[0].Target })
	t := table{head: []string{"object", "attribute", "before", "flip set", "now"}, indent: indent, width: max(0, o.Width-clockWidth), flex: 4}
	if several {
		t.head = append([]string{"target"}, t.head...)
		t.flex++
	}
	for _, d := range drift {
		now := value(d.Now)
		if d.Unreadable != "" {
			now = "not known: " + clean(d.Unreadable)
		}
		cells := []string{clean(d.Object), clean(d.Attribute), value(d.Before), values(d.Ours), now}
		if several {
			cells = append([]string{clean(d.Target)}, cells...)
		}
		t.add(cells...)
	}
	plain := o
	plain.Color = false // the lines are painted by whoever writes them
	return t.lines(plain)
}

func values(vs []state.Value) string {
	var parts []string
	for _, v := range vs {
		parts = append(parts, value(v))
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

func countIf[T any](items []T, is func(T) bool) int {
	n := 0
	for _, item := range items {
		if is(item) {
			n++
		}
	}
	return n
}

func ran(s runState, at time.Time) time.Duration {
	if s.started.IsZero() {
		return 0
	}
	return at.Sub(s.started)
}

func afterStep(step string) string {
	if step == "" {
		return ""
	}
	return " after step " + step
}

func inStep(step string) string {
	if step == "" {
		return ""
	}
	return " in step " + step
}

func wasWere(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func itThem(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

func standStands(n int) string {
	if n == 1 {
		return "stands"
	}
	return "stand"
}

func join(dir, name string) string {
	if dir == "" {
		return name
	}
	return filepath.Join(dir, name)
}
