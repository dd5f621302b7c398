package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/state"
)

// World is what the engine is lent to reach the outside.
type World struct {
	Drivers   *driver.Registry
	Gates     *gate.Registry
	Secrets   *secret.Resolver
	Log       *slog.Logger
	Transport http.RoundTripper
}

// PreconditionError: a live system is not as the plan needs it. Nothing was
// changed. Exit code 4.
type PreconditionError struct {
	Err error
	// Table is shown below the error.
	Table string
}

func (e *PreconditionError) Error() string { return e.Err.Error() }
func (e *PreconditionError) Unwrap() error { return e.Err }

// Bound is a program with the states that it was bound to.
type Bound struct {
	*Program
	States map[string]state.State
}

// Open opens the plan's drivers; the caller closes the program.
func Open(ctx context.Context, p plan.Plan, w World) (*Program, error) {
	if err := Check(&p, w.Drivers, w.Gates); err != nil {
		return nil, err
	}
	prog := &Program{Plan: p, Infos: map[string]driver.Info{}, Targets: map[string]driver.Driver{}}
	scope := plan.Scope{"vars": p.Vars}
	for _, t := range p.Targets {
		f, _ := w.Drivers.Lookup(t.Driver)
		env := driver.Env{Log: w.Log.With("target", t.Name), Transport: w.Transport, Secrets: w.Secrets}
		d, err := f.Open(ctx, func(out any) error { return t.Config.Decode(out, scope) }, env)
		if err != nil {
			prog.Close()
			return nil, &PreconditionError{Err: fmt.Errorf("target %s: %w", t.Name, driver.Named(t.Driver, err))}
		}
		prog.Infos[t.Name] = f.Info
		prog.Targets[t.Name] = driver.Trace(d, w.Log, t.Name)
	}
	return prog, nil
}

