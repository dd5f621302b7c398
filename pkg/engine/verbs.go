package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

// selected are the objects of one target that a verb is about.
type selected struct {
	target string
	kind   string
	ids    []string
}

// selection resolves what a verb is about, by the pins of the run.
func (f frame) selection(s plan.Selection) ([]selected, error) {
	if s.Target != "" {
		return f.p.inTarget(s)
	}
	var g Group
	if s.Group == "" {
		if f.member == nil {
			return nil, fail(classInvalid, "no group, target or member is named")
		}
		g = Group{Name: f.member.Name, Members: []Member{*f.member}}
	} else {
		var err error
		if g, err = f.p.group(s.Group); err != nil {
			return nil, fail(classInvalid, "%v", err)
		}
	}
	targets := s.On
	if len(targets) == 0 {
		targets = g.targets()
	}
	var all []selected
	for _, t := range targets {
		if ids := g.ids(t); len(ids) > 0 {
			k, _ := f.p.Infos[t].Member()
			all = append(all, selected{t, k.Name, ids})
		}
	}
	if len(all) == 0 {
		return nil, fail(classInvalid, "group %s has no member on %s", g.Name, strings.Join(targets, ", "))
	}
	return all, nil
}

// pre is what a verb found before it changed anything, by target.
type pre map[string]map[string]map[string]state.Value

func (f frame) observe(sel []selected) (pre, error) {
	before := pre{}
	for _, s := range merged(sel) {
		var seen journal.Observed
		in := journal.Observe{Target: s.target, IDs: s.ids}
		if err := f.c.Do(f.path+"."+s.target+".observe", "observe", in, &seen); err != nil {
			return nil, err
		}
		if before[s.target] == nil {
			before[s.target] = map[string]map[string]state.Value{}
		}
		maps.Copy(before[s.target], seen.Objects)
	}
	return before, nil
}

// merged has each target once.
func merged(sel []selected) []selected {
	var out []selected
	for _, s := range sel {
		i := slices.IndexFunc(out, func(o selected) bool { return o.target == s.target })
		if i < 0 {
			out = append(out, s)
			continue
		}
		out[i].ids = slices.Concat(out[i].ids, s.ids)
	}
	return out
}

// change makes changes on several targets: everywhere first what adds
// capacity, then what takes it away. The undo entry is pushed before the act.
func (f frame) change(name, label string, before pre, changes []state.Change) error {
	if err := f.foreign(changes); err != nil {
		return err
	}
	raise, lower := f.p.phases(before, changes)
	for _, phase := range []struct {
		name    string
		changes []state.Change
	}{{"raise", raise}, {"lower", lower}} {
		for _, part := range byTarget(phase.changes) {
			key := f.path + name + "." + part[0].Target + "." + phase.name
			deadline, err := f.clock(name+"."+part[0].Target+"."+phase.name+".deadline", f.applyTimeout())
			if err != nil {
				return err
			}
			in := journal.Apply{Target: part[0].Target, Changes: part, Label: label, Phase: phase.name, Deadline: earlier(f.deadline, deadline)}
			*f.effects = append(*f.effects, journal.Effect{Key: key, Kind: journal.ActivityApply, Target: in.Target, Changes: part})
			var out journal.Applied
			if err := f.c.Do(key, "apply", in, &out); err != nil {
				return err
			}
		}
	}
	return nil
}

// foreign refuses to write over a value that somebody else wrote since an
// earlier step did.
func (f frame) foreign(changes []state.Change) error {
	made := slices.Concat(f.past, *f.effects)
	ours, first := f.p.intended(made), firstBefore(made)
	for _, c := range changes {
		before, known := first[c.Key()]
		if !known || state.Judge(before, ours[c.Key()], c.From) != state.Drift {
			continue
		}
		e := fail(classDrift, "%s: somebody else changed %s %s: was %s, this run left it %s, now %s",
			c.Target, f.p.name(c.Target, c.Object), c.Attribute, before, ours[c.Key()][len(ours[c.Key()])-1], c.From)
		e.Hints = []string{"nothing of this change was written; find out who did it before you run again"}
		return e
	}
	return nil
}

