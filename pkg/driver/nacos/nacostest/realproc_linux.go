package nacostest

import "syscall"

// realAttributes puts the child into a group of its own and has the kernel
// kill it when this process dies, however it dies.
func realAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
