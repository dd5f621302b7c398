package ui

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/state"
)

// WriteShow writes a run's story.
func WriteShow(w io.Writer, s Story, o Options) error {
	o.Run = cmp.Or(o.Run, s.Run)
	lines := o.showHead(s)
	lines = append(lines, "")
	lines = append(lines, o.stepTable(s, s.Steps)...)
	for _, b := range s.Rollbacks {
		lines = append(lines, "", "  "+o.paint(toneWarn, o.clock(b.Time)+" rollback "+Count(max(1, b.Attempt))+" because "+
			cmp.Or(clean(b.Reason), "a person asked for it")))
		lines = append(lines, o.stepTable(s, b.Steps)...)
	}
	if len(s.Files) > 0 || o.Dir != "" {
		lines = append(lines, "", "  files: "+cmp.Or(o.Dir, "."))
		for _, f := range s.Files {
			lines = append(lines, "    "+clean(f))
		}
	}
	if s.end != nil {
		end := *s.end
		end.Outcome = cmp.Or(s.State, end.Outcome)
		b := o.block(end, s.meta, s.view, s.Last)
		lines = append(lines, "", o.paint(b.tone, b.head))
		for _, m := range b.more {
			if !strings.HasPrefix(m, "See: ") { // this is it
				lines = append(lines, m)
			}
		}
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

// WriteShowJSON writes a run's story as one document.
func WriteShowJSON(w io.Writer, s Story) error { return writeJSON(w, s) }

func (o Options) showHead(s Story) []string {
	words := []string{o.paint(toneBold, "run "+clean(s.Run)), clean(s.Plan), clean(s.File)}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	lines := []string{strings.Join(words, "   ")}
	add := func(text string) {
		for _, l := range hang("  "+text, o.Width, 2) {
			lines = append(lines, "  "+strings.TrimLeft(l, " "))
		}
	}
	if s.Description != "" {
		add(clean(s.Description))
	}
	if s.Live != "" || s.Idle != "" {
		add("live was " + dash(s.Live) + ", idle was " + dash(s.Idle) + " when it began")
	}
	if !s.Started.IsZero() {
		add(string(s.State) + ", began " + o.date(s.Started) + ", took " + Seconds(s.Took))
	}
	for _, h := range s.Holders {
		add(cmp.Or(clean(h.Verb), "run") + " by " + clean(h.Who+"@"+h.Host) + " at " + o.clock(h.Since))
	}
	return lines
}

func (o Options) stepTable(story Story, steps []StepStory) []string {
	if len(steps) == 0 {
		return []string{"  no step was begun"}
	}
	t := table{head: []string{"step", "outcome", "took", "what"}, indent: 2, width: o.Width, flex: 3}
	for _, s := range steps {
		status := map[string]string{"begin": "stopped", "failed": "FAILED"}[s.Status]
		if s.Status == "begin" && story.State == journal.OutcomeRunning && len(story.Rollbacks) == 0 {
			status = "runs"
		}
		took := "-"
		if s.Status == "done" || s.Status == "failed" {
			took = Seconds(s.Took)
		}
		what := clean(s.What)
		if s.Text != "" && s.Status != "failed" {
			what = cmp.Or(what, clean(s.Verb)) + ": " + clean(s.Text)
		}
		r := t.add(strings.Repeat("  ", s.Depth)+cmp.Or(clean(s.ID), clean(s.Key)), cmp.Or(status, clean(s.Status)), took, cmp.Or(what, clean(s.Verb)))
		r.cells[1].tone = statusTone(s.Status)
		r.below = below(s)
	}
	t.below = t.indent + 4
	return t.lines(o)
}

func statusTone(status string) tone {
	switch status {
	case "done":
		return toneGood
	case "failed":
		return toneBad
	case "skipped":
		return toneDim
	}
	return toneNone
}

// below is what a step did and heard, one line each.
func below(s StepStory) []string {
	var out []string
	for _, p := range paths(s.Changes) {
		out = append(out, p.name+" "+p.attribute+"  "+strings.Join(p.values, " -> "))
	}
	for _, text := range s.Said {
		if text != clean(s.Text) {
			out = append(out, clean(text))
		}
	}
	for _, g := range s.Gates {
		name := strings.TrimSpace("gate " + clean(g.Gate) + ": " + clean(g.Member))
		out = append(out, name+" "+verdict(journal.LookData{Pass: g.Pass, Text: g.Text}))
	}
	switch {
	case s.Error != nil && s.Status == "done":
		out = append(out, "an attempt FAILED: "+clean(s.Error.Text))
	case s.Error != nil:
		out = append(out, "FAILED: "+clean(s.Error.Text))
		for _, h := range s.Error.Hints {
			out = append(out, "hint: "+clean(h))
		}
	case s.Status == "failed" && s.Text != "":
		out = append(out, "FAILED: "+clean(s.Text))
	}
	return out
}

// valuePath is one attribute's way through a step.
type valuePath struct {
	change
	values []string
}

// paths strings together the changes that follow one another:
// 100 -> 95 -> 75.
func paths(changes []state.Change) []valuePath {
	byKey := map[state.Key][]state.Change{}
	var order []state.Key
	for _, c := range changes {
		if _, ok := byKey[c.Key()]; !ok {
			order = append(order, c.Key())
		}
		byKey[c.Key()] = append(byKey[c.Key()], c)
	}
	// One change for the whole way names the member as describe does; the
	// values in between ride along in its place.
	whole := make([]state.Change, len(order))
	for i, k := range order {
		way := byKey[k]
		whole[i] = way[0]
		whole[i].To = way[len(way)-1].To
	}
	var out []valuePath
	for _, c := range describe(whole) {
		out = append(out, valuePath{change: c})
	}
	ways := waypoints(order, byKey)
	for i, p := range out {
		out[i].values = ways[p.change]
		if out[i].values == nil {
			out[i].values = []string{p.from, p.to}
		}
	}
	return out
}

// waypoints are the values of the first object that a described change is
// about, by whatever describe may call it.
func waypoints(order []state.Key, byKey map[state.Key][]state.Change) map[change][]string {
	ways := make(map[change][]string, len(order))
	for _, k := range order {
		way := byKey[k]
		values := []string{value(way[0].From)}
		for _, step := range way {
			values = append(values, value(step.To))
		}
		node, rest := splitNode(k.Object)
		name := clean(lastPart(rest))
		c := change{attribute: clean(k.Attribute), from: values[0], to: values[len(values)-1]}
		for _, c.name = range []string{name, clean(rest), clean(strings.TrimPrefix(node+"/"+name, "/")), clean(strings.TrimPrefix(node+"/"+rest, "/"))} {
			if _, ok := ways[c]; !ok {
				ways[c] = values
			}
		}
	}
	return ways
}
