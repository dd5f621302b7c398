package nacostest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// realProcess is a child in a process group of its own.
type realProcess struct {
	pid     int
	archive string        // what it writes when it ends well, "" for nothing
	done    chan struct{} // closed when the child was waited for
}

// startReal starts cmd, writes its output to out and kills its group when ctx
// ends. Where the system can do it, the child also dies with this process. The
// goroutine keeps its thread: Pdeathsig fires when the thread that started the
// child ends (golang.org/issue/27505).
func startReal(ctx context.Context, cmd *exec.Cmd, out *realLog) (*realProcess, error) {
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = realAttributes()
	p := &realProcess{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		_ = cmd.Wait() // its log tells how it ended
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { p.signalGroup(syscall.SIGKILL) })
	go func() { <-p.done; stop() }()
	return p, nil
}

func (p *realProcess) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signalGroup does nothing once the child was waited for: its number may be
// someone else's by then.
func (p *realProcess) signalGroup(sig syscall.Signal) {
	if !p.ended() {
		_ = syscall.Kill(-p.pid, sig)
	}
}

// bootTimeout is for a machine on which much else runs; alone it takes 10 s.
const bootTimeout = 4 * time.Minute

func (r *Real) launch(ctx context.Context) error {
	r.log.reset()
	java, err := exec.LookPath("java")
	if err != nil {
		return err
	}
	begun := time.Now()
	training := r.training()
	cmd := exec.Command(java, append(r.classes(training), r.arguments()...)...)
	cmd.Dir = r.home
	if r.proc, err = startReal(ctx, cmd, &r.log); err != nil {
		return err
	}
	r.proc.archive = training
	booting, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	if err := r.await(booting, func() error { return r.ready(booting) }); err != nil {
		r.Kill()
		return err
	}
	r.Boot = time.Since(begun)
	return nil
}

// await asks until the answer is nil, the context or the server ends.
func (r *Real) await(ctx context.Context, ask func() error) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it is not ready in time: %w; it said:\n%s", err, r.log.last(30))
		case <-r.proc.done:
			return fmt.Errorf("it ended; it said:\n%s", r.log.last(30))
		case <-tick.C:
		}
	}
}

// halt asks with SIGTERM and kills what is left. One that writes its archive
// of classes gets more time.
func (r *Real) halt() {
	if r.proc == nil || r.proc.ended() {
		return
	}
	patience := 20 * time.Second
	if r.proc.archive != "" {
		patience = 2 * time.Minute
	}
	r.proc.signalGroup(syscall.SIGTERM)
	select {
	case <-r.proc.done:
		if r.proc.archive != "" {
			_ = os.Rename(r.proc.archive, r.archive()) // without one, the next run writes it
		}
	case <-time.After(patience):
	}
	r.Kill()
}

// archive is where java keeps the parsed classes of this server: a start takes
// half of the processor time with it. It is good for one java only, which
// ignores another's.
func (r *Real) archive() string {
	java, err := exec.LookPath("java")
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(java); err == nil {
		java = real
	}
	info, err := os.Stat(java)
	if err != nil {
		return ""
	}
	key := sha256.Sum256(fmt.Append(nil, java, info.ModTime().UnixNano(), info.Size()))
	return filepath.Join(r.dist.dir, fmt.Sprintf("classes-%x.jsa", key[:6]))
}

// training is the file into which this run writes the archive: nowhere when
// there is one, nor on CI, where writing it costs more than it saves.
func (r *Real) training() string {
	archive := r.archive()
	if _, err := os.Stat(archive); err == nil || archive == "" || os.Getenv("CI") == "true" {
		return ""
	}
	return filepath.Join(r.dist.dir, fmt.Sprintf(".classes-%d-%d", os.Getpid(), r.port))
}

// classes are the options of java that use the archive or write it.
func (r *Real) classes(training string) []string {
	if training != "" {
		return []string{"-XX:ArchiveClassesAtExit=" + training}
	}
	if archive := r.archive(); archive != "" {
		if _, err := os.Stat(archive); err == nil {
			return []string{"-XX:SharedArchiveFile=" + archive}
		}
	}
	return nil
}

// realLog keeps what the server writes; os/exec copies into it.
type realLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *realLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *realLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *realLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Reset()
}

func (l *realLog) contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Contains(l.buf.Bytes(), []byte(text))
}

// last returns the last lines.
func (l *realLog) last(n int) string {
	lines := strings.Split(strings.TrimRight(l.String(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
