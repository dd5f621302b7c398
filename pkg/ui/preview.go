package ui

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Preview is what a plan would do, made ready for people. The JSON fields are
// stable: they keep their names and meanings, new ones may come. Lines, What,
// Serving, Time and WayBack are for people and may be worded anew.
type Preview struct {
	Plan        string
	File        string
	Live, Idle  string // group names; empty when the plan has no sides
	LiveMembers []string
	IdleMembers []string
	Steps       []PreviewStep
	Changes     int
	Targets     int
	Nodes       int // that agree, where a target has several; 0 else
	Shortest    time.Duration
	Longest     time.Duration // 0: no limit is known
	WayBack     string        // "8 changes, about 1 s, then ./deploy.sh --previous"
	WayBackTime time.Duration // that caches make the way back take at least; 0: none
	Warnings    []string
	RunCommand  string
}

// PreviewStep is one step of a preview.
type PreviewStep struct {
	ID      string   `json:"id"`
	What    string   `json:"what"`
	Serving string   `json:"serving,omitempty"` // "web 2/4 (min 2)"
	Time    string   `json:"time,omitempty"`    // "up to 15m"
	Lines   []string `json:"lines,omitempty"`   // "web1  weight  100 -> 95"
	Depth   int      `json:"depth,omitempty"`
	// Shortest and Longest are seconds, 0 for at once and for no known limit.
	Shortest float64 `json:"shortest_s,omitempty"`
	Longest  float64 `json:"longest_s,omitempty"`
	// Drain says more of a drain, nil of other steps.
	Drain *PreviewDrain `json:"drain,omitempty"`
}

// PreviewDrain is what a drain would do. Times are seconds.
type PreviewDrain struct {
	Sessions int      `json:"sessions"`
	Count    string   `json:"count"` // who tells what is in flight
	Members  []string `json:"members"`
	Ask      string   `json:"ask,omitempty"`
	Every    float64  `json:"ask_every_s,omitempty"`
	Optional bool     `json:"ask_optional,omitempty"`
	Kill     string   `json:"kill,omitempty"`
	Deadline float64  `json:"deadline_s"`
	Then     string   `json:"then"`
}

