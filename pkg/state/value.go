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
func Text(s string) Value { return mustValue(s) }

// Bool is the value of a boolean.
func Bool(b bool) Value { return Value(strconv.FormatBool(b)) }

// Float is the value of a number; whole numbers equal Int.
func Float(f float64) Value {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return Value(strconv.FormatInt(int64(f), 10))
	}
	return Value(strconv.FormatFloat(f, 'g', -1, 64))
}

// List is the value of a set of strings: order and repetition do not count.
func List(items []string) Value {
	sorted := slices.Clone(items)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	if sorted == nil {
		sorted = []string{}
	}
	return mustValue(sorted)
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
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			switch item := item.(type) {
			case string:
				items[i] = item
			case int, int64, uint64, float64, bool:
				items[i] = fmt.Sprint(item)
			default:
				return Absent, fmt.Errorf("a list may hold text and numbers only, not %T", item)
			}
		}
		return List(items), nil
	}
	return Absent, fmt.Errorf("%T is not a value", v)
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

// List returns v's items; a scalar is a list of one, absent is nil.
func (v Value) List() []string {
	if v == Absent {
		return nil
	}
	if strings.HasPrefix(string(v), "[") {
		var items []string
		if json.Unmarshal([]byte(v), &items) == nil {
			return items
		}
	}
	return []string{v.Text()}
}

// String is v for people.
func (v Value) String() string {
	switch {
	case v == Absent:
		return "absent"
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

// UnmarshalJSON reads a scalar, a list of scalars or null.
func (v *Value) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	// Most values of a long journal are short numbers: keep them cheap.
	if len(b) > 0 && len(b) < 16 && !bytes.ContainsAny(b, `.eE"[{ntf`) {
		*v = Value(b)
		return nil
	}
	var raw any
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&raw); err != nil {
		return err
	}
	if n, ok := raw.(json.Number); ok {
		if f, err := n.Float64(); err == nil {
			*v = Float(f)
			return nil
		}
	}
	parsed, err := Of(raw)
	if err != nil {
		return err
	}
	*v = parsed
	return nil
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
