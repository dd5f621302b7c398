package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

// askedAtOnce is how many members are asked at one time.
const askedAtOnce = 16

// Hints of a drain that cannot be done.
const (
	countHint = `ask the members: drain: {group: ..., count: {http: {url: "http://${{ member.address }}/stats", value: body.in_flight}}}, ` +
		`or name a gate: metric: {prometheus: {...}}`
	killHint = `say how: kill: {http: {url: "http://${{ member.address }}/kill"}} or kill: {run: ...}; or use then: fail or then: continue`
)

// drainAt finds the drain of the plan whose count, ask or kill stands there.
func (p *Program) drainAt(place string) (plan.Drain, bool) {
	var found *plan.Drain
	p.Plan.Walk(func(s plan.Step) {
		d := s.Drain
		if d == nil {
			return
		}
		if d.Count != nil && placeOf(d.Count.Pos) == place || d.Ask != nil && placeOf(d.Ask.Pos) == place || d.Kill != nil && placeOf(d.Kill.Pos) == place {
			found = d
		}
	})
	if found == nil {
		return plan.Drain{}, false
	}
	return *found, true
}

// memberCounts are the questions of one drain.
type memberCounts []memberCount

type memberCount struct {
	label string
	same  string // of an earlier member that is asked the very same
	gate.Count
}

// counts makes a question for each member. Members that would be asked the
// same are asked once.
func (x *Executor) counts(in journal.Drain) (memberCounts, error) {
	d, ok := x.Program.drainAt(in.Count)
	if !ok || d.Count == nil {
		return nil, fmt.Errorf("no count at %s of the plan", in.Count)
	}
	var all memberCounts
	known := map[string]string{}
	for _, m := range in.Members {
		c, err := x.buildCount(*d.Count, memberOf(m), in.Outputs)
		if err != nil {
			return nil, fail(classInvalid, "count: %s: %v", m.Label, err)
		}
		one := memberCount{label: m.Label, Count: c, same: known[c.Source()]}
		if one.same == "" {
			known[c.Source()] = m.Label
		}
		all = append(all, one)
	}
	return all, nil
}

func (x *Executor) buildCount(c plan.Count, m *Member, outputs map[string]map[string]string) (gate.Count, error) {
	kind, ok := gate.CountOf(c.Kind)
	if !ok {
		return nil, fmt.Errorf("no way to count %q", c.Kind)
	}
	scope := x.Program.scope(m, outputs, "", 1)
	return kind.Build(func(out any) error { return c.Config.Decode(out, scope) }, x.gateEnv())
}

// sample asks all members, a few at a time. It fails for each alone.
func (all memberCounts) sample(ctx context.Context) (map[string]driver.Flight, map[string]error, error) {
	flights, errs := make([]driver.Flight, len(all)), make([]error, len(all))
	atOnce(len(all), func(i int) {
		if all[i].same == "" {
			flights[i], errs[i] = all[i].Count.Count(ctx)
		}
	})
	told, failed := map[string]driver.Flight{}, map[string]error{}
	for i, c := range all {
		switch {
		case errs[i] != nil:
			failed[c.label] = errs[i]
		case c.same != "":
			// Its flights are those of the other; a failure is told there too.
			told[c.label] = driver.Flight{Total: -1}
		default:
			told[c.label] = flights[i]
		}
	}
	return told, failed, nil
}

// atOnce calls f for 0..n-1, a few at a time, and waits for all.
func atOnce(n int, f func(int)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, askedAtOnce)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}

// ask makes members do something, each once. A member that does not do it fails
// the activity, unless the plan says that it may.
func (x *Executor) ask(ctx context.Context, key string, in journal.Call) (journal.Called, error) {
	timeout, err := time.ParseDuration(in.Timeout)
	if err != nil {
		return journal.Called{}, err
	}
	var calls []gate.Ask
	if in.Ref != "" {
		if calls, err = x.calls(in); err != nil {
			return journal.Called{}, err
		}
	}
	if err := x.mayAsk(timeout); err != nil {
		return journal.Called{}, err
	}
	ctx, cancel := x.withDeadline(ctx, in.Deadline)
	defer cancel()
	errs := make([]error, len(in.Members))
	atOnce(len(in.Members), func(i int) {
		own, cancel := x.withTimeout(ctx, timeout)
		defer cancel()
		if in.Ref != "" {
			errs[i] = calls[i].Do(own)
			return
		}
		errs[i] = x.askByCommand(own, key, in.Commands[i])
	})
	return answered(in, errs)
}

