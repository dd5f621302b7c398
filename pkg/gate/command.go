package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
)

const (
	commandTimeout = 10 * time.Second
	// mostStderr is how much of the end of stderr is kept, in bytes.
	mostStderr = 4 << 10
	// lingering is how long a process that has left the group may keep the
	// output open after the command ended.
	lingering = time.Second
)

// CommandConfig is the configuration of the command gate.
type CommandConfig struct {
	Argv    []string              `yaml:"argv"`    // program and arguments
	Shell   string                `yaml:"shell"`   // or a line for /bin/sh -c
	Dir     string                `yaml:"dir"`     // where it runs; flip's own when left out
	Env     map[string]secret.Ref `yaml:"env"`     // added to flip's environment; may be secret references
	Exit    int                   `yaml:"exit"`    // the status that passes; 0 when left out
	JSON    map[string]Scalar     `yaml:"json"`    // expected values by path in what it prints
	Pass    string                `yaml:"pass"`    // condition over body (what it prints, parsed JSON) and text
	Timeout time.Duration         `yaml:"timeout"` // of a look; 10s when left out
}

// output is what a condition over a command may name.
type output struct {
	Body any    `expr:"body"`
	Text string `expr:"text"`
}

// Validate says what is wrong with c.
func (c *CommandConfig) Validate() error {
	switch {
	case len(c.Argv) == 0 && c.Shell == "":
		return hint.Wrap(errors.New("argv is missing"), `argv: [./check, "--all"], or shell: a line for /bin/sh`)
	case len(c.Argv) > 0 && c.Shell != "":
		return errors.New("argv and shell are both given; drop one")
	case len(c.Argv) > 0 && c.Argv[0] == "":
		return errors.New("argv: the program's name is empty")
	case c.Timeout < 0:
		return errors.New("timeout cannot be negative")
	case c.Exit < 0 || c.Exit > 255:
		return fmt.Errorf("exit: %d is not a status between 0 and 255", c.Exit)
	}
	if slices.ContainsFunc(append(slices.Clone(c.Argv), c.Shell), secret.IsRef) {
		return hint.Wrap(errors.New("a secret in a command line can be seen by every user of the machine"),
			"hand it over in env")
	}
	for k := range c.Env {
		if k == "" || strings.ContainsAny(k, "=\x00") {
			return fmt.Errorf("env: %q is not a variable's name", k)
		}
	}
	if err := jsonRules(c.JSON).validate(); err != nil {
		return err
	}
	_, err := compile(c.Pass, output{}, "body and text")
	return err
}

// Command is the gate that runs a program. Another exit status than the
// expected one, and no end within the timeout, are a no. A program that cannot
// be started, exits with 126 or 127 (POSIX shell: not executable, not found)
// or is killed by somebody else could not look.
func Command() Kind {
	return Define("command", "A program exits with the expected status", func(c CommandConfig, env Env) (Gate, error) {
		pass, err := compile(c.Pass, output{}, "body and text")
		if err != nil {
			return nil, err
		}
		c.Timeout = cmp.Or(c.Timeout, commandTimeout)
		return &commandGate{c, env, pass}, nil
	})
}

type commandGate struct {
	CommandConfig
	env  Env
	pass condition
}

// LookLimit leaves room for the gate's own timeout.
func (g *commandGate) LookLimit() time.Duration { return g.Timeout + grace }

// Check runs the program once. A program that is cut off, or leaves its output
// open, does not outlive the look, nor does its process group.
func (g *commandGate) Check(ctx context.Context) (Result, error) {
	res, err := g.look(ctx)
	return g.env.clean(res, err)
}

func (g *commandGate) look(ctx context.Context) (Result, error) {
	env, err := g.env.revealAll(ctx, g.Env)
	if err != nil {
		return Result{}, fmt.Errorf("env: %w", err)
	}
	argv := g.Argv
	if g.Shell != "" {
		argv = []string{"/bin/sh", "-c", g.Shell}
	}
	timed, cancel := context.WithTimeout(ctx, g.Timeout)
	defer cancel()
	cmd := exec.CommandContext(timed, argv[0], argv[1:]...)
	cmd.Dir = g.Dir
	cmd.Env = os.Environ()
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	stdout, stderr := &head{most: mostBody}, &tail{most: mostStderr}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = lingering
	ownGroup(cmd)
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case timed.Err() != nil && err != nil:
		return Result{Detail: "no end within " + brief(g.Timeout) + stderr.lastLine()}, nil
	case errors.Is(err, exec.ErrWaitDelay):
		_ = killGroup(cmd) // it may have left the group: then nothing is there
		return Result{}, hint.Wrap(errors.New("the command ended, but a process it left behind keeps its output open"),
			"redirect the output of what runs in the background")
	}
	return g.judge(err, cmd, stdout, stderr)
}

func (g *commandGate) judge(err error, cmd *exec.Cmd, stdout *head, stderr *tail) (Result, error) {
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return Result{}, fmt.Errorf("start: %w", err)
	}
	code := cmd.ProcessState.ExitCode()
	if code < 0 {
		return Result{}, fmt.Errorf("%s%s", cmd.ProcessState, stderr.lastLine())
	}
	if code != g.Exit && (code == 126 || code == 127) {
		return Result{}, fmt.Errorf("exit %d: the command was not found or cannot be executed%s", code, stderr.lastLine())
	}
	exit := fmt.Sprintf("exit %d", code)
	if code != g.Exit {
		return Result{Detail: exit + stderr.lastLine()}, nil
	}
	complaint := jsonRules(g.JSON).complaint(stdout.buf, g.env.redact)
	if complaint == "" && g.pass.given() {
		complaint = g.pass.complaint(stdout.buf, g.env.redact, func(parsed any) any { return output{parsed, string(stdout.buf)} })
	}
	if complaint != "" {
		return no("%s, %s", exit, complaint), nil
	}
	exit += jsonRules(g.JSON).shown(stdout.buf, g.env.redact)
	if g.pass.given() {
		exit += g.pass.shown(output{parsed(stdout.buf), string(stdout.buf)}, g.env.redact)
	}
	return yes("%s", exit), nil
}

// head keeps the beginning of what is written. It embeds no buffer: one that
// can read by itself would be copied into without a bound.
type head struct {
	buf  []byte
	most int
}

func (h *head) Write(p []byte) (int, error) {
	h.buf = append(h.buf, p[:min(len(p), h.most-len(h.buf))]...)
	return len(p), nil
}

// tail keeps the end of what is written.
type tail struct {
	buf  []byte
	most int
}

func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p...)
	if extra := len(t.buf) - t.most; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(p), nil
}

// lastLine is the last line with text, as an addition to a detail.
func (t *tail) lastLine() string {
	lines := strings.Split(strings.TrimSpace(string(t.buf)), "\n")
	if last := excerpt(lines[len(lines)-1], 200); last != "" {
		return ": " + last
	}
	return ""
}
