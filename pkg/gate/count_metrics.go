package gate

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/flip-cli/flip/pkg/driver"
	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

// NoSeries says what it means that no series matches.
type NoSeries string

// What no matching series means.
const (
	NoSeriesFails  NoSeries = "fail" // the member did not tell
	NoSeriesIsZero NoSeries = "zero" // nothing is in flight: some clients make a series with its first event
)

// UnmarshalText reads fail or zero.
func (n *NoSeries) UnmarshalText(text []byte) error {
	switch v := NoSeries(text); v {
	case NoSeriesFails, NoSeriesIsZero:
		*n = v
		return nil
	}
	return fmt.Errorf("%q is not fail or zero", text)
}

// MetricsCountConfig is the configuration of count: {metrics: ...}.
type MetricsCountConfig struct {
	URL      secret.Ref            `yaml:"url"`       // of the member's own metrics: http://${{ member.address }}/metrics
	Sum      []string              `yaml:"sum"`       // series whose values are in flight: ws_open{kind="user"}; one or several
	Total    []string              `yaml:"total"`     // counters of how many ever began; while they rise a zero is not quiet
	NoSeries NoSeries              `yaml:"no_series"` // fail or zero, where a selector of sum matches none; fail when left out
	Headers  map[string]secret.Ref `yaml:"headers"`   // values may be secret references
	Connect  string                `yaml:"connect"`   // host:port to connect to instead of the URL's; Host and TLS name stay
	TLS      trust.TLS             `yaml:"tls"`
	Timeout  time.Duration         `yaml:"timeout"` // of a look; 5s when left out
}

// textFormat asks for the one format that is read: exporters speak others too.
const textFormat = "text/plain;version=0.0.4;q=1,*/*;q=0.1"

func (c *MetricsCountConfig) call() HTTPConfig {
	headers := map[string]secret.Ref{"Accept": textFormat}
	maps.Copy(headers, c.Headers)
	return HTTPConfig{URL: c.URL, Headers: headers, Connect: c.Connect, TLS: c.TLS, Timeout: cmp.Or(c.Timeout, networkTimeout)}
}

// Validate says what is wrong with c.
func (c *MetricsCountConfig) Validate() error {
	call := c.call()
	if err := call.Validate(); err != nil {
		return err
	}
	if len(c.Sum) == 0 {
		return hint.Wrap(errors.New("sum is missing"), `which series are in flight: sum: 'ws_open{kind="user"}'`)
	}
	if _, err := selectors("sum", c.Sum); err != nil {
		return err
	}
	_, err := selectors("total", c.Total)
	return err
}

func selectors(key string, sources []string) ([]selector, error) {
	var all []selector
	for _, source := range sources {
		s, err := parseSelector(source)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func metricsCountKind() CountKind {
	return defineCount("metrics", "The sum of series that the member itself exports in the Prometheus text format",
		func(c MetricsCountConfig, env Env) (Count, error) {
			sum, err := selectors("sum", c.Sum)
			if err != nil {
				return nil, err
			}
			total, err := selectors("total", c.Total)
			if err != nil {
				return nil, err
			}
			call := c.call()
			want, err := call.expectation()
			if err != nil {
				return nil, err
			}
			return &metricsCount{gate: httpGate{call, env, want}, sum: sum, total: total, zero: c.NoSeries == NoSeriesIsZero}, nil
		})
}

type metricsCount struct {
	gate       httpGate
	sum, total []selector
	zero       bool
}

// Source is the URL and the selectors.
func (c *metricsCount) Source() string {
	var names []string
	for _, s := range c.sum {
		names = append(names, s.source)
	}
	return shownURL(c.gate.URL) + " " + strings.Join(names, " + ")
}

// Changes is false: metrics are asked for with GET.
func (c *metricsCount) Changes() bool { return false }

// Count asks the member once.
func (c *metricsCount) Count(ctx context.Context) (driver.Flight, error) {
	f, err := c.look(ctx)
	_, err = c.gate.env.clean(Result{}, err)
	return f, err
}

func (c *metricsCount) look(ctx context.Context) (driver.Flight, error) {
	_, body, err := c.gate.fetch(ctx, mostMetrics) //nolint:bodyclose // fetch has read it and closed it
	if err != nil {
		return driver.Flight{}, err
	}
	return c.judge(body)
}

// judge reads the answer. A text that breaks off or is not the format is an
// error: the series that are missing from it may be those that matter.
func (c *metricsCount) judge(body []byte) (driver.Flight, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return driver.Flight{}, fmt.Errorf("the answer is not in the Prometheus text format: %s", excerpt(err.Error(), 120))
	}
	now := 0.0
	for _, s := range c.sum {
		v, n, err := s.sum(families)
		if err != nil {
			return driver.Flight{}, err
		}
		if n == 0 && !c.zero {
			return driver.Flight{}, hint.Wrap(fmt.Errorf("no series matches %s", s.source), "where the member makes the series with its first event: no_series: zero")
		}
		now += v
	}
	if len(c.total) == 0 {
		return flight(now, nil)
	}
	total := 0.0
	for _, s := range c.total {
		v, _, err := s.sum(families) // a counter that does not exist yet has counted nothing
		if err != nil {
			return driver.Flight{}, err
		}
		total += v
	}
	return flight(now, &total)
}

// sum adds the series that match, and counts them. Each must be a number of
// things by itself: a negative one would hide what the others count.
func (s selector) sum(families map[string]*dto.MetricFamily) (sum float64, n int, err error) {
	for _, series := range s.family(families) {
		labels := map[string]string{}
		for _, l := range series.metric.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if !s.matches(labels) {
			continue
		}
		if _, err := whole(s.name, series.value); err != nil {
			return 0, 0, err
		}
		sum += series.value
		n++
	}
	return sum, n, nil
}

// metricSeries is one metric with the value that a name stands for.
type metricSeries struct {
	metric *dto.Metric
	value  float64
}

// family returns the series of the selector's name. Of a histogram and a
// summary these are name_count and name_sum, as in the text.
func (s selector) family(families map[string]*dto.MetricFamily) []metricSeries {
	var out []metricSeries
	if f, ok := families[s.name]; ok {
		for _, m := range f.GetMetric() {
			if v, ok := plainValue(f.GetType(), m); ok {
				out = append(out, metricSeries{m, v})
			}
		}
		return out
	}
	for _, part := range []string{"_count", "_sum"} {
		name, ok := strings.CutSuffix(s.name, part)
		f := families[name]
		if !ok || f == nil {
			continue
		}
		for _, m := range f.GetMetric() {
			if v, ok := partValue(part, m); ok {
				out = append(out, metricSeries{m, v})
			}
		}
	}
	return out
}

func plainValue(t dto.MetricType, m *dto.Metric) (float64, bool) {
	switch t {
	case dto.MetricType_COUNTER:
		return m.GetCounter().GetValue(), true
	case dto.MetricType_GAUGE:
		return m.GetGauge().GetValue(), true
	case dto.MetricType_UNTYPED:
		return m.GetUntyped().GetValue(), true
	case dto.MetricType_SUMMARY, dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
	}
	return 0, false
}

func partValue(part string, m *dto.Metric) (float64, bool) {
	count := part == "_count"
	switch h, s := m.GetHistogram(), m.GetSummary(); {
	case h != nil && count:
		return float64(h.GetSampleCount()), true
	case h != nil:
		return h.GetSampleSum(), true
	case s != nil && count:
		return float64(s.GetSampleCount()), true
	case s != nil:
		return s.GetSampleSum(), true
	}
	return 0, false
}
