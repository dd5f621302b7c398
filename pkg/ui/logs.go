package ui

import (
	"io"

	"github.com/flip-cli/flip/pkg/journal"
)

// WriteLogs writes a run's records as lines, with every observation and all
// output. Of a step's id only that step's lines are written, of its undoing
// too; an empty id is everything. records are in order, see Merge.
func WriteLogs(w io.Writer, records []journal.Record, step string, o Options) error {
	o.Verbose = true
	t, p := newTeller(o), newPrinter(o)
	day := ""
	write := func(lines []line) error {
		for _, l := range lines {
			if step != "" && !about(l, step) {
				continue
			}
			if d := o.local(l.at).Format("2006-01-02 MST"); d != day && !l.more {
				day = d
				if _, err := io.WriteString(w, o.paint(toneDim, d)+"\n"); err != nil {
					return err
				}
			}
			if _, err := io.WriteString(w, p.line(l)+"\n"); err != nil {
				return err
			}
		}
		return nil
	}
	for _, r := range records {
		if err := write(t.tell(r)); err != nil {
			return err
		}
	}
	return write(t.looks.flush())
}

// about reports whether a line is about that step; l.of names the step of
// lines that were written on the way back.
func about(l line, step string) bool { return l.step == step || l.of == step }
