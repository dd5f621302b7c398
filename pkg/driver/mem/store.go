package mem

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/flip-cli/flip/pkg/state"
)

// store keeps a world. do runs f alone; with write it keeps what f leaves, also
// when f fails: a batch that stops halfway has changed what came before.
type store interface {
	do(ctx context.Context, write bool, f func(w *world) error) error
}

type memory struct {
	mu sync.Mutex
	w  world
}

func (m *memory) do(ctx context.Context, write bool, f func(*world) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.w
	w.own = false
	err := f(&w)
	if write {
		m.w = w
	}
	return err
}

// file shares a world between processes. The lock lies beside it, because the
// file itself is replaced at every write.
type file struct {
	path string
	seed func() world
	mu   sync.Mutex
}

// pollLock is how often a lock that another process holds is tried.
const pollLock = 2 * time.Millisecond

func (s *file) do(ctx context.Context, write bool, f func(*world) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lock := flock.New(s.path + ".lock")
	if _, err := lock.TryLockContext(ctx, pollLock); err != nil {
		return fmt.Errorf("lock %s: %w", s.path, err)
	}
	defer func() { _ = lock.Unlock() }() // closing the file unlocks as well
	w, fresh, err := s.load()
	if err != nil {
		return err
	}
	err = f(&w)
	if write || fresh {
		return errors.Join(err, s.save(w))
	}
	return err
}

func (s *file) load() (w world, fresh bool, err error) {
	b, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s.seed(), true, nil
	}
	if err != nil {
		return w, false, err
	}
	if err := json.Unmarshal(b, &w); err != nil {
		return w, false, fmt.Errorf("read %s: %w", s.path, err)
	}
	w.State, w.Seed = clone(w.State), clone(w.Seed)
	if w.Known == nil {
		w.Known = map[string]state.Object{}
	}
	if w.Members == nil {
		w.Members = map[string]member{}
	}
	return w, false, nil
}

func (s *file) save(w world) error {
	b, err := json.MarshalIndent(w, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(b, '\n'))
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), s.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
