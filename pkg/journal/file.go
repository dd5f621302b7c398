package journal

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/flip-cli/flip/pkg/hint"
)

// The files of a run.
const (
	journalFile = "journal.jsonl"
	looksFile   = "events.jsonl"
	olderLooks  = "events.1.jsonl"
	guardFile   = "journal.lock"
	tornFile    = "journal.torn-"
	inboxDir    = "inbox"
)

const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
	// probeBytes is what must fit on the disk before a run begins.
	probeBytes = 64 << 10
	// looksBytes is the size at which the file of looks is turned over; two
	// are kept, so the newest hours of a long wait are always there.
	looksBytes = 16 << 20
)

// File is what the store writes through. *os.File is one.
type File interface {
	io.Writer
	io.Closer
	Sync() error
	Truncate(size int64) error
}

// FileOptions are what a FileStore is lent. The zero value works.
type FileOptions struct {
	// Now is the clock; time.Now by default.
	Now func() time.Time
	// Log hears of repairs.
	Log *slog.Logger
	// Redact blanks secrets in data and error texts before they are hashed
	// and written. It gets unquoted text and may change its argument.
	Redact func([]byte) []byte
	// OnRecord hears of every record when it is durable, and of every look
	// that was kept, in order, one at a time. It must not append or look.
	OnRecord func(Record)
	// OpenFile opens files for writing; os.OpenFile by default.
	OpenFile func(path string, flag int, mode fs.FileMode) (File, error)
	// LooksBytes is the size at which the file of looks is turned over; 16 MiB
	// by default.
	LooksBytes int64
}

// FileStore keeps runs below a directory: runs/ID/journal.jsonl and what
// belongs to it. It is safe for concurrent use.
type FileStore struct {
	root string
	o    FileOptions

	mu  sync.Mutex
	ids ulid.MonotonicEntropy
}

var _ Store = (*FileStore)(nil)

// NewFileStore keeps runs below root, an absolute or relative path that need
// not exist: reading never creates it.
func NewFileStore(root string, o FileOptions) (*FileStore, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		return nil, hint.Wrap(fmt.Errorf("state directory %s is a file", root), "choose a directory with --state-dir")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.LooksBytes == 0 {
		o.LooksBytes = looksBytes
	}
	if o.OpenFile == nil {
		o.OpenFile = func(path string, flag int, mode fs.FileMode) (File, error) { return os.OpenFile(path, flag, mode) }
	}
	return &FileStore{root: root, o: o, ids: *ulid.Monotonic(rand.Reader, 0)}, nil
}

// Dir is where the store keeps everything.
func (s *FileStore) Dir() string { return s.root }

func (s *FileStore) runs() string             { return filepath.Join(s.root, "runs") }
func (s *FileStore) run(id string) string     { return filepath.Join(s.runs(), id) }
func (s *FileStore) wrap(err error) error     { return disk(err, s.root) }
func (s *FileStore) guarded(id string) string { return filepath.Join(s.run(id), guardFile) }

// NewID returns an id for a run that begins now: a ULID, later than every one
// that this store made before.
func (s *FileStore) NewID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ms := ulid.Timestamp(s.o.Now())
	id, err := ulid.New(ms, &s.ids)
	if err != nil { // more than 2^80 ids in a millisecond
		id = ulid.MustNew(ms, rand.Reader)
	}
	return id.String()
}

// Create begins a run. See Store.
func (s *FileStore) Create(_ context.Context, id string, files map[string][]byte) (Log, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != filepath.Base(name) || reserved(name) {
			return nil, fmt.Errorf("run %s: %q is not a name for a file beside the journal", id, name)
		}
	}
	dir := s.run(id)
	if err := os.MkdirAll(s.runs(), dirMode); err != nil {
		return nil, s.wrap(fmt.Errorf("begin run %s: %w", id, err))
	}
	if err := os.Mkdir(dir, dirMode); err != nil {
		return nil, s.wrap(fmt.Errorf("begin run %s: %w", id, err))
	}
	l, err := s.fill(id, files)
	if err != nil {
		_ = os.RemoveAll(dir) // nothing happened in it
		return nil, s.wrap(fmt.Errorf("begin run %s: %w", id, err))
	}
	return l, nil
}

func reserved(name string) bool {
	return name == "" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, tornFile) ||
		slices.Contains([]string{journalFile, looksFile, olderLooks, guardFile, inboxDir, string(filepath.Separator)}, name)
}

