package ui

import (
	"strings"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

const (
	// longList is how many changes are told one by one.
	longList = 8
	// longValue is how many columns of a value are shown.
	longValue = 60
)

// change is a state.Change for people: one for all nodes where they agree.
type change struct{ name, attribute, from, to string }

// describe names the changed members once when all nodes agree, else by
// node/name. Ids are node/.../name; the order is that of changes.
func describe(changes []state.Change) []change {
	type group struct {
		first  state.Change
		agree  bool
		others []state.Change
	}
	type key struct{ target, rest, attribute string }
	groups := map[key]*group{}
	var order []key
	names := map[string]map[string]bool{} // name -> rests
	for _, c := range changes {
		_, rest := splitNode(c.Object)
		k := key{c.Target, rest, c.Attribute}
		if names[lastPart(rest)] == nil {
			names[lastPart(rest)] = map[string]bool{}
		}
		names[lastPart(rest)][rest] = true
		g, ok := groups[k]
		if !ok {
			groups[k] = &group{first: c, agree: true}
			order = append(order, k)
			continue
		}
		g.agree = g.agree && g.first.From == c.From && g.first.To == c.To
		g.others = append(g.others, c)
	}
	var out []change
	for _, k := range order {
		g := groups[k]
		name := lastPart(k.rest)
		if len(names[name]) > 1 {
			name = k.rest
		}
		if g.agree {
			out = append(out, newChange(name, g.first))
			continue
		}
		for _, c := range append([]state.Change{g.first}, g.others...) {
			node, _ := splitNode(c.Object)
			out = append(out, newChange(strings.TrimPrefix(node+"/"+name, "/"), c))
		}
	}
	return out
}

func newChange(name string, c state.Change) change {
	return change{clean(name), clean(c.Attribute), value(c.From), value(c.To)}
}

func splitNode(id string) (node, rest string) {
	node, rest, ok := strings.Cut(id, "/")
	if !ok || rest == "" {
		return "", id
	}
	return node, rest
}

func lastPart(id string) string {
	if i := strings.LastIndexByte(id, '/'); i >= 0 && i+1 < len(id) {
		return id[i+1:]
	}
	return id
}

// value is v in a line of several: a list is held together by brackets.
func value(v state.Value) string {
	s := clean(v.String())
	if strings.HasPrefix(string(v), "[") && s != "[]" { // String has the brackets of an empty one
		s = "[" + s + "]"
	}
	if s == "" {
		s = `""`
	}
	return cut(s, longValue)
}

// list is changes in one line; an attribute is named when it is not the one
// before. Long lists are shortened to the first and a number.
func list(changes []change) string {
	shown := changes
	if len(changes) > longList {
		shown = changes[:1]
	}
	var parts []string
	last := ""
	for _, c := range shown {
		words := []string{c.name}
		if c.attribute != last {
			words = append(words, c.attribute)
		}
		last = c.attribute
		parts = append(parts, strings.Join(append(words, c.from, "->", c.to), " "))
	}
	s := strings.Join(parts, ", ")
	if more := len(changes) - len(shown); more > 0 {
		s += " and " + Count(more) + " more"
	}
	return s
}

// applied is what an apply did.
func applied(in journal.Apply, out journal.Applied) string {
	text := list(describe(in.Changes))
	if text == "" {
		text = "nothing to change"
	}
	if in.Label != "" {
		text = clean(in.Label) + ": " + text
	}
	switch {
	case len(in.Changes) == 0:
	case out.Already >= len(in.Changes):
		text += "; all were so before"
	case out.Already > 0:
		text += "; " + plural(out.Already, "change") + " made before; " + readBack(out.Nodes)
	default:
		text += "; " + readBack(out.Nodes)
	}
	return text
}

// restored is what one pass of the way back found and did, and whether all of
// it is fine. A pass that had nothing to do says nothing; what a raise left
// alone is judged again, and told, when lowering.
func restored(phase string, out journal.Restored) (text string, fine bool) {
	var parts []string
	if len(out.Changes) > 0 {
		parts = append(parts, list(describe(out.Changes)), readBack(out.Nodes))
	}
	if out.Already > 0 && phase == "sweep" {
		parts = append(parts, plural(out.Already, "value")+" as before")
	}
	fine = true
	if len(out.Drift) > 0 && phase != "raise" {
		fine = false
		parts = append(parts, "NOT put back: "+driftList(out.Drift))
	}
	text = strings.Join(parts, "; ")
	if phase == "sweep" && text != "" {
		text = "last look: " + text
	}
	return text, fine
}

// driftList is what was left alone, in one line.
func driftList(drift []journal.Drift) string {
	var parts []string
	for _, d := range drift[:min(len(drift), longList)] {
		what := clean(d.Object) + " " + clean(d.Attribute)
		if d.Unreadable != "" {
			parts = append(parts, what+" could not be read ("+clean(d.Unreadable)+")")
			continue
		}
		parts = append(parts, what+" is "+value(d.Now)+", was "+value(d.Before))
	}
	text := strings.Join(parts, "; ")
	if more := len(drift) - longList; more > 0 {
		text += " and " + Count(more) + " more"
	}
	return text
}

func readBack(nodes int) string {
	if nodes < 2 {
		return "read back"
	}
	return "read back on " + plural(nodes, "node")
}
