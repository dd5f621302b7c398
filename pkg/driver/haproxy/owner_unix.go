//go:build unix

package haproxy

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// ownerHint says whose a socket is that flip may not use.
func ownerHint(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "flip may not enter the directory of the socket; run it as the group that may, or "
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	owner, group := strconv.Itoa(int(sys.Uid)), strconv.Itoa(int(sys.Gid))
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return fmt.Sprintf("the socket belongs to %s:%s mode %o; run flip as that group or ", owner, group, info.Mode().Perm())
}
