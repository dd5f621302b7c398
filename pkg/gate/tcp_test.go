package gate

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// redis answers PONG to PING, and ends the connection after QUIT.
func redis(t *testing.T) string {
	t.Helper()
	return tcpServer(t, func(c net.Conn) {
		buf := make([]byte, 64)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if string(buf[:n]) == "QUIT" {
				_, _ = io.WriteString(c, "+bye")
				return
			}
			_, _ = io.WriteString(c, "+PO")
			_, _ = io.WriteString(c, "NG "+string(buf[:n]))
		}
	})
}

func tcpServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func TestTCP(t *testing.T) {
	address := redis(t)
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = quiet()
	secure.StartTLS()
	defer secure.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	flood := tcpServer(t, func(c net.Conn) { _, _ = io.CopyN(c, zeros{}, 1<<20) })

	const short = time.Second
	tests := []struct {
		name string
		c    TCPConfig
		want string
	}{
		{"an accepted connection passes", TCPConfig{Address: address}, "pass: connected"},
		{"a refused connection is a no", TCPConfig{Address: gone.Addr().String()}, "no: connection refused"},
		{"the expected answer passes", TCPConfig{Address: address, Send: "PING", Expect: "PONG"}, `pass: said "PONG"`},
		{"another answer is a no", TCPConfig{Address: address, Send: "QUIT", Expect: "PONG"}, `no: said "+bye", not "PONG"`},
		{"another answer and then nothing is a no", TCPConfig{Address: address, Send: "PING", Expect: "PING-PONG", Timeout: short}, `no: said "+PONG PING", not "PING-PONG"`},
		{"no answer in time is a no", TCPConfig{Address: address, Expect: "PONG", Timeout: short}, "no: no answer within 1s"},
		{"a flood is not read to its end", TCPConfig{Address: flood, Expect: "1"}, `no: the first 64 KiB do not hold "1"`},
		{"a trusted certificate passes", TCPConfig{Address: secure.Listener.Addr().String(), TLS: &trust.TLS{CA: caFile(t, secure)}}, "pass: connected"},
		{"an unknown certificate is a no", TCPConfig{Address: secure.Listener.Addr().String(), TLS: &trust.TLS{}}, "no: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"a missing CA file could not look", TCPConfig{Address: address, TLS: &trust.TLS{CA: "/nonexistent"}}, "blind: tls: ca: open /nonexistent: no such file or directory"},
		{"a missing secret could not look", TCPConfig{Address: address, Send: "${env:NONE}"}, "blind: send: secret ${env:NONE}: environment variable NONE is not set"},
		{"a secret that comes back is not shown", TCPConfig{Address: address, Send: "${env:TOKEN}", Expect: "OK", Timeout: short}, `no: said "+PONG ***", not "OK"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := build(t, TCP(), test.c, Env{Secrets: secrets(map[string]string{"TOKEN": "s3cret"})})
			check(t, "look", test.want, look(t, g))
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestACanceledTCPLookEndsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(errStop) })
	g := build(t, TCP(), TCPConfig{Address: redis(t), Expect: "never", Timeout: time.Hour}, Env{})
	check(t, "look", "blind: the operator said stop", outcomeOf(g.Check(ctx)))
}

func TestTCPConfigValidate(t *testing.T) {
	tests := []struct {
		name string
		c    TCPConfig
		want string
	}{
		{"an address is needed", TCPConfig{}, "address is missing"},
		{"an address has a port", TCPConfig{Address: "10.0.0.1"}, `address: "10.0.0.1" is not host:port`},
		{"an address has a host", TCPConfig{Address: ":80"}, `address: ":80" is not host:port`},
		{"no negative timeout", TCPConfig{Address: "a:1", Timeout: -1}, "timeout cannot be negative"},
		{"cert needs key", TCPConfig{Address: "a:1", TLS: &trust.TLS{Key: "k"}}, "tls: cert and key belong together; one of them is missing"},
		{"IPv6 is fine", TCPConfig{Address: "[2001:db8::1]:443"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { check(t, "error", test.want, text(TCP().Check(decoder(test.c)))) })
	}
}

func TestAShortageOnThisMachineIsNotANo(t *testing.T) {
	for _, e := range local {
		r, err := unanswered(t.Context(), time.Second, &net.OpError{Op: "dial", Err: e})
		check(t, "look", "blind: dial: "+e.Error(), outcomeOf(r, err))
	}
}

func TestSecretsWithoutAResolverCouldNotLook(t *testing.T) {
	_, err := Env{}.reveal(t.Context(), secret.Ref("${env:X}"))
	check(t, "error", "secrets cannot be resolved here", text(err))
}

func TestARedactedErrorKeepsItsCause(t *testing.T) {
	env := Env{Secrets: secrets(map[string]string{"TOKEN": "s3cret"})}
	if _, err := env.reveal(t.Context(), "${env:TOKEN}"); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("login with s3cret failed")
	_, err := env.clean(Result{}, cause)
	check(t, "text", "login with *** failed", text(err))
	check(t, "cause", true, errors.Is(err, cause))
}
