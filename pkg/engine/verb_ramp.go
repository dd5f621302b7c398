package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

func (f frame) ramp(s plan.Step) (string, error) {
	from, err := f.selection(plan.Selection{Group: s.Ramp.From, On: s.Ramp.On})
	if err != nil {
		return "", err
	}
	to, err := f.selection(plan.Selection{Group: s.Ramp.To, On: s.Ramp.On})
	if err != nil {
		return "", err
	}
	now, err := f.observe(slices.Concat(from, to))
	if err != nil {
		return "", err
	}
	r, err := f.p.plotRamp(*s.Ramp, from, to, now)
	if err != nil {
		return "", err
	}
	f.heirs = map[string][]string{}
	for _, t := range to {
		f.heirs[t.target] = t.ids
	}
	for _, percent := range s.Ramp.Percent {
		name := "/" + strconv.Itoa(percent)
		if f.c.Stopping(f.path + name) {
			return "", ErrInterrupted
		}
		changes := r.changes(percent, now)
		if err := f.change(name, fmt.Sprintf("%d %%", percent), now, changes); err != nil {
			return "", err
		}
		for _, c := range changes {
			now[c.Target][c.Object] = maps.Clone(now[c.Target][c.Object])
			now[c.Target][c.Object]["weight"] = c.To
		}
		if err := f.hold(name+".hold", s.Gates, s.Ramp.Hold); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s carries %d %%", f.sideName(s.Ramp.To), s.Ramp.Percent[len(s.Ramp.Percent)-1]), nil
}

// ramp is the full weight of every object on both sides.
type ramp struct {
	from, to map[state.Key]int
}

// plotRamp finds each object's full weight, and refuses a ramp that whole
// weights cannot express.
func (p *Program) plotRamp(r plan.Ramp, from, to []selected, now pre) (ramp, error) {
	plot := ramp{map[state.Key]int{}, map[state.Key]int{}}
	for _, t := range from {
		for _, id := range t.ids {
			w, _ := now[t.target][id]["weight"].Int()
			if r.Full > 0 && w > 0 {
				w = r.Full // a member that is out already stays out
			}
			plot.from[state.Key{Target: t.target, Object: id, Attribute: "weight"}] = w
		}
	}
	for _, t := range to {
		full := r.Full
		if full == 0 {
			for k, w := range plot.from {
				if k.Target == t.target {
					full = max(full, w)
				}
			}
		}
		if full == 0 {
			return plot, &journal.Error{
				Class: classInvalid, Text: fmt.Sprintf("%s has no weight on %s to ramp from", r.From, t.target),
				Hints: []string{"give the weight that a member has at 100 %: ramp: {full: 100, ...}"},
			}
		}
		for _, id := range t.ids {
			plot.to[state.Key{Target: t.target, Object: id, Attribute: "weight"}] = full
			next := maps.Clone(now[t.target][id])
			next["weight"] = state.Int(full)
			if p.capacity(t.target, id, next) == 0 {
				return plot, &journal.Error{
					Class: classInvalid, Text: fmt.Sprintf("%s would take no traffic at any weight: state is %s", p.name(t.target, id), next["state"]),
					Hints: []string{fmt.Sprintf("before the ramp: set: {group: %s, weight: 0, state: ready}", r.To)},
				}
			}
		}
	}
	for _, percent := range r.Percent {
		for k, full := range plot.to {
			if float64(full)*float64(percent)/100 < 0.5 || (percent < 100 && float64(full)*float64(100-percent)/100 < 0.5) {
				return plot, &journal.Error{
					Class: classInvalid, Text: fmt.Sprintf("%d %% of weight %d is not a whole weight (%s)", percent, full, p.name(k.Target, k.Object)),
					Hints: []string{"let both sides count from a larger weight: ramp: {full: 100, ...}"},
				}
			}
		}
	}
	return plot, nil
}

// changes leads both sides to a percentage.
func (r ramp) changes(percent int, now pre) []state.Change {
	var changes []state.Change
	add := func(k state.Key, full, percent int) {
		w := int(math.Round(float64(full) * float64(percent) / 100))
		if percent > 0 && full > 0 {
			w = max(w, 1)
		}
		if from := now[k.Target][k.Object][k.Attribute]; from != state.Int(w) {
			changes = append(changes, state.Change{Target: k.Target, Object: k.Object, Attribute: k.Attribute, From: from, To: state.Int(w)})
		}
	}
	for k, full := range r.to {
		add(k, full, percent)
	}
	for k, full := range r.from {
		add(k, full, 100-percent)
	}
	state.Sort(changes)
	return changes
}
