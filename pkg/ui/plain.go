package ui

import (
	"io"
	"strings"
	"sync"

	"github.com/flip-cli/flip/pkg/journal"
)

// narrowStep and wideStep bound the column of step ids.
const (
	narrowStep = 8
	wideStep   = 24
)

// clockWidth is what "14:02:07 " takes; lines that belong to the one before
// begin there.
const clockWidth = len("15:04:05 ")

// printer writes lines for a log.
type printer struct {
	o     Options
	steps int // columns of the step ids so far
}

func newPrinter(o Options) *printer {
	p := &printer{o: o, steps: narrowStep}
	for _, id := range o.Steps {
		p.steps = max(p.steps, min(width(clean(id)), wideStep))
	}
	return p
}

func (p *printer) format(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(p.line(l))
		b.WriteByte('\n')
	}
	return b.String()
}

func (p *printer) line(l line) string {
	if l.more {
		return strings.Repeat(" ", clockWidth) + p.o.paint(l.tone, l.text)
	}
	s := p.o.paint(toneDim, p.o.clock(l.at)) + " "
	if l.step != "" {
		p.steps = max(p.steps, min(width(l.step), wideStep))
		s += p.o.paint(toneBold, pad(l.step, p.steps)) + "  "
	}
	return s + p.o.paint(l.tone, l.text)
}

type plain struct {
	mu      sync.Mutex
	w       io.Writer
	tell    *teller
	printer *printer
}

// NewPlain shows a run as one line an event, for logs. Times are those of the
// records.
func NewPlain(w io.Writer, o Options) Sink {
	return &plain{w: w, tell: newTeller(o), printer: newPrinter(o)}
}

func (p *plain) Record(r journal.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(p.tell.tell(r))
}

func (p *plain) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(p.tell.looks.flush())
}

func (p *plain) write(lines []line) {
	if len(lines) > 0 {
		_, _ = io.WriteString(p.w, p.printer.format(lines)) // see Sink
	}
}
