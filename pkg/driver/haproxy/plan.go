package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// plan compares the changes of one object with what is live and says what is
// to be done. It writes nothing.
func (t *Target) plan(s subject, snap snapshot) (job, error) {
	if s.entry != nil {
		return t.planEntry(s, snap)
	}
	r, live := snap.rows[s.id]
	j := job{subject: s, row: r}
	if !live {
		return t.planMissing(j, snap)
	}
	open, err := t.compare(s, t.attrs(s.node, s.id, r))
	if err != nil || len(open) == 0 {
		return j, err
	}
	if slices.ContainsFunc(open, func(c state.Change) bool { return c.Attribute == Present && !c.To.Present() }) {
		j.kind = remove
		return j, nil
	}
	j.kind, j.checked = plain, r.checked()
	for _, c := range sorted(open) {
		if err := t.planAttribute(&j, c); err != nil {
			return j, driver.Permanent(fmt.Errorf("set %s %s: %w", c.Attribute, s, err))
		}
	}
	if j.to == ready {
		j.kind = raise
	}
	return j, nil
}

// compare returns the changes that are still to be made.
func (t *Target) compare(s subject, attrs map[string]state.Value) ([]state.Change, error) {
	kind := t.server
	if s.entry != nil {
		kind = t.entry
	}
	var open []state.Change
	for _, c := range s.changes {
		now := attrs[c.Attribute]
		if now == c.To {
			continue
		}
		a, ok := kind.Attribute(c.Attribute)
		if !ok {
			return nil, driver.Permanent(fmt.Errorf("%s has no attribute %q", s, c.Attribute))
		}
		if now != c.From && (a.Via == nil || !slices.Contains(a.Via(c.From, c.To), now)) {
			return nil, &driver.DriftError{Change: c, Now: now}
		}
		if c.To.Present() {
			if err := a.Check(c.To); err != nil {
				return nil, driver.Permanent(fmt.Errorf("%s: %w", s, err))
			}
		}
		open = append(open, c)
	}
	return open, nil
}

func sorted(changes []state.Change) []state.Change {
	if slices.IsSortedFunc(changes, order) {
		return changes
	}
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, order)
	return changes
}

func (t *Target) planAttribute(j *job, c state.Change) error {
	if !c.To.Present() {
		return hint.Wrap(fmt.Errorf("a server that exists has a %s", c.Attribute), "only whole servers can be absent: set present")
	}
	name := j.String()
	switch c.Attribute {
	case Weight:
		if err := t.tameAgent(j, c.To); err != nil {
			return err
		}
		j.before = append(j.before, j.command("set weight", "set server "+name+" weight "+string(c.To)))
	case Address:
		addr, err := addrPort(c.To.Text())
		if err != nil {
			return err
		}
		j.moved = true
		j.before = append(j.before, j.command("set address", fmt.Sprintf("set server %s addr %s port %d", name, addr.Addr(), addr.Port())))
	case Health:
		return j.toggle(c, "health", &j.checked)
	case Agent:
		return t.toggleAgent(j, c)
	case State:
		if text := j.row.inherits(); text != "" {
			return hint.Wrap(fmt.Errorf("the server is in %s, which its own state cannot lift", text), "change the server that it tracks, or its name resolution")
		}
		j.to = c.To
	}
	return nil
}

// addrPort refuses what would read back in another spelling.
func addrPort(text string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(text)
	if err != nil || addr.Port() == 0 || addr.Addr().Zone() != "" {
		return addr, fmt.Errorf("%q is not ip:port", text)
	}
	if addr.String() != text {
		return addr, fmt.Errorf("%q is written %s", text, addr)
	}
	return addr, nil
}

// toggle is `enable health` and its like.
func (j *job) toggle(c state.Change, what string, runs *bool) error {
	if !c.From.Present() {
		return fmt.Errorf("the server has no %s check", strings.TrimPrefix(what, "health "))
	}
	verb := "disable "
	if c.To == enabled {
		verb = "enable "
	}
	cmd := j.command(verb+what, verb+what+" "+j.String())
	if what == "agent" && c.To == enabled {
		j.after = append(j.after, cmd)
	} else {
		j.before = append(j.before, cmd)
	}
	*runs = c.To == enabled
	return nil
}

