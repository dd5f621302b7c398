package plan

import (
	"encoding"
	"encoding/json"
	"reflect"

	"github.com/invopop/jsonschema"
)

var textType = reflect.TypeFor[encoding.TextUnmarshaler]()

// about adds what a schema is for.
func about(doc string, s *jsonschema.Schema) *jsonschema.Schema {
	s.Description = doc
	return s
}

// property is one key of an object.
type property struct {
	name     string
	schema   *jsonschema.Schema
	required bool
}

func must(name string, s *jsonschema.Schema) property { return property{name, s, true} }
func may(name string, s *jsonschema.Schema) property  { return property{name, s, false} }

// object is a map with these keys and no others.
func object(props ...property) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
	for _, p := range props {
		s.Properties.Set(p.name, p.schema)
		if p.required {
			s.Required = append(s.Required, p.name)
		}
	}
	return s
}

// mapOf is a map whose keys have a form and whose values are alike.
func mapOf(keys string, value *jsonschema.Schema, doc string) *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "object", Description: doc, AdditionalProperties: jsonschema.FalseSchema,
		PatternProperties: map[string]*jsonschema.Schema{keys: value},
	}
}

// listOf is a list, or one item.
func listOf(item *jsonschema.Schema) *jsonschema.Schema {
	return anyOf(&jsonschema.Schema{Type: "array", Items: item}, item)
}

func text(doc string) *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Description: doc}
}

// words is one of a few words, or a template.
func words(of ...string) *jsonschema.Schema {
	s := &jsonschema.Schema{}
	for _, w := range of {
		s.Enum = append(s.Enum, w)
	}
	return anyOf(s, ref("template"))
}

// whole is a whole number from least on, or a template.
func whole(least int, doc string) *jsonschema.Schema {
	s := anyOf(&jsonschema.Schema{Type: "integer", Minimum: number(float64(least))}, ref("template"))
	s.Description = doc
	return s
}

// scalarSchema is text, a number or a boolean.
func scalarSchema() *jsonschema.Schema {
	return anyOf(&jsonschema.Schema{Type: "string"}, &jsonschema.Schema{Type: "number"}, &jsonschema.Schema{Type: "boolean"})
}

func anyOf(first *jsonschema.Schema, others ...*jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: append([]*jsonschema.Schema{first}, others...)}
}

func ref(name string) *jsonschema.Schema { return &jsonschema.Schema{Ref: "#/$defs/" + name} }

func count(n uint64) *uint64 { return &n }

func number(f float64) json.Number { return json.Number(trimFloat(f)) }
