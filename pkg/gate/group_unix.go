//go:build unix

package gate

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// ownGroup puts the command in a process group of its own, and makes its
// context kill the whole group: a shell's children outlive the shell.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd) }
}

// killGroup ends what is left of the command. The system does not give the
// group's number to anybody while one process of it lives.
func killGroup(cmd *exec.Cmd) error {
	err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
