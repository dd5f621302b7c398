package journal_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
)

// faulty is a disk that fails on command.
type faulty struct {
	open, write, sync, truncate error
	half                        bool // a failing write writes half
}

func (f *faulty) OpenFile(path string, flag int, mode fs.FileMode) (journal.File, error) {
	if f.open != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: f.open}
	}
	file, err := os.OpenFile(path, flag, mode)
	return faultyFile{file, f}, err
}

type faultyFile struct {
	*os.File
	disk *faulty
}

func (f faultyFile) Write(b []byte) (int, error) {
	if f.disk.write == nil {
		return f.File.Write(b)
	}
	n := 0
	if f.disk.half {
		n, _ = f.File.Write(b[:len(b)/2])
	}
	return n, f.disk.write
}

func (f faultyFile) Sync() error { return errors.Join(f.disk.sync, f.File.Sync()) }
func (f faultyFile) Truncate(size int64) error {
	if f.disk.truncate != nil {
		return f.disk.truncate
	}
	return f.File.Truncate(size)
}

func TestARecordThatDoesNotReachTheDiskStopsTheRun(t *testing.T) {
	for name, fault := range map[string]faulty{
		"the disk is full":                           {write: syscall.ENOSPC},
		"the disk is full in the middle of a record": {write: syscall.ENOSPC, half: true},
		"and what was written cannot be taken back":  {write: syscall.ENOSPC, half: true, truncate: syscall.EIO},
		"fsync fails":                                {sync: syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			disk := &faulty{}
			s := newStore(t, journal.FileOptions{OpenFile: disk.OpenFile})
			l := newRun(t, s)
			add(t, l, step("a", "begin"))
			size := fileSize(t, journalPath(l))
			*disk = fault
			_, err := l.Append(t.Context(), step("a", "done"))
			if !errors.Is(err, journal.ErrNotDurable) {
				t.Fatalf("got %v, want ErrNotDurable", err)
			}
			*disk = faulty{}
			if _, again := l.Append(t.Context(), step("a", "done")); !errors.Is(again, journal.ErrNotDurable) {
				t.Errorf("the next append: %v, want ErrNotDurable", again)
			}
			if got := fileSize(t, journalPath(l)); got != size && fault.truncate == nil {
				t.Errorf("the journal has %d bytes, want %d", got, size)
			}
			if errors.Is(err, syscall.ENOSPC) {
				mentions(t, "the hint", strings.Join(hint.Of(err), "\n"), "free some space")
			}
			if n := len(l.Records()); n != 2 {
				t.Errorf("%d records, want 2", n)
			}
			next, err := s.Open(t.Context(), l.ID())
			if err != nil {
				t.Fatal(err)
			}
			defer next.Close()
			if r := add(t, next, journal.Record{Type: journal.TypeTakeover}); r.Seq != 3 {
				t.Errorf("the next process writes record %d, want 3", r.Seq)
			}
		})
	}
}

func TestARunDoesNotBeginOnADiskThatCannotKeepIt(t *testing.T) {
	for name, tc := range map[string]struct {
		disk faulty
		hint string
	}{
		"full":       {faulty{write: syscall.ENOSPC}, "free some space"},
		"over quota": {faulty{sync: syscall.EDQUOT}, "free some space"},
		"read-only":  {faulty{open: syscall.EROFS}, "read-only"},
		"forbidden":  {faulty{open: syscall.EACCES}, "must belong to the user"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, journal.FileOptions{OpenFile: tc.disk.OpenFile})
			_, err := s.Create(t.Context(), id, nil)
			if err == nil {
				t.Fatal("the run began")
			}
			mentions(t, "the hint", strings.Join(hint.Of(err), "\n"), tc.hint, "--state-dir")
			if left, _ := filepath.Glob(filepath.Join(s.Dir(), "runs", "*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestAStateDirectoryThatIsAFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := journal.NewFileStore(path, journal.FileOptions{})
	if err == nil || len(hint.Of(err)) == 0 {
		t.Errorf("got %v, hints %q", err, hint.Of(err))
	}
}

func TestARepairThatCannotKeepACopyRepairsNothing(t *testing.T) {
	disk := &faulty{}
	s := newStore(t, journal.FileOptions{OpenFile: disk.OpenFile})
	l := newRun(t, s)
	size := fileSize(t, journalPath(l)) - 1
	if err := os.Truncate(journalPath(l), size); err != nil {
		t.Fatal(err)
	}
	disk.write = syscall.ENOSPC
	if _, err := s.Open(t.Context(), l.ID()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if got := fileSize(t, journalPath(l)); got != size {
		t.Errorf("the journal has %d bytes, want %d", got, size)
	}
}
