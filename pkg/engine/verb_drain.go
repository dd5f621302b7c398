package engine

import (
	"fmt"
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
