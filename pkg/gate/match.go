package gate

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/flip-cli/flip/pkg/hint"
)

// Status is one HTTP status that is accepted: "200", or a class like "2xx".
type Status string

var statusForm = regexp.MustCompile(`^[1-5]([0-9][0-9]|xx)$`)

// UnmarshalText reads "200" or "2xx".
func (s *Status) UnmarshalText(text []byte) error {
	v := strings.ToLower(strings.TrimSpace(string(text)))
	if !statusForm.MatchString(v) {
		return hint.Wrap(fmt.Errorf("%q is not an HTTP status", v), "write 200, 2xx or [200, 204]")
	}
	*s = Status(v)
	return nil
}

func (s Status) accepts(code int) bool {
	text := strconv.Itoa(code)
	if strings.HasSuffix(string(s), "xx") {
		return text[0] == s[0]
	}
	return text == string(s)
}

// Statuses are the HTTP statuses that are accepted: one, or a list.
type Statuses []Status

// UnmarshalText reads one status, or several with commas between them.
func (s *Statuses) UnmarshalText(text []byte) error {
	var all Statuses
	for part := range strings.SplitSeq(string(text), ",") {
		var one Status
		if err := one.UnmarshalText([]byte(part)); err != nil {
			return err
		}
		all = append(all, one)
	}
	*s = all
	return nil
}

func (s Statuses) accept(code int) bool {
	return slices.ContainsFunc(s, func(one Status) bool { return one.accepts(code) })
}

// Scalar is an expected JSON value as it is written in a plan: UP, 3, true.
type Scalar string

// UnmarshalText takes the text as it is.
func (s *Scalar) UnmarshalText(text []byte) error {
	*s = Scalar(text)
	return nil
}

// same reports whether a JSON value is the expected one. Numbers are compared
// as numbers, everything else as text; lists and objects equal nothing.
func (s Scalar) same(v gjson.Result) bool {
	switch v.Type {
	case gjson.Number:
		want, err := strconv.ParseFloat(string(s), 64)
		return err == nil && want == v.Num
	case gjson.Null:
		return s == "null"
	case gjson.JSON:
		return false
	case gjson.False, gjson.True, gjson.String:
	}
	return v.String() == string(s)
}

// jsonRules are expected values by path, such as "components.db.status" or
// "items[0].id". The rest of the path syntax is gjson's.
type jsonRules map[string]Scalar

var index = regexp.MustCompile(`\[([0-9]+)\]`)

// complaint says what is wrong with a JSON text, nothing if every value is the
// expected one.
func (r jsonRules) complaint(body []byte, hide hider) string {
	if len(r) == 0 {
		return ""
	}
	if !gjson.ValidBytes(body) {
		return "the answer is not JSON"
	}
	for _, path := range slices.Sorted(maps.Keys(r)) {
		v := jsonAt(body, path)
		switch {
		case !v.Exists():
			return fmt.Sprintf("the answer has no %s", path)
		case !r[path].same(v):
			return fmt.Sprintf("%s is %s, not %s", path, hide.text(textOf(v)), r[path])
		}
	}
	return ""
}

// shown tells the values that the rules are about, as an addition to a detail.
func (r jsonRules) shown(body []byte, hide hider) string {
	var text strings.Builder
	for _, path := range slices.Sorted(maps.Keys(r))[:min(len(r), mostParts)] {
		fmt.Fprintf(&text, ", %s is %s", path, hide.text(textOf(jsonAt(body, path))))
	}
	return text.String()
}

func textOf(v gjson.Result) string {
	if v.Type == gjson.Null {
		return "null"
	}
	return v.String()
}

func jsonAt(body []byte, path string) gjson.Result {
	return gjson.GetBytes(body, strings.TrimPrefix(index.ReplaceAllString(path, ".$1"), "."))
}

func (r jsonRules) validate() error {
	for path := range r {
		if strings.TrimSpace(path) == "" {
			return errors.New("json: a path is empty")
		}
	}
	return nil
}

// excerpt makes foreign text fit to be shown in a line: printable, one line,
// at most limit runes.
func excerpt(s string, limit int) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range s {
		if !strconv.IsPrint(r) || r == ' ' {
			space = b.Len() > 0
			continue
		}
		if n >= limit {
			b.WriteString("...")
			break
		}
		if space {
			b.WriteByte(' ')
			n++
			space = false
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}
