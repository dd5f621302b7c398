// Package wire speaks DNS for the drivers of record sets: questions, and
// updates of a zone (RFC 2136) signed with TSIG (RFC 8945). It is the one place
// under the drivers that knows the DNS library.
package wire

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Client asks servers. The zero value is ready. It opens a connection for each
// exchange and keeps none.
type Client struct {
	// Timeout is for one exchange, all attempts together; 5s when 0.
	Timeout time.Duration
	// Key signs what is sent, and the answers must be signed too.
	Key Key
	// TCP leaves UDP out.
	TCP bool
	// Now is the time in signatures; time.Now when nil.
	Now func() time.Time
}

// Key is a TSIG key. The zero value signs nothing.
type Key struct {
	Name      string // canonical
	Algorithm string // hmac-sha1, -sha224, -sha256, -sha384, -sha512
	Secret    string // base64
}

// Algorithms are the TSIG algorithms that are spoken, the usual one first.
// hmac-md5 is not: RFC 8945 forbids to choose it.
func Algorithms() []string {
	return []string{"hmac-sha256", "hmac-sha512", "hmac-sha384", "hmac-sha224", "hmac-sha1"}
}

// CheckSecret says what is wrong with a secret without showing it.
func CheckSecret(secret string) error {
	b, err := base64.StdEncoding.DecodeString(secret)
	if err != nil || len(b) == 0 {
		return errors.New("the secret is not base64, as the key file of the server has it")
	}
	return nil
}

const (
	defaultTimeout = 5 * time.Second
	// ednsSize is the largest UDP answer that passes nearly everywhere in one
	// piece (DNS flag day 2020).
	ednsSize = 1232
	fudge    = 300 // seconds, as RFC 8945 recommends
)

// LostError says that a request was sent and no answer came: it may have taken
// effect.
type LostError struct {
	Server string
	Err    error
}

func (e *LostError) Error() string { return e.Server + " did not answer: " + e.Err.Error() }
func (e *LostError) Unwrap() error { return e.Err }

// exchange sends m and returns the answer to it. An error that is no
// *LostError and comes without an answer means that nothing was sent.
func (c Client) exchange(ctx context.Context, server string, m *dns.Msg) (*dns.Msg, error) {
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if c.TCP {
		return c.over(ctx, "tcp", server, m)
	}
	// Half of the time for UDP, so that TCP is tried when UDP is filtered.
	half, stop := context.WithTimeout(ctx, timeout/2)
	defer stop()
	r, err := c.over(half, "udp", server, m)
	if err == nil && !r.Truncated {
		return r, nil
	}
	if _, lost := errors.AsType[*LostError](err); err != nil && (!lost || ctx.Err() != nil) {
		return r, err
	}
	return c.over(ctx, "tcp", server, m)
}

func (c Client) over(ctx context.Context, network, server string, m *dns.Msg) (*dns.Msg, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, network, server)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if deadline, ok := ctx.Deadline(); ok {
		if err := raw.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	conn := &dns.Conn{Conn: raw, UDPSize: ednsSize}
	m = m.Copy()
	m.Id = dns.Id()
	if c.Key.Name != "" {
		conn.TsigSecret = map[string]string{fqdn(c.Key.Name): c.Key.Secret}
		m.SetTsig(fqdn(c.Key.Name), c.Key.Algorithm+".", fudge, c.now().Unix())
	}
	if _, err := m.Copy().Pack(); err != nil {
		return nil, fmt.Errorf("make the message: %w", err)
	}
	if err := conn.WriteMsg(m); err != nil {
		return nil, &LostError{server, reason(ctx, err)}
	}
	return c.answer(ctx, conn, server, m)
}

func (c Client) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

// strays bounds how many packets are looked at for one answer.
const strays = 64

// answer reads until the answer to m comes; late and forged ones are passed
// over.
func (c Client) answer(ctx context.Context, conn *dns.Conn, server string, m *dns.Msg) (*dns.Msg, error) {
	for range strays {
		r, err := conn.ReadMsg()
		_, packets := conn.Conn.(net.PacketConn)
		if r == nil {
			if _, network := errors.AsType[net.Error](err); packets && !network {
				continue // no message
			}
			return nil, &LostError{server, reason(ctx, err)}
		}
		if r.Id != m.Id || !r.Response || r.Opcode != m.Opcode || !asksSame(m, r) {
			if packets {
				continue
			}
			return nil, &LostError{server, errors.New("it answered something else")}
		}
		if bad := c.refused(server, m, r); bad != nil {
			return r, bad
		}
		if err != nil {
			return nil, &LostError{server, fmt.Errorf("its answer cannot be used: %w", err)}
		}
		if c.Key.Name != "" && r.IsTsig() == nil {
			return nil, &LostError{server, errors.New("its answer is not signed, although the request was")}
		}
		return r, nil
	}
	return nil, &LostError{server, errors.New("only answers to something else came")}
}

func asksSame(m, r *dns.Msg) bool {
	if len(r.Question) == 0 {
		return r.Rcode != dns.RcodeSuccess // an error may leave it out
	}
	q, a := m.Question[0], r.Question[0]
	return len(r.Question) == 1 && q.Qtype == a.Qtype && q.Qclass == a.Qclass && strings.EqualFold(q.Name, a.Name)
}

// reason prefers the end of ctx over the error that it made, unless it is the
// deadline: then the network's word is the better one.
func reason(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if ctx.Err() != nil {
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	}
	return err
}
