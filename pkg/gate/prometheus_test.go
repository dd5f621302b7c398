package gate

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
	"github.com/flip-cli/flip/pkg/trust"
)

func vector(samples ...string) string {
	return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(samples, ",") + `]}}`
}

func series(instance, value string) string {
	return fmt.Sprintf(`{"metric":{"instance":%q},"value":[1700000000,%q]}`, instance, value)
}

func TestPrometheus(t *testing.T) {
	const pass = "value < 0.01"
	good, bad, nan := series("web3", "0.001"), series("web4", "0.031"), series("web5", "NaN")
	tests := []struct {
		name   string
		c      PrometheusConfig
		status int
		answer string
		want   string
		hint   string
	}{
		{"a scalar", PrometheusConfig{}, 200, `{"status":"success","data":{"resultType":"scalar","result":[1700000000,"0.005"]}}`, "pass: value 0.005", ""},
		{"a vector of one series", PrometheusConfig{}, 200, vector(good), `pass: value 0.001 {instance="web3"}`, ""},
		{"every series must pass", PrometheusConfig{}, 200, vector(good, bad), `no: value 0.031 {instance="web4"}, not value < 0.01, 1 of 2 series pass`, ""},
		{"one series is enough where the plan says so", PrometheusConfig{Any: true}, 200, vector(bad, good), `pass: value 0.001 {instance="web3"}, 1 of 2 series pass`, ""},
		{"even then one must pass", PrometheusConfig{Any: true}, 200, vector(bad), `no: value 0.031 {instance="web4"}, not value < 0.01`, ""},
		{"no data waits when the plan is silent", PrometheusConfig{}, 200, vector(), "undecided: no data", ""},
		{"no data can fail", PrometheusConfig{NoData: MissingFails}, 200, vector(), "no: no data", ""},
		{"no data can pass", PrometheusConfig{NoData: MissingPasses}, 200, vector(), "pass: no data", ""},
		{"null is no data", PrometheusConfig{}, 200, `{"status":"success","data":{"resultType":"vector","result":null}}`, "undecided: no data", ""},
		{"NaN fails when the plan is silent", PrometheusConfig{}, 200, vector(nan), `no: value NaN {instance="web5"}`, ""},
		{"NaN can wait", PrometheusConfig{NaN: MissingWaits}, 200, vector(good, nan), `undecided: value NaN {instance="web5"}, 1 of 2 series pass`, ""},
		{"NaN can pass", PrometheusConfig{NaN: MissingPasses}, 200, vector(nan), `pass: value NaN {instance="web5"}`, ""},
		{"a no counts more than a NaN that waits", PrometheusConfig{NaN: MissingWaits}, 200, vector(nan, bad), `no: value 0.031 {instance="web4"}, not value < 0.01, 0 of 2 series pass`, ""},
		{"infinity is as NaN", PrometheusConfig{Pass: "value > 1"}, 200, vector(series("a", "+Inf")), `no: value +Inf {instance="a"}`, ""},
		{"one sample may not be enough", PrometheusConfig{MinSamples: 2}, 200, vector(bad), `undecided: 1 of 2 samples (value 0.031 {instance="web4"}, not value < 0.01)`, ""},
		{"warnings are shown", PrometheusConfig{}, 200, strings.Replace(vector(good), `"success"`, `"success","warnings":["store x did not answer"]`, 1), `pass: value 0.001 {instance="web3"} (warning: store x did not answer)`, ""},
		{"a range is refused", PrometheusConfig{}, 200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, "blind: the query gives a range of values for each series, not one", "put a function around it, such as rate(...[1m]) or avg_over_time(...[1m])"},
		{"text is refused", PrometheusConfig{}, 200, `{"status":"success","data":{"resultType":"string","result":[1700000000,"x"]}}`, "blind: the query gives text, not a number", "ask for a scalar or an instant vector"},
		{"a histogram is refused", PrometheusConfig{}, 200, vector(`{"metric":{},"histogram":[1700000000,{"count":"1","sum":"1","buckets":[]}]}`), "blind: the query gives a native histogram, not a number", "take a number out of it, such as histogram_quantile(0.99, ...)"},
		{"an answer without a result could not look", PrometheusConfig{}, 200, `{"status":"success"}`, "blind: the server's answer holds no result", ""},
		{"a refused query could not look", PrometheusConfig{}, 422, `{"status":"error","errorType":"execution","error":"many-to-many matching not allowed"}`, "blind: query refused: many-to-many matching not allowed", "try it in the server's own expression browser"},
		{"a wrong query could not look", PrometheusConfig{}, 400, `{"status":"error","errorType":"bad_data","error":"1:5: parse error"}`, "blind: query refused: 1:5: parse error", "try it in the server's own expression browser"},
		{"a server that is starting could not look", PrometheusConfig{}, 503, "Service Unavailable", "blind: server error: 503: Service Unavailable", ""},
		{"a server that wants a password could not look", PrometheusConfig{}, 401, "Unauthorized", "blind: client error: 401", ""},
		{"a page of HTML could not look", PrometheusConfig{}, 200, "<html>", "blind: invalid character '<' looking for beginning of value", ""},
		{"a missing secret could not look", PrometheusConfig{Headers: map[string]secret.Ref{"X": "${env:NONE}"}}, 200, vector(good), "blind: headers: X: secret ${env:NONE}: environment variable NONE is not set", "export NONE before running flip"},
		{"a missing password could not look", PrometheusConfig{Username: "u", Password: "${env:NONE}"}, 200, vector(good), "blind: password: secret ${env:NONE}: environment variable NONE is not set", "export NONE before running flip"},
		{"a missing user could not look", PrometheusConfig{Username: "${env:NONE}"}, 200, vector(good), "blind: username: secret ${env:NONE}: environment variable NONE is not set", "export NONE before running flip"},
		{"a missing CA file could not look", PrometheusConfig{TLS: trust.TLS{CA: "/nonexistent"}}, 200, vector(good), "blind: tls: ca: open /nonexistent: no such file or directory", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.answer)
			})
			test.c.URL, test.c.Query = secret.Ref(s.URL), "up"
			if test.c.Pass == "" {
				test.c.Pass = pass
			}
			r, err := build(t, Prometheus(), test.c, Env{Secrets: secrets(nil)}).Check(t.Context())
			check(t, "look", test.want, outcomeOf(r, err))
			check(t, "hint", test.hint, strings.Join(hint.Of(err), " "))
		})
	}
}

