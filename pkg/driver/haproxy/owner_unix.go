//go:build unix

package haproxy

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// ownerHint says whose a socket is that flip may not use, and what to do.
func ownerHint(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "flip may not enter " + filepath.Dir(path) + "; run it as a user or group that may"
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "run flip as a user who may use the socket"
	}
	owner, group := strconv.Itoa(int(sys.Uid)), strconv.Itoa(int(sys.Gid))
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return fmt.Sprintf("the socket belongs to %s:%s mode %o; run flip as that group or set `mode 660 group YOURS level admin` on the socket", owner, group, info.Mode().Perm())
}
