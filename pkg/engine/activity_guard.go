package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// guard refuses changes that would leave fewer members serving than the plan
// allows. A change that does not lower the number is never refused: it may be
// the way out.
func (x *Executor) guard(ctx context.Context, target string, s state.State, changes []state.Change) error {
	for _, g := range x.Program.Plan.Guards {
		if g.Target != target {
			continue
		}
		down, err := x.downMembers(ctx, target, s)
		if err != nil {
			return x.path("guard", target, err)
		}
		now, after := x.Program.serving(target, s, down), x.Program.serving(target, s.With(changes), down)
		if len(after) < g.MinServing && len(after) < len(now) {
			e := fail(classGuard, "guard: %s would serve with %d of at least %d members (now %s)", target, len(after), g.MinServing, list(now))
			e.Hints = []string{"bring more members into service first, or lower min_serving in the plan"}
			return e
		}
	}
	return nil
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// downMembers are the objects that the system calls down. Only those in s are
// asked about: a member that the plan is about to create is not there yet, and
// on the way back a node that does not answer must not keep the others from
// being put back.
func (x *Executor) downMembers(ctx context.Context, target string, s state.State) (map[string]bool, error) {
	h, ok := driver.As[driver.Healther](x.Program.Targets[target])
	if !ok {
		return nil, nil
	}
	ids := slices.DeleteFunc(x.Program.memberIDs(target), func(id string) bool { _, there := s.Objects[id]; return !there })
	health, err := h.Health(ctx, ids)
	if err != nil {
		return nil, err
	}
	down := map[string]bool{}
	for id, st := range health {
		if st.State == driver.Down {
			down[id] = true
		}
	}
	return down, nil
}

// memberIDs are the ids of all objects of the target that serve traffic.
func (p *Program) memberIDs(target string) []string {
	var ids []string
	for id := range p.Pins.Targets[target].Objects {
		if k := p.kindOf(target, id); k.Member {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// serving are the members that take traffic on every node.
func (p *Program) serving(target string, s state.State, down map[string]bool) []string {
	info := p.Infos[target]
	ok := map[string]bool{}
	for id, o := range s.Objects {
		k, _ := info.Kind(o.Kind)
		if o.Kind == "" {
			k = p.kindOf(target, id)
			o.Name = p.Pins.Targets[target].Objects[id].Name
		}
		if !k.Member || k.Capacity == nil {
			continue
		}
		serves := k.Capacity(o.Attrs) > 0 && !down[id]
		if was, seen := ok[o.Name]; seen {
			serves = serves && was
		}
		ok[o.Name] = serves
	}
	var names []string
	for n, serves := range ok {
		if serves {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// begins are the objects that took no traffic before the changes and will. A
// process that died may have made them already, and seen nobody's health.
func (x *Executor) begins(target string, s state.State, changes []state.Change) []string {
	var ids []string
	var theirs []state.Change
	known := map[string]bool{} // by object: it took no traffic
	for i, c := range changes {
		idle, seen := known[c.Object]
		if !seen {
			idle = x.Program.capacity(target, c.Object, attrsBefore(s.Objects[c.Object].Attrs, changes[i:], c.Object)) == 0
			known[c.Object] = idle
			if idle {
				ids = append(ids, c.Object)
			}
		}
		if idle {
			theirs = append(theirs, c)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	after := s.With(theirs)
	return slices.DeleteFunc(ids, func(id string) bool { return x.Program.capacity(target, id, after.Objects[id].Attrs) == 0 })
}

// attrsBefore are an object's attributes as they were before the changes, which
// begin with its own.
func attrsBefore(attrs map[string]state.Value, changes []state.Change, object string) map[string]state.Value {
	var before map[string]state.Value
	for _, c := range changes {
		if c.Object != object {
			break
		}
		if attrs[c.Attribute] == c.From {
			continue
		}
		if before == nil {
			if before = maps.Clone(attrs); before == nil {
				before = map[string]state.Value{}
			}
		}
		before[c.Attribute] = c.From
		if !c.From.Present() {
			delete(before, c.Attribute)
		}
	}
	if before == nil {
		return attrs
	}
	return before
}

// healthLimit is how long a member that was given traffic may be called down
// before that is a failure.
const healthLimit = 30 * time.Second

// healthy waits until no member that was just given traffic is called down.
// Only then may capacity be taken away elsewhere.
func (x *Executor) healthy(ctx context.Context, key string, d driver.Driver, target string, ids []string) error {
	h, ok := driver.As[driver.Healther](d)
	if !ok || len(ids) == 0 {
		return nil
	}
	ctx, cancel := x.withTimeout(ctx, healthLimit)
	defer cancel()
	said := ""
	for {
		health, err := h.Health(ctx, ids)
		var bad []string
		for _, id := range ids {
			if err == nil && health[id].State == driver.Down {
				bad = append(bad, fmt.Sprintf("%s is %s", x.Program.name(target, id), health[id].Detail))
			}
		}
		if err != nil && (said == "" || ctx.Err() == nil) { // a look that the deadline cut off says nothing
			bad = append(bad, "could not look: "+err.Error())
		}
		if err != nil && len(bad) == 0 {
			bad = append(bad, said)
		}
		if len(bad) == 0 {
			return nil
		}
		text := strings.Join(bad, ", ")
		if text != said {
			x.Look(key, journal.LookData{Text: "waiting for health: " + text})
			said = text
		}
		if perr := x.pause(ctx, 100*time.Millisecond); perr != nil {
			e := fail(classUnhealthy, "%s: not healthy after it was given traffic: %s", target, text)
			e.Hints = []string{"its health check fails; no traffic was taken from the other side"}
			return e
		}
	}
}
