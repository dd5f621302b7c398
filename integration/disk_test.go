package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	flip "github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/pkg/driver/haproxy/haproxytest"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/journal"
)

// badDisk is how a disk fails to take the journal's record number at.
type badDisk struct {
	at    int
	write error // after half of the line
	sync  error // the line is in the file
	stuck bool  // and cannot be taken back
}

// wrap makes the journal of a run go to that disk.
func (d badDisk) wrap(app *flip.App) {
	n := 0
	app.Files = func(o *journal.FileOptions) {
		o.OpenFile = func(path string, flag int, mode fs.FileMode) (journal.File, error) {
			f, err := os.OpenFile(path, flag, mode)
			if err != nil || filepath.Base(path) != "journal.jsonl" || flag&os.O_APPEND == 0 {
				return f, err
			}
			return &badFile{f, d, &n}, nil
		}
	}
}

type badFile struct {
	*os.File
	d badDisk
	n *int
}

func (f *badFile) Write(line []byte) (int, error) {
	if *f.n++; *f.n != f.d.at || f.d.write == nil {
		return f.File.Write(line)
	}
	n, err := f.File.Write(line[:len(line)/2])
	return n, errors.Join(err, f.d.write)
}

func (f *badFile) Sync() error {
	if *f.n == f.d.at && f.d.sync != nil {
		return f.d.sync
	}
	return f.File.Sync()
}

func (f *badFile) Truncate(size int64) error {
	if *f.n == f.d.at && f.d.stuck {
		return syscall.EIO
	}
	return f.File.Truncate(size)
}

func diskPlan(f *haproxytest.Fake) string {
	return lockPlan("disk", f, setting("a", "web3", 10), setting("b", "web4", 20), setting("c", "web3", 30))
}

// TestAFullDiskStopsARunBeforeItsNextChange fails each record of a run in turn: nothing may be changed that the journal
// does not hold, and with space again the run goes on as if nothing had been.
func TestAFullDiskStopsARunBeforeItsNextChange(t *testing.T) {
	t.Parallel()
	whole, f := newHome(t, memoryDir(t)), quietFake(t)
	whole.wants([]int{0}, "run", whole.file("p.yaml", diskPlan(f)))
	writes := f.Commands()
	records := whole.records()
	points := 0
	for name, d := range map[string]badDisk{
		"the disk is full":                        {write: syscall.ENOSPC},
		"the disk is full and keeps half a line":  {write: syscall.ENOSPC, stuck: true},
		"the disk is full at the fsync":           {sync: syscall.ENOSPC},
		"an fsync fails, the record may be there": {sync: syscall.EIO, stuck: true},
	} {
		for at := 1; at <= len(records); at++ {
			h, f := newHome(t, memoryDir(t)), quietFake(t)
			d.at = at
			plan := h.file("p.yaml", diskPlan(f))
			got := h.with(d.wrap, "run", plan)
			if got.code != 16 || !strings.Contains(got.err, "not written to disk") {
				t.Fatalf("%s at record %d: want exit 16 and why, got %s", name, at, got)
			}
			if full := errors.Is(errors.Join(d.write, d.sync), syscall.ENOSPC); full && (!strings.Contains(got.err, "no space left") || !strings.Contains(got.err, "hint: free some space")) {
				t.Errorf("%s at record %d: %s", name, at, got)
			}
			made := 0 // changes whose intent is durable
			for _, r := range records[:at-1] {
				if r.Type == journal.TypeIntent {
					made++
				}
			}
			if diff := cmp.Diff(writes[:made], f.Commands(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s at record %d: writes (-want +got):\n%s", name, at, diff)
			}
			switch {
			case at == 1 && (!d.stuck || d.write != nil): // there is no run
				h.wants([]int{3}, "resume")
				h.wants([]int{0}, "run", plan)
			case at == len(records) && d.stuck && d.write == nil: // its end is on the disk after all
				h.wants([]int{3}, "resume")
			default:
				h.wants([]int{0}, "resume")
			}
			if diff := cmp.Diff(writes, f.Commands()); diff != "" {
				t.Errorf("%s at record %d, resumed: writes (-want +got):\n%s", name, at, diff)
			}
			points++
		}
	}
	t.Logf("points %d", points)
}

// TestAStateDirectoryThatCannotBeWrittenBeginsNothing: no lock, no journal, no change.
func TestAStateDirectoryThatCannotBeWrittenBeginsNothing(t *testing.T) {
	f := quietFake(t)
	t.Run("it belongs to somebody else", func(t *testing.T) {
		dir := t.TempDir()
		h := newHome(t, dir)
		plan := h.file("p.yaml", diskPlan(f))
		if err := os.Chmod(plan, 0o644); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		open := filepath.Dir(f.Socket)
		if err := errors.Join(os.Chmod(open, 0o755), os.Chmod(f.Socket, 0o666)); err != nil {
			t.Fatal(err)
		}
		state := filepath.Join(dir, "state")
		if err := os.Mkdir(state, 0o500); err != nil {
			t.Fatal(err)
		}
		code := runPowerless(t, &out, dir, []string{"run", plan})
		if code != 1 || !strings.Contains(out.String(), "permission denied") || !strings.Contains(out.String(), "hint: "+state+"/locks must belong to the user that runs flip") {
			t.Errorf("exit %d\n%s", code, out.String())
		}
	})
	t.Run("its file system is read-only", func(t *testing.T) {
		h := newHome(t, t.TempDir())
		got := h.with(func(app *flip.App) {
			app.Files = func(o *journal.FileOptions) {
				o.OpenFile = func(path string, _ int, _ fs.FileMode) (journal.File, error) {
					return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.EROFS}
				}
			}
		}, "run", h.file("p.yaml", diskPlan(f)))
		if got.code != 1 || !strings.Contains(got.err, "is on a read-only file system; keep runs elsewhere with --state-dir") {
			t.Errorf("%s", got)
		}
		if id := h.run(); id != "" {
			t.Errorf("run %s was begun", id)
		}
	})
	if got := f.Commands(); len(got) > 0 {
		t.Errorf("flip wrote %q", got)
	}
}

