package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// MayStillServe is what the reason of a way back says that stopped before a
// command's undo, for the members' sake.
const MayStillServe = "may still take traffic"

// outOfTraffic refuses to run a command's undo while a member that should be
// out of traffic by now is not, or cannot be looked at: an undo usually stops
// or replaces what serves there.
func (u *undo) outOfTraffic(name string) error {
	busy, unread := u.stillServing()
	if unread {
		if err := u.pass("/look"+name, -1, "sweep", u.back); err != nil {
			return err
		}
		busy, _ = u.stillServing()
	}
	if len(busy) > 0 {
		return fmt.Errorf("%s %s", strings.Join(busy, ", "), MayStillServe)
	}
	return nil
}

// stillServing names the members that somebody else's value, or a node that
// does not answer, may keep in traffic.
func (u *undo) stillServing() (busy []string, unread bool) {
	for _, k := range slices.SortedFunc(maps.Keys(u.drift), state.Key.Compare) {
		d := u.drift[k]
		takes := func(v state.Value) bool {
			if !v.Present() {
				return false
			}
			// Of the other attributes nothing is known: they may all allow it.
			attrs := map[string]state.Value{"weight": state.Int(1), "enabled": state.Bool(true)}
			attrs[k.Attribute] = v
			return u.p.capacity(k.Target, k.Object, attrs) > 0
		}
		if !u.p.kindOf(k.Target, k.Object).Member || takes(d.Before) || !capacityDependsOn(k.Attribute) {
			continue
		}
		switch {
		case d.Unreadable != "":
			unread = true
			busy = append(busy, u.p.name(k.Target, k.Object)+" (it cannot be read)")
		case takes(d.Now):
			busy = append(busy, fmt.Sprintf("%s (%s is %s)", u.p.name(k.Target, k.Object), k.Attribute, d.Now))
		}
	}
	return busy, unread
}

// capacityDependsOn reports whether an attribute decides about traffic.
func capacityDependsOn(attribute string) bool {
	switch attribute {
	case "weight", "state", "enabled", "present":
		return true
	}
	return false
}

// idle remembers which members a restore took out of traffic.
func (u *undo) idle(changes []state.Change) {
	after := map[state.Key]map[string]state.Value{}
	for _, c := range changes {
		k := state.Key{Target: c.Target, Object: c.Object}
		if after[k] == nil {
			after[k] = map[string]state.Value{}
		}
		after[k][c.Attribute] = c.To
	}
	for k, attrs := range after {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(attrs)), capacityDependsOn) {
			continue
		}
		if kind := u.p.kindOf(k.Target, k.Object); kind.Member && u.p.capacity(k.Target, k.Object, attrs) == 0 {
			u.idled[k.Target] = append(u.idled[k.Target], k.Object)
		}
	}
}

// switched remembers the members behind a backend that a restore took the
// traffic from by a value that names it, as an entry of a map does. Who else
// sends them traffic is not known: the drain is bounded.
func (u *undo) switched(changes []state.Change) {
	for _, c := range changes {
		if !c.From.Present() || u.p.kindOf(c.Target, c.Object).Member {
			continue
		}
		backend := c.From.Text()
		for target, pins := range u.p.Pins.Targets {
			for id, o := range pins.Objects {
				if backend != "" && o.Info["backend"] == backend && u.p.kindOf(target, id).Member {
					u.idled[target] = append(u.idled[target], id)
				}
			}
		}
	}
}

// undoDrain is how long a command's undo waits for what is in flight on
// members that just lost their traffic. It may stop or replace them.
const undoDrain = 15 * time.Second

// undoInterval is the time between two looks at members that are asked over
// the network.
const undoInterval = 500 * time.Millisecond

// quiet lets requests in flight end before a command may end their server.
// What is still open at the deadline (websockets) does not hold up the way
// back.
func (u *undo) quiet(name string) error {
	for _, target := range slices.Sorted(maps.Keys(u.idled)) {
		_, tells := driver.As[driver.Counter](u.p.Targets[target])
		place, counted := u.p.countOf(target)
		if !tells && !counted {
			continue
		}
		ids := slices.Compact(slices.Sorted(slices.Values(u.idled[target])))
		key := u.path + name + "." + target + ".drain"
		var until journal.Until
		if err := u.c.Do(key+".deadline", "clock", clockIn{undoDrain.String()}, &until); err != nil {
			return err
		}
		in := journal.Drain{Target: target, IDs: ids, Interval: drainInterval.String(), Samples: drainSamples, Deadline: until.Until}
		if counted {
			in.Interval = undoInterval.String()
			in.Count, in.Members = place, toAsk(u.p.membersIn([]selected{{target: target, ids: ids}}))
		}
		if err := u.c.Do(key, "drain", in, &journal.Drained{}); err != nil {
			return err
		}
	}
	clear(u.idled)
	return nil
}
