//go:build unix

package gate

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup puts the command in a process group of its own, and makes its
// context kill the whole group: a shell's children outlive the shell.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != syscall.ESRCH {
			return err
		}
		return os.ErrProcessDone
	}
}
