package journal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Process names one process, so that a later one with the same number is not
// mistaken for it.
type Process struct {
	Host string `json:"host"`
	PID  int    `json:"pid"`
	// Start is when it started, in the kernel's ticks since boot (field 22 of
	// /proc/PID/stat, proc_pid_stat(5)); empty where that is not told.
	Start string `json:"pid_start,omitempty"`
	// Space names the boot and the PID namespace that PID and Start are of. A
	// process of another space cannot be looked at, even on a host of the same
	// name: containers share names, disks and PIDs.
	Space string `json:"pid_space,omitempty"`
}

// Self is this process.
func Self() Process {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	pid := os.Getpid()
	start, _ := procStart(pid)
	return Process{Host: host, PID: pid, Start: start, Space: pidSpace()}
}

func pidSpace() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	ns, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	boot, _, _ = bytes.Cut(boot, []byte("-"))
	return fmt.Sprintf("%s/%s", boot, strings.Trim(strings.TrimPrefix(ns, "pid:"), "[]"))
}

// Dead reports whether p is known to run no more. Only a process of self's
// host and PID space can be known.
func (p Process) Dead(self Process) bool {
	if p == self || p.Host != self.Host || p.Space != self.Space || p.PID <= 0 {
		return false
	}
	if p.Start == "" {
		return !exists(p.PID)
	}
	start, alive := procStart(p.PID)
	return !alive || start != p.Start
}

// procStart returns when a process started. A zombie is not alive: it acts no
// more. Without /proc no process has a start.
func procStart(pid int) (start string, alive bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false
	}
	// The second field is the command in parentheses and may hold anything.
	_, rest, ok := strings.Cut(string(stat[max(0, bytes.LastIndexByte(stat, ')')):]), ") ")
	fields := strings.Fields(rest)
	const state, starttime = 0, 19 // fields 3 and 22
	if !ok || len(fields) <= starttime {
		return "", false
	}
	return fields[starttime], fields[state] != "Z" && fields[state] != "X"
}

func exists(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, os.ErrPermission)
}