// refuses runs a command that must end with an error and a hint, and touch neither servers nor journal.
func (h *home) refuses(f *haproxytest.Fake, code int, says, hint string, args ...string) {
	h.Helper()
	before, files := f.Commands(), h.journal()
	got := h.flip(args...)
	if got.code != code || !strings.Contains(got.err, says) || !strings.Contains(got.err, "hint: ") || !strings.Contains(got.err, hint) {
		h.Errorf("flip %s: want exit %d, %q and the hint %q, got %s", strings.Join(args, " "), code, says, hint, got)
	}
	if diff := cmp.Diff(before, f.Commands()); diff != "" {
		h.Errorf("flip %s wrote (-before +after):\n%s", strings.Join(args, " "), diff)
	}
	if !bytes.Equal(files, h.journal()) {
		h.Errorf("flip %s changed the journal", strings.Join(args, " "))
	}
}

func (h *home) journal() []byte {
	h.Helper()
	b, err := os.ReadFile(filepath.Join(h.dir, "state", "runs", h.run(), "journal.jsonl"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		h.Fatal(err)
	}
	return b
}

func TestARunThatDoesNotExistIsSaid(t *testing.T) {
	f, h := quietFake(t), newHome(t, t.TempDir())
	h.wants([]int{0}, "run", h.file("p.yaml", lockPlan("p", f, setting("a", "web3", 11))))
	const id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
	for _, args := range [][]string{{"resume", id}, {"rollback", id, "--yes"}, {"show", id}, {"logs", id}, {"status", id}, {"stop", id}, {"approve", id, "x"}} {
		h.refuses(f, 3, "no such run", h.run(), args...)
	}
}

func TestARunOfANewerFlipIsLeftAlone(t *testing.T) {
	f := quietFake(t)
	for name, age := range map[string]func(h *home, was []journal.Record){
		"its interpreter is newer": func(h *home, was []journal.Record) {
			dir := filepath.Join(h.dir, "state", "runs", h.run())
			if err := os.Remove(filepath.Join(dir, "journal.jsonl")); err != nil {
				h.Fatal(err)
			}
			h.chain(was, func(r journal.Record) journal.Record {
				m, err := journal.Decode[journal.Meta](r)
				if err != nil {
					h.Fatal(err)
				}
				if r.Type == journal.TypeRun {
					m.Interpreter = engine.InterpreterVersion + 1
					r.Data = journal.Encode(m)
				}
				return r
			})
		},
		"its format is newer": func(h *home, _ []journal.Record) {
			path := filepath.Join(h.dir, "state", "runs", h.run(), "journal.jsonl")
			b := h.journal()
			newer := bytes.Replace(b, fmt.Appendf(nil, `{"v":%d,`, journal.Format), fmt.Appendf(nil, `{"v":%d,`, journal.Format+1), 1)
			if bytes.Equal(b, newer) {
				h.Fatalf("no format in %s", b[:min(len(b), 80)])
			}
			if err := os.WriteFile(path, newer, 0o600); err != nil {
				h.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t, t.TempDir())
			h.wants([]int{11}, "run", h.file("p.yaml", lockPlan("p", f, setting("a", "web3", 11), "  - {id: check, run: \"false\", undo: none, on_fail: pause}\n")))
			age(h, h.records())
			for _, args := range [][]string{{"resume"}, {"rollback", "--yes"}} {
				h.refuses(f, 4, "written by a newer flip", "use the flip that began the run", args...)
			}
		})
	}
}