// fill makes the files of a new run durable, the journal last.
func (s *FileStore) fill(id string, files map[string][]byte) (*fileLog, error) {
	dir := s.run(id)
	probe := filepath.Join(dir, ".probe")
	if err := s.write(probe, bytes.Repeat([]byte("flip\n"), probeBytes/5)); err != nil {
		return nil, err
	}
	if err := os.Remove(probe); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := s.write(filepath.Join(dir, name), files[name]); err != nil {
			return nil, err
		}
	}
	if err := s.write(filepath.Join(dir, journalFile), nil); err != nil {
		return nil, err
	}
	for _, d := range []string{dir, s.runs(), s.root} {
		if err := syncDir(d); err != nil {
			return nil, err
		}
	}
	return s.log(id, chain{file: filepath.Join(dir, journalFile)})
}

// write makes a new file durable.
func (s *FileStore) write(path string, data []byte) error {
	f, err := s.o.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// Open opens a run for driving. See Store.
func (s *FileStore) Open(ctx context.Context, id string) (Log, error) {
	if err := s.exists(id); err != nil {
		return nil, err
	}
	free, err := guard(ctx, s.guarded(id))
	if err != nil {
		return nil, s.wrap(fmt.Errorf("run %s: %w", id, err))
	}
	defer free()
	c, data, err := s.read(id)
	if err != nil {
		return nil, err
	}
	if rest := data[c.end:]; len(rest) > 0 {
		if err := s.repair(id, c.end, rest); err != nil {
			return nil, s.wrap(fmt.Errorf("run %s: repair the torn end of its journal: %w", id, err))
		}
	}
	l, err := s.log(id, c)
	if err != nil {
		return nil, s.wrap(fmt.Errorf("run %s: %w", id, err))
	}
	return l, nil
}

func (s *FileStore) read(id string) (chain, []byte, error) {
	path := filepath.Join(s.run(id), journalFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return chain{}, nil, s.wrap(fmt.Errorf("run %s: %w", id, err))
	}
	c := chain{file: path}
	if err := c.feed(data); err != nil {
		return chain{}, nil, fmt.Errorf("run %s: %w", id, err)
	}
	return c, data, nil
}

// repair cuts the journal at end, after a copy of the rest is durable.
func (s *FileStore) repair(id string, end int64, rest []byte) error {
	dir := s.run(id)
	copied := ""
	for n := 1; copied == ""; n++ {
		path := fmt.Sprintf("%s%d", filepath.Join(dir, tornFile), n)
		err := s.write(path, rest)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err == nil {
			copied = path
		}
	}
	f, err := s.o.OpenFile(filepath.Join(dir, journalFile), os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	err = f.Truncate(end)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = syncDir(dir)
	}
	s.o.Log.Warn("the last record of the journal was torn and is set aside", "run", id, "bytes", len(rest), "copy", copied)
	return err
}

// View opens a run for reading. See Store.
func (s *FileStore) View(ctx context.Context, id string) (View, error) {
	if err := s.exists(id); err != nil {
		return nil, err
	}
	v := &fileView{id: id, dir: s.run(id)}
	if _, err := v.Refresh(ctx); err != nil {
		return nil, s.wrap(fmt.Errorf("run %s: %w", id, err))
	}
	return v, nil
}

// List returns the ids of all runs, the newest first. A directory without a
// journal is none.
func (s *FileStore) List(context.Context) ([]string, error) {
	entries, err := os.ReadDir(s.runs())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, s.wrap(fmt.Errorf("list runs: %w", err))
	}
	var ids []string
	for _, e := range entries {
		if checkID(e.Name()) != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(s.run(e.Name()), journalFile)); err == nil {
			ids = append(ids, e.Name())
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids, nil
}

// Ended reports whether a run needs its locks no more: it has its terminal
// record, or it died before the first record and so before any change. A run
// that cannot be read may need them.
func (s *FileStore) Ended(id string) bool {
	err := s.exists(id)
	if errors.Is(err, ErrNoRun) {
		return true
	}
	c, _, err := s.read(id)
	return err == nil && (len(c.records) == 0 || ended(c.records) && !incomplete(c.records))
}

func (s *FileStore) exists(id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(s.run(id), journalFile))
	if errors.Is(err, fs.ErrNotExist) {
		return hint.Wrap(fmt.Errorf("run %s: %w in %s", id, ErrNoRun, s.root), "flip list shows the runs; --state-dir says where they are")
	}
	if err != nil {
		return s.wrap(fmt.Errorf("run %s: %w", id, err))
	}
	return nil
}

func checkID(id string) error {
	if _, err := ulid.ParseStrict(id); err != nil || id != strings.ToUpper(id) {
		return fmt.Errorf("run %q: %w: that is not the id of a run", id, ErrNoRun)
	}
	return nil
}