func TestPrometheusCountsLooksWithData(t *testing.T) {
	answers := []string{vector(), vector(series("a", "0")), vector(), vector(series("a", "0"))}
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answers[0])
		answers = answers[1:]
	})
	g := build(t, Prometheus(), PrometheusConfig{URL: secret.Ref(s.URL), Query: "up", Pass: "value == 0", MinSamples: 2}, Env{})
	for _, want := range []string{
		"undecided: no data",
		`undecided: 1 of 2 samples (value 0 {instance="a"})`,
		"undecided: no data",
		`pass: value 0 {instance="a"}`,
	} {
		check(t, "look", want, look(t, g))
	}
}

func TestPrometheusSendsCredentialsAndShowsNone(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"status":"error","errorType":"bad_data","error":"%s %s %s %s"}`, user, password, r.Header.Get("X-Scope-OrgID"), r.FormValue("query"))
	})
	c := PrometheusConfig{URL: secret.Ref(s.URL), Query: "up", Pass: "value > 0", Username: "flip", Password: "${env:TOKEN}", Headers: map[string]secret.Ref{"X-Scope-OrgID": "shop"}}
	g := build(t, Prometheus(), c, Env{Secrets: secrets(map[string]string{"TOKEN": "s3cret"})})
	check(t, "look", "blind: query refused: flip *** shop up", look(t, g))
}

func TestPrometheusThatHangsCouldNotLook(t *testing.T) {
	hang := make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) { <-hang })
	defer close(hang)
	c := PrometheusConfig{URL: secret.Ref(s.URL), Query: "up", Pass: "value > 0", Timeout: 50 * time.Millisecond}
	check(t, "look", "blind: no answer within 50ms", look(t, build(t, Prometheus(), c, Env{})))
}

func TestAnAnswerOfPrometheusIsBounded(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, mostMetrics+1) })
	c := PrometheusConfig{URL: secret.Ref(s.URL), Query: "up", Pass: "value > 0"}
	check(t, "look", "blind: http: request body too large", look(t, build(t, Prometheus(), c, Env{Transport: &http.Transport{}})))
}

func TestPrometheusConfigValidate(t *testing.T) {
	tests := []struct {
		name string
		c    PrometheusConfig
		want string
	}{
		{"a url is needed", PrometheusConfig{}, "url is missing"},
		{"a url is one", PrometheusConfig{URL: "prom:9090", Query: "up", Pass: "value > 0"}, `url: scheme "prom" is neither http nor https`},
		{"a query is needed", PrometheusConfig{URL: "http://p"}, "query is missing"},
		{"a condition is needed", PrometheusConfig{URL: "http://p", Query: "up"}, "pass is missing"},
		{"a condition is over value", PrometheusConfig{URL: "http://p", Query: "up", Pass: "vale > 0"}, "pass: unknown name vale at column 1"},
		{"a condition compares numbers", PrometheusConfig{URL: "http://p", Query: "up", Pass: `value == "1"`}, "pass: invalid operation: == (mismatched types float64 and string) at column 7"},
		{"no negative count", PrometheusConfig{URL: "http://p", Query: "up", Pass: "value > 0", MinSamples: -1}, "min_samples and timeout cannot be negative"},
		{"a password needs a user", PrometheusConfig{URL: "http://p", Query: "up", Pass: "value > 0", Password: "x"}, "password means nothing without username"},
		{"cert needs key", PrometheusConfig{URL: "http://p", Query: "up", Pass: "value > 0", TLS: trust.TLS{Cert: "x"}}, "tls: cert and key belong together; one of them is missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { check(t, "error", test.want, text(Prometheus().Check(decoder(test.c)))) })
	}
}

// The real server scrapes itself; the gate waits for the first sample.
func TestARealPrometheusServer(t *testing.T) {
	url := startPrometheus(t)
	gate := func(query, pass string) []Named {
		c := PrometheusConfig{URL: secret.Ref(url), Query: query, Pass: pass}
		return []Named{{Name: "metric", Gate: build(t, Prometheus(), c, Env{}), Policy: Policy{Every: 100 * time.Millisecond, Timeout: 30 * time.Second}}}
	}
	if err := Wait(t.Context(), gate(`up{job="self"}`, "value == 1"), nil); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, query, pass, want string }{
		{"a scalar", "scalar(vector(4.5))", "value > 4", "pass: value 4.5"},
		{"a vector", `up{job="self"}`, "value == 0", `no: value 1 up{instance="self", job="self"}, not value == 0`},
		{"nothing", "no_such_metric", "value == 0", "undecided: no data"},
		{"NaN", "vector(0) / vector(0)", "value == 0", "no: value NaN"},
		{"text", `"x"`, "value == 0", "blind: the query gives text, not a number"},
		{"a range", "up[1m]", "value == 0", "blind: the query gives a range of values for each series, not one"},
		{"a wrong query", "up{", "value == 0", `blind: query refused: invalid parameter "query": 1:4: parse error: unexpected end of input inside braces`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { check(t, "look", test.want, look(t, gate(test.query, test.pass)[0].Gate)) })
	}
}

// startPrometheus runs the server on a free port of 127.0.0.1.
func startPrometheus(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("this test runs the real server: install the package prometheus")
	}
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	config := filepath.Join(dir, "prometheus.yml")
	write(t, config, `
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs:
  - {job_name: self, static_configs: [{targets: ["`+address+`"], labels: {instance: self}}]}
`)
	cmd := exec.CommandContext(t.Context(), program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, drained := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(logs)
		for told := false; lines.Scan(); {
			if !told && strings.Contains(lines.Text(), "Server is ready") {
				told = true
				close(ready)
			}
		}
	}()
	t.Cleanup(func() { <-drained; _ = cmd.Wait() })
	select {
	case <-ready:
	case <-drained:
		t.Fatal("prometheus ended at once")
	}
	return "http://" + address
}
