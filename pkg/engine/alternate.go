package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
)

// alternate finds live and idle by asking every target. They must agree, and
// each must be clear: a guess here would take the serving side out.
func (b *Bound) alternate(ctx context.Context, live string) error {
	if len(b.Plan.Alternate) != 2 {
		if live != "" {
			return hint.Wrap(fmt.Errorf("--live %s: the plan has no alternate groups", live), "add `alternate: [a, b]` to the plan")
		}
		return nil
	}
	a, z := b.Pins.Groups[b.Plan.Alternate[0]], b.Pins.Groups[b.Plan.Alternate[1]]
	if err := b.sorted(a, z); err != nil {
		return &PreconditionError{Err: err}
	}
	switch live {
	case a.Name:
		b.Pins.Live, b.Pins.Idle = a.Name, z.Name
		return nil
	case z.Name:
		b.Pins.Live, b.Pins.Idle = z.Name, a.Name
		return nil
	case "":
	default:
		return hint.Wrap(fmt.Errorf("--live %s: no such side", live), "the sides are %s and %s", a.Name, z.Name)
	}
	shared := shared2(a, z)
	if len(shared) == 0 {
		return &PreconditionError{Err: errors.New("which side is live? the two groups share no target")}
	}
	votes := make([]vote, len(shared))
	for i, t := range shared {
		votes[i] = b.vote(t, a, z)
	}
	if err := agreed(votes, a.Name, z.Name); err != nil {
		return &PreconditionError{Err: err, Table: b.sideTable(ctx, shared, a, z)}
	}
	b.Pins.Live, b.Pins.Idle = a.Name, z.Name
	if votes[0].side == second {
		b.Pins.Live, b.Pins.Idle = z.Name, a.Name
	}
	return nil
}

// shared2 are the targets that both groups have members in.
func shared2(a, z Group) []string {
	return slices.DeleteFunc(a.targets(), func(t string) bool { return !slices.Contains(z.targets(), t) })
}

// sorted refuses members that belong to both sides, and members of a shared
// target that belong to no group: a release would pass them by.
func (b *Bound) sorted(a, z Group) error {
	for _, t := range shared2(a, z) {
		ours := map[string]string{}
		for _, g := range b.Pins.Groups {
			for _, id := range g.ids(t) {
				ours[id] = g.Name
			}
		}
		for _, id := range a.ids(t) {
			if slices.Contains(z.ids(t), id) {
				return hint.Wrap(fmt.Errorf("member %s of target %s is in %s and in %s, which alternate", b.name(t, id), t, a.Name, z.Name),
					"each member belongs to one side")
			}
		}
		var stray []string
		for _, id := range b.memberIDs(t) {
			if _, grouped := ours[id]; !grouped && len(b.States[t].Objects[id].Attrs) > 0 {
				stray = append(stray, b.name(t, id))
			}
		}
		if len(stray) > 0 {
			return hint.Wrap(fmt.Errorf("target %s has %s that no group names: %s; nothing was changed", t, count(len(stray), "member"), someOf(stray)),
				"put them into %s or %s, or name those that stay out of the release in a group of their own: groups: {spare: {%s: [%s]}}", a.Name, z.Name, t, strings.Join(stray[:min(3, len(stray))], ", "))
		}
	}
	return nil
}

func someOf(names []string) string {
	if len(names) > 8 {
		return strings.Join(names[:8], ", ") + fmt.Sprintf(" and %d more", len(names)-8)
	}
	return strings.Join(names, ", ")
}

// agreed is nil when every target says the same side without a doubt.
func agreed(votes []vote, a, z string) error {
	names := map[side]string{neither: "neither", first: a, second: z, both: "both"}
	side, same, full := votes[0].side, true, true
	var says, odd []string
	for _, v := range votes {
		same, full = same && v.side == side, full && v.full
		says = append(says, fmt.Sprintf("%s says %s", v.target, names[v.side]))
		for _, o := range v.odd {
			odd = append(odd, v.target+": "+o)
		}
	}
	oddly := ""
	if len(odd) > 0 {
		oddly = "; " + strings.Join(odd, "; ")
	}
	decide := fmt.Sprintf("decide it with --live %s or --live %s", a, z)
	switch {
	case same && (side == first || side == second) && len(odd) == 0:
		return nil
	case same && (side == first || side == second):
		err := fmt.Errorf("is %s live? %s; nothing was changed", names[side], strings.Join(odd, "; "))
		advice := fmt.Sprintf("bring it in line, or take it out of its group, or decide it with --live %s", names[side])
		if slices.ContainsFunc(votes, func(v vote) bool { return v.unequal }) {
			advice += "; where weights differ on purpose, say so in the plan: alternate: {groups: [" + a + ", " + z + "], unequal: true}"
		}
		return hint.Wrap(err, "%s", advice)
	case same && side == both && full && len(odd) == 0:
		err := fmt.Errorf("which side is live? %s%s; nothing was changed", strings.Join(says, ", "), oddly)
		return hint.Wrap(err, "after a release that ends with both sides live, name the one that goes on serving while the other is released: --live %s or --live %s", a, z)
	}
	err := fmt.Errorf("which side is live? %s%s; nothing was changed", strings.Join(says, ", "), oddly)
	return hint.Wrap(err, "bring them in line, or %s", decide)
}