// WritePreview writes p as `flip plan` shows it.
func WritePreview(w io.Writer, p Preview, o Options) error {
	lines := p.headLines(o)
	lines = append(lines, "")
	lines = append(lines, p.stepLines(o)...)
	lines = append(lines, "")
	foot := func(t tone, text string) {
		for _, l := range hang(text, max(0, o.Width-2), 2) {
			lines = append(lines, "  "+o.paint(t, l))
		}
	}
	foot(toneNone, p.sums())
	if p.WayBack != "" {
		foot(toneNone, "Way back from any step: "+strings.TrimSuffix(clean(p.WayBack), ".")+".")
	}
	for _, warning := range p.Warnings {
		foot(toneWarn, "warning: "+clean(warning))
	}
	if p.RunCommand == "" {
		foot(toneNone, "Nothing was changed.")
	} else {
		lines = append(lines, "  Nothing was changed. Run it: "+p.RunCommand) // never broken: it is to be copied
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

func (p Preview) headLines(o Options) []string {
	parts := []string{o.paint(toneBold, clean(p.Plan))}
	if p.File != "" {
		parts = append(parts, clean(p.File))
	}
	var sides []string
	for _, s := range []struct {
		what, name string
		members    []string
	}{{"live", p.Live, p.LiveMembers}, {"idle", p.Idle, p.IdleMembers}} {
		if s.name == "" {
			continue
		}
		side := s.what + ": " + clean(s.name)
		if len(s.members) > 0 {
			side += " (" + clean(shorten(s.members)) + ")"
		}
		sides = append(sides, side)
	}
	one := strings.Join(append(parts, sides...), "   ")
	plainWidth := width(clean(p.Plan)) - width(parts[0]) + width(one) // without escape sequences
	if o.Width == 0 || plainWidth <= o.Width {
		return []string{one}
	}
	lines := []string{strings.Join(parts, "   ")}
	for _, s := range sides {
		for _, l := range hang(s, o.Width-2, 2) {
			lines = append(lines, "  "+l)
		}
	}
	return lines
}

func shorten(names []string) string {
	if len(names) <= longList {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:longList], ", ") + " and " + Count(len(names)-longList) + " more"
}

// stepLines is the table of steps. Where the columns do not fit side by side,
// what is serving and how long a step takes go below it.
func (p Preview) stepLines(o Options) []string {
	if len(p.Steps) == 0 {
		return []string{"  The plan has no steps."}
	}
	wide, narrow := p.table(o, true), p.table(o, false)
	if _, fits := wide.widths(); fits {
		return wide.lines(o)
	}
	return narrow.lines(o)
}

func (p Preview) table(o Options, side bool) *table {
	t := &table{head: []string{"step", "what"}, indent: 2, width: o.Width, flex: 1}
	if side {
		t.head = append(t.head, "serving after", "time")
	}
	for _, s := range p.Steps {
		cells := []string{strings.Repeat("  ", max(0, min(s.Depth, 8))) + clean(s.ID), clean(s.What)}
		if side {
			cells = append(cells, clean(s.Serving), clean(s.Time))
		}
		r := t.add(cells...)
		r.cells[0].tone = toneBold
		if !side {
			r.below = sideBySide(s)
		}
		for _, l := range s.Lines {
			r.below = append(r.below, "  "+clean(l))
		}
	}
	return t
}

func sideBySide(s PreviewStep) []string {
	var parts []string
	if s.Serving != "" {
		parts = append(parts, "after: "+clean(s.Serving))
	}
	if s.Time != "" {
		parts = append(parts, clean(s.Time))
	}
	if len(parts) == 0 {
		return nil
	}
	return []string{strings.Join(parts, "; ")}
}

func (p Preview) sums() string {
	text := "No value has to be changed"
	if p.Changes > 0 {
		text = plural(p.Changes, "change") + " on " + plural(p.Targets, "target")
	}
	if p.Nodes > 1 {
		text += fmt.Sprintf(" (%s nodes agree)", Count(p.Nodes))
	}
	text += ". Shortest " + Duration(p.Shortest)
	if p.Longest > 0 {
		text += ", longest " + Duration(p.Longest)
	}
	return text + "."
}

// previewJSON is the document of `flip plan -o json`.
type previewJSON struct {
	Plan       string        `json:"plan"`
	File       string        `json:"file,omitempty"`
	Live       *previewSide  `json:"live,omitempty"`
	Idle       *previewSide  `json:"idle,omitempty"`
	Steps      []PreviewStep `json:"steps"`
	Changes    int           `json:"changes"`
	Targets    int           `json:"targets"`
	Nodes      int           `json:"nodes,omitempty"`
	Shortest   float64       `json:"shortest_s"`
	Longest    float64       `json:"longest_s,omitempty"`
	WayBack    string        `json:"way_back,omitempty"`
	WayBackMin float64       `json:"way_back_shortest_s,omitempty"`
	Warnings   []string      `json:"warnings"`
	RunCommand string        `json:"run_command,omitempty"`
}

type previewSide struct {
	Group   string   `json:"group"`
	Members []string `json:"members"`
}

// WritePreviewJSON writes p as one document. Durations are seconds.
func WritePreviewJSON(w io.Writer, p Preview) error {
	side := func(group string, members []string) *previewSide {
		if group == "" {
			return nil
		}
		return &previewSide{group, orEmpty(members)}
	}
	return writeJSON(w, previewJSON{
		Plan: p.Plan, File: p.File, Live: side(p.Live, p.LiveMembers), Idle: side(p.Idle, p.IdleMembers),
		Steps: orEmpty(p.Steps), Changes: p.Changes, Targets: p.Targets, Nodes: p.Nodes,
		Shortest: p.Shortest.Seconds(), Longest: p.Longest.Seconds(),
		WayBack: p.WayBack, WayBackMin: p.WayBackTime.Seconds(), Warnings: orEmpty(p.Warnings), RunCommand: p.RunCommand,
	})
}

func orEmpty[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
