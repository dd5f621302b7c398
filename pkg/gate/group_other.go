//go:build !unix

package gate

import "os/exec"

// ownGroup does nothing where there are no process groups: the context kills
// the command alone.
func ownGroup(*exec.Cmd) {}

func killGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }
