package gate

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/prometheus/common/model"

	"github.com/flip-cli/flip/pkg/hint"
)

// judge judges what a query gave. A value of a type that has no one number now
// is an error: the query is not a condition.
func (g *prometheusGate) judge(value model.Value) (Result, error) {
	switch v := value.(type) {
	case *model.Scalar:
		return g.series(model.Vector{{Value: v.Value}})
	case model.Vector:
		return g.series(v)
	case model.Matrix:
		return Result{}, hint.Wrap(errors.New("the query gives a range of values for each series, not one"),
			"put a function around it, such as rate(...[1m]) or avg_over_time(...[1m])")
	}
	return Result{}, errors.New("the server's answer holds no result")
}

// series judges each series and puts them together: all must pass, or any.
func (g *prometheusGate) series(vector model.Vector) (Result, error) {
	if len(vector) == 0 {
		return g.NoData.result("no data"), nil
	}
	g.samples++
	var good, bad, open []Result
	for _, s := range vector {
		r, err := g.one(s)
		switch {
		case err != nil:
			return Result{}, err
		case r.Pass:
			good = append(good, r)
		case r.Undecided:
			open = append(open, r)
		default:
			bad = append(bad, r)
		}
	}
	if g.samples < g.MinSamples {
		return undecided("%d of %d samples (%s)", g.samples, g.MinSamples, first(bad, open, good).Detail), nil
	}
	var res Result
	switch {
	case g.Any:
		res = first(good, open, bad)
	default:
		res = first(bad, open, good)
	}
	if n := len(vector); n > 1 {
		res.Detail += fmt.Sprintf(", %d of %d series pass", len(good), n)
	}
	return res, nil
}

// one judges one series.
func (g *prometheusGate) one(s *model.Sample) (Result, error) {
	if s.Histogram != nil {
		return Result{}, hint.Wrap(errors.New("the query gives a native histogram, not a number"),
			"take a number out of it, such as histogram_quantile(0.99, ...)")
	}
	value := float64(s.Value)
	detail := "value " + strconv.FormatFloat(value, 'g', 6, 64)
	if len(s.Metric) > 0 {
		detail += " " + excerpt(s.Metric.String(), 120)
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return g.NaN.result(detail), nil
	}
	ok, err := g.pass.holds(sample{value})
	switch {
	case err != nil:
		return Result{}, fmt.Errorf("pass: %w", err)
	case !ok:
		return no("%s, not %s", detail, g.pass.source), nil
	}
	return yes("%s", detail), nil
}

// first returns the first result of the first list that has one.
func first(lists ...[]Result) Result {
	for _, l := range lists {
		if len(l) > 0 {
			return l[0]
		}
	}
	return Result{}
}