// Close releases the drivers.
func (p *Program) Close() error {
	var errs []error
	for _, d := range p.Targets {
		if c, ok := driver.As[driver.Closer](d); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// Bind reads every target, resolves groups to their members and finds out
// which side is live. live decides it by name when it is not empty.
func Bind(ctx context.Context, prog *Program, w World, live string) (*Bound, error) {
	b := &Bound{Program: prog, States: map[string]state.State{}}
	if err := b.read(ctx); err != nil {
		return nil, err
	}
	b.Pins = Pins{Groups: map[string]Group{}, Targets: map[string]PinnedTarget{}}
	for name, s := range b.States {
		b.pin(name, s)
	}
	for _, g := range b.Plan.Groups {
		group, err := b.group(g)
		if err != nil {
			return nil, &PreconditionError{Err: err}
		}
		b.Pins.Groups[g.Name] = group
	}
	b.regrouped()
	if err := b.objects(b.Plan.Steps); err != nil {
		return nil, &PreconditionError{Err: err}
	}
	if err := b.alternate(live); err != nil {
		return nil, err
	}
	return b, b.buildable(w)
}

// buildable makes every gate once, to find wrong values before anything is
// changed. One that needs the output of a step is seen when it runs.
func (b *Bound) buildable(w World) error {
	x := &Executor{Program: b.Program, Gates: w.Gates, Secrets: w.Secrets, Log: w.Log}
	var errs []error
	try := func(g plan.Gate) {
		if !g.Config.Templated() {
			return // Check saw it
		}
		in := gateIn{}
		if g.Each == "" || g.Each == "member" {
			for _, group := range b.Pins.Groups {
				if len(group.Members) > 0 {
					in.Member = &group.Members[0] // any will do
				}
			}
		}
		if _, err := x.buildGate(g, in); err != nil && !g.Config.Mentions("steps") {
			errs = append(errs, b.Plan.Errorf(g.Pos, 1, strings.Join(hint.Of(err), "; "), "%v", err))
		}
	}
	for _, g := range b.Plan.Gates {
		try(g)
	}
	walkGates(b.Plan.Steps, func(ref plan.GateRef) {
		if ref.Inline != nil {
			try(*ref.Inline)
		}
	})
	return errors.Join(errs...)
}

func (b *Bound) read(ctx context.Context) error {
	errs := make([]error, len(b.Plan.Targets))
	states := make([]state.State, len(b.Plan.Targets))
	var wg sync.WaitGroup
	for i, t := range b.Plan.Targets {
		wg.Go(func() {
			var err error
			if states[i], err = b.Targets[t.Name].Read(ctx); err != nil {
				errs[i] = &PreconditionError{Err: fmt.Errorf("target %s: %w", t.Name, driver.Named(t.Driver, err))}
			}
		})
	}
	wg.Wait()
	for i, t := range b.Plan.Targets {
		b.States[t.Name] = states[i]
	}
	return errors.Join(errs...)
}

func (b *Bound) pin(target string, s state.State) {
	pt := PinnedTarget{Driver: b.Infos[target].Name, Nodes: s.Nodes, Objects: make(map[string]PinnedObject, len(s.Objects))}
	for id, o := range s.Objects {
		pt.Objects[id] = PinnedObject{Kind: o.Kind, Name: o.Name, Node: o.Node, Info: o.Info}
	}
	if sc, ok := driver.As[driver.Scoper](b.Targets[target]); ok {
		pt.Scopes = sc.Scopes()
	} else {
		pt.Scopes = []string{b.Infos[target].Name + "://" + target}
	}
	b.Pins.Targets[target] = pt
}

// group resolves one group of the plan. What several targets know by one
// address, host or name is one member.
func (b *Bound) group(g plan.Group) (Group, error) {
	out := Group{Name: g.Name}
	for _, gm := range g.Members {
		index := b.index(gm.Target)
		first := len(out.Members) == 0
		known := len(out.Members)
		for i, pattern := range gm.Names {
			names, err := b.match(gm.Target, pattern, index)
			if err != nil {
				pos := gm.Pos
				if i < len(gm.NamePos) {
					pos = gm.NamePos[i]
				}
				return out, fmt.Errorf("%s: group %s: %w", pos, g.Name, err)
			}
			for _, name := range names {
				m := b.member(gm.Target, name, index[name])
				if at := out.same(m, known); !first && at >= 0 {
					out.Members[at].Objects[gm.Target] = append(out.Members[at].Objects[gm.Target], m.Objects[gm.Target]...)
					continue
				}
				out.Members = append(out.Members, m)
			}
		}
	}
	return out, nil
}

// index lists a target's members: ids by name.
func (b *Bound) index(target string) map[string][]string {
	index := map[string][]string{}
	for _, id := range b.memberIDs(target) {
		name := b.Pins.Targets[target].Objects[id].Name
		index[name] = append(index[name], id)
	}
	return index
}

func (b *Bound) member(target, name string, ids []string) Member {
	info := b.Pins.Targets[target].Objects[ids[0]].Info
	return Member{Name: name, Address: info["address"], Host: info["host"], Objects: map[string][]string{target: ids}}
}

// same finds the member among the first n that another target knows already.
func (g Group) same(m Member, n int) int {
	by := func(f func(Member) string) int {
		found := -1
		for i, o := range g.Members[:n] {
			if v := f(m); v != "" && f(o) == v {
				if found >= 0 {
					return -1 // not unique: this says nothing
				}
				found = i
			}
		}
		return found
	}
	if i := by(func(m Member) string { return m.Address }); i >= 0 {
		return i
	}
	if i := by(func(m Member) string { return m.Host }); i >= 0 {
		return i
	}
	return by(func(m Member) string { return m.Name })
}

// match returns the member names that a name or pattern of the plan means. A
// name that does not exist is fine when the plan creates it.
func (b *Bound) match(target, pattern string, index map[string][]string) ([]string, error) {
	var names []string
	if fits, err := b.matcher(target, pattern); err != nil {
		return nil, err
	} else if fits != nil {
		for name, ids := range index {
			if slices.ContainsFunc(ids, func(id string) bool { return fits(b.pinned(target, id)) }) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		if len(names) == 0 {
			return nil, hint.Wrap(fmt.Errorf("no member of target %s matches %q", target, pattern), "members of %s: %s", target, some(index))
		}
		return names, nil
	}
	if strings.ContainsAny(pattern, "*?[") {
		for name := range index {
			if ok, err := path.Match(pattern, name); err != nil {
				return nil, fmt.Errorf("pattern %q: %w", pattern, err)
			} else if ok {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		if len(names) == 0 {
			return nil, hint.Wrap(fmt.Errorf("no member of target %s matches %q", target, pattern), "members of %s: %s", target, some(index))
		}
		return names, nil
	}
	if _, ok := index[pattern]; ok {
		return []string{pattern}, nil
	}
	if b.creates(b.Plan.Steps, target, pattern) {
		return []string{pattern}, b.locate(target, "", pattern, index)
	}
	var known []string
	for name := range index {
		known = append(known, name)
	}
	slices.Sort(known)
	return nil, hint.Wrap(fmt.Errorf("target %s has no member %q%s", target, pattern, didYouMean(pattern, known)), "members of %s: %s", target, some(index))
}

// matcher is the driver's own reading of a pattern, nil when it is a name or a
// pattern of names.
func (p *Program) matcher(target, pattern string) (func(state.Object) bool, error) {
	m, ok := driver.As[driver.Matcher](p.Targets[target])
	if !ok {
		return nil, nil //nolint:nilnil // every pattern is one of names
	}
	fits, err := m.Match(pattern)
	if err != nil {
		return nil, fmt.Errorf("members of target %s: %w", target, err)
	}
	return fits, nil
}

// pinned is an object as it was when the run began, without its attributes.
func (p *Program) pinned(target, id string) state.Object {
	o := p.Pins.Targets[target].Objects[id]
	return state.Object{Kind: o.Kind, Name: o.Name, Node: o.Node, Info: o.Info}
}

// named returns what decides whether an object is one of those that a step
// names. A member is on every node, so one of its objects speaks for all.
func (p *Program) named(target string, patterns []string) (func(state.Object) bool, error) {
	var fits []func(state.Object) bool
	for _, pattern := range patterns {
		own, err := p.matcher(target, pattern)
		if err != nil {
			return nil, err
		}
		if own == nil {
			own = func(o state.Object) bool { ok, _ := path.Match(pattern, o.Name); return ok || pattern == o.Name }
		}
		fits = append(fits, own)
	}
	return func(o state.Object) bool {
		return slices.ContainsFunc(fits, func(fit func(state.Object) bool) bool { return fit(o) })
	}, nil
}

func some(index map[string][]string) string {
	var names []string
	for n := range index {
		names = append(names, n)
	}
	slices.Sort(names)
	if len(names) > 20 {
		return strings.Join(names[:20], ", ") + fmt.Sprintf(" and %d more", len(names)-20)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// creates reports whether a step brings a member into being: set present true
// on it, or on a group that names it.
func (b *Bound) creates(steps []plan.Step, target, name string) bool {
	for _, s := range steps {
		if s.Set != nil && slices.ContainsFunc(s.Set.Attrs, func(a plan.Attr) bool { return existence(a.Name) && a.Value == true }) {
			if s.Set.Target == target && slices.Contains(s.Set.Members, name) {
				return true
			}
			for _, g := range b.Plan.Groups {
				if g.Name == s.Set.Group || s.Set.Group == "idle" || s.Set.Group == "live" || s.Set.Group == "" {
					for _, m := range g.Members {
						if s.Set.Target == "" && m.Target == target && slices.Contains(m.Names, name) {
							return true
						}
					}
				}
			}
		}
		if b.creates(children(s), target, name) {
			return true
		}
	}
	return false
}

// existence reports whether an object comes and goes with the attribute.
func existence(attr string) bool { return attr == "present" || attr == "registered" }

// locate pins the objects of something that need not exist yet.
func (b *Bound) locate(target, kind, name string, index map[string][]string) error {
	l, ok := driver.As[driver.Locator](b.Targets[target])
	if !ok {
		return fmt.Errorf("target %s: driver %s cannot create %s", target, b.Infos[target].Name, name)
	}
	if kind == "" {
		k, _ := b.Infos[target].Member()
		kind = k.Name
	}
	objects, err := l.Locate(kind, name)
	if err != nil {
		return fmt.Errorf("target %s: %w", target, err)
	}
	for id, o := range objects {
		if _, known := b.Pins.Targets[target].Objects[id]; !known {
			b.Pins.Targets[target].Objects[id] = PinnedObject{Kind: o.Kind, Name: o.Name, Node: o.Node, Info: o.Info, New: true}
		}
		if index != nil {
			index[name] = append(index[name], id)
		}
	}
	for _, ids := range index {
		slices.Sort(ids)
	}
	return nil
}

// objects pins what steps name directly, and refuses what does not exist.
func (b *Bound) objects(steps []plan.Step) error {
	for _, s := range steps {
		for _, sel := range selections(s) {
			if sel.Target == "" {
				continue
			}
			if len(sel.Object) > 0 {
				kind, name, err := b.objectName(sel)
				if err != nil {
					return fmt.Errorf("%s: step %s: %w", s.Pos, s.ID, err)
				}
				if err := b.locate(sel.Target, kind, name, nil); err != nil {
					return fmt.Errorf("%s: step %s: %w", s.Pos, s.ID, err)
				}
				continue
			}
			index := b.index(sel.Target)
			for _, pattern := range sel.Members {
				if _, err := b.match(sel.Target, pattern, index); err != nil {
					return fmt.Errorf("%s: step %s: %w", s.Pos, s.ID, err)
				}
			}
		}
		if err := b.objects(children(s)); err != nil {
			return err
		}
	}
	return nil
}

func selections(s plan.Step) []plan.Selection {
	switch {
	case s.Set != nil:
		return []plan.Selection{s.Set.Selection}
	case s.Drain != nil:
		return []plan.Selection{s.Drain.Selection}
	}
	return nil
}

// objectName is the kind and name of the one object that a selection means.
func (p *Program) objectName(sel plan.Selection) (kind, name string, err error) {
	scope := p.scope(nil, nil, "", 1)
	for _, k := range p.Infos[sel.Target].Kinds {
		if len(k.Selector) == 0 || len(k.Selector) != len(sel.Object) {
			continue
		}
		var words []string
		for _, key := range k.Selector {
			text, err := p.Plan.Text(sel.Object[key], scope)
			if err != nil {
				return "", "", fmt.Errorf("%s: %w", key, err)
			}
			words = append(words, text)
		}
		return k.Name, strings.Join(words, " "), nil
	}
	return "", "", fmt.Errorf("target %s has no such object", sel.Target)
}

// inTarget resolves a selection that names a target.
func (p *Program) inTarget(sel plan.Selection) ([]selected, error) {
	s := state.State{Objects: map[string]state.Object{}}
	for id, o := range p.Pins.Targets[sel.Target].Objects {
		s.Objects[id] = state.Object{Kind: o.Kind, Name: o.Name}
	}
	if len(sel.Object) > 0 {
		kind, name, err := p.objectName(sel)
		if err != nil {
			return nil, fail(classInvalid, "%v", err)
		}
		return []selected{{sel.Target, kind, s.Named(kind, name)}}, nil
	}
	k, ok := p.Infos[sel.Target].Member()
	if !ok {
		return nil, fail(classInvalid, "target %s has no members", sel.Target)
	}
	meant, err := p.named(sel.Target, sel.Members)
	if err != nil {
		return nil, fail(classInvalid, "%v", err)
	}
	names := map[string]bool{}
	for _, id := range p.memberIDs(sel.Target) {
		o := p.pinned(sel.Target, id)
		names[o.Name] = names[o.Name] || len(sel.Members) == 0 || meant(o)
	}
	out := selected{target: sel.Target, kind: k.Name}
	for _, id := range p.memberIDs(sel.Target) {
		if names[s.Objects[id].Name] {
			out.ids = append(out.ids, id)
		}
	}
	return []selected{out}, nil
}
