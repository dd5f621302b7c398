package journal

import (
	"bytes"
	"encoding/json"
	"slices"
)

// redactRecord applies redact to everything in r that may carry foreign text.
func redactRecord(r Record, redact func([]byte) []byte) Record {
	if redact == nil {
		return r
	}
	if len(r.Data) > 0 && !untouched(r.Data, redact) && json.Valid(r.Data) {
		r.Data = redactJSON(r.Data, redact)
	}
	if r.Error == nil {
		return r
	}
	e := *r.Error
	e.Text = string(redact([]byte(e.Text)))
	e.Hints = slices.Clone(e.Hints)
	for i, h := range e.Hints {
		e.Hints[i] = string(redact([]byte(h)))
	}
	r.Error = &e
	return r
}

// untouched reports whether redact finds nothing in a JSON text: quickly, since
// most records are large lists of changes without any escape.
func untouched(data []byte, redact func([]byte) []byte) bool {
	return bytes.IndexByte(data, '\\') < 0 && bytes.Equal(data, redact(bytes.Clone(data)))
}

// redactJSON applies redact to the strings of a JSON text, as they read
// unquoted. Numbers stay: a blanked number would no longer be JSON. Member
// names of flip's own kind (a-z and _) stay, so that the record keeps its
// meaning when a secret happens to be such a word.
func redactJSON(data []byte, redact func([]byte) []byte) []byte {
	var out []byte
	from := 0 // data[:from] is in out
	for i := 0; i < len(data); i++ {
		if data[i] != '"' {
			continue
		}
		end := stringEnd(data, i)
		if token := data[i:end]; !ownName(data, i, end) {
			if blank, ok := redactString(token, redact); ok {
				out = append(append(out, data[from:i]...), blank...)
				from = end
			}
		}
		i = end - 1
	}
	if from == 0 {
		return data
	}
	return append(out, data[from:]...)
}

// stringEnd returns the index after the string that begins at i.
func stringEnd(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// ownName reports whether data[i:end] is a member name of letters a-z and _.
func ownName(data []byte, i, end int) bool {
	rest := bytes.TrimLeft(data[end:], " \t\r\n")
	if len(rest) == 0 || rest[0] != ':' {
		return false
	}
	for _, b := range data[i+1 : end-1] {
		if (b < 'a' || b > 'z') && b != '_' {
			return false
		}
	}
	return true
}

func redactString(token []byte, redact func([]byte) []byte) ([]byte, bool) {
	text := bytes.Clone(token[1 : len(token)-1])
	if bytes.ContainsRune(token, '\\') {
		var s string
		if json.Unmarshal(token, &s) != nil {
			return nil, false
		}
		text = []byte(s)
	}
	blank := redact(bytes.Clone(text))
	if bytes.Equal(text, blank) {
		return nil, false
	}
	quoted, err := marshal(string(blank))
	return quoted, err == nil
}
