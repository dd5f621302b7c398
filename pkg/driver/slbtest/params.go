package slbtest

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

const maxBody = 1 << 20

// readParams flattens query and form. A parameter that is there twice is
// refused: which of the two would be signed?
func readParams(r *http.Request) (map[string]string, error) {
	flat := map[string]string{}
	add := func(raw, where string) error {
		values, err := url.ParseQuery(raw)
		if err != nil {
			return invalid("The %s cannot be parsed: %v.", where, err)
		}
		for k, all := range values {
			if _, twice := flat[k]; twice || len(all) > 1 {
				return invalid("The parameter %q is there more than once.", k)
			}
			flat[k] = all[0]
		}
		return nil
	}
	if err := add(r.URL.RawQuery, "query"); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, invalid("The body cannot be read: %v.", err)
	}
	if len(body) > maxBody {
		return nil, refuse(http.StatusRequestEntityTooLarge, "RequestTooLarge", "The body is too large.")
	}
	if len(body) > 0 {
		if mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); mediaType != "application/x-www-form-urlencoded" {
			return nil, invalid("The Content-Type %q is not a form.", mediaType)
		}
	}
	return flat, add(string(body), "form")
}

// common are the parameters of the gateway.
var common = []string{
	"AccessKeyId", "Action", "Format", "RegionId", "SecurityToken", "Signature", "SignatureMethod",
	"SignatureNonce", "SignatureType", "SignatureVersion", "Timestamp", "Version",
}

// ownParams are those of the action.
func ownParams(flat map[string]string) map[string]string {
	own := maps.Clone(flat)
	for _, k := range common {
		delete(own, k)
	}
	return own
}

// decodeParams fills the struct that into points to: field F takes parameter
// F, F.1, F.2 for slices, F.G for structs. Fields are strings, ints, bools,
// structs, slices, and pointers to them, which stay nil without a parameter.
// `api:"required"` fields must be there, and everything that is there must
// have a field.
func decodeParams(flat map[string]string, into any) error {
	d := decoder{flat: flat, used: map[string]bool{}}
	if err := d.fields("", reflect.ValueOf(into).Elem()); err != nil {
		return err
	}
	for _, k := range slices.Sorted(maps.Keys(flat)) {
		if !d.used[k] {
			return invalid("The parameter %q is not one that the stand-in knows for this action.", k)
		}
	}
	return nil
}

type decoder struct {
	flat map[string]string
	used map[string]bool
}

func (d decoder) fields(prefix string, v reflect.Value) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name := prefix + field.Name
		if !d.has(name) {
			if field.Tag.Get("api") == "required" {
				return missing(name)
			}
			continue
		}
		if err := d.value(name, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

// has says whether there is a parameter of that name, or one inside it.
func (d decoder) has(name string) bool {
	if _, ok := d.flat[name]; ok {
		return true
	}
	for k := range d.flat {
		if len(k) > len(name) && k[len(name)] == '.' && k[:len(name)] == name {
			return true
		}
	}
	return false
}

func (d decoder) value(name string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(name, v.Elem())
	case reflect.Struct:
		return d.fields(name+".", v)
	case reflect.Slice:
		for i := 1; d.has(name + "." + strconv.Itoa(i)); i++ {
			item := reflect.New(v.Type().Elem()).Elem()
			if err := d.value(name+"."+strconv.Itoa(i), item); err != nil {
				return err
			}
			v.Set(reflect.Append(v, item))
		}
		return nil
	default:
		return d.scalar(name, v)
	}
}

func (d decoder) scalar(name string, v reflect.Value) error {
	text, ok := d.flat[name]
	if !ok {
		return nil // only something inside it is there, which stays unused
	}
	d.used[name] = true
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil || strconv.Itoa(n) != text {
			return invalid("The parameter %q must be an integer, not %q.", name, text)
		}
		v.SetInt(int64(n))
		return nil
	case reflect.Bool:
		if text != "true" && text != "false" {
			return invalid("The parameter %q must be true or false, not %q.", name, text)
		}
		v.SetBool(text == "true")
		return nil
	default:
		panic("slbtest: a request has a field of kind " + v.Kind().String())
	}
}
