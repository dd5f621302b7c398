package gate

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/secret"
)

// buildCount makes a count as the engine does.
func buildCount[C any](t *testing.T, name string, c C, env Env) Count {
	t.Helper()
	k, ok := CountOf(name)
	if !ok {
		t.Fatalf("no count %q", name)
	}
	count, err := k.Build(decoder(c), env)
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// counted writes a count as one line.
func counted(t *testing.T, c Count) string {
	t.Helper()
	f, err := c.Count(t.Context())
	if err != nil {
		return "blind: " + err.Error()
	}
	return fmt.Sprintf("%d of %d", f.Now, f.Total)
}

func TestACountOverHTTPIsANumberOrAnError(t *testing.T) {
	tests := map[string]struct {
		status      int
		body        string
		value, want string
	}{
		"a field":                            {200, `{"in_flight": 12}`, "body.in_flight", "12 of -1"},
		"nothing in flight":                  {200, `{"in_flight": 0}`, "body.in_flight", "0 of -1"},
		"a sum":                              {200, `{"ws": {"user": 3, "admin": 4}}`, "body.ws.user + body.ws.admin", "7 of -1"},
		"the length of a list":               {200, `{"sessions": ["a", "b"]}`, "len(body.sessions)", "2 of -1"},
		"plain text":                         {200, "12\n", "int(trim(text))", "12 of -1"},
		"half a request is one":              {200, `{"load": 0.2}`, "body.load", "1 of -1"},
		"a missing field is no zero":         {200, `{"inflight": 12}`, "body.in_flight", "blind: the answer has no body.in_flight"},
		"null is no zero":                    {200, `{"in_flight": null}`, "body.in_flight", "blind: the answer has no body.in_flight"},
		"text is no number":                  {200, `{"in_flight": "12"}`, "body.in_flight", "blind: body.in_flight is 12, not a number"},
		"below zero is no number of things":  {200, `{"in_flight": -1}`, "body.in_flight", "blind: what is in flight is -1, below nothing"},
		"too many to be true":                {200, `{"in_flight": 1e300}`, "body.in_flight", "blind: what is in flight is 1e+300, more than can be"},
		"an answer that is not JSON":         {200, `<html>login</html>`, "body.in_flight", `blind: body.in_flight: the answer is not JSON: "<html>login</html>"`},
		"an error of the member is no zero":  {503, `{"in_flight": 0}`, "body.in_flight", `blind: status 503 ({"in_flight": 0})`},
		"a redirect is no answer":            {302, `{"in_flight": 0}`, "body.in_flight", `blind: status 302`},
		"an empty answer":                    {200, ``, "body.in_flight", `blind: body.in_flight: the answer is not JSON: ""`},
		"an answer that is longer than read": {200, `{"in_flight": 0}` + strings.Repeat(" ", mostBody), "body.in_flight", "blind: the answer is longer than 1 MiB"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			})
			got := counted(t, buildCount(t, "http", HTTPCountConfig{URL: secret.Ref(s.URL), Value: test.value}, Env{}))
			if !strings.HasPrefix(got, test.want) || test.want == "" {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

const page = `# HELP ws_open open websockets
# TYPE ws_open gauge
ws_open{kind="user",node="a"} 12
ws_open{kind="user",node="b"} 3
ws_open{kind="admin",node="a"} 1
# TYPE requests_total counter
requests_total{path="/"} 100
requests_total{path="/x"} 20.5
# TYPE wait_seconds histogram
wait_seconds_bucket{le="1"} 4
wait_seconds_bucket{le="+Inf"} 5
wait_seconds_sum 9.5
wait_seconds_count 5
odd NaN
below -1
`

func TestACountOfMetricsIsTheSumOfSeries(t *testing.T) {
	tests := map[string]struct {
		c    MetricsCountConfig
		want string
	}{
		"one label":                          {MetricsCountConfig{Sum: []string{`ws_open{kind="user"}`}}, "15 of -1"},
		"all series of a name":               {MetricsCountConfig{Sum: []string{`ws_open`}}, "16 of -1"},
		"several selectors":                  {MetricsCountConfig{Sum: []string{`ws_open{kind="admin"}`, `ws_open{kind="user",node="b"}`}}, "4 of -1"},
		"with a total":                       {MetricsCountConfig{Sum: []string{`ws_open{kind="admin"}`}, Total: []string{"requests_total"}}, "1 of 120"},
		"not equal":                          {MetricsCountConfig{Sum: []string{`ws_open{kind!="user"}`}}, "1 of -1"},
		"a pattern of the whole value":       {MetricsCountConfig{Sum: []string{`ws_open{kind=~"us"}`}, NoSeries: NoSeriesIsZero}, "0 of -1"},
		"a pattern that matches":             {MetricsCountConfig{Sum: []string{`ws_open{kind=~"us.*"}`}}, "15 of -1"},
		"a pattern that must not match":      {MetricsCountConfig{Sum: []string{`ws_open{kind!~"us.*",}`}}, "1 of -1"},
		"a label that is missing is empty":   {MetricsCountConfig{Sum: []string{`ws_open{zone=""}`}}, "16 of -1"},
		"the count of a histogram":           {MetricsCountConfig{Sum: []string{`wait_seconds_count`}}, "5 of -1"},
		"the sum of a histogram":             {MetricsCountConfig{Sum: []string{`wait_seconds_sum`}}, "10 of -1"},
		"no series is no zero":               {MetricsCountConfig{Sum: []string{`ws_opened`}}, "blind: no series matches ws_opened"},
		"no series is zero where that is so": {MetricsCountConfig{Sum: []string{`ws_opened`}, NoSeries: NoSeriesIsZero}, "0 of -1"},
		"NaN is no number":                   {MetricsCountConfig{Sum: []string{`odd`}}, "blind: odd is NaN, which is no number of things in flight"},
		"below zero is no number of things":  {MetricsCountConfig{Sum: []string{`below`}}, "blind: below is -1, below nothing"},
	}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Accept"), "text/plain") {
			http.Error(w, "not in that format", http.StatusNotAcceptable)
			return
		}
		fmt.Fprint(w, page)
	})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.c.URL = secret.Ref(s.URL + "/metrics")
			if diff := cmp.Diff(test.want, counted(t, buildCount(t, "metrics", test.c, Env{}))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMetricsThatBreakOffAreNoCount(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "9999")
		fmt.Fprint(w, page)
	})
	got := counted(t, buildCount(t, "metrics", MetricsCountConfig{URL: secret.Ref(s.URL), Sum: []string{"ws_open"}}, Env{}))
	if !strings.HasPrefix(got, "blind: status 200, but the body broke off") {
		t.Errorf("got %q", got)
	}
	s = serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	got = counted(t, buildCount(t, "metrics", MetricsCountConfig{URL: secret.Ref(s.URL), Sum: []string{"ws_open"}, NoSeries: NoSeriesIsZero}, Env{}))
	if !strings.HasPrefix(got, "blind: the answer is not in the Prometheus text format") {
		t.Errorf("got %q", got)
	}
}

