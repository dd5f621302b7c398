package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	flip "github.com/flip-cli/flip/cmd"
	"github.com/flip-cli/flip/pkg/driver/all"
	"github.com/flip-cli/flip/pkg/engine"
	"github.com/flip-cli/flip/pkg/gate"
	"github.com/flip-cli/flip/pkg/journal"
)

// childArg is the first argument by which this program is a flip that its test can kill, freeze and starve.
const childArg = "flip-child"

// childOrder says what happens to a flip. It stands in the environment of a child.
type childOrder struct {
	// KillAt is the record at which SIGKILL ends the process, once that record is durable; StopAt the same for SIGSTOP.
	KillAt, StopAt int `json:",omitempty"`
	// KillBefore ends it when the journal is there and holds no record yet.
	KillBefore bool `json:",omitempty"`
	// Lease and Beat of the locks.
	Lease, Beat time.Duration `json:",omitempty"`
	// NoSweep leaves out the last look after an unclean death.
	NoSweep bool `json:",omitempty"`
}

const orderEnv = "FLIP_TEST_CHILD"

func childMain(args []string) int {
	var o childOrder
	if err := json.Unmarshal([]byte(os.Getenv(orderEnv)), &o); err != nil {
		panic(err)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt)
	app := newApp(os.LookupEnv)
	app.In, app.Out, app.Err, app.Signals = os.Stdin, os.Stdout, os.Stderr, signals
	o.apply(app)
	return app.Run(context.Background(), args)
}

func newApp(getenv func(string) (string, bool)) *flip.App {
	return &flip.App{In: strings.NewReader(""), Drivers: all.Drivers(), Gates: gate.Kinds(), Getenv: getenv}
}

func (o childOrder) apply(app *flip.App) {
	self := func(s syscall.Signal) {
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			panic(err)
		}
	}
	app.OnRecord = func(r journal.Record) {
		switch r.Seq {
		case 0:
		case o.KillAt:
			self(syscall.SIGKILL)
			select {} // the signal is on its way
		case o.StopAt:
			self(syscall.SIGSTOP)
			time.Sleep(50 * time.Millisecond) // the signal is on its way
		}
	}
	app.Files = func(f *journal.FileOptions) {
		f.OpenFile = func(path string, flag int, mode fs.FileMode) (journal.File, error) {
			file, err := os.OpenFile(path, flag, mode)
			if o.KillBefore && filepath.Base(path) == "journal.jsonl" && flag&os.O_APPEND != 0 {
				self(syscall.SIGKILL)
				select {}
			}
			return file, err
		}
	}
	app.Runner = func(r *engine.Runner) {
		r.Lease, r.Beat, r.Sim.NoSweep = o.Lease, o.Beat, o.NoSweep
	}
}

// home is one state directory with what runs flip on it.
type home struct {
	testing.TB
	dir   string
	env   map[string]string // what flip is told beside the process's own environment
	order childOrder        // for flips in this process: Lease, Beat, NoSweep
}

func newHome(tb testing.TB, dir string) *home {
	return &home{TB: tb, dir: dir, env: map[string]string{
		"FLIP_STATE_DIR": filepath.Join(dir, "state"), "CI": "true", "FLIP_WHO": "ann", "NO_COLOR": "1", "GORACE": "atexit_sleep_ms=0",
	}}
}

// flip runs a command line in this process.
func (h *home) flip(args ...string) answer { return h.with(nil, args...) }

// with is flip after change was made to it.
func (h *home) with(change func(*flip.App), args ...string) answer {
	h.Helper()
	var out, errs lockedBuffer
	app := newApp(func(name string) (string, bool) {
		if v, ok := h.env[name]; ok {
			return v, true
		}
		return os.LookupEnv(name)
	})
	app.Out, app.Err = &out, &errs
	h.order.apply(app)
	if change != nil {
		change(app)
	}
	code := app.Run(h.Context(), args)
	return answer{code, out.String(), errs.String()}
}

