package gate

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// Bounds of what is read of an answer, in bytes: where the body is looked at,
// and where it only explains a status.
const (
	mostBody    = 1 << 20
	mostExplain = 512
)

// expectation is what an HTTP answer must be.
type expectation struct {
	status     Statuses // empty accepts any
	contains   string
	matches    *regexp.Regexp
	json       jsonRules
	pass       condition
	maxLatency time.Duration
	hide       hider
}

func (e expectation) readsBody() bool {
	return e.contains != "" || e.matches != nil || len(e.json) > 0 || e.pass.given()
}

func (e expectation) accepts(code int) bool { return len(e.status) == 0 || e.status.accept(code) }

// read reads as much of the body as judging needs. A body that only explains a
// status may be missing.
func (e expectation) read(resp *http.Response) ([]byte, error) {
	switch {
	case !e.accepts(resp.StatusCode):
		b, _ := io.ReadAll(io.LimitReader(resp.Body, mostExplain))
		return b, nil
	case !e.readsBody():
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(resp.Body, mostBody))
}

// judge says whether the answer is the expected one.
func (e expectation) judge(resp *http.Response, body []byte, took time.Duration) Result {
	status := fmt.Sprintf("status %d", resp.StatusCode)
	if !e.accepts(resp.StatusCode) {
		return Result{Detail: status + explain(resp, body)}
	}
	if e.maxLatency > 0 && took > e.maxLatency {
		return no("%s took %s > %s", status, brief(took), brief(e.maxLatency))
	}
	complaint := e.complaint(resp, body)
	switch {
	case complaint == "":
		return Result{Pass: true, Detail: status + e.shown(resp, body)}
	case len(body) >= mostBody:
		return no("%s, %s (looked at the first 1 MiB)", status, complaint)
	}
	return no("%s, %s", status, complaint)
}

func (e expectation) complaint(resp *http.Response, body []byte) string {
	if e.contains != "" && !strings.Contains(string(body), e.contains) {
		return fmt.Sprintf("the body%s does not contain %q", quoted(body, e.hide), e.contains)
	}
	if e.matches != nil && !e.matches.Match(body) {
		return fmt.Sprintf("the body%s does not match %s", quoted(body, e.hide), e.matches)
	}
	if c := e.json.complaint(body, e.hide); c != "" {
		return c
	}
	if !e.pass.given() {
		return ""
	}
	return e.pass.complaint(body, e.hide, answerOf(resp, body))
}

// answerOf is what a condition may name of an answer.
func answerOf(resp *http.Response, body []byte) func(parsed any) any {
	headers := map[string]string{}
	for k := range resp.Header {
		headers[strings.ToLower(k)] = resp.Header.Get(k)
	}
	return func(parsed any) any { return answer{resp.StatusCode, parsed, string(body), headers} }
}

// shown tells what was judged of an answer that is the expected one.
func (e expectation) shown(resp *http.Response, body []byte) string {
	text := ""
	if e.matches != nil {
		text = fmt.Sprintf(", %q", e.hide.text(string(e.matches.Find(body))))
	}
	text += e.json.shown(body, e.hide)
	if e.pass.given() {
		text += e.pass.shown(answerOf(resp, body)(parsed(body)), e.hide)
	}
	return text
}

// quoted is a body that is short and no page of HTML.
func quoted(body []byte, hide hider) string {
	text := hide.text(string(body))
	if text == "" || strings.HasPrefix(text, "<") {
		return ""
	}
	return fmt.Sprintf(" %q", text)
}

// parsed is a text as JSON, nil if it is none.
func parsed(text []byte) any {
	var v any
	if json.Unmarshal(text, &v) != nil {
		return nil
	}
	return v
}

// complaint evaluates the condition over foreign text, parsed where it is
// JSON. Text without what the condition names does not fulfil it.
func (c condition) complaint(text []byte, hide hider, env func(parsed any) any) string {
	value := parsed(text)
	switch ok, err := c.holds(env(value)); {
	case err != nil && value == nil:
		return fmt.Sprintf("not %s: the answer is not JSON", c.source)
	case err != nil:
		return fmt.Sprintf("not %s: %v", c.source, err)
	case !ok:
		return "not " + c.source + c.shown(env(value), hide)
	}
	return ""
}

// explain adds what a refused answer says for itself.
func explain(resp *http.Response, body []byte) string {
	if to := resp.Header.Get("Location"); to != "" && resp.StatusCode/100 == 3 {
		return fmt.Sprintf(" to %s", excerpt(to, 80))
	}
	text := excerpt(string(body), 80)
	if text == "" || strings.HasPrefix(text, "<") {
		return ""
	}
	return fmt.Sprintf(" (%s)", text)
}
