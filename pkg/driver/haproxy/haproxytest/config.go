package haproxytest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config says what a HAProxy under test serves. The zero value of every field but Backends works.
type Config struct {
	// Name stands in front of this process's messages; default "haproxy".
	Name string
	// Binary is the program to run; default: haproxy from PATH, then from the sbin directories.
	Binary string
	// Backends become `backend` sections in this order; the first one is the default backend of the frontend.
	Backends []Backend
	// Map, when set, chooses the backend by a map file instead.
	Map *Map
	// MasterWorker runs `haproxy -W` with a master socket, so that Reload works.
	MasterWorker bool
	// CheckInterval is the time between health checks; default 500ms.
	CheckInterval time.Duration
	// Fall and Rise are the checks that it takes to change a server's status; default 2.
	Fall, Rise int
	// Global, Defaults and Frontend are lines added at the end of their section.
	Global, Defaults, Frontend []string
}

// Backend is one `backend` section.
type Backend struct {
	Name string
	// Balance is the algorithm; default "roundrobin".
	Balance string
	// Cookie pins clients: `cookie SRV insert indirect nocache`, each server with its own name as the value.
	Cookie bool
	// NoCheck leaves out the health checks.
	NoCheck bool
	// Options are lines added to the section, for instance "option redispatch 1".
	Options []string
	Servers []Member
}

// Member is one `server` line.
type Member struct {
	// Name and Address ("127.0.0.1:8080") are required.
	Name, Address string
	// Weight is left out when 0; put "weight 0" into Params for a real zero.
	Weight int
	// Params are words added at the end of the line, for instance "disabled" or "track be/a".
	Params []string
}

// Map is a frontend rule `use_backend %[SAMPLE,map(FILE,DEFAULT)]`; the file's path is in Server.MapFile.
type Map struct {
	// Sample is what is looked up; default "req.hdr(host)".
	Sample string
	// Entries are the first lines of the file, each "key value".
	Entries []string
	// Default is the backend for keys that are not in the file; default: the first backend.
	Default string
}

// text returns the configuration file for the addresses that s was given.
func (c Config) text(s *Server) string {
	var b strings.Builder
	section := func(head string, lines ...string) {
		b.WriteString(head + "\n")
		for _, line := range lines {
			if line != "" {
				b.WriteString("    " + line + "\n")
			}
		}
		b.WriteString("\n")
	}
	section("global", append([]string{
		"nbthread 2",
		"maxconn 4000",
		"stats socket " + s.Socket + " mode 600 level admin expose-fd listeners",
		"stats socket ipv4@" + s.TCPSocket + " level admin",
	}, c.Global...)...)
	section("defaults", append([]string{
		"mode http",
		"maxconn 3900",
		"timeout connect 1s",
		"timeout client 60s",
		"timeout server 60s",
		"timeout tunnel 1h",
		"timeout check 5s", // a busy machine answers a check late; who is dead refuses
		fmt.Sprintf("default-server inter %dms fall %d rise %d", c.interval().Milliseconds(), orTwo(c.Fall), orTwo(c.Rise)),
	}, c.Defaults...)...)
	section("frontend fe", append([]string{"bind " + s.Front, c.rule(s.MapFile)}, c.Frontend...)...)
	for _, be := range c.Backends {
		section("backend "+be.Name, be.lines()...)
	}
	return b.String()
}

func (c Config) rule(file string) string {
	if len(c.Backends) == 0 {
		return ""
	}
	first := c.Backends[0].Name
	if c.Map == nil {
		return "default_backend " + first
	}
	return fmt.Sprintf("use_backend %%[%s,map(%s,%s)]", orWord(c.Map.Sample, "req.hdr(host)"), file, orWord(c.Map.Default, first))
}

func (b Backend) lines() []string {
	lines := []string{"balance " + orWord(b.Balance, "roundrobin")}
	if !b.NoCheck {
		lines = append(lines, "option httpchk GET /health")
	}
	if b.Cookie {
		lines = append(lines, "cookie SRV insert indirect nocache")
	}
	lines = append(lines, b.Options...)
	for _, m := range b.Servers {
		lines = append(lines, m.line(b))
	}
	return lines
}

func (m Member) line(b Backend) string {
	words := []string{"server", m.Name, m.Address}
	if !b.NoCheck {
		words = append(words, "check")
	}
	if b.Cookie {
		words = append(words, "cookie", m.Name)
	}
	if m.Weight > 0 {
		words = append(words, fmt.Sprintf("weight %d", m.Weight))
	}
	return strings.Join(append(words, m.Params...), " ")
}

func (c Config) interval() time.Duration {
	if c.CheckInterval > 0 {
		return c.CheckInterval
	}
	return 500 * time.Millisecond
}

func orTwo(n int) int {
	if n > 0 {
		return n
	}
	return 2
}

func orWord(word, otherwise string) string {
	if word != "" {
		return word
	}
	return otherwise
}

// writeFiles writes the configuration and, when there is one, the map file.
func (s *Server) writeFiles() error {
	if s.cfg.Map != nil {
		entries := strings.Join(s.cfg.Map.Entries, "\n") + "\n"
		if err := os.WriteFile(s.MapFile, []byte(entries), 0o600); err != nil {
			return fmt.Errorf("write map: %w", err)
		}
	}
	if err := os.WriteFile(s.ConfigFile, []byte(s.cfg.text(s)), 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// place fills in the paths and two free loopback addresses. The ports are free when asked; another process can still
// take one before HAProxy binds it, so Run tries again.
func (s *Server) place(dir string) error {
	s.Socket = filepath.Join(s.short, "admin.sock")
	if s.cfg.MasterWorker {
		s.Master = filepath.Join(s.short, "master.sock")
	}
	s.ConfigFile = filepath.Join(dir, orWord(s.cfg.Name, "haproxy")+".cfg")
	if s.cfg.Map != nil {
		s.MapFile = filepath.Join(dir, orWord(s.cfg.Name, "haproxy")+".map")
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	defer front.Close()
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	defer admin.Close()
	s.Front, s.TCPSocket = front.Addr().String(), admin.Addr().String()
	return nil
}

// shortDir makes a directory whose socket paths fit into sun_path (unix(7): 108 bytes, 104 on macOS) together with the
// ".<pid>.tmp" that HAProxy appends while it binds.
func shortDir() (string, error) {
	const most = 60
	dir, err := os.MkdirTemp("", "flip")
	if err != nil || len(dir) <= most {
		return dir, err
	}
	if err := os.Remove(dir); err != nil {
		return "", err
	}
	return os.MkdirTemp("/tmp", "flip")
}
