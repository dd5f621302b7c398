// Package ui shows runs to people and to programs. Everything in it reads the
// journal's records (or a view model made of them) and writes to a writer that
// it is given: lines for a log, a moving line for a terminal, JSON, tables,
// previews and errors. It decides nothing and reaches nothing.
package ui

import (
	"cmp"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
)

// Sink takes the records of a run as they are written. Record may be called
// from several goroutines. A writer that fails does not stop a run: what could
// not be shown is still in the journal.
type Sink interface {
	Record(r journal.Record)
	// Close writes what is held back and gives the terminal back. The writer
	// itself stays open.
	Close()
}

// Options say how to show.
type Options struct {
	// Run is the run's id as it is to be printed, and typed by a person.
	Run string
	// Dir is where the run keeps its files.
	Dir string
	// Steps are the plan's step ids; with them columns line up from the start.
	Steps []string
	// Past are records written before the view began, of a run that is
	// resumed. They are known, not shown.
	Past []journal.Record
	// Location is the zone of printed times; nil is UTC.
	Location *time.Location
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Width is the number of columns; 0 is as many as it takes, or for NewLive
	// as many as the terminal has.
	Width int
	// Color allows colour. It never carries meaning.
	Color bool
	// Verbose shows every observation and all output of commands.
	Verbose bool
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

func (o Options) local(t time.Time) time.Time { return t.In(cmp.Or(o.Location, time.UTC)) }

func (o Options) clock(t time.Time) string { return o.local(t).Format(time.TimeOnly) }

// moment is t as a person needs it at the time now: the clock alone on the
// same day, with the date on another.
func (o Options) moment(now, t time.Time) string {
	if o.local(now).Format(time.DateOnly) == o.local(t).Format(time.DateOnly) {
		return o.clock(t)
	}
	return o.local(t).Format(time.DateTime)
}

func (o Options) date(t time.Time) string { return o.local(t).Format("2006-01-02 15:04:05 MST") }

// command is a command line that can be typed: flip, the words, and the run's
// id where it is known.
func (o Options) command(verb string, args ...string) string {
	words := []string{"flip", verb}
	if o.Run != "" {
		words = append(words, o.Run)
	}
	return strings.Join(append(words, args...), " ")
}
