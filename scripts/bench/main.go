// Command bench measures what flip costs beside the systems that it changes:
// weights of a large HAProxy backend against the fastest raw method and
// HAProxy's own Go client, the overhead of a step, how soon traffic is back
// after a gate failed, start, size, memory. docs/benchmarks.md explains the
// rows. A missed goal is printed, not an error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// limit bounds everything together; the build of flip is not part of it.
const limit = 3 * time.Minute

func main() {
	var b bench
	asJSON := flag.Bool("json", false, "print one line of JSON instead of the table")
	only := flag.String("only", "", "measure only these parts, with commas between: "+strings.Join(partNames(), ", "))
	flag.IntVar(&b.rounds, "n", 3, "rounds; each method's best one counts")
	flag.IntVar(&b.servers, "servers", 10_000, "servers of the large backend")
	flag.StringVar(&b.flip, "flip", "", "measure this program instead of a new build")
	flag.Parse()
	if err := b.run(context.Background(), *only, *asJSON, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one call of the program.
type bench struct {
	rounds, servers int
	flip            string // the program under test
	dir             string
	rows            []row
}

// part measures some rows.
type part struct {
	name string
	run  func(*bench, context.Context) error
}

func parts() []part {
	return []part{
		{"start", (*bench).start},
		{"plan", (*bench).planLoad},
		{"steps", (*bench).steps},
		{"gate", (*bench).gate},
		{"weights", (*bench).weights},
	}
}

func partNames() []string {
	var names []string
	for _, p := range parts() {
		names = append(names, p.name)
	}
	return names
}

func (b *bench) run(ctx context.Context, only string, asJSON bool, out io.Writer) error {
	chosen := parts()
	if only != "" {
		words := strings.Split(only, ",")
		for _, w := range words {
			if !slices.Contains(partNames(), w) {
				return fmt.Errorf("-only %s: there are %s", w, strings.Join(partNames(), ", "))
			}
		}
		chosen = slices.DeleteFunc(chosen, func(p part) bool { return !slices.Contains(words, p.name) })
	}
	if b.rounds < 1 || b.servers < 1000 {
		return errors.New("-n is at least 1, -servers at least 1000")
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "flip-bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.flip == "" {
		b.flip = filepath.Join(b.dir, "flip")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.flip, ".")
		if text, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build flip: %w\n%s", err, text)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var errs []error
	for _, p := range chosen {
		if err := p.run(b, ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errors.Join(append(errs, b.print(asJSON, out))...)
}

// call is one run of flip: how long it took and what it needed.
type call struct {
	took   time.Duration
	cpu    time.Duration // user and system
	memory int64         // peak, bytes
	stdout string
	stderr string
}

// exec runs flip and wants its exit code.
func (b *bench) exec(ctx context.Context, want int, env []string, args ...string) (call, error) {
	cmd := exec.CommandContext(ctx, b.flip, args...)
	cmd.Env = append(os.Environ(), "FLIP_STATE_DIR="+filepath.Join(b.dir, "state"), "NO_COLOR=1", "CI=true")
	cmd.Env = append(cmd.Env, env...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	c := call{took: time.Since(began), stdout: stdout.String(), stderr: stderr.String()}
	if cmd.ProcessState == nil {
		return c, err
	}
	c.cpu, c.memory = cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), peakMemory(cmd.ProcessState)
	if code := cmd.ProcessState.ExitCode(); code != want {
		return c, fmt.Errorf("flip %s ended with %d, not %d: %w\n%s", args[0], code, want, err, c.stderr)
	}
	return c, nil
}

// write puts a file into the bench's own directory.
func (b *bench) write(name, text string) (string, error) {
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
