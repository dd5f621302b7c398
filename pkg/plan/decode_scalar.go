package plan

import (
	"reflect"
	"strconv"
	"strings"
)

// Percent is a share: 1% and 0.01 are the same.
type Percent float64

func (p Percent) String() string { return trimFloat(float64(p)*100) + "%" }

func (d *decoder) scalar(n *node, v reflect.Value) {
	if n.kind != scalarKind || n.null() {
		d.must(n, "", "%s", wanted(v.Type()))
		return
	}
	switch {
	case v.Type() == durationType:
		got, advice, ok := duration(n.text)
		if !ok {
			d.must(n, advice, "a duration")
		}
		v.SetInt(int64(got))
	case v.Type() == percentType:
		d.percent(n, v)
	case v.Kind() == reflect.String:
		v.SetString(n.text)
	case v.Kind() == reflect.Bool:
		b, ok := n.boolean()
		if !ok {
			d.must(n, boolHint(n.text), "true or false")
		}
		v.SetBool(b)
	case v.CanInt(), v.CanUint(), v.CanFloat():
		d.number(n, v)
	default:
		panic("plan: cannot decode into " + v.Type().String())
	}
}

// wanted is what a field takes, for people.
func wanted(t reflect.Type) string {
	switch t {
	case durationType:
		return `a duration like "30s"`
	case percentType:
		return `a share like "1%"`
	}
	switch t.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "a map"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}

func (d *decoder) percent(n *node, v reflect.Value) {
	number, isShare := strings.CutSuffix(n.text, "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if isShare {
		f /= 100
	}
	switch {
	case err != nil || !(f >= 0 && f <= 1e9):
		d.must(n, "", `a share like "1%%" or 0.01`)
	case !isShare && f > 1:
		d.fail(n, "write "+n.text+"%", "%s is more than everything: 1 is 100%%", n.text)
	default:
		v.SetFloat(f)
	}
}

func (d *decoder) number(n *node, v reflect.Value) {
	whole, decimal := integerForm.MatchString(n.text), decimalForm.MatchString(n.text)
	switch {
	case !n.plain && (whole || decimal):
		d.must(n, "leave the quotes out", "%s", wanted(v.Type()))
	case v.CanFloat() && (whole || decimal):
		f, err := strconv.ParseFloat(n.text, v.Type().Bits())
		if err != nil {
			d.fail(n, "", "%s is too large", n.text)
		}
		v.SetFloat(f)
	case v.CanInt() && whole:
		i, err := strconv.ParseInt(n.text, 10, v.Type().Bits())
		if err != nil {
			d.fail(n, "", "%s is too large", n.text)
		}
		v.SetInt(i)
	case v.CanUint() && whole:
		u, err := strconv.ParseUint(strings.TrimPrefix(n.text, "+"), 10, v.Type().Bits())
		if err != nil {
			d.fail(n, "", "%s is not between 0 and the largest number", n.text)
		}
		v.SetUint(u)
	default:
		d.must(n, "", "%s", wanted(v.Type()))
	}
}

// scalarValue is nil, a bool, an int64, a uint64, a float64 or a string.
func (n *node) scalarValue() any {
	if n.null() {
		return nil
	}
	if b, ok := n.boolean(); ok {
		return b
	}
	if n.plain && integerForm.MatchString(n.text) {
		if i, err := strconv.ParseInt(n.text, 10, 64); err == nil {
			return i
		}
		if u, err := strconv.ParseUint(n.text, 10, 64); err == nil {
			return u
		}
	}
	if n.plain && decimalForm.MatchString(n.text) {
		if f, err := strconv.ParseFloat(n.text, 64); err == nil {
			return f
		}
	}
	return n.text
}
