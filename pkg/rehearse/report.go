package rehearse

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is what a rehearsal found. Its JSON fields are stable.
type Report struct {
	Plan    string  `json:"plan"`
	File    string  `json:"file,omitempty"`
	Live    string  `json:"live,omitempty"`
	Offline bool    `json:"offline"`
	Seed    uint64  `json:"seed"`
	Records int     `json:"records"` // of the journal of a run without any fault
	Targets []Twin  `json:"targets"`
	Scores  []Score `json:"scores"`
	// Forward, Back, Failing and Again count the points of each way, over all
	// faults.
	Forward  Count     `json:"forward"`
	Back     Count     `json:"back"`
	Failing  Count     `json:"failing"`
	Again    Count     `json:"again"`
	Problems []Problem `json:"problems,omitempty"`
	Notes    []string  `json:"notes,omitempty"`
	Took     float64   `json:"took_s"`
}

// Twin is one target that was stood in for.
type Twin struct {
	Name    string `json:"name"`
	Driver  string `json:"driver"`
	Objects int    `json:"objects"`
}

// Count is how many of all points are proven.
type Count struct {
	Proven int `json:"proven"`
	Points int `json:"points"`
}

func (c Count) String() string { return fmt.Sprintf("%d/%d", c.Proven, c.Points) }

func (c *Count) add(ok bool) {
	c.Points++
	if ok {
		c.Proven++
	}
}

// Score is what is proven with one fault.
type Score struct {
	Fault   string `json:"fault"`
	Forward Count  `json:"forward"`
	Back    Count  `json:"back"`
}

// Problem is one reason for which points are not proven.
type Problem struct {
	Way    Way    `json:"way"`
	Fault  string `json:"fault"`
	Why    string `json:"why"`
	Points int    `json:"points"`
	// First is the first of the points, Step the step that it is in.
	First string `json:"first"`
	// Detail is what the first point's run said.
	Detail string   `json:"detail,omitempty"`
	Step   string   `json:"step"`
	Steps  []string `json:"steps"` // of all points
	Diffs  []Diff   `json:"diffs,omitempty"`
}

func newReport(r *rehearsal) *Report {
	rep := &Report{
		Plan: r.base.Plan.Name, File: r.base.Plan.File, Live: r.base.Pins.Live, Offline: r.o.Offline, Seed: r.o.Seed,
		Records: len(r.clean.log.records), Notes: slices.Clone(r.invents),
	}
	for _, t := range r.base.Plan.Targets {
		rep.Targets = append(rep.Targets, Twin{t.Name, t.Driver, len(r.before[t.Name].Objects)})
	}
	for _, f := range append([]Fault{None}, r.o.Faults...) {
		rep.Scores = append(rep.Scores, Score{Fault: f.Name()})
	}
	return rep
}

// Proven reports whether every point is.
func (r *Report) Proven() bool { return len(r.Problems) == 0 }

func (r *Report) add(j job, v verdict) {
	ok := v.why == ""
	score := &r.Scores[slices.IndexFunc(r.Scores, func(s Score) bool { return s.Fault == j.fault.Name() })]
	switch j.way {
	case Forward:
		r.Forward.add(ok)
		score.Forward.add(ok)
	case Back:
		r.Back.add(ok)
		score.Back.add(ok)
	case Failing:
		r.Failing.add(ok)
	case Again:
		r.Again.add(ok)
	}
	for _, n := range v.notes {
		if !slices.Contains(r.Notes, n) {
			r.Notes = append(r.Notes, n)
		}
	}
	if !ok {
		r.problem(j, v)
	}
}

// problem adds a point to the problem of the same way and reason.
func (r *Report) problem(j job, v verdict) {
	i := slices.IndexFunc(r.Problems, func(p Problem) bool { return p.Way == j.way && p.Fault == j.fault.Name() && p.Why == v.why })
	if i < 0 {
		i = len(r.Problems)
		r.Problems = append(r.Problems, Problem{Way: j.way, Fault: j.fault.Name(), Why: v.why, Detail: v.detail, First: j.where, Step: j.step, Diffs: v.diffs})
	}
	p := &r.Problems[i]
	p.Points++
	if j.step != "" && !slices.Contains(p.Steps, j.step) {
		p.Steps = append(p.Steps, j.step)
	}
}