func TestAMemberThatDoesNotAnswerIsNotCounted(t *testing.T) {
	gone := serve(t, nil)
	gone.Close()
	slow := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for name, test := range map[string]struct{ url, want string }{
		"refused": {gone.URL, "blind: connection refused"},
		"slow":    {slow.URL, "blind: no answer within 50ms"},
	} {
		got := counted(t, buildCount(t, "http", HTTPCountConfig{URL: secret.Ref(test.url), Value: "body.n", Timeout: 50 * time.Millisecond}, Env{}))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestACountSendsSecretsAndShowsNone(t *testing.T) {
	var seen string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Get("Authorization")
		fmt.Fprintf(w, `{"token": %q}`, seen)
	})
	env := Env{Secrets: secrets(map[string]string{"TOKEN": "s3cret-token"})}
	c := buildCount(t, "http", HTTPCountConfig{URL: secret.Ref(s.URL), Value: "body.token", Headers: map[string]secret.Ref{"Authorization": "${env:TOKEN}"}}, env)
	got := counted(t, c) + c.Source()
	if seen != "s3cret-token" || strings.Contains(got, "s3cret") {
		t.Errorf("sent %q, shows %q", seen, got)
	}
}

func TestACountIsRefusedWhenItCannotBeMeant(t *testing.T) {
	const url = "http://127.0.0.1/stats"
	tests := map[string]struct {
		err  error
		want string
	}{
		"no URL":               {(&HTTPCountConfig{Value: "body.n"}).Validate(), "url is missing"},
		"no value":             {(&HTTPCountConfig{URL: url}).Validate(), "value is missing"},
		"a value of nothing":   {(&HTTPCountConfig{URL: url, Value: "bod.n"}).Validate(), "value: unknown name bod"},
		"another scheme":       {(&HTTPCountConfig{URL: "ftp://h/x", Value: "body.n"}).Validate(), "neither http nor https"},
		"no sum":               {(&MetricsCountConfig{URL: url}).Validate(), "sum is missing"},
		"a query":              {(&MetricsCountConfig{URL: url, Sum: []string{"sum(ws_open)"}}).Validate(), `sum: "sum(ws_open)" is no selector of series: "(ws_open)" comes after the name`},
		"an open brace":        {(&MetricsCountConfig{URL: url, Sum: []string{`ws_open{kind="user"`}}).Validate(), "the labels do not end with }"},
		"no quotes":            {(&MetricsCountConfig{URL: url, Sum: []string{`ws_open{kind=user}`}}).Validate(), "label kind is not in double quotes"},
		"no operator":          {(&MetricsCountConfig{URL: url, Sum: []string{`ws_open{kind}`}}).Validate(), "label kind has no ="},
		"a bad pattern":        {(&MetricsCountConfig{URL: url, Sum: []string{`ws_open{kind=~"("}`}}).Validate(), "missing closing"},
		"something behind":     {(&MetricsCountConfig{URL: url, Sum: []string{`ws_open{kind="a"} > 0`}}).Validate(), "comes after the labels"},
		"nothing":              {(&MetricsCountConfig{URL: url, Sum: []string{``}}).Validate(), "does not begin with a metric's name"},
		"an ask without a URL": {(&AskConfig{}).Validate(), "url is missing"},
	}
	for name, test := range tests {
		if test.err == nil || !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, test.err, test.want)
		}
	}
}

