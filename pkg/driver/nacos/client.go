package nacos

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
)

// node is one server of the Nacos cluster.
type node struct {
	name string // host:port
	base string // http://host:port/nacos
	grpc string // host:port of the gRPC API
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
		name: host,
		base: u.Scheme + "://" + host + path,
		grpc: net.JoinHostPort(u.Hostname(), strconv.Itoa(orElse(grpcPort, port+grpcOffset))),
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

// call is one request of the API. Its parameters go into the URL, as the
// vendor's own clients send them; credentials never do.
type call struct {
	method string
	path   string
	params url.Values
	login  bool // of the login itself: parameters are the body
}

// statusError is an answer that is not 200.
type statusError struct {
	node string
	code int
	text string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("server %s: %d %s: %s", e.node, e.code, http.StatusText(e.code), e.text)
}

func isStatus(err error, codes ...int) bool {
	var s *statusError
	if !errors.As(err, &s) {
		return false
	}
	return slices.Contains(codes, s.code)
}

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

const (
	largest   = 64 << 20 // of an answer
	longQuery = 6 << 10  // of a URL; servers refuse more than 8 KB
)

// send makes one request. An error that says nothing about whether a write
// took effect wraps driver.ErrUnknown.
func (c *client) send(ctx context.Context, n *node, req call, token string) ([]byte, error) {
	query := req.params.Encode()
	target, body := n.base+req.path, ""
	if req.login || (len(query) > longQuery && req.method != http.MethodGet) {
		body = query
	} else if query != "" {
		target += "?" + query
	}
	r, err := http.NewRequestWithContext(ctx, req.method, target, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if req.method != http.MethodGet {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("User-Agent", "flip")
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, req.outcome(fmt.Errorf("server %s: %w", n.name, bare(err)), err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, largest))
	if err != nil {
		return nil, req.outcome(fmt.Errorf("server %s: the answer broke off: %w", n.name, err), err)
	}
	if answer.StatusCode != http.StatusOK {
		failed := &statusError{n.name, answer.StatusCode, reason(text)}
		if answer.StatusCode >= 500 {
			return nil, req.outcome(failed, failed)
		}
		return nil, failed
	}
	return text, nil
}

// outcome marks the error of a write that may have taken effect. A connection
// that was never made carried nothing.
func (req call) outcome(err, cause error) error {
	op, ok := errors.AsType[*net.OpError](cause)
	if req.method == http.MethodGet || req.login || (ok && op.Op == "dial") {
		return err
	}
	return driver.Uncertain(err)
}

// bare takes method and URL off the error of net/http: they hold the tuple.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// reason is what an error answer says, on one line.
func reason(body []byte) string {
	text := strings.TrimSpace(string(body))
	if m := messageOf(body); m != "" {
		text = m
	}
	text = strings.Join(strings.Fields(text), " ")
	const most = 300
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return orElse(text, "no reason given")
}

// explain adds what can be done about it.
func explain(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	switch {
	case isStatus(err, http.StatusUnauthorized, http.StatusForbidden):
		return hint.Wrap(err, "set username and password of a user who may read and write the namespace; Nacos 3.x asks for them by default")
	case strings.Contains(text, "do metadata operation failed"), strings.Contains(strings.ToLower(text), "leader"):
		return hint.Wrap(err, "a write needs a Raft leader: most servers must be up and reach each other on port 7848 (their HTTP port - 1000)")
	case isStatus(err, http.StatusServiceUnavailable):
		return hint.Wrap(err, "the server is starting or going down; look at its console or logs/naming-server.log")
	case errors.Is(err, context.DeadlineExceeded):
		return hint.Wrap(err, "look at the server; a longer timeout of the target helps where it is only slow")
	case isDial(err):
		return hint.Wrap(err, "are host and port in servers right, and is Nacos up?")
	}
	return err
}

func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
