package traffic

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	afterRefusal = 10 * time.Millisecond // pause after an answer that is not 200
	afterDial    = 20 * time.Millisecond // pause after a connection that failed
)

// client sends one request after the other and never the same one again.
type client struct {
	load    *Load
	class   string
	request func(cookie string) []byte
	bytes   []byte // the request with the cookie that the client has now
	cookie  string
	closes  bool // a new connection for each request
	conn    net.Conn
	parser  parser
}

func slowPath(d time.Duration) string { return fmt.Sprintf("/slow?ms=%d", d.Milliseconds()) }

// spawn starts n clients of one class. Slow ones start spread over one request's time, so that at every moment some are
// in the middle of theirs.
func (l *Load) spawn(class string, n int, method, path, headers string) {
	request := func(cookie string) []byte {
		var b strings.Builder
		fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", method, path, l.cfg.Host, headers)
		if cookie != "" {
			fmt.Fprintf(&b, "Cookie: %s\r\n", cookie)
		}
		b.WriteString("\r\n")
		if class == Post {
			b.WriteString("0123456789")
		}
		return []byte(b.String())
	}
	for i := range n {
		c := &client{
			load: l, class: class, request: request, bytes: request(l.cfg.Cookie), cookie: l.cfg.Cookie, closes: class == Close,
			parser: parser{r: bufio.NewReaderSize(nil, 4096), names: map[string]string{}},
		}
		l.clients.Go(func() {
			if class == Slow {
				l.pause(l.cfg.SlowFor * time.Duration(i) / time.Duration(n))
			}
			c.run()
		})
	}
}

func (c *client) run() {
	for !c.load.stopping.Load() {
		c.load.pause(c.once())
	}
	c.hangUp()
}

// once sends one request, counts its end and returns how long to pause.
func (c *client) once() time.Duration {
	start := time.Now()
	out := outcome{class: c.class, start: start}
	defer func() {
		out.end = time.Now()
		c.load.counts.add(out)
	}()
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.load.cfg.Addr, c.load.cfg.DialTimeout)
		if err != nil {
			out.kind, out.detail = KindDial, err.Error()
			return afterDial
		}
		c.conn = conn
		c.parser.r.Reset(conn)
	}
	resp, kind, err := c.exchange(start)
	out.server, out.version = resp.server, resp.version
	if err != nil {
		c.hangUp()
		out.kind, out.detail = kind, err.Error()
		return c.load.cfg.Pause
	}
	if c.load.cfg.Sticky && !c.closes && resp.cookie != "" && resp.cookie != c.cookie {
		c.cookie, c.bytes = resp.cookie, c.request(resp.cookie)
	}
	if c.closes || resp.closes {
		c.hangUp()
	}
	if resp.status != http.StatusOK {
		out.kind = fmt.Sprintf("status %d", resp.status)
		return max(afterRefusal, c.load.cfg.Pause)
	}
	return c.load.cfg.Pause
}

// exchange writes the request and reads the answer. The kind is that of the error.
func (c *client) exchange(start time.Time) (response, string, error) {
	if err := c.conn.SetDeadline(start.Add(c.load.cfg.Timeout)); err != nil {
		return response{}, KindReset, err
	}
	if _, err := c.conn.Write(c.bytes); err != nil {
		return response{}, kindOf(err, KindReset), fmt.Errorf("before the answer: %w", err)
	}
	if _, err := c.parser.r.Peek(1); err != nil {
		return response{}, kindOf(err, KindReset), fmt.Errorf("before the answer: %w", err)
	}
	resp, err := c.parser.read()
	if err != nil {
		return resp, kindOf(err, KindTruncated), fmt.Errorf("within the answer: %w", err)
	}
	return resp, "", nil
}

func kindOf(err error, otherwise string) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return KindTimeout
	case errors.Is(err, errMalformed):
		return KindMalformed
	default:
		return otherwise
	}
}

func (c *client) hangUp() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}