// child is a flip in a process of its own.
type child struct {
	*exec.Cmd
	out, errs lockedBuffer
	done      chan struct{}
}

// start begins a flip that the order is about. It is killed with the test.
func (h *home) start(o childOrder, args ...string) *child {
	h.Helper()
	self, err := os.Executable()
	if err != nil {
		h.Fatal(err)
	}
	order, err := json.Marshal(o)
	if err != nil {
		h.Fatal(err)
	}
	c := &child{Cmd: exec.Command(self, append([]string{childArg}, args...)...), done: make(chan struct{})}
	c.Env = append(os.Environ(), orderEnv+"="+string(order))
	for k, v := range h.env {
		c.Env = append(c.Env, k+"="+v)
	}
	c.Dir = h.dir
	c.Stdout, c.Stderr = &c.out, &c.errs
	c.WaitDelay = time.Second
	if err := c.Start(); err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { _ = c.Process.Kill(); <-c.done })
	go func() {
		_ = c.Wait() // wait looks at its state
		close(c.done)
	}()
	return c
}

// wait returns how the child ended; its code is -1 when it was killed.
func (h *home) wait(c *child) answer {
	h.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		h.Fatalf("flip does not end; it said:\n%s%s", c.out.String(), c.errs.String())
	}
	return answer{c.ProcessState.ExitCode(), c.out.String(), c.errs.String()}
}

// dies runs a flip that its order must kill.
func (h *home) dies(o childOrder, args ...string) {
	h.Helper()
	c := h.start(o, args...)
	if got := h.wait(c); got.code != -1 {
		h.Fatalf("flip %s was to be killed (%+v): %s", strings.Join(args, " "), o, got)
	}
}

// wants runs a command that has to exit with one of codes.
func (h *home) wants(codes []int, args ...string) answer {
	h.Helper()
	got := h.flip(args...)
	if !slices.Contains(codes, got.code) {
		h.Fatalf("flip %s: want exit %v, got %s", strings.Join(args, " "), codes, got)
	}
	return got
}

// store is the state directory, for reading.
func (h *home) store() *journal.FileStore {
	h.Helper()
	s, err := journal.NewFileStore(h.env["FLIP_STATE_DIR"], journal.FileOptions{})
	if err != nil {
		h.Fatal(err)
	}
	return s
}

// run is the id of the newest run, "" when there is none.
func (h *home) run() string {
	h.Helper()
	ids, err := h.store().List(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	if len(ids) == 0 {
		return ""
	}
	return ids[0]
}

// records are those of the newest run.
func (h *home) records() []journal.Record {
	h.Helper()
	v, err := h.store().View(h.Context(), h.run())
	if err != nil {
		h.Fatal(err)
	}
	return v.Records()
}

// file writes a file of the home and returns its path.
func (h *home) file(name, text string) string {
	h.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.Fatal(err)
	}
	return path
}

// edited is a plan of the repository with replacements; each must be there.
func edited(tb testing.TB, path string, oldnew ...string) string {
	tb.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			tb.Fatalf("%s holds no %q", path, oldnew[i])
		}
		text = strings.ReplaceAll(text, oldnew[i], oldnew[i+1])
	}
	return text
}

// patience is how long what must come may take on a machine that does much else.
const patience = 3 * time.Minute

// soon polls until ok, for as long as patience lasts.
func soon(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	end := time.Now().Add(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(end) {
			tb.Fatalf("waited in vain for %s", what)
		}
		<-tick.C
	}
}

// stands waits until a process is frozen by SIGSTOP.
func stands(tb testing.TB, pid int) {
	tb.Helper()
	soon(tb, "SIGSTOP", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, fs.ErrNotExist) {
			tb.Fatalf("process %d ended instead of standing still", pid)
		}
		rest := stat[max(0, bytes.LastIndexByte(stat, ')')):]
		return bytes.HasPrefix(rest, []byte(") T"))
	})
}
