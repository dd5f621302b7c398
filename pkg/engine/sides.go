package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
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

// vote is what one target says about the live side.
type vote struct {
	target string
	side   side
	// odd is what speaks against it: "b2 takes no traffic (maint)".
	odd     []string
	unequal bool // one of them is about weights that differ
	full    bool // both sides take the same
}

// vote looks at both groups in one target. The side is clear when all members
// of one take the same traffic and none of the other takes any.
func (b *Bound) vote(target string, a, z Group) vote {
	v := vote{target: target}
	x, y := b.camp(target, a), b.camp(target, z)
	switch {
	case x.none() && y.none():
		v.side = neither
	case x.all() && y.none():
		v.side = first
	case x.none() && y.all():
		v.side = second
	case x.all() && y.all():
		v.side, v.full = both, x.takes[x.on[0]] == y.takes[y.on[0]]
	case y.none():
		v.side, v.odd = first, x.missing()
	case x.none():
		v.side, v.odd = second, y.missing()
	default:
		v.side, v.odd = both, slices.Concat(x.missing(), y.missing())
	}
	for _, c := range []camp{x, y} {
		if text := c.uneven(b.Plan.Unequal); text != "" {
			v.odd, v.unequal = append(v.odd, text), true
		}
	}
	return v
}

// camp is one group in one target.
type camp struct {
	group   string
	on, off []string           // names of objects, with what decides
	takes   map[string]float64 // what each object that is on takes
	members map[string][]string
}

func (b *Bound) camp(target string, g Group) camp {
	c := camp{group: g.Name, takes: map[string]float64{}, members: map[string][]string{}}
	for _, m := range g.Members {
		for _, id := range m.Objects[target] {
			name, attrs := b.name(target, id), b.States[target].Objects[id].Attrs
			takes := b.capacity(target, id, attrs)
			if takes == 0 {
				c.off = append(c.off, fmt.Sprintf("%s takes no traffic (%s)", name, brief(attrs)))
				continue
			}
			c.on = append(c.on, name)
			c.takes[name] = takes
			c.members[m.Name] = append(c.members[m.Name], name)
		}
	}
	return c
}

func (c camp) none() bool { return len(c.on) == 0 }
func (c camp) all() bool  { return len(c.on) > 0 && len(c.off) == 0 }

// missing names the members that are out although others of their side are in.
func (c camp) missing() []string {
	if len(c.off) <= 4 {
		return c.off
	}
	return append(slices.Clone(c.off[:3]), fmt.Sprintf("and %d more members of %s take none", len(c.off)-3, c.group))
}

// uneven says that the members that are in do not take the same: a ramp that
// somebody left halfway looks like this. A plan can say that weights of members
// differ on purpose; one member must be the same on all of its nodes.
func (c camp) uneven(allowed bool) string {
	if len(c.on) == 0 {
		return ""
	}
	ref := c.on[0]
	for _, member := range slices.Sorted(maps.Keys(c.members)) {
		names := c.members[member]
		if allowed {
			ref = names[0]
		}
		for _, n := range names {
			if c.takes[n] != c.takes[ref] {
				return fmt.Sprintf("members of %s take unequal shares (%s %g, %s %g)", c.group, ref, c.takes[ref], n, c.takes[n])
			}
		}
	}
	return ""
}

// sideTable shows what each target says about both sides, with the health of
// those that are not well.
func (b *Bound) sideTable(ctx context.Context, targets []string, a, z Group) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "  target\t%s\t%s\n", a.Name, z.Name)
	for _, t := range targets {
		ill := b.ill(ctx, t, slices.Concat(a.ids(t), z.ids(t)))
		fmt.Fprintf(w, "  %s\t%s\t%s\n", t, b.sideText(t, a, ill), b.sideText(t, z, ill))
	}
	w.Flush()
	return out.String()
}

// tableHealth bounds the look at health for a table.
const tableHealth = 5 * time.Second

// ill are the members that their system calls down. Where it does not tell,
// nothing is said.
func (b *Bound) ill(ctx context.Context, target string, ids []string) map[string]bool {
	h, ok := driver.As[driver.Healther](b.Targets[target])
	if !ok {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, tableHealth)
	defer cancel()
	health, err := h.Health(ctx, ids)
	if err != nil {
		return nil
	}
	down := map[string]bool{}
	for id, s := range health {
		down[id] = s.State == driver.Down
	}
	return down
}

// longSide is how many members are shown one by one.
const longSide = 8

// sideText is a group in one target: "web1 100, web2 maint down". Of many, those
// that are alike are counted.
func (b *Bound) sideText(target string, g Group, ill map[string]bool) string {
	var parts, words []string
	alike := map[string][]string{}
	for _, id := range g.ids(target) {
		word := brief(b.States[target].Objects[id].Attrs)
		if ill[id] && !strings.HasPrefix(word, "maint") {
			word += " down"
		}
		if alike[word] == nil {
			words = append(words, word)
		}
		alike[word] = append(alike[word], b.name(target, id))
		parts = append(parts, b.name(target, id)+" "+word)
	}
	if len(parts) <= longSide {
		return strings.Join(parts, ", ")
	}
	parts = nil
	for _, word := range words {
		names := alike[word]
		if len(names) <= 3 {
			parts = append(parts, strings.Join(names, ", ")+" "+word)
			continue
		}
		parts = append(parts, fmt.Sprintf("%d at %s", len(names), word))
	}
	return strings.Join(parts, ", ")
}

// brief is what decides whether a member serves, in a word or two.
func brief(attrs map[string]state.Value) string {
	if st := attrs["state"]; st.Present() && st.Text() != "ready" {
		return st.Text()
	}
	enabled, weight := attrs["enabled"], attrs["weight"]
	switch {
	case enabled.Present() && !enabled.Bool():
		return "disabled"
	case weight.Present():
		return weight.String()
	case enabled.Present():
		return "enabled"
	}
	return "absent"
}
