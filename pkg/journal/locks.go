package journal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
)

// LockInfo is what a lock's file holds: whose it is, and who drives that run.
type LockInfo struct {
	Scope string `json:"scope"`
	Run   string `json:"run"`
	Plan  string `json:"plan,omitempty"`
	Who   string `json:"who"`
	Process
	Since      time.Time `json:"since"` // this process took it
	Beat       time.Time `json:"beat"`  // last sign of life
	LeaseUntil time.Time `json:"lease_until"`
	// Epoch counts the processes that held it for the run.
	Epoch int `json:"epoch"`
	// Detached: the process let go of the run at a safe point and is not
	// expected back. The run keeps the lock.
	Detached bool `json:"detached,omitempty"`
}

// LockedError says that another run, or another process of this run, holds a
// lock. Exit code 5.
type LockedError struct {
	Info LockInfo
	// Alive: whoever holds it may be acting.
	Alive bool
}

func (e *LockedError) Error() string {
	i := e.Info
	since := fmt.Sprintf("%s on %s (pid %d) since %s", i.Who, i.Host, i.PID, i.Since.Format(time.RFC3339))
	switch {
	case e.Alive:
		return fmt.Sprintf("%s is locked by run %s, driven by %s", i.Scope, i.named(), since)
	case i.Detached:
		return fmt.Sprintf("%s is locked by run %s, which stands since %s: %s on %s let go of it",
			i.Scope, i.named(), i.Beat.Format(time.RFC3339), i.Who, i.Host)
	}
	return fmt.Sprintf("%s is locked by run %s, whose driver is gone: %s, last beat %s", i.Scope, i.named(), since, i.Beat.Format(time.RFC3339))
}

func (i LockInfo) named() string {
	if i.Plan == "" {
		return i.Run
	}
	return i.Run + " (" + i.Plan + ")"
}

func (e *LockedError) hinted() error {
	if e.Alive {
		return hint.Wrap(e, "wait for it, or end it: flip stop %s", e.Info.Run)
	}
	return hint.Wrap(e, "finish that run: flip rollback %s, or flip resume %s where it can go on; only if it is of no more use: flip unlock %s",
		e.Info.Run, e.Info.Run, e.Info.Scope)
}

// LocksOptions are what Locks is lent. The zero value works.
type LocksOptions struct {
	// Now is the clock; time.Now by default.
	Now func() time.Time
	// Ended reports whether a run needs its locks no more (FileStore.Ended). A
	// lock of such a run whose process is gone is free. Without it only
	// Release and Break free a lock.
	Ended func(run string) bool
	// Self is this process; Self() by default.
	Self Process
	Log  *slog.Logger
}

// Locks keeps other runs away from what a run changes. A lock belongs to a run
// from Acquire to Release, however many processes drive it meanwhile, and
// whether or not one does now. One file a scope below DIR/locks; all changes
// are made under one advisory file lock, so several scopes are taken at once
// or not at all.
type Locks struct {
	dir     string
	o       LocksOptions
	replace func(path string, data []byte, durable bool) error // replaceFile
}

// NewLocks keeps locks below root. Reading never creates it.
func NewLocks(root string, o LocksOptions) *Locks {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Self == (Process{}) {
		o.Self = Self()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Locks{dir: filepath.Join(root, "locks"), o: o, replace: replaceFile}
}

const lockEnd = ".lock.json"

// path is a readable name that no two scopes share.
func (l *Locks) path(scope string) string {
	slug := strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, scope), "-.")
	const longest = 80
	slug = slug[max(0, len(slug)-longest):]
	sum := sha256.Sum256([]byte(scope))
	return filepath.Join(l.dir, slug+"-"+hex.EncodeToString(sum[:hashBytes])+lockEnd)
}

// guard excludes every other process from the locks.
func (l *Locks) guard(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(l.dir, dirMode); err != nil {
		return nil, disk(fmt.Errorf("locks: %w", err), l.dir)
	}
	free, err := guard(ctx, filepath.Join(l.dir, ".guard"))
	return free, disk(err, l.dir)
}

