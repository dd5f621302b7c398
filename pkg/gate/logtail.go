package gate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// Bounds of reading a log, in bytes and files.
const (
	mostLine = 64 << 10 // what of a line is looked at
	mostTail = 64 << 20 // what one look reads
	mostOld  = 8        // rotated files that are still read
	probeLen = 256      // bytes before the place that tell whether it is still the same file
)

// fileTail reads what is written to a file, beginning at its end when it is
// first read. A file that takes its place (rotation) is read from its start,
// while the old one is read for as long as its writer may still have it open.
type fileTail struct {
	path string
	now  *tailed
	old  []*oldTail
}

func tailFile(path string) *fileTail { return &fileTail{path: path} }

// tailed is one open file and how far it was read.
type tailed struct {
	f     *os.File
	at    int64
	probe []byte // the bytes before at
	lines lineReader
}

type oldTail struct {
	*tailed
	until time.Time
}

// tailNews is what a read found out besides the lines.
type tailNews struct {
	lost   bool  // something was written that nobody can read any more
	behind int64 // bytes that are still to be read
}

// read hands over the lines that were written since the last read. An error
// says that the file cannot be read; what could be read was handed over.
func (t *fileTail) read(ctx context.Context, keep time.Duration, now time.Time, line func([]byte)) (tailNews, error) {
	var news tailNews
	budget := int64(mostTail)
	if err := t.follow(keep, now); err != nil {
		if t.now != nil {
			_, _ = t.now.drain(ctx, &budget, line)
		}
		return news, err
	}
	for _, o := range t.old {
		if n, err := o.drain(ctx, &budget, line); err == nil {
			news.behind += n.behind
		}
	}
	n, err := t.now.drain(ctx, &budget, line)
	n.behind += news.behind
	return n, err
}

// follow opens the file, or the one that took its place.
func (t *fileTail) follow(keep time.Duration, now time.Time) error {
	for len(t.old) > 0 && (now.After(t.old[0].until) || len(t.old) > mostOld) {
		t.old[0].f.Close()
		t.old = t.old[1:]
	}
	info, err := os.Stat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return hint.Wrap(fmt.Errorf("log %s is not there", t.path), "the log must be on the machine that runs flip")
	case err != nil:
		return fmt.Errorf("log: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("log %s is no file but %s", t.path, info.Mode().Type())
	}
	if t.now != nil {
		mine, err := t.now.f.Stat()
		if err == nil && os.SameFile(mine, info) {
			return nil
		}
	}
	f, err := os.Open(t.path)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	fresh := &tailed{f: f}
	if t.now == nil {
		if fresh.at, err = f.Seek(0, io.SeekEnd); err != nil {
			f.Close()
			return fmt.Errorf("log: %w", err)
		}
		fresh.remember()
	} else {
		t.old = append(t.old, &oldTail{t.now, now.Add(keep)})
	}
	t.now = fresh
	return nil
}

// close releases the files.
func (t *fileTail) close() {
	for _, o := range t.old {
		o.f.Close()
	}
	if t.now != nil {
		t.now.f.Close()
	}
	t.old, t.now = nil, nil
}

// drain reads up to the end of the file, or of the budget.
func (f *tailed) drain(ctx context.Context, budget *int64, line func([]byte)) (tailNews, error) {
	var news tailNews
	if f.cut() {
		news.lost = true
		f.at, f.probe, f.lines = 0, nil, lineReader{}
	}
	buf := make([]byte, 64<<10)
	for *budget > 0 && ctx.Err() == nil {
		n, err := f.f.ReadAt(buf[:min(int64(len(buf)), *budget)], f.at)
		f.lines.take(buf[:n], line)
		f.at += int64(n)
		*budget -= int64(n)
		if errors.Is(err, io.EOF) {
			f.remember()
			return news, nil
		}
		if err != nil {
			return news, fmt.Errorf("log: %w", err)
		}
	}
	f.remember()
	if info, err := f.f.Stat(); err == nil {
		news.behind = max(0, info.Size()-f.at)
	}
	if ctx.Err() != nil {
		return news, context.Cause(ctx)
	}
	return news, nil
}

// cut reports whether the file was truncated since it was last read, also when
// it has grown again beyond the place that was reached.
func (f *tailed) cut() bool {
	info, err := f.f.Stat()
	if err != nil || info.Size() < f.at {
		return err == nil
	}
	now := make([]byte, len(f.probe))
	if _, err := f.f.ReadAt(now, f.at-int64(len(now))); err != nil {
		return true
	}
	return !bytes.Equal(now, f.probe)
}

// remember notes the bytes before the place that was reached.
func (f *tailed) remember() {
	n := min(f.at, probeLen)
	f.probe = make([]byte, n)
	if _, err := f.f.ReadAt(f.probe, f.at-n); err != nil && !errors.Is(err, io.EOF) {
		f.probe = nil
	}
}

// lineReader cuts a stream into lines. Of a line that is longer than mostLine
// the beginning is kept; a line counts when its end has come.
type lineReader struct{ part []byte }

func (r *lineReader) take(chunk []byte, line func([]byte)) {
	for {
		head, rest, ended := bytes.Cut(chunk, []byte{'\n'})
		r.part = append(r.part, head[:min(len(head), mostLine-len(r.part))]...)
		if !ended {
			return
		}
		line(bytes.TrimSuffix(r.part, []byte{'\r'}))
		r.part, chunk = r.part[:0], rest
	}
}
