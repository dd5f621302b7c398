package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// prompt is what HAProxy answers to one obeyed command of an interactive
// session. It comes once for each command, not for each line
// (management.txt 9.3).
const prompt = "\n> "

// lineOf is how many commands go into one line: more are not faster.
const lineOf = 100

// session is the fastest way to talk to HAProxy's runtime API: one connection
// in prompt mode, many commands a line.
type session struct{ conn net.Conn }

func dial(ctx context.Context, socket string) (session, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return session{}, err
	}
	s := session{conn}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return s, err
	}
	return s, s.obeyed("prompt", 1)
}

func (s session) close() { _ = s.conn.Close() }

// obeyed sends a line and reads an answer for each of its n commands.
func (s session) obeyed(line string, n int) error {
	if _, err := io.WriteString(s.conn, line+"\n"); err != nil {
		return err
	}
	answer := make([]byte, n*len(prompt))
	if _, err := io.ReadFull(s.conn, answer); err != nil {
		return fmt.Errorf("after %q: %w", answer, err)
	}
	if want := strings.Repeat(prompt, n); string(answer) != want {
		return fmt.Errorf("HAProxy refused something: %q", answer)
	}
	return nil
}

// setWeights gives every named server of a backend the weight.
func (s session) setWeights(backend string, names []string, weight int) error {
	for len(names) > 0 {
		n := min(len(names), lineOf)
		var line strings.Builder
		for i, name := range names[:n] {
			if i > 0 {
				line.WriteByte(';')
			}
			line.WriteString("set server " + backend + "/" + name + " weight " + strconv.Itoa(weight))
		}
		if err := s.obeyed(line.String(), n); err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}

// readBack makes sure that every named server has the weight.
func (s session) readBack(backend string, names []string, weight int) error {
	now, err := s.weightsOf(backend)
	if err != nil {
		return err
	}
	for _, name := range names {
		if got := now[name]; got != weight {
			return fmt.Errorf("%s/%s has weight %d, not %d", backend, name, got, weight)
		}
	}
	return nil
}

// weightsOf reads the weight of every server: srv_name and srv_uweight of
// `show servers state`.
func (s session) weightsOf(backend string) (map[string]int, error) {
	if _, err := io.WriteString(s.conn, "show servers state "+backend+"\n"); err != nil {
		return nil, err
	}
	var answer bytes.Buffer
	chunk := make([]byte, 64<<10)
	for !bytes.HasSuffix(answer.Bytes(), []byte("\n"+prompt)) {
		n, err := s.conn.Read(chunk)
		if err != nil {
			return nil, err
		}
		answer.Write(chunk[:n])
	}
	weights := map[string]int{}
	for line := range strings.Lines(answer.String()) {
		if f := strings.Split(line, " "); len(f) > 7 && f[0] != "#" {
			w, err := strconv.Atoi(f[7])
			if err != nil {
				return nil, fmt.Errorf("weight of %s: %w", f[3], err)
			}
			weights[f[3]] = w
		}
	}
	return weights, nil
}
