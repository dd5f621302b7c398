package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/plan"
	"github.com/flip-cli/flip/pkg/state"
)

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
		other := func(key string) bool { _, ok := sel.Object[key]; return !ok }
		if len(k.Selector) == 0 || len(k.Selector) != len(sel.Object) || slices.ContainsFunc(k.Selector, other) {
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
