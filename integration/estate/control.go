package estate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/flip-cli/flip/integration/traffic"
)

// Arg is the first argument that tells a program to be the deploy command.
const Arg = "estate-deploy"

// Main serves the programs that Start runs again: the app and the deploy
// command. It returns false when the arguments are for somebody else.
func Main(args []string) (code int, ours bool) {
	switch {
	case len(args) > 1 && args[1] == traffic.Arg:
		return traffic.Main(args[2:], os.Stdin, os.Stdout, os.Stderr), true
	case len(args) > 1 && args[1] == Arg:
		return deploy(args[2:], os.Stdout, os.Stderr), true
	}
	return 0, false
}

// deploy hands an order to the estate: SOCKET install VERSION SERVER..., or
// SOCKET goodbye SERVER...
func deploy(args []string, stdout, stderr io.Writer) int {
	if len(args) < 3 || (args[1] == "install" && len(args) < 4) {
		fmt.Fprintln(stderr, "usage: deploy VERSION SERVER..., goodbye SERVER...")
		return 2
	}
	c, err := net.Dial("unix", args[0])
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	defer c.Close()
	fmt.Fprintln(c, strings.Join(args[1:], " "))
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	if answer != "ok\n" {
		fmt.Fprint(stderr, answer)
		return 1
	}
	fmt.Fprintln(stdout, "done:", strings.Join(args[1:], " "))
	return 0
}

// Control takes orders of the deploy command.
type Control struct {
	l    net.Listener
	path string
}

// Listen has obey carry out what the commands of Script are called with: their
// verb, then their arguments.
func Listen(path string, obey func([]string) error) (*Control, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	c := &Control{l, path}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn, obey)
		}
	}()
	return c, nil
}

// Script writes a command to a file of that path: this program again, as Main.
func (c *Control) Script(path, verb string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %q %s %q %s \"$@\"\n", self, Arg, c.path, verb)
	return os.WriteFile(path, []byte(script), 0o700)
}

func serve(conn net.Conn, obey func([]string) error) {
	defer conn.Close()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return
	}
	if err := obey(strings.Fields(line)); err != nil {
		fmt.Fprintln(conn, err)
		return
	}
	fmt.Fprintln(conn, "ok")
}

func (e *Estate) obey(words []string) error {
	switch {
	case len(words) > 2 && words[0] == "install":
		return e.Install(words[1], words[2:]...)
	case len(words) > 1 && words[0] == "goodbye":
		return e.Goodbye(words[1:]...)
	}
	return fmt.Errorf("no order: %q", words)
}

// Close ends it.
func (c *Control) Close() { _ = c.l.Close() }

// Ready waits until every node's checks have passed on every server that runs.
func (e *Estate) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		waiting, err := e.waiting()
		if err != nil {
			return err
		}
		if waiting == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), fmt.Errorf("not healthy: %s", waiting))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// waiting names a server whose health check has not passed yet.
func (e *Estate) waiting() (string, error) {
	for _, n := range e.Nodes {
		stat, err := n.Command("show stat")
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(stat) {
			f := strings.Split(line, ",")
			if len(f) < 40 || f[1] == "BACKEND" || f[1] == "FRONTEND" || strings.HasPrefix(f[0], "#") {
				continue
			}
			if a := e.apps[f[1]]; a != nil && !a.NotRunning && a.process != nil && f[36] != "L7OK" && f[17] != "no check" {
				return f[1] + " " + f[17] + " " + f[36], nil
			}
		}
	}
	return "", nil
}
