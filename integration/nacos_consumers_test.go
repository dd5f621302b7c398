package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// consumers are a process that calls the service.
type consumers struct {
	testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	began time.Time
}

// counts is what one consumer saw: see integration/nacosapp.
type counts struct {
	Calls, Failed, Cold int
	Servers             map[string]int
	Examples            []string
}

// consume starts a consumer that the vendor's client tells of changes, and one
// that uses a list for three seconds.
func (m *market) consume(program string) {
	m.Helper()
	u, err := url.Parse(m.nacos.url)
	if err != nil {
		m.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		m.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{
		"Host": u.Hostname(), "Port": port, "GRPCPort": m.nacos.grpc, "Namespace": "public", "Service": m.service, "Dir": m.TempDir(),
		"Callers": 8, "Pause": 5 * time.Millisecond, "Cache": 3 * time.Second,
	})
	if err != nil {
		m.Fatal(err)
	}
	c := &consumers{TB: m.TB, cmd: exec.CommandContext(context.WithoutCancel(m.Context()), program, "consume", string(config)), began: time.Now()}
	c.cmd.Dir, c.cmd.Stderr = m.TempDir(), os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		m.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		m.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() {
		_ = c.in.Close()
		_ = c.cmd.Wait() // what it counted was asked for before
	})
	m.consumers = c
	m.until("calls of both consumers", func() error {
		for name, n := range c.now() {
			if n.Calls < 100 {
				return fmt.Errorf("%s made %d", name, n.Calls)
			}
		}
		return nil
	})
}

// now is the counts by consumer.
func (c *consumers) now() map[string]counts {
	c.Helper()
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		c.Fatal(err)
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		c.Fatal(err)
	}
	all := map[string]counts{}
	if err := json.Unmarshal(line, &all); err != nil {
		c.Fatal(err)
	}
	return all
}

// total adds the consumers up.
func (c *consumers) total() counts {
	c.Helper()
	sum := counts{Servers: map[string]int{}}
	for name, n := range c.now() {
		sum.Calls += n.Calls
		sum.Failed += n.Failed
		for s, calls := range n.Servers {
			sum.Servers[s] += calls
		}
		for _, e := range n.Examples {
			sum.Examples = append(sum.Examples, name+" "+e)
		}
	}
	return sum
}

// nacosProgram builds integration/nacosapp.
func nacosProgram(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nacosapp")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./nacosapp").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}
