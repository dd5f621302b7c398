package journal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/flip-cli/flip/pkg/hint"
)

// Waiting for the advisory lock on a file. Writers hold it for one write and
// one fsync, so a long wait means a frozen process.
const (
	guardWait  = 30 * time.Second
	guardRetry = 5 * time.Millisecond
)

// guard takes the advisory lock on path, across processes, and returns what
// gives it back. A cancelled ctx still takes a lock that is free.
func guard(ctx context.Context, path string) (func(), error) {
	l := flock.New(path)
	ok, err := l.TryLock()
	if err == nil && !ok {
		wait, cancel := context.WithTimeout(ctx, guardWait)
		defer cancel()
		ok, err = l.TryLockContext(wait, guardRetry)
	}
	if ok {
		return func() { _ = l.Unlock() }, nil
	}
	if ctx.Err() == nil && wasTimeout(err) {
		return nil, hint.Wrap(fmt.Errorf("%s is held by another flip process for more than %s", path, guardWait),
			"that process may be frozen; see who it is: fuser %s", path)
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// latch is a mutex for what is held while waiting for time to pass (guard).
// Unlike a sync.Mutex it lets a testing/synctest clock move on for its owner
// while others wait for it.
type latch chan struct{}

func newLatch() latch { return make(latch, 1) }

func (l latch) Lock()   { l <- struct{}{} }
func (l latch) Unlock() { <-l }

func wasTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

// replaceFile puts data at path at once: readers see the old or the new file.
// With durable it is on disk when replaceFile returns.
func replaceFile(path string, data []byte, durable bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil && durable {
		err = syncDir(filepath.Dir(path))
	}
	return err
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
