package gate

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// HTTPCountConfig is the configuration of count: {http: ...}.
type HTTPCountConfig struct {
	URL     secret.Ref            `yaml:"url"`     // of the member: http://${{ member.address }}/stats
	Value   string                `yaml:"value"`   // expression over body (parsed JSON), text, status and headers: body.in_flight
	Total   string                `yaml:"total"`   // expression for how many ever began; while it rises a zero is not quiet
	Method  string                `yaml:"method"`  // GET when left out
	Headers map[string]secret.Ref `yaml:"headers"` // values may be secret references
	Body    secret.Ref            `yaml:"body"`    // of the request
	Connect string                `yaml:"connect"` // host:port to connect to instead of the URL's; Host and TLS name stay
	Status  Statuses              `yaml:"status"`  // 200, 2xx or a list; 200 when left out
	TLS     trust.TLS             `yaml:"tls"`
	Timeout time.Duration         `yaml:"timeout"` // of a look; 5s when left out
}

// call is the request as the http gate makes it.
func (c *HTTPCountConfig) call() HTTPConfig {
	return HTTPConfig{
		URL: c.URL, Method: c.Method, Headers: c.Headers, Body: c.Body, Connect: c.Connect,
		Status: c.Status, TLS: c.TLS, Timeout: cmp.Or(c.Timeout, networkTimeout),
	}
}

// Validate says what is wrong with c.
func (c *HTTPCountConfig) Validate() error {
	call := c.call()
	if err := call.Validate(); err != nil {
		return err
	}
	if c.Value == "" {
		return hint.Wrap(errors.New("value is missing"), "where the number is in the answer: value: body.in_flight")
	}
	if _, err := compileNumber("value", c.Value); err != nil {
		return err
	}
	_, err := compileNumber("total", c.Total)
	return err
}

func httpCountKind() CountKind {
	return defineCount("http", "A number in the HTTP answer of the member", func(c HTTPCountConfig, env Env) (Count, error) {
		value, err := compileNumber("value", c.Value)
		if err != nil {
			return nil, err
		}
		total, err := compileNumber("total", c.Total)
		if err != nil {
			return nil, err
		}
		call := c.call()
		want, err := call.expectation()
		if err != nil {
			return nil, err
		}
		return &httpCount{gate: httpGate{call, env, want}, value: value, total: total}, nil
	})
}

type httpCount struct {
	gate         httpGate
	value, total quantity
}

// Source is the URL and the expression.
func (c *httpCount) Source() string { return shownURL(c.gate.URL) + " " + c.value.source }

// Changes reports whether the request is more than a question (RFC 9110 9.2.1).
func (c *httpCount) Changes() bool { return !safeMethod(c.gate.Method) }

func safeMethod(method string) bool {
	m := cmp.Or(method, http.MethodGet)
	return m == http.MethodGet || m == http.MethodHead
}

// Count asks the member once.
func (c *httpCount) Count(ctx context.Context) (driver.Flight, error) {
	f, err := c.look(ctx)
	_, err = c.gate.env.clean(Result{}, err)
	return f, err
}

func (c *httpCount) look(ctx context.Context) (driver.Flight, error) {
	resp, body, err := c.gate.fetch(ctx, mostBody) //nolint:bodyclose // fetch has read it and closed it
	if err != nil {
		return driver.Flight{}, err
	}
	a := answer{Status: resp.StatusCode, Text: string(body), Headers: map[string]string{}}
	for k := range resp.Header {
		a.Headers[strings.ToLower(k)] = resp.Header.Get(k)
	}
	jsonErr := json.Unmarshal(body, &a.Body)
	now, err := c.value.of(a)
	if err != nil {
		if jsonErr != nil {
			return driver.Flight{}, fmt.Errorf("%s: the answer is not JSON: %q", c.value.source, excerpt(a.Text, 60))
		}
		return driver.Flight{}, err
	}
	if c.total.source == "" {
		return flight(now, nil)
	}
	total, err := c.total.of(a)
	if err != nil {
		return driver.Flight{}, err
	}
	return flight(now, &total)
}

// fetch makes the request of the gate and reads the whole answer, of at most
// so many bytes. An answer that is longer, breaks off or has another status is
// an error: it does not say what was asked.
func (g *httpGate) fetch(ctx context.Context, most int64) (*http.Response, []byte, error) {
	timed, cancel := context.WithTimeout(ctx, g.Timeout)
	defer cancel()
	req, err := g.request(timed)
	if err != nil {
		return nil, nil, err
	}
	client, err := g.client(req.URL)
	if err != nil {
		return nil, nil, err
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, errNoAnswer(unanswered(ctx, g.Timeout, err))
	}
	defer resp.Body.Close()
	if !g.want.accepts(resp.StatusCode) {
		short, _ := io.ReadAll(io.LimitReader(resp.Body, mostExplain))
		return nil, nil, fmt.Errorf("status %d%s", resp.StatusCode, explain(resp, short))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	switch {
	case err != nil:
		return nil, nil, errNoAnswer(unanswered(ctx, g.Timeout, fmt.Errorf("status %d, but the body broke off: %w", resp.StatusCode, err)))
	case int64(len(body)) > most:
		return nil, nil, fmt.Errorf("the answer is longer than %d MiB", most>>20)
	}
	return resp, body, nil
}

// shownURL is a URL for people: without a password.
func shownURL(ref secret.Ref) string {
	if secret.IsRef(string(ref)) {
		return string(ref)
	}
	u, err := url.Parse(string(ref))
	if err != nil {
		return "a URL that cannot be read"
	}
	return u.Redacted()
}

// quantity is a compiled expression that is a number.
type quantity struct {
	source  string
	program *vm.Program
}

func compileNumber(key, source string) (quantity, error) {
	if source == "" {
		return quantity{}, nil
	}
	program, err := expr.Compile(source, expr.Env(answer{}))
	if err != nil {
		return quantity{}, hint.Wrap(fmt.Errorf("%s: %w", key, oneLine(err)), "it may name body, text, status and headers, like body.in_flight")
	}
	return quantity{source, program}, nil
}

// of evaluates the expression over an answer. What is missing, or is no number,
// is an error and never zero.
func (q quantity) of(a answer) (float64, error) {
	out, err := expr.Run(q.program, a)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", q.source, oneLine(err))
	}
	switch n := out.(type) {
	case float64:
		return n, nil
	case int:
		return float64(n), nil
	case int64:
		return float64(n), nil
	case nil:
		return 0, fmt.Errorf("the answer has no %s", q.source)
	}
	return 0, fmt.Errorf("%s is %s, not a number", q.source, excerpt(fmt.Sprintf("%v", out), 40))
}
