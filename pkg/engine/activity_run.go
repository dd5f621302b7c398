package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/secret"
)

// outputTail is how much of a command's output goes into the journal; all of
// it is in the run's log file.
const outputTail = 4 << 10

// outputPrefix begins the names of the files that commands leave outputs in,
// while they run.
const outputPrefix = "output-"

// sweepOutputs removes what a command of a process that died left its outputs
// in: they may be secrets, and nobody reads them any more.
func sweepOutputs(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), outputPrefix) {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

// run executes a command of the plan, or a command's undo. The whole process
// group is ended at the deadline. What it prints is streamed to the run's log
// with every known secret replaced.
func (x *Executor) run(ctx context.Context, key string, in journal.Command) (journal.Exit, error) {
	if err := x.mayAsk(askTimeout); err != nil {
		return journal.Exit{}, err
	}
	ctx, cancel := x.withDeadline(ctx, in.Deadline)
	defer cancel()
	x.holdOn(ctx, in.Held)
	argv := in.Argv
	if in.Shell != "" {
		argv = []string{"/bin/sh", "-c", in.Shell}
	}
	outputs, err := os.CreateTemp(x.Dir, outputPrefix+"*")
	if err != nil {
		return journal.Exit{}, fmt.Errorf("run: %w", err)
	}
	defer os.Remove(outputs.Name())
	defer outputs.Close()
	logFile, err := x.openLog(in)
	if err != nil {
		return journal.Exit{}, fmt.Errorf("run: %w", err)
	}
	defer logFile.Close()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = in.Dir
	if cmd.Env, err = x.environ(ctx, in.Env, outputs.Name()); err != nil {
		return journal.Exit{}, err
	}
	if cmd.Args, err = x.revealAll(ctx, cmd.Args); err != nil {
		return journal.Exit{}, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second
	sink := &lineSink{tail: outputTail, emit: func(line string) {
		line = x.Secrets.Redactor.Text(line)
		fmt.Fprintln(logFile, line)
		x.Look(key, journal.LookData{Text: line})
	}}
	cmd.Stdout, cmd.Stderr = sink, sink
	err = cmd.Run()
	x.missed.forget()
	sink.flush()
	exit := journal.Exit{Output: x.Secrets.Redactor.Text(sink.kept)}
	var code *exec.ExitError
	switch {
	case ctx.Err() != nil && stopped(context.Cause(ctx)):
		return exit, context.Cause(ctx)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return exit, fail(classTimeout, "command took longer than its time; its process group was killed")
	case errors.As(err, &code):
		exit.Code = code.ExitCode()
		if exit.Code < 0 {
			exit.Code = 128 + int(code.Sys().(syscall.WaitStatus).Signal())
		}
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return exit, fmt.Errorf("run: %w", err)
	}
	exit.Outputs, err = readOutputs(outputs.Name())
	exit.Hidden, exit.Fresh = x.hidden(exit.Outputs), true
	return exit, err
}

// hidden names the outputs that hold a secret.
func (x *Executor) hidden(outputs map[string]string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		if x.Secrets.Redactor.Text(outputs[name]) != outputs[name] {
			names = append(names, name)
		}
	}
	return names
}

func (x *Executor) openLog(in journal.Command) (io.WriteCloser, error) {
	path := filepath.Join(x.Dir, filepath.FromSlash(in.Log))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// environ is the process environment with the plan's additions.
func (x *Executor) environ(ctx context.Context, add map[string]string, outputs string) ([]string, error) {
	env := append(os.Environ(), "FLIP_OUTPUT="+outputs)
	for _, k := range slices.Sorted(maps.Keys(add)) {
		v, err := x.reveal(ctx, add[k])
		if err != nil {
			return nil, fmt.Errorf("env %s: %w", k, err)
		}
		env = append(env, k+"="+v)
	}
	return env, nil
}

// reveal resolves references to secrets, late and for this call only.
func (x *Executor) reveal(ctx context.Context, s string) (string, error) {
	if !secret.IsRef(s) {
		return s, nil
	}
	return x.Secrets.Resolve(ctx, secret.Ref(s))
}

func (x *Executor) revealAll(ctx context.Context, args []string) ([]string, error) {
	out := make([]string, len(args))
	for i, a := range args {
		v, err := x.reveal(ctx, a)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

// readOutputs reads the name=value lines that a command left for later steps.
func readOutputs(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if k, v, ok := strings.Cut(lines.Text(), "="); ok {
			out[strings.TrimSpace(k)] = v
		}
	}
	return out, lines.Err()
}

// lineSink cuts a stream into lines and keeps its end.
type lineSink struct {
	emit func(string)
	part []byte
	kept string
	tail int
}

func (s *lineSink) Write(p []byte) (int, error) {
	s.kept += string(p)
	if len(s.kept) > 2*s.tail {
		s.kept = s.kept[len(s.kept)-s.tail:]
	}
	s.part = append(s.part, p...)
	for {
		i := slices.Index(s.part, '\n')
		if i < 0 {
			break
		}
		s.emit(strings.TrimRight(string(s.part[:i]), "\r"))
		s.part = s.part[i+1:]
	}
	return len(p), nil
}

func (s *lineSink) flush() {
	if len(s.part) > 0 {
		s.emit(string(s.part))
		s.part = nil
	}
	if len(s.kept) > s.tail {
		s.kept = s.kept[len(s.kept)-s.tail:]
	}
}
