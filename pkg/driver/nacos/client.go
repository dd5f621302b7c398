package nacos

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
)

// node is one server of the Nacos cluster.
type node struct {
	name   string // host:port
	origin string // http://host:port
	base   string // http://host:port/nacos
	grpc   string // host:port of the gRPC API
}

// grpcOffset is where servers put the gRPC port of SDKs, above the HTTP port.
const grpcOffset = 1000

func newNode(u *url.URL, contextPath string, grpcPort int) (*node, error) {
	port, err := strconv.Atoi(cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme]))
	if err != nil || port < 1 || port > 65535 {
		return nil, fmt.Errorf("%q has no valid port", u.Host)
	}
	path := strings.TrimRight(u.Path, "/")
	if path == "" {
		path = strings.TrimRight(orElse(contextPath, "/nacos"), "/")
	}
	if path != "" && !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	host := net.JoinHostPort(u.Hostname(), strconv.Itoa(port))
	return &node{
		name:   host,
		origin: u.Scheme + "://" + host,
		base:   u.Scheme + "://" + host + path,
		grpc:   net.JoinHostPort(u.Hostname(), strconv.Itoa(orElse(grpcPort, port+grpcOffset))),
	}, nil
}

// client speaks HTTP with every server.
type client struct {
	nodes   []*node
	http    *http.Client
	tls     *tls.Config // of gRPC; nil speaks plain text
	timeout time.Duration
	auth    *auth
	log     *slog.Logger
	api     atomic.Int32 // an api; 0 is not known yet
	first   atomic.Int32 // index of the node that answered last
}

func newClient(cfg Config, env driver.Env, log *slog.Logger) (*client, error) {
	nodes, err := cfg.nodes()
	if err != nil {
		return nil, err
	}
	secure, err := cfg.TLS.Config()
	if err != nil {
		return nil, err
	}
	c := &client{
		nodes: nodes, timeout: cfg.timeout(), log: log,
		auth: &auth{username: cfg.Username, password: cfg.Password, secrets: env.Secrets},
	}
	if cfg.TLS.GRPC {
		c.tls = secure
	}
	transport := env.Transport
	if transport == nil || cfg.TLS != (TLS{}) {
		own := http.DefaultTransport.(*http.Transport).Clone() // net/http promises the type
		own.TLSClientConfig = secure
		own.MaxIdleConnsPerHost = 4
		transport = own
	}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// any asks the servers one after the other until one gives an answer that
// counts: a server that cannot be reached or fails (5xx) is left for the next
// one. All of it ends after the target's timeout. Repeating is harmless, since
// every write is a whole tuple.
func (c *client) any(ctx context.Context, ask func(context.Context, *node) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var failed []error
	first := int(c.first.Load())
	for i := range c.nodes {
		n := c.nodes[(first+i)%len(c.nodes)]
		err := share(ctx, len(c.nodes)-i, n, ask)
		if err == nil {
			c.first.Store(int32((first + i) % len(c.nodes))) //nolint:gosec // a small index
			return nil
		}
		failed = append(failed, err)
		if !elsewhere(err) || ctx.Err() != nil {
			break
		}
		c.log.DebugContext(ctx, "server left for the next", "server", n.name, "err", err)
	}
	if len(failed) == 1 {
		return explain(failed[0])
	}
	return explain(&allFailed{failed})
}

// share gives one server its part of the time that is left.
func share(ctx context.Context, left int, n *node, ask func(context.Context, *node) error) error {
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
	defer cancel()
	return ask(ctx, n)
}

// allFailed is what every server said.
type allFailed struct{ errs []error }

func (e *allFailed) Error() string {
	texts := make([]string, len(e.errs))
	for i, err := range e.errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e *allFailed) Unwrap() []error { return e.errs }

// elsewhere reports whether another server may answer what this one did not.
func elsewhere(err error) bool {
	var s *statusError
	return !errors.As(err, &s) || s.code >= 500 || errors.Is(err, errNoInstances)
}

// at asks one server in the words of its version. A 410 says that it is a 3.x
// after all, a refused token is replaced once.
func (c *client) at(ctx context.Context, n *node, request func(api) call) ([]byte, api, error) {
	version, err := c.version(ctx, n)
	if err != nil {
		return nil, 0, err
	}
	body, err := c.authorized(ctx, n, request(version))
	if isStatus(err, http.StatusGone) && version != v3 {
		c.log.InfoContext(ctx, "the server no longer has this API: it is a Nacos 3.x", "server", n.name, "path", request(version).path)
		version = v3
		c.api.Store(int32(v3))
		body, err = c.authorized(ctx, n, request(v3))
	}
	if err == nil && version == v3 {
		if body, err = parseResult(body); err != nil {
			err = fmt.Errorf("server %s: %w", n.name, err)
		}
	}
	return body, version, err
}

func (c *client) authorized(ctx context.Context, n *node, req call) ([]byte, error) {
	token, err := c.token(ctx, n)
	if err != nil {
		return nil, err
	}
	body, err := c.send(ctx, n, req, token)
	if token != "" && isStatus(err, http.StatusUnauthorized, http.StatusForbidden) {
		c.auth.forget(token)
		if token, err = c.token(ctx, n); err != nil {
			return nil, err
		}
		return c.send(ctx, n, req, token)
	}
	return body, err
}
