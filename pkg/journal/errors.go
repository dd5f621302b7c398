package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/flip-cli/flip/pkg/hint"
)

// Errors that decide what a process may still do.
var (
	// ErrFenced: another process drives this run now, or its lock is gone.
	// Whoever gets it must not touch any target. Exit code 14.
	ErrFenced = errors.New("fenced")
	// ErrNotDurable: the disk did not take a record. The run must stop at
	// once; a failed fsync is never tried again, because the kernel may have
	// dropped what it could not write.
	ErrNotDurable = errors.New("not written to disk")
	// ErrEnded: the run has its terminal record.
	ErrEnded = errors.New("the run has ended")
	// ErrNoRun: there is no such run.
	ErrNoRun = errors.New("no such run")
	// ErrManyRuns: the piece of an id that was given fits several runs.
	ErrManyRuns = errors.New("several runs have an id like this")
	// ErrClosed: the journal was closed by this process.
	ErrClosed = errors.New("the journal is closed")
)

// CorruptError says that a journal is not what flip wrote.
type CorruptError struct {
	File   string
	Record int   // from 1
	Offset int64 // of the record's first byte
	Why    string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal %s is corrupt at record %d (offset %d): %s", e.File, e.Record, e.Offset, e.Why)
}

func corrupt(e *CorruptError) error {
	return hint.Wrap(e, "something else changed the file; flip does not act on it. Restore it from a copy, or look at it from `tail -c +%d`", e.Offset+1)
}

// NewerError says that a newer flip wrote what this one cannot read.
type NewerError struct {
	File string
	What string // "format", "interpreter", "record type"
	Have string // what the run has
	Know string // what this flip knows
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("%s was written by a newer flip: %s %s, this one knows %s", e.File, e.What, e.Have, e.Know)
}

// Newer returns a *NewerError with the hint to upgrade.
func Newer(e NewerError) error {
	return hint.Wrap(&e, "use the flip that began the run, or a newer one (flip version)")
}

// disk adds to an error of the file system what to do about it. dir is where
// flip keeps its runs.
func disk(err error, dir string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return hint.Wrap(err, "free some space for %s, or keep runs elsewhere with --state-dir", dir)
	case errors.Is(err, syscall.EROFS):
		return hint.Wrap(err, "%s is on a read-only file system; keep runs elsewhere with --state-dir", dir)
	case errors.Is(err, fs.ErrPermission):
		return hint.Wrap(err, "%s must belong to the user that runs flip; keep runs elsewhere with --state-dir", dir)
	}
	return err
}
