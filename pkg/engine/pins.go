package engine

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

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
