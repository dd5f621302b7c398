package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	// lookEvery is how often a look of one key and member is kept.
	lookEvery = time.Second
	// lookKeys bounds what is remembered about kept looks.
	lookKeys = 4096
)

// looks writes observations: without fsync, seldom, in a bounded file. What it
// cannot write is lost, on purpose.
type looks struct {
	dir string
	o   FileOptions

	mu     sync.Mutex
	file   File
	size   int64
	last   map[string]time.Time
	closed bool
}

func newLooks(dir string, o FileOptions) *looks {
	return &looks{dir: dir, o: o, last: map[string]time.Time{}}
}

// keep writes r unless one of its key and member was kept within a second.
func (l *looks) keep(r Record) bool {
	d, err := Decode[LookData](r)
	if err != nil {
		return false
	}
	line, _, _, err := encode(r)
	if err != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := r.Key + "\x00" + d.Member
	if last, ok := l.last[key]; l.closed || ok && r.Time.Sub(last).Abs() < lookEvery {
		return false
	}
	if len(l.last) >= lookKeys {
		clear(l.last)
	}
	l.last[key] = r.Time
	l.write(append(line, '\n'))
	return true
}

func (l *looks) write(line []byte) {
	if l.file != nil && l.size+int64(len(line)) > l.o.LooksBytes {
		_ = l.file.Close()
		l.file = nil
		_ = os.Rename(filepath.Join(l.dir, looksFile), filepath.Join(l.dir, olderLooks))
	}
	if l.file == nil && !l.open() {
		return
	}
	n, _ := l.file.Write(line)
	l.size += int64(n)
}

func (l *looks) open() bool {
	path := filepath.Join(l.dir, looksFile)
	f, err := l.o.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, fileMode)
	if err != nil {
		return false
	}
	l.file, l.size = f, 0
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		// The last line of a process that died may lack its end.
		n, _ := f.Write([]byte("\n"))
		l.size = info.Size() + int64(n)
	}
	return true
}

func (l *looks) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// readAllLooks returns every look of a run and how much of the newest file
// that was.
func readAllLooks(dir string) ([]Record, int64, error) {
	var all []Record
	var size int64
	for _, name := range []string{olderLooks, looksFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, err
		}
		data = cut(data)
		all = append(all, readLooks(data)...)
		size = int64(len(data))
	}
	return all, size, nil
}
