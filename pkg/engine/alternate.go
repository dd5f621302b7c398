package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/state"
)

// side is which of two groups carries the traffic of one target.
type side int

const (
	neither side = iota
	first
	second
	both
)

// alternate finds live and idle by asking every target. They must agree: a
// guess here would take the serving side out.
func (b *Bound) alternate(live string) error {
	if len(b.Plan.Alternate) != 2 {
		if live != "" {
			return hint.Wrap(fmt.Errorf("--live %s: the plan has no alternate groups", live), "add `alternate: [a, b]` to the plan")
		}
		return nil
	}
	a, z := b.Pins.Groups[b.Plan.Alternate[0]], b.Pins.Groups[b.Plan.Alternate[1]]
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
	votes := map[string]side{}
	var agreed []side
	for _, t := range shared2(a, z) {
		votes[t] = b.side(t, a, z)
		if !slices.Contains(agreed, votes[t]) {
			agreed = append(agreed, votes[t])
		}
	}
	switch {
	case len(agreed) == 1 && agreed[0] == first:
		b.Pins.Live, b.Pins.Idle = a.Name, z.Name
	case len(agreed) == 1 && agreed[0] == second:
		b.Pins.Live, b.Pins.Idle = z.Name, a.Name
	default:
		return &PreconditionError{Err: b.ambiguous(votes, a, z), Table: b.sideTable(a, z)}
	}
	return nil
}

// shared2 are the targets that both groups have members in.
func shared2(a, z Group) []string {
	return slices.DeleteFunc(a.targets(), func(t string) bool { return !slices.Contains(z.targets(), t) })
}

func (b *Bound) side(target string, a, z Group) side {
	on := func(g Group) bool {
		return slices.ContainsFunc(g.ids(target), func(id string) bool {
			return b.capacity(target, id, b.States[target].Objects[id].Attrs) > 0
		})
	}
	switch x, y := on(a), on(z); {
	case x && y:
		return both
	case x:
		return first
	case y:
		return second
	}
	return neither
}

func (b *Bound) ambiguous(votes map[string]side, a, z Group) error {
	words := map[side]string{neither: "neither", first: a.Name, second: z.Name, both: "both"}
	var says []string
	for _, t := range shared2(a, z) {
		says = append(says, fmt.Sprintf("%s says %s", t, words[votes[t]]))
	}
	if len(says) == 0 {
		return errors.New("which side is live? the two groups share no target")
	}
	err := fmt.Errorf("which side is live? %s; nothing was changed", strings.Join(says, ", "))
	return hint.Wrap(err, "bring them in line, or decide it with --live %s or --live %s", a.Name, z.Name)
}

// sideTable shows what each target says about both sides.
func (b *Bound) sideTable(a, z Group) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  target\t%s\t%s\n", a.Name, z.Name)
	for _, t := range shared2(a, z) {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", t, b.sideText(t, a), b.sideText(t, z))
	}
	w.Flush()
	return out.String()
}

// sideText is a group in one target: "web1 100, web2 maint".
func (b *Bound) sideText(target string, g Group) string {
	var parts []string
	for _, id := range g.ids(target) {
		parts = append(parts, b.name(target, id)+" "+brief(b.States[target].Objects[id].Attrs))
	}
	return strings.Join(parts, ", ")
}

// brief is what decides whether a member serves, in a word or two.
func brief(attrs map[string]state.Value) string {
	if st := attrs["state"]; st.Present() && st.Text() != "ready" {
		return st.Text()
	}
	if w := attrs["weight"]; w.Present() {
		return w.String()
	}
	if e := attrs["enabled"]; e.Present() {
		if e.Bool() {
			return "enabled"
		}
		return "disabled"
	}
	return "absent"
}