func (f frame) applyTimeout() time.Duration {
	if d := f.p.Plan.Defaults.Timeout; d > 0 {
		return d
	}
	return 10 * time.Minute
}

// phases splits changes by what they do to each object's capacity. Objects
// that carry no traffic, and changes that leave the capacity as it is, go
// first: they prepare.
func (p *Program) phases(before pre, changes []state.Change) (raise, lower []state.Change) {
	next := map[string]state.Value{}
	for i := 0; i < len(changes); {
		j := i
		for j < len(changes) && changes[j].Target == changes[i].Target && changes[j].Object == changes[i].Object {
			j++
		}
		c := changes[i]
		old := before[c.Target][c.Object]
		clear(next)
		maps.Copy(next, old)
		for _, c := range changes[i:j] {
			next[c.Attribute] = c.To
			if c.To == state.Absent {
				delete(next, c.Attribute)
			}
		}
		if p.capacity(c.Target, c.Object, next) < p.capacity(c.Target, c.Object, old) {
			lower = append(lower, changes[i:j]...)
		} else {
			raise = append(raise, changes[i:j]...)
		}
		i = j
	}
	return raise, lower
}

func byTarget(changes []state.Change) [][]state.Change {
	var parts [][]state.Change
	for i := 0; i < len(changes); {
		j := i
		for j < len(changes) && changes[j].Target == changes[i].Target {
			j++
		}
		parts = append(parts, changes[i:j])
		i = j
	}
	return parts
}

func (f frame) set(s plan.Step) (string, error) {
	sel, err := f.selection(s.Set.Selection)
	if err != nil {
		return "", err
	}
	want := map[string]map[string]state.Value{} // by target
	for _, t := range sel {
		if want[t.target], err = f.values(t, s.Set.Attrs); err != nil {
			return "", err
		}
	}
	before, err := f.observe(sel)
	if err != nil {
		return "", err
	}
	var changes []state.Change
	for _, t := range sel {
		for _, id := range t.ids {
			changes = append(changes, changesOf(t.target, id, before[t.target][id], want[t.target])...)
		}
	}
	if len(changes) == 0 {
		return "already so", nil
	}
	state.Sort(changes)
	return count(len(changes), "change"), f.change("", "", before, changes)
}

// changesOf leads one object from what it is to what is wanted. "present:
// false" takes every attribute away, so that its undo can bring them back.
func changesOf(target, id string, old, want map[string]state.Value) []state.Change {
	var changes []state.Change
	for attr, to := range want {
		if !existence(attr) || to.Bool() {
			continue
		}
		for attr, v := range old {
			changes = append(changes, state.Change{Target: target, Object: id, Attribute: attr, From: v})
		}
		return changes
	}
	for attr, to := range want {
		if from := old[attr]; from != to {
			changes = append(changes, state.Change{Target: target, Object: id, Attribute: attr, From: from, To: to})
		}
	}
	return changes
}

// values evaluates a set's attributes for one target and checks them.
func (f frame) values(t selected, attrs []plan.Attr) (map[string]state.Value, error) {
	k, _ := f.p.Infos[t.target].Kind(t.kind)
	want := map[string]state.Value{}
	for _, a := range attrs {
		raw, err := evaluate(a.Value, f.scope(1))
		if err != nil && f.foresees() && strings.Contains(textOf(a.Value), "steps.") {
			continue // what it will be shows when the step before has run
		}
		if err != nil {
			return nil, fail(classInvalid, "%s: %v", a.Name, err)
		}
		attr, ok := k.Attribute(a.Name)
		if !ok {
			return nil, fail(classInvalid, "%s has no attribute %s", k.Name, a.Name)
		}
		v, err := attr.Convert(raw)
		if err != nil {
			return nil, fail(classInvalid, "%v", err)
		}
		want[a.Name] = v
	}
	return want, nil
}

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

