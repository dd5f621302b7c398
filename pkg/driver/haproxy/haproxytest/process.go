package haproxytest

import (
	"context"
	"io"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a child in a process group of its own.
type process struct {
	pid  int
	done chan struct{} // closed when the child was waited for
	err  error         // how it ended; valid after done
}

// startProcess starts cmd, writes its output to out and kills its group when ctx ends. Where the system can do it, the
// child also dies with this process. The goroutine keeps its thread: Pdeathsig fires when the *thread* that started
// the child ends (golang.org/issue/27505).
func startProcess(ctx context.Context, cmd *exec.Cmd, out io.Writer) (*process, error) {
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = attributes()
	p := &process{done: make(chan struct{})}
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
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { p.signalGroup(syscall.SIGKILL) })
	go func() { <-p.done; stop() }()
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signal signals the child alone: a master ends its workers itself.
func (p *process) signal(sig syscall.Signal) {
	if !p.ended() {
		_ = syscall.Kill(p.pid, sig)
	}
}

// signalGroup signals the child and its children, unless the child was waited for: its number may be someone else's by then.
func (p *process) signalGroup(sig syscall.Signal) {
	if !p.ended() {
		_ = syscall.Kill(-p.pid, sig)
	}
}
