package haproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
)

const (
	// A line of 1,000 commands is taken whole; smaller ones are as fast and
	// let other users of the socket in between.
	batchCommands = 100
	batchBytes    = 12 << 10
	// maxReply is far above `show stat` of 100,000 servers.
	maxReply = 128 << 20
	severity = "set severity-output number"
)

// node is one HAProxy.
type node struct {
	name     string
	endpoint endpoint
	timeout  time.Duration

	mu    sync.Mutex
	known map[string]*known // servers by id, see servers
}

// read asks commands that change nothing, on one connection, and returns the
// text of each answer. A refusal is a *refused.
func (n *node) read(ctx context.Context, commands ...string) ([]string, error) {
	replies, err := n.exchange(ctx, n.endpoint.worker, commands)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(replies))
	for i, r := range replies {
		if r.refused() {
			return nil, &refused{commands[i], r.text}
		}
		texts[i] = r.text
	}
	return texts, nil
}

// write sends commands in batches, in order, and returns one error (or nil)
// for each of them. HAProxy runs the rest of a line after a refusal
// (management.txt 9.3), so the commands are independent. An error of the
// exchange itself is Uncertain once anything was sent.
func (n *node) write(ctx context.Context, commands []string) ([]error, error) {
	outcome := make([]error, 0, len(commands))
	for len(commands) > 0 {
		batch := commands[:batchLen(commands)]
		commands = commands[len(batch):]
		replies, err := n.exchange(ctx, n.endpoint.worker, batch)
		if err != nil {
			if _, unsent := errors.AsType[*notSent](err); !unsent || len(outcome) > 0 {
				err = driver.Uncertain(err)
			}
			return outcome, err
		}
		for i, r := range replies {
			outcome = append(outcome, r.outcome(batch[i]))
		}
	}
	return outcome, nil
}

func batchLen(commands []string) int {
	size := 0
	for i, c := range commands {
		size += len(c) + 1
		if i > 0 && (size > batchBytes || i == batchCommands) {
			return i
		}
	}
	return len(commands)
}

// exchange sends the commands as one line and cuts the answer into theirs.
// worker goes in front of every command on a master socket, which does not
// pass the severity on.
func (n *node) exchange(ctx context.Context, worker string, commands []string) ([]reply, error) {
	var line bytes.Buffer
	want := len(commands)
	master := n.endpoint.worker != ""
	if !master {
		line.WriteString(severity)
		want++
	}
	for _, c := range commands {
		if line.Len() > 0 {
			line.WriteByte(';')
		}
		if worker != "" {
			line.WriteString(worker + " ")
		}
		line.WriteString(c)
	}
	line.WriteByte('\n')
	answer, err := n.talk(ctx, line.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.endpoint, err)
	}
	replies, err := cut(answer, want, !master)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n.endpoint, err)
	}
	return replies[want-len(commands):], nil
}

// notSent says that HAProxy cannot have seen the line.
type notSent struct{ error }

func (e *notSent) Unwrap() error { return e.error }

// talk sends one line and returns all that comes back until the peer closes.
func (n *node) talk(ctx context.Context, line []byte) ([]byte, error) {
	conn, err := n.dial(ctx)
	if err != nil {
		return nil, &notSent{err}
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c := &patient{conn, ctx, n.timeout}
	if _, err := c.Write(line); err != nil {
		return nil, c.why("sending", err)
	}
	if n.endpoint.worker != "" {
		// A master closes only after its client has (2.6); a worker does after its answer.
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			if err := half.CloseWrite(); err != nil {
				return nil, c.why("sending", err)
			}
		}
	}
	var buf bytes.Buffer
	_, err = io.Copy(&buf, io.LimitReader(c, maxReply+1))
	switch {
	case err != nil:
		return nil, c.why("waiting for the answer", err)
	case buf.Len() == 0:
		// Even a command that has nothing to say answers a newline.
		return nil, hint.Wrap(errors.New("closed the connection without an answer"), "is this the runtime API of HAProxy, and has it free connections?")
	case buf.Len() > maxReply:
		return nil, fmt.Errorf("the answer is larger than %d MB", maxReply>>20)
	}
	return buf.Bytes(), nil
}

func (n *node) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, n.endpoint.network, n.endpoint.address)
	if err == nil {
		return conn, nil
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err // without the address, which the caller has
	}
	if sys, ok := errors.AsType[*os.SyscallError](err); ok {
		err = sys.Err
	}
	return nil, n.dialHint(err)
}

func (n *node) dialHint(err error) error {
	path := n.endpoint.address
	info, statErr := os.Stat(path)
	switch unix := n.endpoint.network == "unix"; {
	case unix && statErr == nil && info.Mode()&fs.ModeSocket == 0:
		return hint.Wrap(errors.New("not a socket"), "name the path of a `stats socket` line of haproxy.cfg")
	case errors.Is(err, fs.ErrNotExist):
		return hint.Wrap(err, "is HAProxy running? Its `global` section needs: stats socket %s level admin", path)
	case errors.Is(err, fs.ErrPermission) && unix:
		return hint.Wrap(err, "%s", ownerHint(path))
	case errors.Is(err, syscall.ECONNREFUSED) && unix:
		return hint.Wrap(err, "the socket is there but nobody listens: HAProxy was stopped or killed")
	case errors.Is(err, syscall.ECONNREFUSED):
		return hint.Wrap(err, "is HAProxy running? Its `global` section needs: stats socket ipv4@%s level admin", path)
	}
	return err
}

// patient gives the peer a whole timeout for every read and write.
type patient struct {
	net.Conn
	ctx     context.Context //nolint:containedctx // lives as long as one call
	timeout time.Duration
}

func (p *patient) Read(b []byte) (int, error) {
	if err := p.arm(); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.arm(); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

// arm sets the deadline and looks at ctx after that, so that an end of ctx
// that was overwritten is still seen.
func (p *patient) arm() error {
	if err := p.SetDeadline(time.Now().Add(p.timeout)); err != nil {
		return err
	}
	return p.ctx.Err()
}

func (p *patient) why(doing string, err error) error {
	switch {
	case p.ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, p.ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return hint.Wrap(fmt.Errorf("%s: nothing for %s: %w", doing, p.timeout, os.ErrDeadlineExceeded),
			"HAProxy accepts but does not answer; look at its load, or raise `timeout`")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// oneLine shortens foreign text for an error.
func oneLine(s string) string {
	s = strings.TrimSpace(s)
	s, _, more := strings.Cut(s, "\n")
	const longest = 160
	if len(s) > longest {
		s, more = strings.ToValidUTF8(s[:longest], ""), true
	}
	if more {
		s += " ..."
	}
	return s
}
