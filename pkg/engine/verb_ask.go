package engine

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/plan"
)

// How long it may take to ask one member, where the plan is silent.
const (
	askTimeout     = 10 * time.Second
	askRunsTimeout = time.Minute
)

// placeOf names a place of the plan in the journal.
func placeOf(p plan.Pos) string { return strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column) }

// asked are the members that a drain is about, once each however many targets
// know them.
func (f frame) asked(s plan.Selection, sel []selected) ([]journal.Asked, error) {
	var members []Member
	switch {
	case s.Target != "":
		members = f.p.membersIn(sel)
	case s.Group == "":
		members = Group{Members: []Member{*f.member}}.on(s.On)
	default:
		g, err := f.p.group(s.Group)
		if err != nil {
			return nil, fail(classInvalid, "%v", err)
		}
		members = g.on(s.On)
	}
	return toAsk(members), nil
}

// toAsk gives each member a name of its own.
func toAsk(members []Member) []journal.Asked {
	out := make([]journal.Asked, len(members))
	seen := map[string]int{}
	for i, m := range members {
		v := m.value()
		out[i] = journal.Asked{Label: m.Name, Name: m.Name, Address: m.Address, Host: m.Host, Targets: v.Targets}
		if seen[m.Name]++; seen[m.Name] > 1 {
			out[i].Label = m.Name + "@" + cmp.Or(m.Address, m.Host, strconv.Itoa(seen[m.Name]))
		}
	}
	return out
}

// membersIn are the members that objects of a target stand for.
func (p *Program) membersIn(sel []selected) []Member {
	var members []Member
	for _, s := range sel {
		for _, id := range s.ids {
			o := p.Pins.Targets[s.target].Objects[id]
			at := slices.IndexFunc(members, func(m Member) bool { return m.Name == o.Name && m.Objects[s.target] != nil })
			if at < 0 {
				members = append(members, Member{Name: o.Name, Address: o.Info["address"], Host: o.Info["host"], Objects: map[string][]string{s.target: {id}}})
				continue
			}
			members[at].Objects[s.target] = append(members[at].Objects[s.target], id)
		}
	}
	return members
}

// ask makes the members end what is open on them, as the plan says. Each time
// is an activity of its own.
func (d draining) ask(members []journal.Asked) error {
	if d.plan.Ask == nil || len(members) == 0 {
		return nil
	}
	*d.asked++
	key := d.path + ".ask"
	if *d.asked > 1 {
		key += "." + strconv.Itoa(*d.asked)
	}
	in, err := d.order(*d.plan.Ask, members, "ask", *d.asked)
	if err != nil {
		return err
	}
	in.Deadline = d.deadline
	return d.c.Do(key, journal.ActivityAsk, in, &journal.Called{})
}

// kill ends what is still open: as the plan says, or as the driver can.
func (d draining) kill(part string, in journal.Drain, members []journal.Asked) error {
	key := d.path + "." + part + ".kill"
	if d.plan.Kill != nil {
		order, err := d.order(*d.plan.Kill, members, "kill", 1)
		if err != nil {
			return err
		}
		return d.c.Do(key, journal.ActivityKill, order, &journal.Called{})
	}
	if in.Count == "" {
		return d.c.Do(key, journal.ActivityKill, journal.Observe{Target: in.Target, IDs: in.IDs}, nil)
	}
	sel, err := d.selection(d.plan.Selection)
	if err != nil {
		return err
	}
	for _, t := range sel {
		if err := d.c.Do(d.path+"."+t.target+".kill", journal.ActivityKill, journal.Observe{Target: t.target, IDs: t.ids}, nil); err != nil {
			return err
		}
	}
	return nil
}

// order is what the plan wants members to be made to do, with its templates
// filled in where it is a command.
func (d draining) order(a plan.Ask, members []journal.Asked, what string, attempt int) (journal.Call, error) {
	in := journal.Call{Members: members, Optional: a.Optional, Timeout: orElse(a.Timeout, askTimeout).String(), What: a.What()}
	if a.HTTP != nil {
		in.Ref, in.Outputs = placeOf(a.Pos), d.outputs
		return in, nil
	}
	in.Timeout = orElse(a.Timeout, askRunsTimeout).String()
	for _, m := range members {
		f := d.frame
		f.member = memberOf(m)
		cmd, err := f.command(*a.Run, attempt)
		if err != nil {
			return in, err
		}
		cmd.Env["FLIP_STEP"], cmd.Env["FLIP_MEMBER"] = d.id, m.Name
		cmd.Log = logName(d.path+"_"+what, m.Label)
		in.Commands = append(in.Commands, cmd)
	}
	return in, nil
}

// logName is a file below the run's directory that belongs to a member alone.
func logName(path, member string) string {
	clean := strings.Map(func(r rune) rune {
		if strings.ContainsRune("/[]:#\\ ", r) {
			return '_'
		}
		return r
	}, strings.TrimPrefix(path, "/steps/")+"_"+member)
	return "logs/" + clean + ".log"
}

// memberOf is the member that an Asked stands for.
func memberOf(a journal.Asked) *Member {
	m := &Member{Name: a.Name, Address: a.Address, Host: a.Host, Objects: map[string][]string{}}
	for _, t := range a.Targets {
		m.Objects[t] = nil
	}
	return m
}

// countOf finds how the plan counts what is in flight on members of a target,
// for the way back: the first drain that counts there.
func (p *Program) countOf(target string) (place string, ok bool) {
	p.Plan.Walk(func(s plan.Step) {
		if ok || s.Drain == nil || s.Drain.Count == nil || s.Drain.Count.Config.Mentions("steps") {
			return
		}
		sel := s.Drain.Selection
		targets := sel.On
		if g, err := p.group(sel.Group); err == nil && len(targets) == 0 {
			targets = g.targets()
		}
		if sel.Target != "" {
			targets = []string{sel.Target}
		}
		if ok = len(targets) == 0 || slices.Contains(targets, target); ok {
			place = placeOf(s.Drain.Count.Pos)
		}
	})
	return place, ok
}