func (x *Executor) askByCommand(ctx context.Context, key string, c journal.Command) error {
	exit, err := x.run(ctx, key, c)
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("command exited with %d", exit.Code)
		if tail := lastLine(exit.Output); tail != "" {
			err = fmt.Errorf("%w: %s", err, tail)
		}
	}
	return err
}

// calls makes the calls before the first is sent: a mistake asks nobody.
func (x *Executor) calls(in journal.Call) ([]gate.Ask, error) {
	d, ok := x.Program.drainAt(in.Ref)
	if !ok {
		return nil, fmt.Errorf("nothing to ask at %s of the plan", in.Ref)
	}
	a := d.Ask
	if d.Kill != nil && placeOf(d.Kill.Pos) == in.Ref {
		a = d.Kill
	}
	var calls []gate.Ask
	for _, m := range in.Members {
		scope := x.Program.scope(memberOf(m), in.Outputs, "", 1)
		call, err := gate.NewAsk(func(out any) error { return a.HTTP.Decode(out, scope) }, x.gateEnv())
		if err != nil {
			return nil, fail(classInvalid, "%s: %v", m.Label, err)
		}
		calls = append(calls, call)
	}
	return calls, nil
}

// mayAsk says whether this process may still make anybody do anything. That it
// was frozen for a while does not matter: nothing was read.
func (x *Executor) mayAsk(timeout time.Duration) error {
	if x.Lease == nil {
		return nil
	}
	err := x.Lease(min(timeout, askTimeout))
	if frozen, ok := errors.AsType[*journal.FrozenError](err); ok && frozen != nil {
		return x.Lease(min(timeout, askTimeout))
	}
	return err
}

// answered puts the answers of all members together.
func answered(in journal.Call, errs []error) (journal.Called, error) {
	out := journal.Called{Text: labels(in.Members) + ": " + in.What}
	var bad []string
	for i, err := range errs {
		switch {
		case err == nil:
			continue
		case stopped(err):
			return out, err
		case out.Failed == nil:
			out.Failed = map[string]string{}
		}
		out.Failed[in.Members[i].Label] = err.Error()
		bad = append(bad, in.Members[i].Label+": "+err.Error())
	}
	if len(bad) == 0 {
		return out, nil
	}
	text := strings.Join(bad[:min(len(bad), 5)], "; ")
	if more := len(bad) - 5; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	if in.Optional {
		out.Text += fmt.Sprintf("; %d of %d did not do it: %s", len(bad), len(errs), text)
		return out, nil
	}
	e := fail("", "%d of %s did not do what they were asked: %s", len(bad), count(len(errs), "member"), text)
	e.Hints = []string{"those that did are not asked to take it back; let the drain go on without it: optional: true"}
	return out, e
}

// labels names members, the first few where there are many.
func labels(members []journal.Asked) string {
	var names []string
	for _, m := range members {
		names = append(names, m.Label)
	}
	slices.Sort(names)
	if len(names) > 6 {
		return strings.Join(names[:5], ", ") + fmt.Sprintf(" and %d more", len(names)-5)
	}
	return strings.Join(names, ", ")
}

// askable makes what drains ask of members once, to find wrong values before
// anything is changed. What needs the output of a step is seen when it runs.
func (x *Executor) askable() []error {
	var one *Member
	for _, g := range x.Program.Pins.Groups {
		if len(g.Members) > 0 {
			one = &g.Members[0]
		}
	}
	var errs []error
	try := func(pos plan.Pos, what string, n plan.Node, build func() error) {
		if !n.Templated() || n.Mentions("steps") {
			return
		}
		if err := build(); err != nil {
			errs = append(errs, x.Program.Plan.Errorf(pos, 1, strings.Join(hint.Of(err), "; "), "%s: %v", what, err))
		}
	}
	x.Program.Plan.Walk(func(s plan.Step) {
		if s.Drain == nil || one == nil {
			return
		}
		if c := s.Drain.Count; c != nil {
			try(c.Pos, "count", c.Config, func() error { _, err := x.buildCount(*c, one, nil); return err })
		}
		for _, a := range []*plan.Ask{s.Drain.Ask, s.Drain.Kill} {
			if a != nil && a.HTTP != nil {
				scope := x.Program.scope(one, nil, "", 1)
				try(a.Pos, "ask", *a.HTTP, func() error {
					_, err := gate.NewAsk(func(out any) error { return a.HTTP.Decode(out, scope) }, x.gateEnv())
					return err
				})
			}
		}
	})
	return errs
}