func (t *Target) toggleAgent(j *job, c state.Change) error {
	t.mu.Lock()
	delete(t.agents, j.id) // the plan decides about this one
	t.mu.Unlock()
	var runs bool
	return j.toggle(c, "agent", &runs)
}

// tameAgent keeps an agent check from overwriting the weight within a second.
// With `agent: disable` it is switched off, and on again when the weight is
// what it was then. Only this process knows that; a plan that sets the agent
// attribute has it in its journal.
func (t *Target) tameAgent(j *job, to state.Value) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if was, ours := t.agents[j.id]; ours && to == was && !j.row.agentRuns() {
		j.after = append(j.after, j.command("enable agent", "enable agent "+j.String()))
		delete(t.agents, j.id)
		return nil
	}
	agent := slices.IndexFunc(j.changes, func(c state.Change) bool { return c.Attribute == Agent })
	if !j.row.agentRuns() || (agent >= 0 && j.changes[agent].To == disabled) {
		return nil
	}
	if t.cfg.Agent != agentDisable {
		return hint.Wrap(fmt.Errorf("its agent check is enabled and would overwrite the weight"),
			"set `agent: disabled` on the server in an earlier step, or `agent: disable` on the target")
	}
	t.agents[j.id] = state.Int(j.row.weight)
	t.log.Info("agent check disabled to set the weight", "node", j.node.name, "server", j.String())
	j.before = append(j.before, j.command("disable agent", "disable agent "+j.String()))
	return nil
}

func (t *Target) planMissing(j job, snap snapshot) (job, error) {
	wanted := map[string]state.Value{}
	for _, c := range j.changes {
		if c.To.Present() {
			wanted[c.Attribute] = c.To
		}
	}
	if len(wanted) == 0 {
		return j, nil
	}
	stale := slices.ContainsFunc(j.changes, func(c state.Change) bool { return c.From.Present() })
	if wanted[Present] != "true" || stale {
		var names []string
		for _, r := range snap.rows {
			if r.backend == j.backend {
				names = append(names, r.name)
			}
		}
		return j, missing(fmt.Sprintf("no server %s on node %s", j.subject, j.node.name), "servers in "+j.backend+": %s", listed(names))
	}
	return j, j.planCreate(wanted)
}

// planCreate makes the words of `add server` out of the attributes.
func (j *job) planCreate(wanted map[string]state.Value) error {
	refuse := func(err error) error {
		return driver.Permanent(fmt.Errorf("add server %s: %w", j.subject, err))
	}
	for _, c := range j.changes {
		a, ok := serverKind().Attribute(c.Attribute)
		if !ok {
			return refuse(fmt.Errorf("no attribute %q", c.Attribute))
		}
		if err := a.Check(c.To); c.To.Present() && err != nil {
			return refuse(err)
		}
	}
	if wanted[Agent].Present() {
		return refuse(fmt.Errorf("a server that is made at runtime has no agent check"))
	}
	if !wanted[Address].Present() {
		return refuse(hint.Wrap(fmt.Errorf("it has no address"), "set address (ip:port) together with present"))
	}
	addr, err := addrPort(wanted[Address].Text())
	if err != nil {
		return refuse(err)
	}
	j.kind, j.to, j.row.admin = create, wanted[State], fmaint
	j.add = "add server " + j.String() + " " + addr.String()
	if wanted[Health].Present() {
		j.add += " check"
	}
	if w := wanted[Weight]; w.Present() {
		j.add += " weight " + string(w)
	}
	if j.checked = wanted[Health] == enabled; j.checked {
		j.before = append(j.before, j.command("enable health", "enable health "+j.String()))
	}
	if j.to == maint {
		j.to = state.Absent // it begins there
	}
	return nil
}

func (t *Target) planEntry(s subject, snap snapshot) (job, error) {
	j := job{subject: s}
	attrs := map[string]state.Value{}
	if e, ok := snap.entries[s.id]; ok {
		attrs[Value] = state.Text(e.value)
	}
	open, err := t.compare(s, attrs)
	if err != nil {
		return j, err
	}
	for _, c := range open {
		text, err := s.node.mapCommand(*s.entry, attrs[Value], c.To)
		if err != nil {
			return j, fmt.Errorf("set %s: %w", s, err)
		}
		j.kind = plain
		j.before = append(j.before, j.command("set", text))
	}
	return j, nil
}
