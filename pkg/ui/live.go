package ui

import (
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/flip-cli/flip/pkg/journal"
)

// eraseLine goes to the first column and erases to the end of the line
// (ECMA-48 section 8.3.41).
const eraseLine = "\r\x1b[K"

// usualWidth is assumed where the terminal does not tell.
const usualWidth = 80

// TerminalWidth is the number of columns of the terminal behind w, 0 when
// there is none.
func TerminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return columns
}

type live struct {
	mu      sync.Mutex
	w       io.Writer
	o       Options
	tell    *teller
	printer *printer
	status  *status
	drawn   string
	closed  bool
	stop    chan struct{}
	ticking sync.WaitGroup
}

// NewLive shows a run on a terminal: its events as lines that scroll, and
// below them one line that says what is going on now. Close takes that line
// away again.
func NewLive(w io.Writer, o Options) Sink {
	l := &live{w: w, o: o, tell: newTeller(o), printer: newPrinter(o), stop: make(chan struct{})}
	l.tell.looks.quiet = !o.Verbose
	l.status = newStatus(l.tell)
	for _, r := range o.Past {
		l.status.record(r)
	}
	l.ticking.Go(l.tick)
	return l
}

func (l *live) tick() {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-second.C:
			l.mu.Lock()
			l.draw(nil)
			l.mu.Unlock()
		}
	}
}

func (l *live) Record(r journal.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.tell.tell(r)
	l.status.record(r)
	l.draw(lines)
}

func (l *live) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	close(l.stop)
	lines := l.tell.looks.flush()
	out := l.printer.format(lines)
	if l.drawn != "" {
		out = eraseLine + out
	}
	l.drawn = ""
	_, _ = io.WriteString(l.w, out) // see Sink
	l.mu.Unlock()
	l.ticking.Wait()
}

// draw writes lines above the status line, in one write so that nothing
// flickers.
func (l *live) draw(lines []line) {
	if l.closed {
		return
	}
	status := l.statusLine()
	if len(lines) == 0 && status == l.drawn {
		return
	}
	out := ""
	if l.drawn != "" {
		out = eraseLine
	}
	out += l.printer.format(lines) + status
	l.drawn = status
	_, _ = io.WriteString(l.w, out) // see Sink
}

func (l *live) statusLine() string {
	columns := l.o.Width
	if columns == 0 {
		columns = TerminalWidth(l.w)
	}
	if columns == 0 {
		columns = usualWidth
	}
	// The last column stays free: many terminals go to the next line there.
	segments := l.status.segments(l.o.now())
	if len(segments) > 0 {
		for _, s := range []segment{{l.status.place(), toneDim}, {"ctrl-c stops safely", toneDim}} {
			if s.text != "" && total(segments)+gap+width(s.text) < columns {
				segments = append(segments, s)
			}
		}
	}
	return l.o.fit(segments, columns-1)
}

// total is how many columns segments take side by side.
func total(segments []segment) int {
	n := gap * (len(segments) - 1)
	for _, s := range segments {
		n += width(s.text)
	}
	return n
}
