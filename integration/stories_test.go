package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/tools/txtar"

	"github.com/flip-cli/flip/pkg/driver/mem"
	"github.com/flip-cli/flip/pkg/state"
)

// TestStories runs testdata/stories: flip as people and pipelines use it, each
// command a process of its own. UPDATE=1 rewrites what `tells` compares with.
//
//	flip N ARG...           runs flip, which has to exit with N
//	start NAME FLIP-ARG...  runs flip beside the story
//	ends NAME N             waits for it, which has to exit with N
//	signal NAME SIGNAL      INT, TERM, HUP or KILL
//	hears NAME RE           waits until it has printed RE
//	until RE FLIP-ARG...    runs flip until it prints RE
//	outside FILE OBJECT ATTRIBUTE VALUE   somebody else changes a mem target
//	tells FILE              compares what was printed, with ids and times made the same
//	remember VAR RE         what the first group of RE finds in what was printed
func TestStories(t *testing.T) {
	t.Parallel()
	program := flipProgram(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/stories",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("FLIP_STATE_DIR", filepath.Join(env.WorkDir, "state"))
			env.Setenv("FLIP_WHO", "ann")
			env.Setenv("CI", "true")
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			s := &story{env: env, bin: filepath.Dir(program), beside: map[string]*beside{}}
			env.Values[storyKey{}] = s
			env.Defer(s.end)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"flip": cmdFlip, "start": cmdStart, "ends": cmdEnds, "signal": cmdSignal, "until": cmdUntil, "hears": cmdHears,
			"outside": cmdOutside, "tells": cmdTells, "remember": cmdRemember,
		},
	})
}

