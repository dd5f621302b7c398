package ui

import (
	"cmp"
	"io"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
)

// Row is one run in `flip status` and `flip list`. Its JSON fields are stable:
// they keep their names and meanings, new ones may come.
type Row struct {
	Run   string          `json:"run"`
	Plan  string          `json:"plan"`
	State journal.Outcome `json:"state"`
	// Step is where the run stands; empty when it is nowhere.
	Step string `json:"step,omitempty"`
	// Since is when it came into this state.
	Since time.Time `json:"since"`
	// Waits says what the run waits for, or what a person has to do.
	Waits   string    `json:"waits_for,omitempty"`
	Started time.Time `json:"started,omitzero"`
	By      string    `json:"by,omitempty"`
	Changed int       `json:"changed"`
	// Restored counts the values that were put back.
	Restored int `json:"restored"`
}

// WriteStatus writes what each run does or waits for now.
func WriteStatus(w io.Writer, rows []Row, o Options) error {
	if len(rows) == 0 {
		_, err := io.WriteString(w, "No runs.\n")
		return err
	}
	t := table{head: []string{"run", "plan", "state", "step", "since", "what it waits for"}, width: o.Width, flex: 5, min: 40}
	now := o.local(o.now())
	for _, r := range rows {
		t.addRun(r, dash(r.Step), Ago(now, r.Since), dash(r.Waits))
	}
	return o.writeTable(w, &t)
}

// WriteList writes the runs there were.
func WriteList(w io.Writer, rows []Row, o Options) error {
	if len(rows) == 0 {
		_, err := io.WriteString(w, "No runs.\n")
		return err
	}
	t := table{head: []string{"run", "plan", "state", "started", "took", "changed", "by"}, width: o.Width, flex: 6}
	now := o.local(o.now())
	for _, r := range rows {
		took := "-"
		if d := r.Since.Sub(r.Started); !r.Started.IsZero() && d >= 0 && ended(r.State) {
			took = Duration(d)
		}
		changed := Count(r.Changed)
		if r.Restored > 0 {
			changed += ", " + Count(r.Restored) + " put back"
		}
		t.addRun(r, Ago(now, r.Started), took, changed, dash(r.By))
	}
	return o.writeTable(w, &t)
}

// WriteRowsJSON writes rows as one document, for status and list.
func WriteRowsJSON(w io.Writer, rows []Row) error {
	if rows == nil {
		rows = []Row{}
	}
	return writeJSON(w, rows)
}

func (t *table) addRun(r Row, cells ...string) {
	all := append([]string{clean(r.Run), dash(r.Plan), dash(string(r.State))}, cells...)
	t.add(all...).cells[2].tone = outcomeTone(r.State)
}

// writeTable writes t; where even a wrapped column does not fit, the column
// goes below the row.
func (o Options) writeTable(w io.Writer, t *table) error {
	if _, fits := t.widths(); !fits {
		t.sink(t.flex)
	}
	_, err := io.WriteString(w, strings.Join(t.lines(o), "\n")+"\n")
	return err
}

// sink moves one column, the last of the table, below its rows.
func (t *table) sink(column int) {
	t.head = t.head[:column]
	t.below = t.indent + gap
	for i, r := range t.rows {
		if text := r.cells[column].text; text != "-" {
			r.below = append(r.below, text)
		}
		r.cells = r.cells[:column]
		t.rows[i] = r
	}
	t.flex = noFlex
}

func dash(s string) string { return cmp.Or(clean(s), "-") }

// ended reports whether a run in that state will write nothing more.
func ended(s journal.Outcome) bool {
	switch s {
	case journal.OutcomeDone, journal.OutcomeFailed, journal.OutcomeRolledBack, journal.OutcomeAccepted, journal.OutcomeIncomplete:
		return true
	case journal.OutcomePaused, journal.OutcomeInterrupted, journal.OutcomeWaiting, journal.OutcomeRunning, journal.OutcomeInDoubt:
	}
	return false
}

func outcomeTone(s journal.Outcome) tone {
	switch s {
	case journal.OutcomeDone:
		return toneGood
	case journal.OutcomeFailed, journal.OutcomeIncomplete, journal.OutcomeInDoubt:
		return toneBad
	case journal.OutcomeRolledBack, journal.OutcomePaused, journal.OutcomeInterrupted, journal.OutcomeWaiting, journal.OutcomeAccepted:
		return toneWarn
	case journal.OutcomeRunning:
	}
	return toneNone
}