// read returns the lock on scope; ok is false when it is free.
func (l *Locks) read(scope string) (i LockInfo, ok bool, err error) {
	i, err = readLock(l.path(scope))
	if errors.Is(err, fs.ErrNotExist) {
		return LockInfo{}, false, nil
	}
	if err != nil {
		return LockInfo{}, false, disk(fmt.Errorf("lock on %s: %w", scope, err), l.dir)
	}
	return i, true, nil
}

func readLock(path string) (LockInfo, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return LockInfo{}, err
	}
	var i LockInfo
	if err := json.Unmarshal(text, &i); err != nil {
		return LockInfo{}, hint.Wrap(fmt.Errorf("%s is not a lock: %w", path, err), "see which runs are open (flip list), then remove the file")
	}
	return i, nil
}

// write replaces a lock's file. Beats need not survive a power failure, the
// lock itself must.
func (l *Locks) write(i LockInfo, durable bool) error {
	text, err := marshal(i)
	if err == nil {
		err = l.replace(l.path(i.Scope), append(text, '\n'), durable)
	}
	if err != nil {
		return disk(fmt.Errorf("lock on %s: %w", i.Scope, err), l.dir)
	}
	return nil
}

// now is the wall clock: leases are compared across processes and suspends.
func (l *Locks) now() time.Time { return l.o.Now().Round(0).UTC() }

// Alive reports whether the process that holds i may be acting.
func (l *Locks) Alive(i LockInfo) bool { return l.alive(i, 0) }

// alive allows calls of a process whose lease is over maxInFlight to land. A
// process that is seen to be dead is not alive whatever its lease says.
func (l *Locks) alive(i LockInfo, maxInFlight time.Duration) bool {
	return !i.Detached && !i.Dead(l.o.Self) && l.now().Before(i.LeaseUntil.Add(maxInFlight))
}

// List returns all locks by scope.
func (l *Locks) List(context.Context) ([]LockInfo, error) {
	entries, err := os.ReadDir(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, disk(fmt.Errorf("list locks: %w", err), l.dir)
	}
	var all []LockInfo
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), lockEnd) {
			continue
		}
		i, err := readLock(filepath.Join(l.dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, disk(fmt.Errorf("list locks: %w", err), l.dir)
		}
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b LockInfo) int { return strings.Compare(a.Scope, b.Scope) })
	return all, nil
}

// OfRun returns the locks of one run.
func (l *Locks) OfRun(ctx context.Context, run string) ([]LockInfo, error) {
	all, err := l.List(ctx)
	return slices.DeleteFunc(all, func(i LockInfo) bool { return i.Run != run }), err
}

// Break frees the lock on scope, whoever has it, and returns whose it was. One
// whose holder may be acting is freed by force only: that holder is fenced at
// its next change, but a call that it sent already may still land.
func (l *Locks) Break(ctx context.Context, scope string, force bool) (LockInfo, error) {
	free, err := l.guard(ctx)
	if err != nil {
		return LockInfo{}, err
	}
	defer free()
	i, ok, err := l.read(scope)
	if err != nil {
		return LockInfo{}, err
	}
	if !ok {
		return LockInfo{}, l.notLocked(ctx, scope)
	}
	if l.Alive(i) && !force {
		return i, (&LockedError{Info: i, Alive: true}).hinted()
	}
	return i, disk(os.Remove(l.path(scope)), l.dir)
}

func (l *Locks) notLocked(ctx context.Context, scope string) error {
	err := fmt.Errorf("%s is not locked", scope)
	all, _ := l.List(ctx)
	if len(all) == 0 {
		return hint.Wrap(err, "nothing is locked")
	}
	var scopes []string
	for _, i := range all {
		scopes = append(scopes, i.Scope)
	}
	return hint.Wrap(err, "locked are: %s", strings.Join(scopes, ", "))
}