// flipProgram is this program under the name by which it is flip.
func flipProgram(tb testing.TB) string {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "flip")
	if os.Link(self, path) == nil {
		return path
	}
	from, err := os.Open(self)
	if err != nil {
		tb.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err == nil {
		_, err = io.Copy(to, from)
		err = errors.Join(err, to.Close())
	}
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

type storyKey struct{}

// story is what one script keeps between its commands.
type story struct {
	env    *testscript.Env
	bin    string // where flip is
	beside map[string]*beside
	said   string // what the last command printed: stdout, then stderr
}

// beside is a flip that runs while the story goes on.
type beside struct {
	cmd  *exec.Cmd
	out  lockedBuffer
	done chan struct{}
}

func storyOf(ts *testscript.TestScript) *story { return ts.Value(storyKey{}).(*story) }

// end kills what a story that failed left running.
func (s *story) end() {
	for _, b := range s.beside {
		_ = b.cmd.Process.Kill()
		<-b.done
	}
}

func cmdFlip(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	s := storyOf(ts)
	if got := s.run(ts, args[1:]); got != want {
		ts.Fatalf("exit %d, want %d", got, want)
	}
}

// run leaves what flip printed where stdout, stderr and tells look for it.
func (s *story) run(ts *testscript.TestScript, args []string) int {
	err := ts.Exec("flip", args...)
	s.said = ts.ReadFile("stdout") + ts.ReadFile("stderr")
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	ts.Fatalf("flip: %v", err)
	return -1
}

func cmdStart(ts *testscript.TestScript, _ bool, args []string) {
	s := storyOf(ts)
	b := &beside{done: make(chan struct{})}
	b.cmd = exec.Command("flip", args[1:]...)
	b.cmd.Path, b.cmd.Err = filepath.Join(s.bin, "flip"), nil
	b.cmd.Dir = ts.MkAbs(".")
	for _, v := range s.env.Vars {
		name, _, _ := strings.Cut(v, "=")
		b.cmd.Env = append(b.cmd.Env, name+"="+ts.Getenv(name))
	}
	b.cmd.Stdout, b.cmd.Stderr = &b.out, &b.out
	ts.Check(b.cmd.Start())
	s.beside[args[0]] = b
	go func() {
		_ = b.cmd.Wait() // cmdEnds looks at its state
		close(b.done)
	}()
}

func (s *story) named(ts *testscript.TestScript, name string) *beside {
	b, ok := s.beside[name]
	if !ok {
		ts.Fatalf("nothing was started as %s", name)
	}
	return b
}

func cmdEnds(ts *testscript.TestScript, _ bool, args []string) {
	s := storyOf(ts)
	b := s.named(ts, args[0])
	select {
	case <-b.done:
	case <-time.After(patience):
		ts.Fatalf("%s does not end; it said:\n%s", args[0], b.out.String())
	}
	delete(s.beside, args[0])
	s.said = b.out.String()
	fmt.Fprintf(ts.Stdout(), "%s", s.said)
	if got := b.cmd.ProcessState.ExitCode(); strconv.Itoa(got) != args[1] {
		ts.Fatalf("%s: exit %d, want %s; it said:\n%s", args[0], got, args[1], s.said)
	}
}

func cmdSignal(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": os.Kill}
	ts.Check(storyOf(ts).named(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

func cmdUntil(ts *testscript.TestScript, _ bool, args []string) {
	s := storyOf(ts)
	await(ts, args[0], func() string {
		s.run(ts, args[1:])
		return s.said
	})
}

func cmdHears(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, args[1], storyOf(ts).named(ts, args[0]).out.String)
}

// await asks until the answer matches, for as long as patience lasts.
func await(ts *testscript.TestScript, expr string, ask func() string) {
	re := regexp.MustCompile("(?m)" + expr)
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !re.MatchString(ask()) {
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("flip never said %s", re)
		}
	}
}

// cmdOutside writes into the file of a mem target, as another operator would.
func cmdOutside(ts *testscript.TestScript, _ bool, args []string) {
	target := mem.New(mem.Options{File: ts.MkAbs(args[0])})
	ts.Check(target.Set(args[1], args[2], state.Value(args[3])))
}

func cmdRemember(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile("(?m)" + args[1]).FindStringSubmatch(storyOf(ts).said)
	if len(found) < 2 {
		ts.Fatalf("no match for %s", args[1])
	}
	ts.Setenv(args[0], found[1])
}

func cmdTells(ts *testscript.TestScript, _ bool, args []string) {
	s := storyOf(ts)
	got := s.normal(s.said)
	if os.Getenv("UPDATE") == "1" {
		ts.Check(rewrite(filepath.Join("testdata", "stories", ts.Name()+".txtar"), args[0], got))
		return
	}
	if diff := cmp.Diff(ts.ReadFile(args[0]), got); diff != "" {
		ts.Fatalf("flip tells something else than %s (-want +got):\n%s", args[0], diff)
	}
}

// What differs from run to run.
var different = []struct {
	re *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`\b(just now|(\d+m )?\d+[sm] ago)`), "AGO"},
	{regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{26}\b`), "RUN"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)`), "TIME"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d UTC`), "DAY"},
	{regexp.MustCompile(`\b(\d{4}-\d\d-\d\d )?\d\d:\d\d(:\d\d)?\b`), "TIME"},
	{regexp.MustCompile(`\b(in|took|after|done) ( *)\d+(\.\d+)?(ms|s|m)( \d+s)?\b`), "$1 ${2}DUR"},
	{regexp.MustCompile(`\bwithin \d+(\.\d+)?(ms|s)\b`), "within DUR"},
	{regexp.MustCompile(`(  +)\d+(\.\d+)?(ms|s|m)(  +)`), "${1}DUR$4"},
	{regexp.MustCompile(`(?m)^.*(gate \w+: (ok|not ok): |\d in flight$|waiting, at most).*\n`), ""}, // looks, as time allows
	{regexp.MustCompile(`\bwaits \d+ms\b`), "waits DUR"},
	{regexp.MustCompile(`@[\w.-]+`), "@HOST"},
	{regexp.MustCompile(`\bon \S+ \(pid \d+`), "on HOST (pid PID"},
	{regexp.MustCompile(`(\S)  +`), "$1  "},
	{regexp.MustCompile(` +\n`), "\n"},
}

func (s *story) normal(text string) string {
	text = strings.ReplaceAll(text, s.env.WorkDir, "$WORK")
	for _, d := range different {
		text = d.re.ReplaceAllString(text, d.as)
	}
	return text
}

var rewriting sync.Mutex

// rewrite replaces one file of a script.
func rewrite(script, name, text string) error {
	rewriting.Lock()
	defer rewriting.Unlock()
	a, err := txtar.ParseFile(script)
	if err != nil {
		return err
	}
	for i := range a.Files {
		if a.Files[i].Name == name {
			a.Files[i].Data = []byte(text)
			return os.WriteFile(script, txtar.Format(a), 0o644)
		}
	}
	return fmt.Errorf("%s has no file %s", script, name)
}

// lockedBuffer is written by a process while the story reads it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
