package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

// The way back of record sets. An answer that a restore takes out of a set goes
// on being used until the caches forget it. So within a stretch members are
// raised first (they serve before they are published), then record sets are
// restored, then it is waited for the caches, and only then is anything taken
// away: members lowered, commands undone.

// stretch restores the changes between two commands.
func (u *undo) stretch(name string, i int, before map[state.Key]state.Value) error {
	records, others := u.p.apart(before)
	if err := u.pass(name, i, "raise", others); err != nil {
		return err
	}
	if err := u.answers(name, i, records, others); err != nil {
		return err
	}
	if slices.ContainsFunc(slices.Collect(maps.Keys(others)), u.p.serves) {
		if err := u.caches(name); err != nil {
			return err
		}
	}
	return u.pass(name, i, "lower", others)
}

// apart parts keys of record sets from all others.
func (p *Program) apart(before map[state.Key]state.Value) (records, others map[state.Key]state.Value) {
	records, others = map[state.Key]state.Value{}, map[state.Key]state.Value{}
	for k, v := range before {
		if isRecord(p.kindOf(k.Target, k.Object)) {
			records[k] = v
		} else {
			others[k] = v
		}
	}
	return records, others
}

// serves reports whether an attribute is one of an object that takes traffic.
func (p *Program) serves(k state.Key) bool { return p.kindOf(k.Target, k.Object).Capacity != nil }

// answers restores record sets. A late write of a dead process could take a
// server out again that they are about to name, or bring back what they were,
// and the sweep at the end would find it too late for their clients. So none
// may be on its way any more.
func (u *undo) answers(name string, i int, records, others map[state.Key]state.Value) error {
	if len(records) == 0 {
		return nil
	}
	if u.o.Sweep && u.o.Quiet > 0 {
		if err := u.settle(); err != nil {
			return err
		}
		if err := u.pass(name+".again", i, "raise", others); err != nil {
			return err
		}
	}
	u.doubt = u.o.Sweep || u.o.Attempt > 1
	err := u.pass(name+".records", i, "lower", records)
	u.doubt = false
	return err
}

// caches waits until nobody can have an answer any more that this way back took
// out of a record set.
func (u *undo) caches(name string) error {
	at, gone, ok := u.retiring()
	if !ok || u.o.NoCaches || !at.After(u.waited) {
		return nil
	}
	why := because(gone.last)
	rule := u.rule(gone.last)
	views := journal.Views{From: rule.From, Asks: gone.asks, Every: rule.Every.String(), Passes: rule.Passes}
	message := fmt.Sprintf("caches may hold %s: %s", strings.Join(gone.values, ", "), why)
	if err := u.c.WaitUntil(u.path+name+".caches", message, at, glance{at, why, views}); err != nil {
		return err
	}
	if len(rule.From) > 0 {
		if err := u.unseen(name, rule, views); err != nil {
			return fmt.Errorf("%s may still be in use: %w", strings.Join(gone.values, ", "), err)
		}
	}
	u.waited = at
	return nil
}

// unseen asks the views, as the plan does on the way forward.
func (u *undo) unseen(name string, rule plan.TTL, in journal.Views) error {
	var until journal.Until
	if err := u.c.Do(u.path+name+".views.deadline", "clock", clockIn{orElse(rule.Max, viewsAtMost).String()}, &until); err != nil {
		return err
	}
	in.Until = until.Until
	var seen journal.Seen
	if err := u.c.Do(u.path+name+".views", journal.ActivityViews, in, &seen); err != nil {
		return err
	}
	if seen.Pass || rule.OnMax == "continue" {
		return nil
	}
	return errors.New(seen.Text)
}

// gone is what a way back takes out of record sets.
type gone struct {
	values []string
	last   journal.Replaced // the version that decides
	asks   []journal.Question
}