// Write tells the report in text.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	r.head(&b)
	fmt.Fprintf(&b, "way forward proven from %s points\n", r.Forward)
	fmt.Fprintf(&b, "way back proven from %s points\n", r.Back)
	fmt.Fprintf(&b, "way back, killed again on the way: proven from %s points\n", r.Again)
	fmt.Fprintf(&b, "way back by itself: proven for %s activities that fail\n", r.Failing)
	if len(r.Scores) > 1 {
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "\n  fault\tforward\tback")
		for _, s := range r.Scores {
			fmt.Fprintf(t, "  %s\t%s\t%s\n", s.Fault, s.Forward, s.Back)
		}
		t.Flush()
	}
	for _, p := range r.Problems {
		p.write(&b)
	}
	if len(r.Notes) > 0 {
		b.WriteString("\n")
	}
	for _, n := range r.Notes {
		wrap(&b, "note: ", n)
	}
	fmt.Fprintf(&b, "\nNothing was changed and no command was run. Took %.1f s, seed %d.\n", r.Took, r.Seed)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) head(b *strings.Builder) {
	how := "read just now"
	if r.Offline {
		how = "made up from the plan"
	}
	live := ""
	if r.Live != "" {
		live = "   live: " + r.Live
	}
	fmt.Fprintf(b, "%s   %s%s\n", r.Plan, r.File, live)
	var parts []string
	for _, t := range r.Targets {
		parts = append(parts, fmt.Sprintf("%s (%s, %d objects)", t.Name, t.Driver, t.Objects))
	}
	wrap(b, "twins, "+how+": ", strings.Join(parts, ", "))
	wrap(b, "", fmt.Sprintf("A run writes %d records; it was killed before and after each of them.", r.Records))
	b.WriteString("\n")
}

// mostDiffs is how many values of one problem are listed.
const mostDiffs = 6

func (p Problem) write(b *strings.Builder) {
	what := map[Way]string{
		Forward: "way forward", Back: "way back", Failing: "way back by itself", Again: "way back, killed again on the way",
	}[p.Way]
	if p.Fault != None.Name() {
		what += " with " + p.Fault
	}
	points := "1 point"
	if p.Points > 1 {
		points = fmt.Sprintf("%d points", p.Points)
	}
	fmt.Fprintf(b, "\nNOT PROVEN: %s, %s", what, points)
	if len(p.Steps) > 0 {
		b.WriteString(" in step " + shorten(p.Steps))
	}
	b.WriteString("\n")
	wrap(b, "  why:   ", p.Why)
	wrap(b, "  first: ", p.First)
	if p.Detail != "" {
		wrap(b, "  there: ", p.Detail)
	}
	if len(p.Diffs) == 0 {
		return
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  object\tattribute\tbefore\texpected\tnow")
	for _, d := range p.Diffs[:min(mostDiffs, len(p.Diffs))] {
		fmt.Fprintf(t, "  %s %s\t%s\t%s\t%s\t%s\n", d.Target, d.Name, d.Attribute, d.Before, d.Expected, d.Now)
	}
	t.Flush()
	if more := len(p.Diffs) - mostDiffs; more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}

func shorten(words []string) string {
	if len(words) > 4 {
		return strings.Join(words[:3], ", ") + fmt.Sprintf(" and %d more", len(words)-3)
	}
	return strings.Join(words, ", ")
}

// width is what a line may have.
const width = 80

// wrap writes text in lines, the first after head and the others below it.
func wrap(b *strings.Builder, head, text string) {
	indent := strings.Repeat(" ", min(len(head), 9))
	line := head
	bare := true
	for word := range strings.FieldsSeq(text) {
		if !bare && len([]rune(line))+1+len([]rune(word)) > width {
			b.WriteString(line + "\n")
			line, bare = indent, true
		}
		if !bare {
			line += " "
		}
		line += word
		bare = false
	}
	b.WriteString(line + "\n")
}