// chain writes the newest run's journal anew, every record as change makes it.
func (h *home) chain(was []journal.Record, change func(journal.Record) journal.Record) {
	h.Helper()
	id := h.run()
	if id == "" { // the journal was taken away
		dirs, err := os.ReadDir(filepath.Join(h.dir, "state", "runs"))
		if err != nil || len(dirs) != 1 {
			h.Fatal(dirs, err)
		}
		id = dirs[0].Name()
	}
	dir := filepath.Join(h.dir, "state", "runs", id)
	files := map[string][]byte{}
	for _, name := range []string{"plan.yaml", "vars.yaml", "plan.lock.json"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			h.Fatal(err)
		}
		files[name] = b
	}
	if err := os.RemoveAll(dir); err != nil {
		h.Fatal(err)
	}
	log, err := h.store().Create(h.Context(), id, files)
	if err != nil {
		h.Fatal(err)
	}
	defer log.Close()
	for _, r := range was {
		if _, err := log.Append(h.Context(), change(r)); err != nil {
			h.Fatal(err)
		}
	}
}

func TestAnEditedPlanIsFollowedOnlyWhereTheRunHasNotBeen(t *testing.T) {
	paused := func(t *testing.T) (*home, *haproxytest.Fake, string) {
		f, h := quietFake(t), newHome(t, t.TempDir())
		fixed := filepath.Join(h.dir, "fixed")
		plan := h.file("p.yaml", lockPlan("p", f, setting("a", "web3", 11), "  - {id: check, run: \"test -e "+fixed+"\", undo: none, on_fail: pause}\n", setting("b", "web4", 21)))
		h.wants([]int{11}, "run", plan)
		h.file("fixed", "")
		return h, f, plan
	}
	t.Run("a step to come", func(t *testing.T) {
		h, f, plan := paused(t)
		h.file("p.yaml", edited(t, plan, "weight: 21", "weight: 22"))
		h.refuses(f, 4, "was edited since the run began", "--accept-plan-change", "resume")
		h.wants([]int{0}, "resume", "--accept-plan-change")
		if diff := cmp.Diff([]string{"set server be_web/web3 weight 11", "set server be_web/web4 weight 22"}, f.Commands()); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
		h.wants([]int{0}, "rollback")
		if got := f.Server("be_web", "web4").Weight; got != 0 {
			t.Errorf("web4 has weight %d after the rollback", got)
		}
	})
	t.Run("a finished step", func(t *testing.T) {
		h, f, plan := paused(t)
		h.file("p.yaml", edited(t, plan, "weight: 11", "weight: 12"))
		h.refuses(f, 4, `step "a" was edited, and the run has begun it`, "only what the run has not begun yet may be edited", "resume", "--accept-plan-change")
		h.wants([]int{0}, "rollback")
	})
	t.Run("not a plan any more", func(t *testing.T) {
		h, f, plan := paused(t)
		h.file("p.yaml", edited(t, plan, "weight: 21", "wieght: 21"))
		h.refuses(f, 4, "was edited since the run began", "--accept-plan-change", "resume")
		h.refuses(f, 3, "wieght", "weight", "resume", "--accept-plan-change")
		h.wants([]int{0}, "rollback")
	})
}

func TestARunThatGoesOnIsNotRolledBackOrResumedUnderIt(t *testing.T) {
	f, h := quietFake(t), newHome(t, t.TempDir())
	c := h.start(childOrder{}, "run", h.file("p.yaml", lockPlan("p", f, setting("a", "web3", 11), "  - {id: w, wait: 5m}\n", setting("b", "web4", 21))))
	soon(t, "the wait", func() bool {
		return h.run() != "" && slices.ContainsFunc(h.records(), func(r journal.Record) bool { return r.Type == journal.TypeSleep })
	})
	h.refuses(f, 5, "is still going on", "flip stop", "rollback", "--yes")
	h.refuses(f, 5, "is locked by run", "that process drives this run", "resume")
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if got := h.wait(c); got.code != 16 {
		t.Errorf("after Ctrl-C: want exit 16, got %s", got)
	}
	h.wants([]int{0}, "rollback", "--yes")
	if got := f.Server("be_web", "web3").Weight; got != 0 {
		t.Errorf("web3 has weight %d after the rollback", got)
	}
}
