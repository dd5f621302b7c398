package cmd

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"
)

// writeConfig lists the keys of a configuration type, from its yaml and doc
// tags.
func writeConfig(w io.Writer, config any) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	writeFields(t, reflect.TypeOf(config), "  ")
	return t.Flush()
}

func writeFields(w io.Writer, t reflect.Type, indent string) {
	if t == nil || t.Kind() != reflect.Struct {
		return
	}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if options == "inline" {
			writeFields(w, f.Type, indent)
		}
		if name == "" || name == "-" {
			continue
		}
		doc := f.Tag.Get("doc")
		if doc == "" {
			doc = f.Tag.Get("jsonschema_description")
		}
		fmt.Fprintf(w, "%s%s\t%s\t%s\n", indent, name, typeName(f.Type), doc)
	}
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t.Kind() == reflect.Pointer:
		return typeName(t.Elem())
	case t.Kind() == reflect.Slice:
		return "list of " + typeName(t.Elem())
	case t.Kind() == reflect.Map:
		return "map of " + typeName(t.Elem())
	case t.Kind() == reflect.Struct:
		return strings.ToLower(t.Name())
	case t.Kind() == reflect.String:
		return "text"
	}
	return t.Kind().String()
}
