// Package dnstest starts real name servers for tests: BIND and Knot DNS as
// primaries that take signed updates, BIND as a secondary and over HTTPS,
// unbound and dnsmasq as resolvers. Each is a process in the foreground with
// its files in t.TempDir(), on free ports of 127.0.0.0/8, and ends with its
// test. A server that is not installed fails the test and says which package
// has it.
package dnstest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Packages are what the servers are in on Debian and Ubuntu.
const Packages = "bind9 knot unbound dnsmasq-base"

// Key is the TSIG key that every primary accepts for updates and transfers.
// Its secret is for tests only.
var key = Key{Name: "flip-key", Algorithm: "hmac-sha256", Secret: "c2VjcmV0IGZvciB0ZXN0cyBvZiBmbGlwLCBubyBvdGhlcg=="}

// Key is a TSIG key as plans have it.
type Key struct{ Name, Algorithm, Secret string }

// TestKey returns the key that the servers accept.
func TestKey() Key { return key }

// Zone is what a primary serves. The zero value is an empty example.com.
type Zone struct {
	// Name is the zone; example.com when empty.
	Name string
	// TTL is that of records without one; 300 when 0.
	TTL int
	// Minimum is the SOA's minimum, the time that "no such name" is kept; 2
	// when 0.
	Minimum int
	// Records are lines of a zone file besides SOA and NS:
	// "www 60 IN A 192.0.2.1". Names without a dot at the end are relative.
	Records []string
}

func (z Zone) name() string { return orElse(z.Name, "example.com") }

// file is the zone in master file format. ns1 is the primary.
func (z Zone) file() string {
	lines := []string{
		"$ORIGIN " + z.name() + ".",
		fmt.Sprintf("$TTL %d", orElse(z.TTL, 300)),
		fmt.Sprintf("@ %d IN SOA ns1 hostmaster 1 3600 600 604800 %d", orElse(z.TTL, 300), orElse(z.Minimum, 2)),
		"@ IN NS ns1",
		"ns1 IN A 127.0.0.1",
	}
	return strings.Join(append(lines, z.Records...), "\n") + "\n"
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// FreeAddr returns an address of ip whose port is free for TCP and UDP. Asking
// for it before a server starts lets another server be told of it.
func FreeAddr(t testing.TB, ip string) string {
	t.Helper()
	for range 100 {
		tcp, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			t.Fatal(err)
		}
		addr := tcp.Addr().String()
		udp, err := net.ListenPacket("udp", addr)
		_ = tcp.Close()
		if err == nil {
			_ = udp.Close()
			return addr
		}
	}
	t.Fatalf("no port of %s is free for both TCP and UDP", ip)
	return ""
}

func hostPort(t testing.TB, addr string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// program finds a server, also where the PATH of a user does not lead.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, name))
	}
	if err != nil {
		t.Fatalf("%s is not installed: apt-get install %s", name, Packages)
	}
	return path
}

func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
