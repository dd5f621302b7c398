package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flip-cli/flip/pkg/driver/slbtest"
	"github.com/flip-cli/flip/pkg/driver/slbtest/plane"
)

// fill sets the estate, and starts the members of the small one unless there
// are some. stop ends them.
func (s *settings) fill() (stop func(), err error) {
	stop = func() {}
	if s.estate != "" {
		s.options.Estate, err = slbtest.LoadEstate(s.estate)
		return stop, err
	}
	var at [4]string
	if s.members != "" {
		given := strings.Split(s.members, ",")
		if len(given) != len(at) {
			return stop, fmt.Errorf("-members needs %d addresses, not %d", len(at), len(given))
		}
		for i, addr := range given {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return stop, fmt.Errorf("-members: %w", err)
			}
			if host == "" {
				host = "127.0.0.1"
			}
			at[i] = net.JoinHostPort(host, port)
		}
	} else if at, stop, err = serveMembers(); err != nil {
		return stop, err
	}
	s.options.Estate = slbtest.SmallEstate(at)
	return stop, nil
}

// serveMembers starts four servers that say their names.
func serveMembers() (at [4]string, stop func(), err error) {
	var servers []*http.Server
	var serving sync.WaitGroup
	stop = func() {
		for _, server := range servers {
			server.Close()
		}
		serving.Wait()
	}
	for i, name := range []string{"i-a1", "i-a2", "i-b1", "i-b2"} {
		ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
		if err != nil {
			stop()
			return at, func() {}, err
		}
		at[i] = ln.Addr().String()
		server := &http.Server{
			Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) }),
			ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
		}
		servers = append(servers, server)
		serving.Go(func() { _ = server.Serve(ln) }) // it ends with stop
	}
	return at, stop, nil
}

func printEstate(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(slbtest.SmallEstate([4]string{"127.0.0.1:8081", "127.0.0.1:8082", "127.0.0.1:8083", "127.0.0.1:8084"}))
}

// announce says where everything is; the line "ready" is the last.
func (s *settings) announce(server *slbtest.Server, proxy *plane.Proxy, w io.Writer) error {
	if s.ca != "" {
		if err := os.WriteFile(s.ca, server.CA(), 0o600); err != nil {
			return fmt.Errorf("-ca: %w", err)
		}
	}
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "%-12s %s\n", name, value) }
	line("endpoint", server.URL())
	line("tls", "https://"+server.TLSHost())
	line("region", server.Region())
	line("key", s.key.ID)
	for _, addr := range server.NameServers() {
		line("name-server", addr)
	}
	addrs := proxy.Addrs()
	ids := make([]string, 0, len(addrs))
	for id := range addrs {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		line("listener", id+" "+addrs[id])
	}
	b.WriteString("ready\n")
	_, err := io.WriteString(w, b.String())
	return err
}
