package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Value is one attribute's value as canonical JSON text, so that two values
// are the same exactly when they are ==. The zero Value means absent: the
// attribute, or the whole object, does not exist.
type Value string

// Absent is the value of what does not exist.
const Absent Value = ""

// Int is the value of a whole number.
func Int(n int) Value { return Value(strconv.Itoa(n)) }

// Text is the value of a string.
func Text(s string) Value { return mustValue(strings.ToValidUTF8(s, "\ufffd")) }

// Bool is the value of a boolean.
func Bool(b bool) Value { return Value(strconv.FormatBool(b)) }

// Float is the value of a number; whole numbers equal Int. What is not a
// finite number has no value: it is absent.
func Float(f float64) Value {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return Absent
	case f == math.Trunc(f) && math.Abs(f) < 1<<63:
		return Value(strconv.FormatInt(int64(f), 10))
	case f == math.Trunc(f) && f > 0 && f < 1<<64:
		return Value(strconv.FormatUint(uint64(f), 10))
	}
	return Value(strconv.FormatFloat(f, 'g', -1, 64))
}

// List is the value of a set of strings: order and repetition do not count.
func List(items []string) Value {
	sorted := make([]string, len(items))
	for i, item := range items {
		sorted[i] = strings.ToValidUTF8(item, "\ufffd") // as encoded, or the order would change
	}
	slices.Sort(sorted)
	return mustValue(slices.Compact(sorted))
}

// Sequence is the value of a list whose order counts; of items that repeat the
// first stays. It is the same as List where the order is that of List, else its
// JSON is a list in a list.
func Sequence(items []string) Value {
	var kept []string
	for _, item := range items {
		if item = strings.ToValidUTF8(item, "\ufffd"); !slices.Contains(kept, item) {
			kept = append(kept, item)
		}
	}
	if slices.IsSorted(kept) {
		return List(kept)
	}
	return mustValue([][]string{kept})
}

// Of converts what a YAML or JSON decoder yields. Objects and nested lists
// are refused.
func Of(v any) (Value, error) {
	switch v := v.(type) {
	case nil:
		return Absent, nil
	case Value:
		return v, nil
	case string:
		return Text(v), nil
	case bool:
		return Bool(v), nil
	case int:
		return Int(v), nil
	case int64:
		return Value(strconv.FormatInt(v, 10)), nil
	case uint64:
		return Value(strconv.FormatUint(v, 10)), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return Absent, fmt.Errorf("not a number: %v", v)
		}
		return Float(v), nil
	case []string:
		return List(v), nil
	case json.Number:
		return number(v)
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			switch item.(type) {
			case string, int, int64, uint64, float64, bool, json.Number:
			default:
				return Absent, fmt.Errorf("a list may hold text and numbers only, not %T", item)
			}
			one, err := Of(item)
			if err != nil {
				return Absent, err
			}
			items[i] = one.Text()
		}
		return List(items), nil
	}
	return Absent, fmt.Errorf("%T is not a value", v)
}

// number keeps whole numbers exact that a float64 would round.
func number(n json.Number) (Value, error) {
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return Value(strconv.FormatInt(i, 10)), nil
	}
	if u, err := strconv.ParseUint(n.String(), 10, 64); err == nil {
		return Value(strconv.FormatUint(u, 10)), nil
	}
	f, err := n.Float64()
	if err != nil {
		return Absent, fmt.Errorf("not a number: %s", n)
	}
	return Float(f), nil
}

// Present reports whether v is not Absent.
func (v Value) Present() bool { return v != Absent }

// Int returns v as a whole number.
func (v Value) Int() (int, bool) {
	n, err := strconv.Atoi(string(v))
	return n, err == nil
}

// Float returns v as a number.
func (v Value) Float() (float64, bool) {
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}

// Bool reports whether v is the boolean true.
func (v Value) Bool() bool { return v == "true" }

// Text returns v's string; numbers and booleans as they are written.
func (v Value) Text() string {
	if strings.HasPrefix(string(v), `"`) {
		var s string
		if json.Unmarshal([]byte(v), &s) == nil {
			return s
		}
	}
	return string(v)
}

// List returns v's items, those of a Sequence in their order; a scalar is a
// list of one, absent is nil.
func (v Value) List() []string {
	if v == Absent {
		return nil
	}
	if v.ordered() {
		var items [][]string
		if json.Unmarshal([]byte(v), &items) == nil && len(items) == 1 {
			return items[0]
		}
	}
	if strings.HasPrefix(string(v), "[") {
		var items []string
		if json.Unmarshal([]byte(v), &items) == nil {
			return items
		}
	}
	return []string{v.Text()}
}

// ordered reports whether v is a Sequence that is no List.
func (v Value) ordered() bool { return strings.HasPrefix(string(v), "[[") }

// String is v for people.
func (v Value) String() string {
	switch {
	case v == Absent:
		return "absent"
	case v == "[]", v == `""`:
		return string(v)
	case strings.HasPrefix(string(v), "["):
		return strings.Join(v.List(), ", ")
	}
	return v.Text()
}

// MarshalJSON writes the value itself, null when absent.
func (v Value) MarshalJSON() ([]byte, error) {
	if v == Absent {
		return []byte("null"), nil
	}
	return []byte(v), nil
}

// UnmarshalJSON reads a scalar, a list of scalars, what Sequence writes, or
// null.
func (v *Value) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	// Most values of a long journal are short numbers: keep them cheap.
	if short(b) {
		*v = Value(b)
		return nil
	}
	var sequence [][]string
	if bytes.HasPrefix(b, []byte("[[")) && json.Unmarshal(b, &sequence) == nil && len(sequence) == 1 {
		*v = Sequence(sequence[0])
		return nil
	}
	var raw any
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&raw); err != nil {
		return err
	}
	parsed, err := Of(raw)
	if err != nil {
		return err
	}
	*v = parsed
	return nil
}

// short reports whether b is a small whole number as Int writes it.
func short(b []byte) bool {
	if len(b) == 0 || len(b) > 15 || (b[0] == '0' && len(b) > 1) {
		return false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func mustValue(v any) Value {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // strings and string slices always encode
	}
	return Value(bytes.TrimSpace(buf.Bytes()))
}
