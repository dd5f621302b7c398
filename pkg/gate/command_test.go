//go:build unix

package gate

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/secret"
)

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "plain"), "not executable")
	tests := []struct {
		name string
		c    CommandConfig
		want string
	}{
		{"exit 0 passes", CommandConfig{Argv: []string{"true"}}, "pass: exit 0"},
		{"another exit is a no with the last line of stderr", CommandConfig{Shell: "echo a >&2; echo 'lag is 40s' >&2; exit 3"}, "no: exit 3: lag is 40s"},
		{"another exit can be the expected one", CommandConfig{Shell: "exit 3", Exit: 3}, "pass: exit 3"},
		{"exit 0 is a no where another is expected", CommandConfig{Shell: "exit 0", Exit: 3}, "no: exit 0"},
		{"a command that is not found could not look", CommandConfig{Shell: "no-such-command-here 2>/dev/null"}, "blind: exit 127: the command was not found or cannot be executed"},
		{"a command that cannot be executed could not look", CommandConfig{Shell: "./plain 2>/dev/null", Dir: dir}, "blind: exit 126: the command was not found or cannot be executed"},
		{"exit 127 can be the expected one", CommandConfig{Shell: "exit 127", Exit: 127}, "pass: exit 127"},
		{"a program that does not exist could not look", CommandConfig{Argv: []string{"/nonexistent"}}, "blind: start: fork/exec /nonexistent: no such file or directory"},
		{"a command that is killed could not look", CommandConfig{Shell: "kill -TERM $$"}, "blind: signal: terminated"},
		{"no end in time is a no", CommandConfig{Shell: "echo still busy >&2; exec sleep 60", Timeout: 2 * time.Second}, "no: no end within 2s: still busy"},
		{"values of what it prints", CommandConfig{Shell: `echo '{"lag": 0.5}'`, JSON: map[string]Scalar{"lag": "0.50"}}, "pass: exit 0, lag is 0.5"},
		{"another value of what it prints", CommandConfig{Shell: `echo '{"lag": 3}'`, JSON: map[string]Scalar{"lag": "0"}}, "no: exit 0, lag is 3, not 0"},
		{"a condition over what it prints", CommandConfig{Shell: `echo '{"lag": 3}'`, Pass: "body.lag < 5"}, "pass: exit 0, body.lag is 3"},
		{"a condition over text", CommandConfig{Shell: `echo fine`, Pass: `text contains "fine"`}, `pass: exit 0, text is "fine"`},
		{"a condition that is false", CommandConfig{Shell: `echo '{"lag": 7}'`, Pass: "body.lag < 5"}, "no: exit 0, not body.lag < 5, body.lag is 7"},
		{"it runs where the plan says", CommandConfig{Shell: `test "$PWD" = "` + dir + `"`, Dir: dir}, "pass: exit 0"},
		{"a secret reaches it and is not shown", CommandConfig{Shell: `echo "password $PW" >&2; exit ${#PW}`, Env: map[string]secret.Ref{"PW": "${env:TOKEN}"}}, "no: exit 6: password ***"},
		{"a missing secret could not look", CommandConfig{Shell: "true", Env: map[string]secret.Ref{"PW": "${env:NONE}"}}, "blind: env: PW: secret ${env:NONE}: environment variable NONE is not set"},
		{"the first megabyte of what it prints counts", CommandConfig{Shell: "head -c 3000000 /dev/zero", Pass: "len(text) == 1048576"}, `pass: exit 0, text is ""`},
		{"much output does not fill the memory", CommandConfig{Shell: "head -c 3000000 /dev/zero; head -c 300000 /dev/zero >&2; echo end >&2; exit 1"}, "no: exit 1: end"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := build(t, Command(), test.c, Env{Secrets: secrets(map[string]string{"TOKEN": "s3cret"})})
			check(t, "look", test.want, look(t, g))
		})
	}
}

// The shell starts a grandchild and waits for it; killing the shell alone
// would leave it running.
func TestATimeoutKillsTheWholeGroup(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	c := CommandConfig{Shell: `sleep 300 & echo $! > "$OUT"; wait`, Timeout: 2 * time.Second, Env: map[string]secret.Ref{"OUT": secret.Ref(pidFile)}}
	check(t, "look", "no: no end within 2s", look(t, build(t, Command(), c, Env{})))
	wantGone(t, pidFile)
}

func TestACancelKillsTheWholeGroup(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	c := CommandConfig{Shell: `sleep 300 & echo $! > "$OUT"; wait`, Env: map[string]secret.Ref{"OUT": secret.Ref(pidFile)}}
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
			if b, err := os.ReadFile(pidFile); err == nil && strings.HasSuffix(string(b), "\n") || ctx.Err() != nil {
				tick.Stop()
				cancel(errStop)
				return
			}
		}
	}()
	check(t, "look", "blind: the operator said stop", outcomeOf(build(t, Command(), c, Env{}).Check(ctx)))
	wantGone(t, pidFile)
}

// wantGone waits until the process is gone or a zombie that nobody reaped.
func wantGone(t *testing.T, pidFile string) {
	t.Helper()
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); time.Now().Before(deadline); <-tick.C {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if errors.Is(err, fs.ErrNotExist) && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("process %d outlived the look", pid)
}

func TestOutputLeftOpenCouldNotLook(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	c := CommandConfig{Shell: `sleep 300 & echo $! > "$OUT"`, Env: map[string]secret.Ref{"OUT": secret.Ref(pidFile)}}
	check(t, "look", "blind: the command ended, but a process it left behind keeps its output open", look(t, build(t, Command(), c, Env{})))
	wantGone(t, pidFile)
}

func TestCommandConfigValidate(t *testing.T) {
	tests := []struct {
		name string
		c    CommandConfig
		want string
	}{
		{"something must run", CommandConfig{}, "argv is missing"},
		{"one thing must run", CommandConfig{Argv: []string{"a"}, Shell: "b"}, "argv and shell are both given; drop one"},
		{"a program has a name", CommandConfig{Argv: []string{""}}, "argv: the program's name is empty"},
		{"a secret does not go into argv", CommandConfig{Argv: []string{"a", "${env:PW}"}}, "a secret in a command line can be seen by every user of the machine"},
		{"a secret does not go into a shell line", CommandConfig{Shell: "a ${file:/pw}"}, "a secret in a command line can be seen by every user of the machine"},
		{"an exit is a byte", CommandConfig{Shell: "a", Exit: 256}, "exit: 256 is not a status between 0 and 255"},
		{"no negative timeout", CommandConfig{Shell: "a", Timeout: -1}, "timeout cannot be negative"},
		{"a variable has a name", CommandConfig{Shell: "a", Env: map[string]secret.Ref{"A=B": ""}}, `env: "A=B" is not a variable's name`},
		{"a path of JSON is not empty", CommandConfig{Shell: "a", JSON: map[string]Scalar{"": ""}}, "json: a path is empty"},
		{"a condition compiles", CommandConfig{Shell: "a", Pass: "body.x <"}, "pass: unexpected token EOF at column 8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { check(t, "error", test.want, text(Command().Check(decoder(test.c)))) })
	}
}
