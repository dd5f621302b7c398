package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Counts is what one consumer saw.
type Counts struct {
	Calls, Failed int
	Cold          int            // of Failed: 503, from an instance that was not healthy yet
	Servers       map[string]int // good answers by instance
	Examples      []string       // the first failures
}

// load makes calls and never repeats one: every failure is one that somebody
// felt.
type load struct {
	callers sync.WaitGroup
	stop    chan struct{}

	mu     sync.Mutex
	counts map[string]*Counts
}

func (l *load) now() map[string]Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]Counts{}
	for name, c := range l.counts {
		all[name] = Counts{c.Calls, c.Failed, c.Cold, maps.Clone(c.Servers), slices.Clone(c.Examples)}
	}
	return all
}

func (l *load) add(name, address string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts[name]
	c.Calls++
	if err == nil {
		c.Servers[address]++
		return
	}
	c.Failed++
	if errors.Is(err, errCold) {
		c.Cold++
	}
	if len(c.Examples) < 5 {
		c.Examples = append(c.Examples, time.Now().UTC().Format("15:04:05.000 ")+address+": "+err.Error())
	}
}

// call is one caller. Odd ones keep a connection to each instance and close it
// when the instance leaves the list, as pools do; even ones make a new
// connection for each call.
func (l *load) call(name string, list func() []string, n int, pause time.Duration) {
	keep := n%2 == 1
	kept := map[string]*conn{}
	defer func() {
		for _, c := range kept {
			c.Close()
		}
	}()
	for {
		select {
		case <-l.stop:
			return
		case <-time.After(pause):
		}
		addresses := list()
		for a, c := range kept {
			if !slices.Contains(addresses, a) {
				c.Close()
				delete(kept, a)
			}
		}
		if len(addresses) == 0 {
			l.add(name, "", errors.New("the list is empty"))
			continue
		}
		address := addresses[rand.IntN(len(addresses))]
		c, err := kept[address], error(nil)
		if c == nil {
			c, err = dial(address)
		}
		if err == nil {
			err = c.get()
		}
		l.add(name, address, err)
		switch {
		case c == nil:
		case err != nil || !keep:
			c.Close()
			delete(kept, address)
		default:
			kept[address] = c
		}
	}
}

var errCold = errors.New("503 Service Unavailable")

type conn struct {
	net.Conn
	r *bufio.Reader
}

func dial(address string) (*conn, error) {
	c, err := net.DialTimeout("tcp", address, 3*time.Second)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReader(c)}, nil
}

// get is one request, with nothing that repeats it.
func (c *conn) get() error {
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", c.RemoteAddr()); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		return errCold
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}
