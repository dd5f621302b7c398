package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

// DrainPreview is what a drain would do.
type DrainPreview struct {
	Sessions int           // at or below is quiet
	Source   string        // who tells what is in flight: "web", "http http://${{ member.address }}/stats body.in_flight", "gate quiet"
	Driver   bool          // it is the driver of the targets
	Ask      string        // what members are made to do when it begins, empty for nothing
	Every    time.Duration // how often that is repeated; 0 is once
	Optional bool          // members need not do it
	Kill     string        // what ends what is left at the deadline, with then: kill
	Then     string        // fail, kill, continue
	Deadline time.Duration
	Members  []string
}

// drainPreview is what can be said of a drain without looking.
func (c *previewContext) drainPreview(id string) *DrainPreview {
	var found *plan.Step
	c.p.Plan.Walk(func(s plan.Step) {
		if s.ID == id && s.Drain != nil {
			found = &s
		}
	})
	if found == nil {
		return nil
	}
	d := found.Drain
	v := &DrainPreview{Sessions: d.Sessions, Then: orElse(d.Then, "fail"), Deadline: frame{p: c.p}.timeout(*found)}
	switch {
	case d.Count != nil:
		v.Source = d.Count.What()
	case d.Metric != nil && d.Metric.Inline != nil:
		v.Source = "gate " + d.Metric.Inline.Kind
	case d.Metric != nil:
		v.Source = "gate " + d.Metric.Name
	}
	if d.Ask != nil {
		v.Ask, v.Every, v.Optional = d.Ask.What(), d.Ask.Every, d.Ask.Optional
	}
	if v.Then == "kill" {
		v.Kill = "the driver"
		if d.Kill != nil {
			v.Kill = d.Kill.What()
		}
	}
	return v
}

// noteDrain adds what an activity of the drain is about.
func (c *previewContext) noteDrain(in journal.Drain) {
	v := c.cur().Drain
	if v == nil {
		return
	}
	for _, m := range in.Members {
		v.Members = append(v.Members, m.Label)
	}
	if in.Count != "" {
		return
	}
	for _, n := range c.p.names(in.Target, in.IDs) {
		if !slices.Contains(v.Members, n) {
			v.Members = append(v.Members, n)
		}
	}
	if v.Driver = true; v.Source != "" {
		v.Source += ", "
	}
	v.Source += in.Target
}

// previewLook bounds what a preview asks of members, all together.
const previewLook = 5 * time.Second

// countNow asks the members what is in flight, for people. What may change
// something is not asked.
func (c *previewContext) countNow(in journal.Drain) {
	if !c.look || c.world.Secrets == nil {
		return
	}
	x := &Executor{Program: c.p, Gates: c.world.Gates, Secrets: c.world.Secrets, Log: c.world.Log}
	counts, err := x.counts(in)
	if err != nil || slices.ContainsFunc(counts, func(m memberCount) bool { return m.Changes() }) {
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, previewLook)
	defer cancel()
	told, failed, _ := counts.sample(ctx)
	now := 0
	for _, f := range told {
		now += f.Now
	}
	switch {
	case len(told) == 0:
		c.cur().Note = fmt.Sprintf("none of %s tells now", count(len(failed), "member"))
	case len(failed) > 0:
		c.cur().Note = fmt.Sprintf("now %d; %d of %d did not tell", now, len(failed), len(in.Members))
	default:
		c.cur().Note = fmt.Sprintf("now %d", now)
	}
}

// check asks the driver what it would refuse. Once something was done that may
// change more than attributes (a command, a gate that waited for health), an
// answer of now is no verdict any more: it is told, and nothing is refused.
func (c *previewContext) check(in journal.Apply) error {
	checker, ok := driver.As[driver.Checker](c.p.Targets[in.Target])
	if !ok || c.ctx == nil || c.facts && !c.look {
		return nil
	}
	err := checker.Check(c.ctx, c.states[in.Target], in.Changes)
	switch {
	case err == nil, errors.Is(err, driver.ErrUnknown), c.ctx.Err() != nil:
		return nil
	case c.facts:
		c.cur().Refused = err.Error()
		return nil
	}
	return refused(c.p, in, err)
}

// refused is the error of a change that its driver would not make.
func refused(p *Program, in journal.Apply, err error) error {
	e := fail(classRefused, "%s: %s", in.Target, driver.Named(p.Infos[in.Target].Name, err))
	e.Hints = hint.Of(err)
	return e
}
