package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// mostMetrics bounds an answer of Prometheus, in bytes.
const mostMetrics = 8 << 20

// Missing says what a value means that is not there, or is not a number.
type Missing string

// What a missing value means.
const (
	MissingFails  Missing = "fail"
	MissingPasses Missing = "pass"
	MissingWaits  Missing = "wait" // undecided
)

// UnmarshalText reads fail, pass or wait.
func (m *Missing) UnmarshalText(text []byte) error {
	switch v := Missing(text); v {
	case MissingFails, MissingPasses, MissingWaits:
		*m = v
		return nil
	}
	return fmt.Errorf("%q is not fail, pass or wait", text)
}

func (m Missing) result(detail string) Result {
	return Result{Pass: m == MissingPasses, Undecided: m == MissingWaits, Detail: detail}
}

// PrometheusConfig is the configuration of the prometheus gate.
type PrometheusConfig struct {
	URL        secret.Ref            `yaml:"url"`         // of the server, without /api/v1
	Query      string                `yaml:"query"`       // PromQL that gives a scalar or an instant vector
	Pass       string                `yaml:"pass"`        // condition over value: value < 0.01
	Any        bool                  `yaml:"any"`         // one series that passes is enough; all must when left out
	NoData     Missing               `yaml:"no_data"`     // an empty answer means fail, pass or wait; wait when left out
	NaN        Missing               `yaml:"nan"`         // NaN and infinity mean fail, pass or wait; fail when left out
	MinSamples int                   `yaml:"min_samples"` // looks that had data before there is a verdict
	Headers    map[string]secret.Ref `yaml:"headers"`     // values may be secret references
	Username   secret.Ref            `yaml:"username"`    // basic authentication
	Password   secret.Ref            `yaml:"password"`
	TLS        trust.TLS             `yaml:"tls"`
	Timeout    time.Duration         `yaml:"timeout"` // of a look; 5s when left out
}

// sample is what a condition over a metric may name.
type sample struct {
	Value float64 `expr:"value"`
}

// Validate says what is wrong with c.
func (c *PrometheusConfig) Validate() error {
	switch {
	case c.URL == "":
		return errors.New("url is missing")
	case c.Query == "":
		return errors.New("query is missing")
	case c.Pass == "":
		return hint.Wrap(errors.New("pass is missing"), "like pass: value < 0.01")
	case c.MinSamples < 0, c.Timeout < 0:
		return errors.New("min_samples and timeout cannot be negative")
	case c.Username == "" && c.Password != "":
		return errors.New("password means nothing without username")
	}
	if !secret.IsRef(string(c.URL)) {
		if _, err := parseURL(string(c.URL)); err != nil {
			return err
		}
	}
	if err := c.TLS.Validate(); err != nil {
		return err
	}
	_, err := compile(c.Pass, sample{}, "value")
	return err
}

// Prometheus is the gate over a metric. That the server does not answer, or
// refuses the query, could not be looked at: it says nothing about what is
// measured. What missing data means is the plan's choice.
func Prometheus() Kind {
	return Define("prometheus", "A PromQL query gives values that fulfil a condition",
		func(c PrometheusConfig, env Env) (Gate, error) {
			pass, err := compile(c.Pass, sample{}, "value")
			if err != nil {
				return nil, err
			}
			c.NoData = cmp.Or(c.NoData, MissingWaits)
			c.NaN = cmp.Or(c.NaN, MissingFails)
			c.Timeout = cmp.Or(c.Timeout, networkTimeout)
			return &prometheusGate{PrometheusConfig: c, env: env, pass: pass}, nil
		})
}

type prometheusGate struct {
	PrometheusConfig
	env     Env
	pass    condition
	samples int // looks that had data
}

// LookLimit leaves room for the gate's own timeout.
func (g *prometheusGate) LookLimit() time.Duration { return g.Timeout + grace }

// Earliest is the look that completes min_samples.
func (g *prometheusGate) Earliest(every time.Duration) time.Duration {
	return time.Duration(max(g.MinSamples, 1)-1) * every
}

// Check queries once.
func (g *prometheusGate) Check(ctx context.Context) (Result, error) {
	res, err := g.look(ctx)
	return g.env.clean(res, err)
}

func (g *prometheusGate) look(ctx context.Context) (Result, error) {
	timed, cancel := context.WithTimeout(ctx, g.Timeout)
	defer cancel()
	transport, err := g.transport(timed)
	if err != nil {
		return Result{}, err
	}
	defer transport.base.CloseIdleConnections()
	url, err := g.env.reveal(timed, g.URL)
	if err != nil {
		return Result{}, fmt.Errorf("url: %w", err)
	}
	if _, err := parseURL(url); err != nil {
		return Result{}, err
	}
	client, err := api.NewClient(api.Config{Address: url, RoundTripper: transport})
	if err != nil {
		return Result{}, err
	}
	value, warnings, _, err := promv1.NewAPI(client).Query(timed, g.Query, time.Now())
	switch {
	case ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case timed.Err() != nil && err != nil:
		return Result{}, fmt.Errorf("no answer within %s", brief(g.Timeout))
	case err != nil:
		return Result{}, queryError(err)
	}
	res, err := g.judge(value)
	if err == nil && len(warnings) > 0 {
		res.Detail += fmt.Sprintf(" (warning: %s)", excerpt(warnings[0], 120))
	}
	return res, err
}

// queryError adds what the server said and, where it refused the query, what
// to look at.
func queryError(err error) error {
	e, ok := errors.AsType[*promv1.Error](err)
	if !ok {
		return err
	}
	if e.Type == promv1.ErrBadResponse && strings.HasPrefix(e.Msg, "unexpected value type") {
		return hint.Wrap(errors.New("the query gives text, not a number"), "ask for a scalar or an instant vector")
	}
	text := e.Msg
	if e.Type == promv1.ErrServer && e.Detail != "" {
		text += ": " + e.Detail
	}
	err = errors.New(excerpt(text, 300))
	if e.Type == promv1.ErrBadData || e.Type == promv1.ErrExec {
		return hint.Wrap(fmt.Errorf("query refused: %w", err), "try it in the server's own expression browser")
	}
	return err
}

// transport is for one look, without a proxy.
func (g *prometheusGate) transport(ctx context.Context) (*metricsTransport, error) {
	headers, err := g.env.revealAll(ctx, g.Headers)
	if err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	t := &metricsTransport{base: &http.Transport{}, headers: headers}
	if g.env.Transport != nil {
		t.base = g.env.Transport.Clone()
	}
	t.base.Proxy = nil
	if g.TLS != (trust.TLS{}) || t.base.TLSClientConfig == nil {
		if t.base.TLSClientConfig, err = g.TLS.Config(); err != nil {
			return nil, err
		}
	}
	if t.user, err = g.env.reveal(ctx, g.Username); err != nil {
		return nil, fmt.Errorf("username: %w", err)
	}
	if t.password, err = g.env.reveal(ctx, g.Password); err != nil {
		return nil, fmt.Errorf("password: %w", err)
	}
	return t, nil
}

// metricsTransport adds credentials and bounds the answer.
type metricsTransport struct {
	base           *http.Transport
	headers        map[string]string
	user, password string
}

// RoundTrip sends one request.
func (t *metricsTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", "flip")
	for k, v := range t.headers {
		req.Header.Set(k, v)
	}
	if t.user != "" {
		req.SetBasicAuth(t.user, t.password)
	}
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, mostMetrics)
	return resp, nil
}
