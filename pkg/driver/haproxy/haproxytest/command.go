package haproxytest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Command sends one line to the admin socket and returns the reply without its last newlines. An end of stream before
// any byte is an error: a successful `set` answers a newline.
func (s *Server) Command(line string) (string, error) { return ask(s.Socket, line) }

// MasterCommand is Command on the master socket, for instance "show proc".
func (s *Server) MasterCommand(line string) (string, error) {
	if s.Master == "" {
		return "", errors.New("haproxy: not in master-worker mode")
	}
	return ask(s.Master, line)
}

// ask half-closes after the line: a worker closes after its reply, a master (2.6) waits for the client to do it.
func ask(socket, line string) (string, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return "", fmt.Errorf("haproxy: %s: %w", line, err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return "", fmt.Errorf("haproxy: %s: %w", line, err)
	}
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", fmt.Errorf("haproxy: %s: %w", line, err)
	}
	if err := conn.CloseWrite(); err != nil {
		return "", fmt.Errorf("haproxy: %s: %w", line, err)
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		return "", fmt.Errorf("haproxy: %s: %w", line, err)
	}
	if len(reply) == 0 {
		return "", fmt.Errorf("haproxy: %s: closed without a reply", line)
	}
	return strings.TrimRight(string(reply), "\n"), nil
}

// worker returns the pid that answers on the admin socket.
func (s *Server) worker() (string, error) {
	info, err := s.Command("show info")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(info) {
		if pid, ok := strings.CutPrefix(line, "Pid: "); ok {
			return strings.TrimSpace(pid), nil
		}
	}
	return "", fmt.Errorf("haproxy: show info: no Pid in %q", info)
}
