package gate

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
)

// selector picks series by their name and labels, as PromQL writes it:
// ws_open{kind="user", path!~"/internal/.*"}. A label that is missing is the
// empty text, and a regular expression must match all of a value
// (Prometheus, querying basics: time series selectors).
type selector struct {
	source string
	name   string
	rules  []labelRule
}

type labelRule struct {
	label, op, value string
	pattern          *regexp.Regexp // of =~ and !~
}

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*`)
	labelOps   = []string{"=~", "!~", "!=", "="}
)

// parseSelector reads a selector. Nothing may follow it: a query is for a
// Prometheus server, a member has only its own series.
func parseSelector(source string) (selector, error) {
	s := selector{source: source}
	rest := strings.TrimSpace(source)
	if s.name = metricName.FindString(rest); s.name == "" {
		return s, selectorError(source, "it does not begin with a metric's name")
	}
	rest = strings.TrimSpace(rest[len(s.name):])
	if rest == "" {
		return s, nil
	}
	inside, ok := strings.CutPrefix(rest, "{")
	if !ok {
		return s, selectorError(source, fmt.Sprintf("%q comes after the name", excerpt(rest, 20)))
	}
	for {
		inside = strings.TrimSpace(inside)
		if after, end := strings.CutPrefix(inside, "}"); end {
			if strings.TrimSpace(after) != "" {
				return s, selectorError(source, fmt.Sprintf("%q comes after the labels", excerpt(after, 20)))
			}
			return s, nil
		}
		rule, after, err := parseLabel(inside)
		if err != nil {
			return s, selectorError(source, err.Error())
		}
		s.rules = append(s.rules, rule)
		inside = strings.TrimSpace(after)
		if next, more := strings.CutPrefix(inside, ","); more {
			inside = next
		} else if !strings.HasPrefix(inside, "}") {
			return s, selectorError(source, "the labels do not end with }")
		}
	}
}

func selectorError(source, why string) error {
	return hint.Wrap(fmt.Errorf("%q is no selector of series: %s", excerpt(source, 80), why), `like ws_open{kind="user"}; sums over all that match`)
}

// parseLabel reads one label="value".
func parseLabel(text string) (r labelRule, rest string, err error) {
	if r.label = labelName.FindString(text); r.label == "" {
		return r, "", errors.New("a label's name is missing")
	}
	rest = strings.TrimSpace(text[len(r.label):])
	for _, op := range labelOps {
		if after, ok := strings.CutPrefix(rest, op); ok {
			r.op, rest = op, strings.TrimSpace(after)
			break
		}
	}
	if r.op == "" {
		return r, "", fmt.Errorf("label %s has no =, !=, =~ or !~", r.label)
	}
	quoted, err := strconv.QuotedPrefix(rest)
	if err != nil || strings.HasPrefix(rest, "'") {
		return r, "", fmt.Errorf("the value of label %s is not in double quotes", r.label)
	}
	if r.value, err = strconv.Unquote(quoted); err != nil {
		return r, "", fmt.Errorf("the value of label %s: %w", r.label, err)
	}
	if strings.HasSuffix(r.op, "~") {
		if r.pattern, err = regexp.Compile("^(?s:" + r.value + ")$"); err != nil {
			return r, "", fmt.Errorf("the value of label %s: %w", r.label, err)
		}
	}
	return r, rest[len(quoted):], nil
}

// matches reports whether a series with these labels is one of them.
func (s selector) matches(labels map[string]string) bool {
	for _, r := range s.rules {
		v := labels[r.label]
		ok := v == r.value
		if r.pattern != nil {
			ok = r.pattern.MatchString(v)
		}
		if ok == strings.HasPrefix(r.op, "!") {
			return false
		}
	}
	return true
}
