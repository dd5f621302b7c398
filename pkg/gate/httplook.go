package gate

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

type httpGate struct {
	HTTPConfig
	env  Env
	want expectation
}

// LookLimit leaves room for the gate's own timeout.
func (g *httpGate) LookLimit() time.Duration { return g.Timeout + grace }

// Check asks once.
func (g *httpGate) Check(ctx context.Context) (Result, error) {
	res, err := g.look(ctx)
	return g.env.clean(res, err)
}

func (g *httpGate) look(ctx context.Context) (Result, error) {
	timed, cancel := context.WithTimeout(ctx, g.Timeout)
	defer cancel()
	req, err := g.request(timed)
	if err != nil {
		return Result{}, err
	}
	client, err := g.client(req.URL)
	if err != nil {
		return Result{}, err
	}
	defer client.CloseIdleConnections()
	start := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return unanswered(ctx, g.Timeout, err)
	}
	defer resp.Body.Close()
	body, err := g.want.read(resp)
	took := time.Since(start)
	if err != nil {
		return unanswered(ctx, g.Timeout, fmt.Errorf("status %d, but the body broke off: %w", resp.StatusCode, err))
	}
	return g.want.judge(resp, body, took), nil
}

func (g *httpGate) request(ctx context.Context) (*http.Request, error) {
	address, err := g.env.reveal(ctx, g.URL)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	u, err := parseURL(address)
	if err != nil {
		return nil, err
	}
	if password, ok := u.User.Password(); ok && secret.IsRef(string(g.URL)) {
		// This is what goes over the line, and what a server may show.
		g.env.Secrets.Redactor.Add(password)
		g.env.Secrets.Redactor.Add(u.User.Username() + ":" + password)
	}
	body, err := g.env.reveal(ctx, g.Body)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	headers, err := g.env.revealAll(ctx, g.Headers)
	if err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, cmp.Or(g.Method, http.MethodGet), u.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "flip")
	for k, v := range headers {
		if !httpguts.ValidHeaderFieldValue(v) {
			return nil, fmt.Errorf("headers: the value of %s holds a character that no header may hold", k)
		}
		req.Header.Set(k, v)
		if strings.EqualFold(k, "Host") {
			req.Host = v
		}
	}
	return req, nil
}

// client makes one for a single look, so that no connection is used twice: a
// kept one would still reach a process that no longer accepts.
func (g *httpGate) client(u *url.URL) (*http.Client, error) {
	t := &http.Transport{}
	if g.env.Transport != nil {
		t = g.env.Transport.Clone()
	}
	t.Proxy = nil
	t.DisableKeepAlives = true
	t.ForceAttemptHTTP2 = true
	if g.TLS != (trust.TLS{}) || t.TLSClientConfig == nil {
		secure, err := g.TLS.Config()
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig = secure
	}
	if g.Connect != "" {
		t.DialContext = redirected(t.DialContext, hostPort(u), g.Connect)
	}
	return &http.Client{Transport: t, CheckRedirect: g.redirect}, nil
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// redirected connects to another address where from is asked for.
func redirected(dial dialFunc, from, to string) dialFunc {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.EqualFold(address, from) {
			address = to
		}
		return dial(ctx, network, address)
	}
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// redirect follows as many as the plan allows. Headers that hold secrets do
// not go to another host.
func (g *httpGate) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > g.Redirects {
		return http.ErrUseLastResponse
	}
	if req.URL.Host == via[0].URL.Host && req.URL.Scheme == via[0].URL.Scheme {
		return nil
	}
	for k, v := range g.Headers {
		if secret.IsRef(string(v)) {
			req.Header.Del(k)
		}
	}
	return nil
}
