//go:build unix && !linux

package nacostest

import "syscall"

// realAttributes puts the child into a group of its own; there is no
// parent-death signal here, so Stop must be reached.
func realAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
