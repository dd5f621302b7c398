package gate

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// mostTCP bounds what a tcp gate reads, in bytes.
const mostTCP = 64 << 10

// defaultTimeout of one look over the network.
const networkTimeout = 5 * time.Second

// TCPConfig is the configuration of the tcp gate.
type TCPConfig struct {
	Address string        `yaml:"address"` // host:port
	Timeout time.Duration `yaml:"timeout"` // of a look; 5s when left out
	TLS     *trust.TLS    `yaml:"tls"`     // speak TLS; {} for the defaults
	Send    secret.Ref    `yaml:"send"`    // text to send once connected
	Expect  string        `yaml:"expect"`  // text that must arrive within the timeout, in the first 64 KiB
}

// Validate says what is wrong with c.
func (c *TCPConfig) Validate() error {
	if c.Address == "" {
		return errors.New("address is missing")
	}
	if c.Timeout < 0 {
		return errors.New("timeout cannot be negative")
	}
	if c.TLS != nil {
		if err := c.TLS.Validate(); err != nil {
			return err
		}
	}
	return validAddress("address", c.Address)
}

// TCP is the gate that connects. A connection that is refused or times out is
// a no; a name that does not resolve could not be looked at.
func TCP() Kind {
	return Define("tcp", "A TCP or TLS connection is accepted and says what is expected",
		func(c TCPConfig, env Env) (Gate, error) {
			c.Timeout = cmp.Or(c.Timeout, networkTimeout)
			return &tcpGate{c, env}, nil
		})
}

type tcpGate struct {
	TCPConfig
	env Env
}

// LookLimit leaves room for the gate's own timeout.
func (g *tcpGate) LookLimit() time.Duration { return g.Timeout + grace }

// Check connects once.
func (g *tcpGate) Check(ctx context.Context) (Result, error) {
	res, err := g.look(ctx)
	return g.env.clean(res, err)
}

func (g *tcpGate) look(ctx context.Context) (Result, error) {
	send, err := g.env.reveal(ctx, g.Send)
	if err != nil {
		return Result{}, fmt.Errorf("send: %w", err)
	}
	var secure *tls.Config
	if g.TLS != nil {
		if secure, err = g.TLS.Config(); err != nil {
			return Result{}, err
		}
	}
	timed, cancel := context.WithTimeout(ctx, g.Timeout)
	defer cancel()
	conn, err := dial(timed, g.Address, secure)
	if err != nil {
		return unanswered(ctx, g.Timeout, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(timed, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, send); err != nil {
		return unanswered(ctx, g.Timeout, err)
	}
	if g.Expect == "" {
		return yes("connected"), nil
	}
	return g.expect(ctx, conn)
}

func dial(ctx context.Context, address string, secure *tls.Config) (net.Conn, error) {
	if secure == nil {
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	return (&tls.Dialer{Config: secure}).DialContext(ctx, "tcp", address)
}

// expect reads until the text has come, the other end closes, or time is up.
func (g *tcpGate) expect(ctx context.Context, conn net.Conn) (Result, error) {
	var got strings.Builder
	buf := make([]byte, 4<<10)
	for got.Len() < mostTCP {
		n, err := conn.Read(buf)
		got.Write(buf[:n])
		if strings.Contains(got.String(), g.Expect) {
			return yes("said %q", excerpt(g.Expect, 40)), nil
		}
		switch {
		case err == nil:
		case got.Len() == 0 && !errors.Is(err, io.EOF), ctx.Err() != nil:
			return unanswered(ctx, g.Timeout, err)
		default:
			return no("said %q, not %q", excerpt(got.String(), 60), g.Expect), nil
		}
	}
	return no("the first 64 KiB do not hold %q", g.Expect), nil
}
