package wire

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

func withPort(server, port string) (string, error) {
	if a, err := netip.ParseAddr(strings.Trim(server, "[]")); err == nil {
		return net.JoinHostPort(a.String(), port), nil
	}
	host, p, err := net.SplitHostPort(server)
	if err != nil {
		host, p = server, port
	}
	if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("%q: %s is not a port", server, p)
	}
	if _, err := netip.ParseAddr(host); err != nil {
		if host, err = Host(host); err != nil || host == "." {
			return "", fmt.Errorf("%q is not host:port", server)
		}
	}
	return net.JoinHostPort(host, p), nil
}

// SystemServers are the recursive servers that a resolv.conf names, as
// host:port.
func SystemServers(path string) ([]string, error) {
	c, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, s := range c.Servers {
		all = append(all, net.JoinHostPort(s, c.Port))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s names no server", path)
	}
	return slices.Compact(all), nil
}
