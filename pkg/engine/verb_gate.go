package engine

import (
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

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
	if s.Wait.TTL != nil {
		return f.waitTTL(*s.Wait.TTL)
	}
	return "", f.hold(".wait", s.Gates, s.Wait.For)
}
