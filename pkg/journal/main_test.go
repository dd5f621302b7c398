package journal_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/flip-cli/flip/pkg/journal"
)

// roleEnv makes the test binary another flip process: "drive" or "lock".
const roleEnv = "FLIP_JOURNAL_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "drive":
		drive(os.Args[1], os.Args[2])
	case "lock":
		lock(os.Args[1], os.Args[2])
	default:
		goleak.VerifyTestMain(m)
	}
}

// drive opens a run and appends a step for every line on stdin.
func drive(root, id string) {
	s, err := journal.NewFileStore(root, journal.FileOptions{})
	must(err)
	l, err := s.Open(context.Background(), id)
	must(err)
	_, err = l.Append(context.Background(), journal.Record{Type: journal.TypeTakeover, Data: journal.Encode(journal.Holder{Who: "child", Host: "here", PID: os.Getpid()})})
	must(err)
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		_, err := l.Append(context.Background(), step(in.Text(), "begin"))
		say(err)
	}
}

// lock takes two scopes for a run when told to, and keeps them until its stdin
// ends.
func lock(root, run string) {
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	in.Scan()
	_, err := journal.NewLocks(root, journal.LocksOptions{}).Acquire(context.Background(), scopes, journal.LockInfo{Run: run, Who: "child"}, journal.LockOptions{})
	say(err)
	in.Scan()
}

func say(err error) {
	_, locked := errors.AsType[*journal.LockedError](err)
	switch {
	case err == nil:
		fmt.Println("ok")
	case errors.Is(err, journal.ErrFenced):
		fmt.Println("fenced")
	case locked:
		fmt.Println("locked")
	default:
		fmt.Println(err)
	}
}

func must(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// child is another flip process.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func spawn(t *testing.T, role string, args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	c := &child{t, cmd, in, bufio.NewScanner(out)}
	if got := c.hear(); got != "ready" {
		t.Fatalf("child %s: %s", role, got)
	}
	return c
}

func (c *child) tell(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		c.t.Fatal(err)
	}
}

func (c *child) hear() string {
	c.t.Helper()
	if !c.out.Scan() {
		c.t.Fatalf("child said nothing: %v", c.out.Err())
	}
	return c.out.Text()
}

var began = time.Date(2026, 11, 21, 14, 2, 7, 0, time.UTC)

// clock is a clock that moves a second at each look.
func clock() func() time.Time {
	now := began
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

func newStore(t *testing.T, o journal.FileOptions) *journal.FileStore {
	t.Helper()
	s, err := journal.NewFileStore(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newRun begins a run with its first record.
func newRun(t *testing.T, s *journal.FileStore) journal.Log {
	t.Helper()
	l, err := s.Create(t.Context(), s.NewID(), map[string][]byte{"plan.yaml": []byte("flip: 1\n")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	add(t, l, journal.Record{Type: journal.TypeRun, Data: journal.Encode(journal.Meta{Plan: "shop-web", Hash: "abc", Flip: "1.0", Interpreter: 1, Started: began})})
	return l
}

func add(t *testing.T, l journal.Log, r journal.Record) journal.Record {
	t.Helper()
	r, err := l.Append(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func step(id, status string) journal.Record {
	return journal.Record{Type: journal.TypeStep, Key: "/steps/" + id, Data: journal.Encode(journal.Step{ID: id, Verb: "set", Status: status})}
}

func end(o journal.Outcome) journal.Record {
	return journal.Record{Type: journal.TypeEnd, Data: journal.Encode(journal.End{Outcome: o})}
}

func mentions(t *testing.T, what, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%s does not say %q:\n%s", what, w, text)
		}
	}
}

// sameData compares data as bytes: cmp is slow on long slices.
var sameData = cmp.Comparer(func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