// leftAt is what the run last made of a record set, on its way forward or back:
// when it reads otherwise somebody else took that away, and it is not known
// when. An attempt after the first knows less, and doubts.
func (u *undo) leftAt(k state.Key) state.Value {
	if !isRecord(u.p.kindOf(k.Target, k.Object)) || u.o.Attempt > 1 {
		return state.Absent
	}
	if v, ok := u.back[k]; ok {
		return v
	}
	return u.left[k]
}

// retiring is from when nobody has any more what this way back, and earlier
// attempts at it, took out of record sets.
func (u *undo) retiring() (at time.Time, g gone, ok bool) {
	type set struct{ target, id string }
	var sets []set
	for _, r := range u.given {
		if s := (set{r.Target, r.Object}); !slices.Contains(sets, s) {
			sets = append(sets, s)
		}
	}
	for _, s := range sets {
		given := versionsOf(s.target, s.id, u.given)
		retired := Retired(given, given[len(given)-1].Next)
		if len(retired) == 0 {
			continue
		}
		all := versionsOf(s.target, s.id, u.p.Pins.Cached, u.past, u.given)
		slack := u.rule(journal.Replaced{Target: s.target, Object: s.id}).Slack
		safe, last, held := SafeAt(all, retired, slack)
		if !held {
			continue
		}
		g.values = append(g.values, retired...)
		g.asks = append(g.asks, lookedUp(journal.Question{Record: u.p.Pins.Targets[s.target].Objects[s.id].Name, Not: retired})...)
		if !ok || safe.After(at) {
			at, g.last, ok = safe, last, true
		}
	}
	slices.Sort(g.values)
	g.values = slices.Compact(g.values)
	return at, g, ok
}

// rule is what the plan says about waiting for a record set, or what it means
// by saying nothing.
func (u *undo) rule(r journal.Replaced) plan.TTL {
	rule := plan.TTL{Slack: DefaultSlack}
	name := plan.RecordKey(u.p.Pins.Targets[r.Target].Objects[r.Object].Name)
	u.p.Plan.Walk(func(s plan.Step) {
		if s.Wait == nil || s.Wait.TTL == nil || s.Wait.TTL.Target != "" && s.Wait.TTL.Target != r.Target {
			return
		}
		mine := slices.ContainsFunc(s.Wait.TTL.Records, func(o plan.Record) bool { return o.Key() == name })
		if mine && (len(rule.From) == 0 || len(s.Wait.TTL.From) > 0) {
			rule = *s.Wait.TTL
		}
	})
	return rule
}

// remembers are the answers that the way forward replaced, and those that
// earlier attempts at the way back did.
func remembers(effects []journal.Effect) (past, given []journal.Replaced) {
	for _, e := range effects {
		if e.Kind == journal.ActivityRestore {
			given = append(given, e.Replaced...)
		} else {
			past = append(past, e.Replaced...)
		}
	}
	return past, given
}

// Cached says until when caches may hold what is not served any more.
func (u *undo) cached() *journal.Cached {
	at, g, ok := u.retiring()
	if !ok {
		return nil
	}
	return &journal.Cached{Values: g.values, Until: at}
}

// doubtful are the versions of record sets that read as before the run, where a
// process that died may have restored them: everything that the run meant them
// to hold, for as long as it ever said, and until now.
func doubtful(target string, items []journal.Before) []state.Change {
	var out []state.Change
	for _, item := range items {
		if len(item.Ours) == 0 {
			continue
		}
		worst := item.Ours[len(item.Ours)-1]
		var values []string
		for _, v := range item.Ours {
			if item.Attribute == recordValues {
				values = append(values, v.List()...)
				continue
			}
			if a, ok := v.Float(); ok {
				if b, ok := worst.Float(); ok && a > b {
					worst = v
				}
			}
		}
		if item.Attribute == recordValues {
			worst = state.List(values)
		}
		out = append(out, state.Change{Target: target, Object: item.Object, Attribute: item.Attribute, From: worst, To: item.Before})
	}
	return out
}
