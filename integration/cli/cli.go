// Package cli builds flip and calls it as a user does, for shows and proofs
// that are programs of their own.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Flip is a flip of its own: built from this module, with its own state.
type Flip struct {
	path, state string
	env         []string
	out         io.Writer
}

// Build builds flip into dir, where its runs are kept too. The module's root
// must be the working directory. env is added to its environment, as
// "NAME=value"; what flip prints goes to out.
func Build(ctx context.Context, dir string, out io.Writer, env ...string) (Flip, error) {
	f := Flip{path: filepath.Join(dir, "flip"), state: filepath.Join(dir, "state"), env: env, out: out}
	if b, err := exec.CommandContext(ctx, "go", "build", "-o", f.path, ".").CombinedOutput(); err != nil {
		return Flip{}, fmt.Errorf("build flip: %w\n%s", err, b)
	}
	return f, nil
}

// Command is a call that was not made yet.
func (f Flip) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, f.path, args...)
	cmd.Env = append(os.Environ(), "FLIP_STATE_DIR="+f.state, "NO_COLOR=1")
	cmd.Env = append(cmd.Env, f.env...)
	return cmd
}

// Call shows the call and what it prints, and wants its exit code.
func (f Flip) Call(ctx context.Context, want int, args ...string) error {
	fmt.Fprint(f.out, "$ flip")
	for _, a := range args {
		fmt.Fprint(f.out, " "+a)
	}
	fmt.Fprintln(f.out)
	cmd := f.Command(ctx, args...)
	cmd.Stdout, cmd.Stderr = f.out, f.out
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != want {
		return fmt.Errorf("flip %s ended with %d instead of %d: %w", args[0], code, want, err)
	}
	fmt.Fprintf(f.out, "exit %d\n", want)
	return nil
}
