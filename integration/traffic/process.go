package traffic

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Arg is the first argument that tells a program to be the app: see Main.
const Arg = "traffic-app"

const greeting = "listening "

// Main runs an App as this process until SIGTERM (graceful, 10 s limit) or the end of stdin, so that it never outlives
// its parent. A program that calls StartProcess begins with
//
//	if len(os.Args) > 1 && os.Args[1] == traffic.Arg {
//		os.Exit(traffic.Main(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
//	}
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var cfg AppConfig
	flags := flag.NewFlagSet(Arg, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&cfg.Name, "name", "a", "`name` in the X-Srv header")
	flags.StringVar(&cfg.Version, "version", "v1", "`version` in the X-Version header")
	flags.StringVar(&cfg.Listen, "listen", "127.0.0.1:0", "`address` to listen on")
	flags.DurationVar(&cfg.WarmUp, "warm-up", 0, "`time` of being unhealthy after the start")
	flags.Float64Var(&cfg.ErrorRate, "error-rate", 0, "`share` of answers that are 500, 0 to 1")
	flags.StringVar(&cfg.Registry.URL, "registry", "", "`URL` of a Nacos server: be a gateway")
	flags.StringVar(&cfg.Registry.Service, "service", "", "`name` of the service behind the gateway")
	flags.DurationVar(&cfg.Registry.Cache, "cache", time.Second, "`time` for which a list of instances is used")
	if err := flags.Parse(args); err != nil {
		return 3
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	app, err := StartApp(cfg)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	fmt.Fprintln(stdout, greeting+app.Addr())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, stdin)
	}()
	select {
	case <-gone:
		app.Kill()
		return 0
	case <-ctx.Done():
	}
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := app.Shutdown(ctx); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// Process is an App in a process of its own, so that SIGKILL is a real one.
type Process struct {
	// Addr is "127.0.0.1:port"; PID the process.
	Addr string
	PID  int

	cmd   *exec.Cmd
	stdin io.Closer
	done  chan struct{} // closed when the process was waited for
}

// StartProcess runs this program again as the app and returns when it listens. The process ends with Kill, Terminate,
// the end of ctx, or the end of this process.
func StartProcess(ctx context.Context, cfg AppConfig) (*Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("app %s: %w", cfg.Name, err)
	}
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, self, Arg, "-name", cfg.Name, "-version", cfg.Version, "-listen", orLoopback(cfg.Listen),
		"-warm-up", cfg.WarmUp.String(), "-error-rate", fmt.Sprint(cfg.ErrorRate),
		"-registry", cfg.Registry.URL, "-service", cfg.Registry.Service, "-cache", cfg.Registry.Cache.String())
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("app %s: %w", cfg.Name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("app %s: %w", cfg.Name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("app %s: %w", cfg.Name, err)
	}
	line, readErr := bufio.NewReader(stdout).ReadString('\n')
	p := &Process{PID: cmd.Process.Pid, cmd: cmd, stdin: stdin, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait()
	}()
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), greeting)
	if readErr != nil || !ok {
		p.Kill()
		return nil, fmt.Errorf("app %s: said %q instead of its address: %s: %w", cfg.Name, line, stderr.String(), errors.Join(readErr, errNoApp))
	}
	p.Addr = addr
	return p, nil
}

var errNoApp = errors.New("the program must call traffic.Main")

func orLoopback(addr string) string {
	if addr == "" {
		return "127.0.0.1:0"
	}
	return addr
}

// Kill sends SIGKILL and waits for the end. It may be called again.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
	_ = p.stdin.Close()
}

// Terminate sends SIGTERM and waits until the app has ended by itself, 10 s at most.
func (p *Process) Terminate() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.done
	_ = p.stdin.Close()
}

// Drain has the app at addr end its websockets with close frames.
func Drain(ctx context.Context, addr string) error { return post(ctx, "http://"+addr+"/drain") }

// SetErrorRate sets the share of answers, 0 to 1, that the app at addr fails.
func SetErrorRate(ctx context.Context, addr string, rate float64) error {
	return post(ctx, fmt.Sprintf("http://%s/errors?rate=%v", addr, rate))
}

func post(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("POST %s: %s", url, resp.Status)
	}
	return nil
}
