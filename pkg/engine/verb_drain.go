package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

// What a drain does where the plan is silent.
const (
	drainInterval = 100 * time.Millisecond
	drainSamples  = 3
)

func (f frame) drain(s plan.Step) (string, error) {
	timeout := f.timeout(s)
	if s.Drain.Metric != nil {
		return f.drainByGate(s, timeout)
	}
	sel, err := f.selection(s.Drain.Selection)
	if err != nil {
		return "", err
	}
	d := draining{frame: f, plan: *s.Drain, id: s.ID, asked: new(int)}
	if d.members, err = f.asked(s.Drain.Selection, sel); err != nil {
		return "", err
	}
	if d.deadline, err = f.until("drain", timeout); err != nil {
		return "", err
	}
	if d.since, err = f.clock("drain.fits", 0); err != nil {
		return "", err
	}
	if err := d.ask(d.members); err != nil {
		return "", err
	}
	if s.Drain.Count != nil {
		in := d.input(strings.Join(targetsOf(sel), ", "), nil)
		in.Count, in.Members, in.Outputs = placeOf(s.Drain.Count.Pos), d.members, f.outputs
		return d.wait("members", in, d.members)
	}
	var texts []string
	for _, t := range sel {
		text, err := d.wait(t.target, d.input(t.target, t.ids), membersOn(d.members, t.target))
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; "), nil
}

// drainByGate waits until a gate says that nothing is in flight.
func (f frame) drainByGate(s plan.Step, timeout time.Duration) (string, error) {
	text, err := f.gates("quiet", []plan.GateRef{*s.Drain.Metric}, timeout)
	// The gate's own timeout or the step's: either is the drain's deadline.
	over := classOf(err) == classGate || classOf(err) == classTimeout
	if err != nil && s.Drain.Then == "continue" && over {
		return "deadline passed, the plan goes on: " + err.Error(), nil
	}
	return text, err
}

// draining is one drain step at work.
type draining struct {
	frame
	plan     plan.Drain
	id       string // of the step
	members  []journal.Asked
	deadline time.Time
	since    time.Time
	asked    *int // how often members were asked to end what they have
}

func (d draining) input(target string, ids []string) journal.Drain {
	return journal.Drain{
		Target: target, IDs: ids, Sessions: d.plan.Sessions, Deadline: d.deadline, Since: d.since,
		Interval: orElse(d.plan.Interval, drainInterval).String(), Samples: orElse(d.plan.Samples, drainSamples),
	}
}

// killGrace is how long members may take to become quiet after everything that
// was open on them was ended.
const killGrace = 10 * time.Second

// wait waits until what in is about is quiet, and does at the deadline what the
// plan says. part is the key of it.
func (d draining) wait(part string, in journal.Drain, members []journal.Asked) (string, error) {
	out, err := d.rounds(part, in, members)
	switch {
	case err != nil:
		return "", err
	case out.Quiet:
		return out.Text, nil
	case d.plan.Then == "continue":
		return out.Text + "; the plan goes on", nil
	case d.plan.Then != "kill":
		return "", fail(classTimeout, "%s", out.Text)
	}
	if err := d.kill(part, in, members); err != nil {
		return "", err
	}
	if in.Deadline, err = d.clock("."+part+".killed.deadline", killGrace); err != nil {
		return "", err
	}
	in.Again = time.Time{}
	left := out.Left
	if err := d.c.Do(d.path+"."+part+".killed", "drain", in, &out); err != nil {
		return "", err
	}
	if !out.Quiet {
		return "", fail(classTimeout, "killed, but %s", out.Text)
	}
	return fmt.Sprintf("deadline passed: ended %d in flight", left), nil
}

// rounds waits, and asks members again from time to time where the plan wants
// that. Every round is an activity of its own.
func (d draining) rounds(part string, in journal.Drain, members []journal.Asked) (journal.Drained, error) {
	for n := 1; ; n++ {
		key := d.path + "." + part + ".drain"
		if n > 1 {
			key += "." + strconv.Itoa(n)
		}
		if d.plan.Ask != nil && d.plan.Ask.Every > 0 {
			var err error
			if in.Again, err = d.clock(part+"."+strconv.Itoa(n)+".fits", d.plan.Ask.Every); err != nil {
				return journal.Drained{}, err
			}
		}
		var out journal.Drained
		if err := d.c.Do(key, "drain", in, &out); err != nil || !out.Again {
			return out, err
		}
		if err := d.ask(members); err != nil {
			return journal.Drained{}, err
		}
	}
}

func targetsOf(sel []selected) []string {
	var names []string
	for _, s := range sel {
		names = append(names, s.target)
	}
	return names
}

func membersOn(members []journal.Asked, target string) []journal.Asked {
	return slices.DeleteFunc(slices.Clone(members), func(m journal.Asked) bool { return !slices.Contains(m.Targets, target) })
}
