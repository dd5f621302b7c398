package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/flip-cli/flip/pkg/hint"
)

// fileLog is the Log of a FileStore.
type fileLog struct {
	id, dir string
	o       FileOptions
	looks   *looks

	// append serializes writers; it is held over the fsync and OnRecord.
	append latch
	file   File
	inode  os.FileInfo
	failed error // why there are no more appends

	mu sync.Mutex // guards c
	c  chain

	tell sync.Mutex // one OnRecord at a time
}

func (s *FileStore) log(id string, c chain) (*fileLog, error) {
	path := filepath.Join(s.run(id), journalFile)
	f, err := s.o.OpenFile(path, os.O_WRONLY|os.O_APPEND, fileMode)
	if err != nil {
		return nil, err
	}
	inode, err := os.Stat(path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	l := &fileLog{id: id, dir: s.run(id), o: s.o, append: newLatch(), file: f, inode: inode, c: c}
	l.looks = newLooks(l.dir, s.o)
	return l, nil
}

func (l *fileLog) ID() string  { return l.id }
func (l *fileLog) Dir() string { return l.dir }

func (l *fileLog) Records() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.c.records)
	return l.c.records[:n:n]
}

func (l *fileLog) Append(ctx context.Context, r Record) (Record, error) {
	l.append.Lock()
	defer l.append.Unlock()
	line, r, next, err := l.next(r)
	if err != nil {
		return Record{}, fmt.Errorf("run %s: %w", l.id, err)
	}
	if err := l.write(ctx, append(line, '\n')); err != nil {
		return Record{}, fmt.Errorf("run %s: record %d (%s): %w", l.id, r.Seq, r.Type, err)
	}
	l.mu.Lock()
	l.c.push(r, next, len(line)+1)
	l.mu.Unlock()
	l.report(r)
	return r, nil
}

// next makes r the record of the next slot.
func (l *fileLog) next(r Record) ([]byte, Record, string, error) {
	if l.failed != nil {
		return nil, r, "", l.failed
	}
	if err := l.fits(r.Type); err != nil {
		return nil, r, "", err
	}
	r = redactRecord(r, l.o.Redact)
	r.V, r.Seq, r.Time, r.Prev = 0, len(l.c.records)+1, stamp(l.o.Now()), l.c.next
	if r.Seq == 1 {
		r.V = Format
	}
	line, r, next, err := encode(r)
	return line, r, next, err
}

// fits reports whether a record of that type may come next.
func (l *fileLog) fits(t Type) error {
	switch {
	case t == TypeLook:
		return errors.New("a look is never part of the chain")
	case (len(l.c.records) == 0) != (t == TypeRun):
		return fmt.Errorf("a %s record cannot be record %d", t, len(l.c.records)+1)
	case ended(l.c.records) && !reopens(t):
		return ErrEnded
	}
	return nil
}

// write puts one line at the end of the file and makes it durable. After an
// error nothing is written any more, and what was written of the line is taken
// back as far as the disk allows.
func (l *fileLog) write(ctx context.Context, line []byte) error {
	free, err := guard(ctx, filepath.Join(l.dir, guardFile))
	if err != nil {
		return disk(err, l.dir)
	}
	defer free()
	if err := l.unfenced(); err != nil {
		l.failed = err
		return err
	}
	n, err := l.file.Write(line)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = l.file.Sync()
	}
	if err == nil {
		return nil
	}
	_ = l.file.Truncate(l.c.end) // what stays is a torn tail or a record nobody acted on
	l.failed = disk(fmt.Errorf("%w: %w", ErrNotDurable, err), l.dir)
	return l.failed
}

// unfenced makes sure that the file still ends where this process left it.
func (l *fileLog) unfenced() error {
	path := filepath.Join(l.dir, journalFile)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("%w: the journal is gone: %w", ErrFenced, err)
	case !os.SameFile(info, l.inode):
		return fmt.Errorf("%w: %s was replaced by another file", ErrFenced, path)
	case info.Size() == l.c.end:
		return nil
	case info.Size() < l.c.end:
		return fmt.Errorf("%w: %s lost its end (%d bytes, this process wrote %d)", ErrFenced, path, info.Size(), l.c.end)
	}
	who := "another process"
	if h, ok := l.usurper(path); ok {
		who = fmt.Sprintf("%s on %s (pid %d, %s since %s)", h.Who, h.Host, h.PID, h.Verb, h.Since.Format("15:04:05Z07:00"))
	}
	return hint.Wrap(fmt.Errorf("%w: %s drives this run now", ErrFenced, who), "nothing was touched after that; watch it: flip status %s", l.id)
}

// usurper finds who wrote behind this process's last record.
func (l *fileLog) usurper(path string) (Holder, bool) {
	f, err := os.Open(path)
	if err != nil {
		return Holder{}, false
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, l.c.end, 1<<20))
	if err != nil {
		return Holder{}, false
	}
	theirs := l.c
	if theirs.feed(data) != nil {
		return Holder{}, false
	}
	for _, r := range theirs.records[len(l.c.records):] {
		if r.Type == TypeTakeover {
			h, err := Decode[Holder](r)
			return h, err == nil
		}
	}
	return Holder{}, false
}

func (l *fileLog) Look(r Record) {
	r.V, r.Seq, r.Time, r.Type, r.Prev, r.Sum = 0, 0, stamp(l.o.Now()), TypeLook, "", ""
	r = redactRecord(r, l.o.Redact)
	if l.looks.keep(r) {
		l.report(r)
	}
}

func (l *fileLog) report(r Record) {
	if l.o.OnRecord == nil {
		return
	}
	l.tell.Lock()
	defer l.tell.Unlock()
	l.o.OnRecord(r)
}

func (l *fileLog) Close() error {
	l.append.Lock()
	defer l.append.Unlock()
	if errors.Is(l.failed, ErrClosed) {
		return nil
	}
	l.failed = ErrClosed
	return errors.Join(l.file.Close(), l.looks.close())
}
