package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// field is one key that a struct takes.
type field struct {
	name     string
	index    []int
	required bool
}

// fields are the keys of a struct type, those of inlined structs among them.
func fields(t reflect.Type) []field {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		inline := strings.Contains(options, "inline") || (f.Anonymous && name == "")
		switch {
		case inline && f.Type.Kind() == reflect.Struct:
			for _, sub := range fields(f.Type) {
				sub.index = append([]int{i}, sub.index...)
				all = append(all, sub)
			}
			continue
		case name == "-" || !f.IsExported():
			continue
		case name == "":
			name = strings.ToLower(f.Name)
		}
		all = append(all, field{name, []int{i}, strings.Contains(options, "required")})
	}
	return all
}

// FieldNames are the keys that Decode takes for a struct, in order.
func FieldNames(config any) []string {
	t := reflect.TypeOf(config)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	return names(fields(t))
}

func names(all []field) []string {
	out := make([]string, len(all))
	for i, f := range all {
		out[i] = f.name
	}
	return out
}

func (d *decoder) structure(n *node, v reflect.Value) {
	known := fields(v.Type())
	if n.kind != mapKind {
		d.must(n, "keys: "+some(names(known)), "a map")
		return
	}
	meantKeys := map[string]bool{}
	for _, e := range n.entries {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == e.key.text })
		if i < 0 {
			d.unknownKey(e.key, names(known))
			meantKeys[Nearest(e.key.text, names(known))] = true
			continue
		}
		d.field(e, v.FieldByIndex(known[i].index))
	}
	for _, f := range known {
		if f.required && n.get(f.name) == nil && !meantKeys[f.name] {
			d.fail(n, "", "%q is missing%s", f.name, d.in())
		}
	}
}

// field decodes the value of a key.
func (d *decoder) field(e entry, v reflect.Value) {
	outer := d.key
	d.key = e.key.text
	d.value(e.value, v)
	d.key = outer
}

// in is " in target web" when the block has a name.
func (d *decoder) in() string {
	if d.label == "" {
		return ""
	}
	return " in " + d.label
}

func (d *decoder) unknownKey(key *node, known []string) {
	hint := "keys: " + some(known)
	if len(known) == 0 {
		hint = "it takes no keys"
	}
	d.fail(key, hint, "unknown key %q%s%s", key.text, d.in(), meant(key.text, known))
}

func (d *decoder) mapping(n *node, v reflect.Value) {
	if n.kind != mapKind {
		d.must(n, "", "a map")
		return
	}
	if v.Type().Key().Kind() != reflect.String {
		panic(fmt.Sprintf("plan: cannot decode into %s", v.Type()))
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.entries))
	for _, e := range n.entries {
		item := reflect.New(v.Type().Elem()).Elem()
		d.field(e, item)
		m.SetMapIndex(reflect.ValueOf(e.key.text).Convert(v.Type().Key()), item)
	}
	v.Set(m)
}

func (d *decoder) list(n *node, v reflect.Value) {
	items := n.items
	switch {
	case n.kind == listKind:
	case n.null() || (n.kind == mapKind && v.Type().Elem().Kind() == reflect.String):
		d.must(n, "", "a list")
		return
	default:
		// A scalar, or a map where maps are wanted, is a list of one.
		items = []*node{n}
	}
	s := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.value(item, s.Index(i))
	}
	v.Set(s)
}
