//go:build unix && !linux

package haproxytest

import "syscall"

// attributes puts the child into a group of its own; there is no parent-death signal here, so Stop must be reached.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