func TestAnAskIsAPostThatIsAnsweredWell(t *testing.T) {
	var got []string
	status := http.StatusAccepted
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Method+" "+r.URL.Path)
		w.WriteHeader(status)
	})
	ask := func(c AskConfig) error {
		a, err := NewAsk(decoder(c), Env{})
		if err != nil {
			return err
		}
		return a.Do(t.Context())
	}
	c := AskConfig{URL: secret.Ref(s.URL + "/drain")}
	if err := ask(c); err != nil {
		t.Error(err)
	}
	c.Method = http.MethodPut
	if err := ask(c); err != nil {
		t.Error(err)
	}
	status = http.StatusConflict
	if err := ask(c); err == nil || !strings.Contains(err.Error(), "PUT "+s.URL+"/drain: status 409") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff([]string{"POST /drain", "PUT /drain", "PUT /drain"}, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestAnAskEndsWithItsContext(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	a, err := NewAsk(decoder(AskConfig{URL: secret.Ref(s.URL)}), Env{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Do(ctx); err == nil {
		t.Error("it was answered")
	}
}

func FuzzACountOfMetricsNeverCountsWhatItCannotRead(f *testing.F) {
	f.Add(page, `ws_open{kind="user"}`)
	f.Add("ws_open 1", `ws_open`)
	f.Add("# TYPE a summary\na{quantile=\"0.5\"} 1\na_count 2\n", `a_count{x=~"y",z!="w"}`)
	f.Add("a{b=\"\\n\"} +Inf\n", `a{b="\n"}`)
	f.Fuzz(func(t *testing.T, text, source string) {
		s, err := parseSelector(source)
		if err != nil {
			return
		}
		c := &metricsCount{sum: []selector{s}}
		if got, err := c.judge([]byte(text)); err == nil && got.Now < 0 {
			t.Errorf("%d in flight", got.Now)
		}
	})
}
