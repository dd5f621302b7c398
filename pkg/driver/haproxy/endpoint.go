package haproxy

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
)

// endpoint is where the runtime API of one node listens.
type endpoint struct {
	network string // unix or tcp
	address string
	worker  string // "@1" on a master socket, which passes commands on
}

func parseEndpoint(text string) (endpoint, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok && strings.HasPrefix(text, "/") {
		scheme, rest = "unix", text
	}
	switch scheme {
	case "unix":
		return unixEndpoint(rest)
	case "master":
		path, worker, ok := strings.Cut(rest, "@")
		if !ok {
			worker = "1"
		}
		if n, err := strconv.Atoi(worker); err != nil || n < 1 {
			return endpoint{}, fmt.Errorf("%q does not end in the number of a worker, such as @1", text)
		}
		ep, err := unixEndpoint(path)
		ep.worker = "@" + worker
		return ep, err
	case "tcp":
		host, port, err := net.SplitHostPort(rest)
		n, bad := strconv.ParseUint(port, 10, 16)
		if err != nil || bad != nil || n == 0 || host == "" {
			return endpoint{}, fmt.Errorf("%q is not tcp://host:port", text)
		}
		return endpoint{network: "tcp", address: net.JoinHostPort(strings.ToLower(host), strconv.FormatUint(n, 10))}, nil
	}
	return endpoint{}, hint.Wrap(fmt.Errorf("%q is not an endpoint", text),
		"write unix:///run/haproxy/admin.sock, tcp://10.0.0.5:9999 or master:///run/haproxy-master.sock@1")
}

func unixEndpoint(path string) (endpoint, error) {
	if path == "" || strings.ContainsAny(path, "\n\x00") {
		return endpoint{}, fmt.Errorf("%q is not the path of a socket", path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return endpoint{}, err
	}
	return endpoint{network: "unix", address: abs}, nil
}

func (e endpoint) String() string {
	switch {
	case e.worker != "":
		return "master://" + e.address + e.worker
	case e.network == "unix":
		return "unix://" + e.address
	}
	return "tcp://" + e.address
}

// scope is the same for every spelling of one socket.
func (e endpoint) scope() string {
	if e.network == "unix" {
		if real, err := filepath.EvalSymlinks(e.address); err == nil {
			return real
		}
	}
	return e.address
}