// hold stays for a while; gates are watched all the time and end it at once.
func (f frame) hold(name string, gates []plan.GateRef, d time.Duration) error {
	switch {
	case len(gates) == 0 && d == 0:
		return nil
	case d == 0:
		_, err := f.gatesAt(name, gates, 0, time.Time{})
		return err
	case len(gates) == 0 && f.deadline.IsZero():
		return f.c.Sleep(f.path+name, d)
	}
	mark := ".until"
	if len(gates) == 0 {
		mark = ".fits" // the sleep has a durable end of its own
	}
	until, err := f.clock(name+mark, d)
	if err != nil {
		return err
	}
	if !f.deadline.IsZero() && until.After(f.deadline) {
		return fail(classTimeout, "a wait of %s does not fit into what is left of the step's time", d)
	}
	if len(gates) == 0 {
		return f.c.Sleep(f.path+name, d)
	}
	_, err = f.gatesAt(name, gates, 0, until)
	return err
}

func (f frame) gates(name string, gates []plan.GateRef, timeout time.Duration) (string, error) {
	return f.gatesAt("."+name, gates, timeout, time.Time{})
}

// gatesAt waits for gates, or watches them until a moment.
func (f frame) gatesAt(name string, gates []plan.GateRef, timeout time.Duration, until time.Time) (string, error) {
	in := gateIn{Refs: refs(f.path, gates), Member: f.member, Outputs: f.outputs, Until: until, Deadline: f.deadline}
	if timeout > 0 && until.IsZero() {
		var err error
		if in.Deadline, err = f.until(name, timeout); err != nil {
			return "", err
		}
	}
	activity := "gate"
	if !until.IsZero() {
		activity = "hold"
	}
	var v journal.Verdict
	err := f.c.Do(f.path+name, activity, in, &v)
	return v.Text, err
}

func (f frame) wait(s plan.Step) (string, error) {
	return "", f.hold(".wait", s.Gates, s.Wait.For)
}

// What a drain does where the plan is silent.
const (
	drainInterval = 100 * time.Millisecond
	drainSamples  = 3
)

func (f frame) drain(s plan.Step) (string, error) {
	timeout := f.timeout(s)
	if s.Drain.Metric != nil {
		text, err := f.gates("quiet", []plan.GateRef{*s.Drain.Metric}, timeout)
		// The gate's own timeout or the step's: either is the drain's deadline.
		over := classOf(err) == classGate || classOf(err) == classTimeout
		if err != nil && s.Drain.Then == "continue" && over {
			return "deadline passed, the plan goes on: " + err.Error(), nil
		}
		return text, err
	}
	sel, err := f.selection(s.Drain.Selection)
	if err != nil {
		return "", err
	}
	deadline, err := f.until("drain", timeout)
	if err != nil {
		return "", err
	}
	var texts []string
	for _, t := range sel {
		in := journal.Drain{
			Target: t.target, IDs: t.ids, Sessions: s.Drain.Sessions, Deadline: deadline,
			Interval: orElse(s.Drain.Interval, drainInterval).String(), Samples: orElse(s.Drain.Samples, drainSamples),
		}
		text, err := f.drainTarget(s.Drain.Then, in)
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; "), nil
}

// killGrace is how long members may take to become quiet after everything that
// was open on them was ended.
const killGrace = 10 * time.Second

func (f frame) drainTarget(then string, in journal.Drain) (string, error) {
	var out journal.Drained
	key := f.path + "." + in.Target
	if err := f.c.Do(key+".drain", "drain", in, &out); err != nil {
		return "", err
	}
	switch {
	case out.Quiet:
		return out.Text, nil
	case then == "continue":
		return out.Text + "; the plan goes on", nil
	case then != "kill":
		return "", fail(classTimeout, "%s", out.Text)
	}
	if err := f.c.Do(key+".kill", "kill", journal.Observe{Target: in.Target, IDs: in.IDs}, nil); err != nil {
		return "", err
	}
	d, err := f.clock("."+in.Target+".killed.deadline", killGrace)
	if err != nil {
		return "", err
	}
	in.Deadline = d
	left := out.Left
	if err := f.c.Do(key+".killed", "drain", in, &out); err != nil {
		return "", err
	}
	if !out.Quiet {
		return "", fail(classTimeout, "killed, but %s", out.Text)
	}
	return fmt.Sprintf("deadline passed: ended %d in flight", left), nil
}

func orElse[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
