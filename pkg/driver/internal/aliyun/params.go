package aliyun

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Params are the parameters of a request. Empty ones are not sent.
type Params map[string]string

// With returns a copy with one more.
func (p Params) With(name, value string) Params {
	p = maps.Clone(p)
	if p == nil {
		p = Params{}
	}
	p[name] = value
	return p
}

// Flatten adds a JSON value under a name, the way of the API: lists count from
// 1, "RuleActions.1.ForwardGroupConfig.ServerGroupTuples.2.Weight". Null and
// empty containers are left out.
func (p Params) Flatten(name string, v any) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for k, item := range v {
			p.Flatten(name+"."+k, item)
		}
	case []any:
		for i, item := range v {
			p.Flatten(name+"."+strconv.Itoa(i+1), item)
		}
	case bool:
		p[name] = strconv.FormatBool(v)
	case string:
		p[name] = v
	case json.Number:
		p[name] = v.String()
	default:
		p[name] = fmt.Sprint(v)
	}
}

// List adds "Name.1", "Name.2", ...
func (p Params) List(name string, values []string) Params {
	for i, v := range values {
		p[name+"."+strconv.Itoa(i+1)] = v
	}
	return p
}

func sorted(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }

// Tree decodes JSON with its numbers as they are written.
func Tree(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

// Number is a whole number that the API may send as a text.
type Number int

// UnmarshalJSON accepts 100, 100.0, "100", "" and null.
func (n *Number) UnmarshalJSON(b []byte) error {
	text := strings.TrimSpace(strings.Trim(string(b), `"`))
	if text == "" || text == "null" {
		*n = 0
		return nil
	}
	if whole, err := strconv.Atoi(text); err == nil {
		*n = Number(whole)
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != float64(int(f)) {
		return fmt.Errorf("%s is not a whole number", brief(string(b)))
	}
	*n = Number(int(f))
	return nil
}

// Flag is a boolean that the API may send as a text: true, "true", "on".
type Flag bool

// UnmarshalJSON accepts all of them; what else there is means false.
func (f *Flag) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), `"`)) {
	case "true", "on", "1":
		*f = true
	default:
		*f = false
	}
	return nil
}

// Word is a text that the API may send as a number.
type Word string

// UnmarshalJSON accepts any scalar.
func (w *Word) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*w = ""
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		if len(b) > 0 && (b[0] == '{' || b[0] == '[') {
			return fmt.Errorf("%s is not a text", brief(string(b)))
		}
		text = string(b)
	}
	*w = Word(text)
	return nil
}
