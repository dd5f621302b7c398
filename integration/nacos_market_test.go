package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/flip-cli/flip/pkg/driver/nacos/nacostest"
)

// market is a service in Nacos whose providers are called all the time, and
// flip beside it.
type market struct {
	*site
	nacos     nacosServer
	service   string
	providers []*provider
	consumers *consumers
	deploy    string // the command for plans
}

// newMarket starts providers and waits until consumers are shown all of them
// that are enabled.
func newMarket(t *testing.T, n nacosServer, program, service string, providers ...*provider) *market {
	t.Helper()
	dir, err := os.MkdirTemp("", "flip")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &market{
		site:  &site{TB: t, dir: dir, env: map[string]string{"FLIP_STATE_DIR": filepath.Join(dir, "state"), "FLIP_WHO": "ann", "NO_COLOR": "1"}},
		nacos: n, service: service, providers: providers, deploy: filepath.Join(dir, "deploy"),
	}
	ctx := context.WithoutCancel(t.Context())
	for _, p := range providers {
		p.join = func(ctx context.Context, i nacostest.Instance) (*nacostest.Owner, error) {
			return n.join(context.WithoutCancel(ctx), service, i)
		}
		if err := p.launch(ctx); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.stop)
	}
	m.shown(m.addresses(func(p *provider) bool { return !p.instance.Disabled })...)
	m.control(program)
	return m
}

func (m *market) addresses(which func(*provider) bool) []string {
	var all []string
	for _, p := range m.providers {
		if which(p) {
			all = append(all, p.instance.Address)
		}
	}
	slices.Sort(all)
	return all
}

// shown waits until exactly these are listed to consumers.
func (m *market) shown(want ...string) {
	m.Helper()
	m.until("the list of "+m.service, func() error {
		got, err := m.nacos.listed(m.Context(), m.service)
		if err == nil && !slices.Equal(want, got) {
			err = fmt.Errorf("it is %v, not %v", got, want)
		}
		return err
	})
}

// control takes the orders of the deploy command.
func (m *market) control(program string) {
	m.Helper()
	socket := filepath.Join(m.dir, "control")
	l, err := net.Listen("unix", socket)
	if err != nil {
		m.Fatal(err)
	}
	var serving sync.WaitGroup
	m.Cleanup(func() { l.Close(); serving.Wait() })
	ctx := m.Context()
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				fmt.Fprintln(c, m.obey(ctx, c))
			})
		}
	})
	script := fmt.Sprintf("#!/bin/sh\nexec %q deploy %q \"$@\"\n", program, socket)
	if err := os.WriteFile(m.deploy, []byte(script), 0o700); err != nil { //nolint:gosec // it is to be run
		m.Fatal(err)
	}
}

func (m *market) obey(ctx context.Context, from io.Reader) string {
	line, err := bufio.NewReader(from).ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) != 2 {
		return fmt.Sprintf("no order: %q", line)
	}
	for _, p := range m.providers {
		if p.instance.Address == words[1] {
			if err := p.restart(ctx, words[0]); err != nil {
				return err.Error()
			}
			return "ok"
		}
	}
	return "nobody is at " + words[1]
}
