package gate

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// HTTPConfig is the configuration of the http gate.
type HTTPConfig struct {
	URL     secret.Ref            `yaml:"url"`     // http or https
	Method  string                `yaml:"method"`  // GET when left out
	Headers map[string]secret.Ref `yaml:"headers"` // values may be secret references
	Body    secret.Ref            `yaml:"body"`    // of the request
	Connect string                `yaml:"connect"` // host:port to connect to instead of the URL's; Host and TLS name stay

	Status     Statuses          `yaml:"status"`      // 200, 2xx or a list; 200 when left out, any with pass
	Contains   string            `yaml:"contains"`    // text in the body
	Matches    string            `yaml:"matches"`     // regular expression that the body matches
	JSON       map[string]Scalar `yaml:"json"`        // expected values by path: components.db.status: UP
	Pass       string            `yaml:"pass"`        // condition over status, body (parsed JSON), text and headers
	MaxLatency time.Duration     `yaml:"max_latency"` // until the answer has come

	TLS       trust.TLS     `yaml:"tls"`
	Redirects int           `yaml:"redirects"` // how many to follow; 0 when left out
	Timeout   time.Duration `yaml:"timeout"`   // of a look; 5s when left out
}

// answer is what a condition over an HTTP answer may name.
type answer struct {
	Status  int               `expr:"status"`
	Body    any               `expr:"body"`
	Text    string            `expr:"text"`
	Headers map[string]string `expr:"headers"` // names in lower case
}

// Validate says what is wrong with c.
func (c *HTTPConfig) Validate() error {
	if c.URL == "" {
		return errors.New("url is missing")
	}
	if !secret.IsRef(string(c.URL)) {
		if _, err := parseURL(string(c.URL)); err != nil {
			return err
		}
	}
	if c.Connect != "" {
		if err := validAddress("connect", c.Connect); err != nil {
			return err
		}
	}
	if c.Timeout < 0 || c.MaxLatency < 0 || c.Redirects < 0 {
		return errors.New("timeout, max_latency and redirects cannot be negative")
	}
	if limit := cmp.Or(c.Timeout, networkTimeout); c.MaxLatency >= limit {
		return hint.Wrap(fmt.Errorf("max_latency %s is not below timeout %s", brief(c.MaxLatency), brief(limit)), "raise timeout")
	}
	if !httpguts.ValidHeaderFieldName(cmp.Or(c.Method, http.MethodGet)) { // both are tokens, RFC 9110 5.6.2
		return fmt.Errorf("method: %q is not an HTTP method", c.Method)
	}
	for k := range c.Headers {
		if !httpguts.ValidHeaderFieldName(k) {
			return fmt.Errorf("headers: %q is not a header's name", k)
		}
	}
	if err := c.TLS.Validate(); err != nil {
		return err
	}
	_, err := c.expectation()
	return err
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		// The text of err repeats the URL, which may hold a secret.
		return nil, hint.Wrap(errors.New("url is not a URL"), `like "http://10.0.0.13:8080/healthz"`)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, hint.Wrap(fmt.Errorf("url: scheme %q is neither http nor https", u.Scheme), `like "http://10.0.0.13:8080/healthz"`)
	case u.Hostname() == "":
		return nil, hint.Wrap(errors.New("url has no host"), `like "http://10.0.0.13:8080/healthz"`)
	}
	return u, nil
}

// HTTP is the gate that asks over HTTP, on a fresh connection each time and
// never through a proxy. A connection that is refused, breaks or times out is
// a no: the member does not answer. A name that does not resolve, a CA file
// that cannot be read and a missing secret could not be looked at.
func HTTP() Kind {
	return Define("http", "An HTTP answer has the expected status and body", func(c HTTPConfig, env Env) (Gate, error) {
		want, err := c.expectation()
		if err != nil {
			return nil, err
		}
		c.Timeout = cmp.Or(c.Timeout, networkTimeout)
		want.hide = env.redact
		return &httpGate{c, env, want}, nil
	})
}

// expectation is what an answer must be.
func (c *HTTPConfig) expectation() (expectation, error) {
	e := expectation{status: c.Status, contains: c.Contains, json: c.JSON, maxLatency: c.MaxLatency}
	var err error
	if e.pass, err = compile(c.Pass, answer{}, "status, body, text and headers"); err != nil {
		return e, err
	}
	if len(e.status) == 0 && !e.pass.given() {
		e.status = Statuses{"200"}
	}
	if err := e.json.validate(); err != nil {
		return e, err
	}
	if c.Matches != "" {
		if e.matches, err = regexp.Compile(c.Matches); err != nil {
			return e, fmt.Errorf("matches: %w", err)
		}
	}
	return e, nil
}
