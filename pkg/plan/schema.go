package plan

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	"github.com/invopop/jsonschema"
)

// SchemaBlock is a driver or a kind of gate in the JSON Schema of plans.
type SchemaBlock struct {
	Name    string
	Summary string
	// Config is a zero value of the type that its block is decoded into.
	Config any
	// Attributes and Selectors are a driver's: what set can change, and the
	// keys that name one object.
	Attributes []SchemaAttribute
	Selectors  []string
}

// SchemaAttribute is one attribute that a driver sets.
type SchemaAttribute struct {
	Name string
	// Type is int, number, bool, text, list or enum.
	Type     string
	Min, Max float64 // of int and number, when they differ
	Enum     []string
	Doc      string
}

// Schema is the JSON Schema (draft 2020-12) of plans that use these drivers
// and gates. It is as strict as Load, except for what needs more than one
// place of the plan to see. members are what a drain asks of members, see
// SchemaCount and SchemaAsk, and the block of a view, see SchemaView.
func Schema(drivers, gates []SchemaBlock, members ...SchemaBlock) ([]byte, error) {
	root := object(
		must("flip", &jsonschema.Schema{Const: 1, Description: "the version of the plan format"}),
		must("name", text("what this plan is called")),
		may("description", text("what it does")),
		may("vars", mapOf(`^[A-Za-z_][A-Za-z0-9_]*$`, variableSchema(), "variables, from --var, --var-file, FLIP_VAR_<name> or their default")),
		may("defaults", about("for every step that does not say otherwise", object(
			may("timeout", ref("duration")), may("retry", ref("retry")), may("on_fail", words(onFail...)),
		))),
		may("targets", mapOf(nameForm.String(), targetSchema(drivers), "the live things that the plan changes")),
		may("groups", mapOf(nameForm.String(), mapOf(nameForm.String(), listOf(text("")), ""), "named sets of members: target to names or patterns with * and ?")),
		may("alternate", alternateSchema()),
		may("guards", about("hold before every change", listOf(object(must("target", text("a target of the plan")), must("min_serving", whole(1, "")))))),
		may("gates", mapOf(nameForm.String(), ref("gate"), "conditions by name")),
		may("views", viewSchema(members)),
		must("steps", ref("steps")),
	)
	root.Version = jsonschema.Version
	root.Title = "flip plan"
	root.Definitions = definitions(drivers, gates)
	maps.Copy(root.Definitions, memberDefinitions(members))
	return json.MarshalIndent(root, "", "  ")
}

func definitions(drivers, gates []SchemaBlock) jsonschema.Definitions {
	return jsonschema.Definitions{
		"template":  {Type: "string", Pattern: `\$\{\{`, Description: "text with ${{ expression }}"},
		"duration":  {Type: "string", Pattern: `^(([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+|.*\$\{\{.*)$`, Description: "a duration: 500ms, 30s, 1m30s, 24h"},
		"condition": {Type: "string", Description: "an expression that is true or false, without ${{ }}"},
		"retry": anyOf(whole(1, "attempts in all"), object(
			may("attempts", whole(1, "in all")), may("backoff", ref("duration")), may("max", ref("duration")),
		)),
		"command":  commandSchema(),
		"gate":     gateSchema(gates),
		"gateRefs": anyOf(text("the name of a gate"), ref("gate"), &jsonschema.Schema{Type: "array", MinItems: count(1), Items: anyOf(text("the name of a gate"), ref("gate"))}),
		"steps":    {Type: "array", MinItems: count(1), Items: ref("step")},
		"step":     stepSchema(drivers),
	}
}

func variableSchema() *jsonschema.Schema {
	return object(
		may("type", words(varTypeNames...)),
		may("required", &jsonschema.Schema{Type: "boolean"}),
		may("default", anyOf(scalarSchema(), listOf(scalarSchema()))),
		may("pattern", text("a regular expression that the value must match")),
		may("description", text("for people, also when the value is missing")),
	)
}

func targetSchema(drivers []SchemaBlock) *jsonschema.Schema {
	if len(drivers) == 0 {
		s := object(must("driver", text("flip drivers lists them")))
		s.AdditionalProperties = jsonschema.TrueSchema
		return s
	}
	var variants []*jsonschema.Schema
	for _, d := range drivers {
		s := configSchema(d)
		name := &jsonschema.Schema{Const: d.Name, Description: d.Summary}
		if s.Properties == nil {
			s.Properties = jsonschema.NewProperties()
		}
		s.Properties.Set("driver", name)
		s.Required = append([]string{"driver"}, s.Required...)
		variants = append(variants, s)
	}
	return &jsonschema.Schema{OneOf: variants}
}

func gateSchema(kinds []SchemaBlock) *jsonschema.Schema {
	policy := []property{
		may("each", text("a group: one gate for each member")),
		may("every", ref("duration")), may("timeout", ref("duration")), may("for", ref("duration")),
		may("passes", whole(1, "in a row")), may("failures", whole(1, "in a row that end a watch")),
	}
	if len(kinds) == 0 {
		s := object(policy...)
		s.AdditionalProperties = jsonschema.TrueSchema
		return s
	}
	var variants []*jsonschema.Schema
	for _, k := range kinds {
		variants = append(variants, object(append(slices.Clone(policy), must(k.Name, configSchema(k)))...))
	}
	return &jsonschema.Schema{OneOf: variants}
}

// configSchema is the schema of what Decode takes for a configuration type.
func configSchema(b SchemaBlock) *jsonschema.Schema {
	if b.Config == nil {
		return &jsonschema.Schema{Description: b.Summary}
	}
	r := jsonschema.Reflector{
		FieldNameTag: "yaml", DoNotReference: true, Anonymous: true,
		RequiredFromJSONSchemaTags: true, Mapper: special,
	}
	t := reflect.TypeOf(b.Config)
	s := r.ReflectFromType(t)
	s.Version, s.Description = "", b.Summary
	required(s, t)
	loosen(s)
	return s
}

// special are the types that are written in another way than they are stored.
func special(t reflect.Type) *jsonschema.Schema {
	switch {
	case t == durationType:
		return ref("duration")
	case t == nodeType:
		return &jsonschema.Schema{}
	case t == percentType, t.Implements(textType), reflect.PointerTo(t).Implements(textType):
		if t.Kind() == reflect.Slice {
			return anyOf(scalarSchema(), listOf(scalarSchema()))
		}
		return scalarSchema()
	}
	return nil
}

// required marks the keys that Decode requires.
func required(s *jsonschema.Schema, t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || s.Properties == nil {
		return
	}
	for _, f := range fields(t) {
		if f.required && !slices.Contains(s.Required, f.name) {
			s.Required = append(s.Required, f.name)
		}
		if p, ok := s.Properties.Get(f.name); ok {
			inner := p
			if p.Items != nil {
				inner = p.Items
			}
			required(inner, t.FieldByIndex(f.index).Type)
		}
	}
}

// loosen allows templates for what is no text, and one value where a list is
// wanted, as Decode does.
func loosen(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.Properties != nil {
		for p := s.Properties.Oldest(); p != nil; p = p.Next() {
			loosen(p.Value)
		}
	}
	for _, sub := range s.PatternProperties {
		loosen(sub)
	}
	loosen(s.AdditionalProperties)
	loosen(s.Items)
	switch {
	case s.Type == "string" && s.Enum == nil && s.Pattern == "":
		// Numbers and booleans are taken as they are written.
		orElse(s, &jsonschema.Schema{Type: "number"}, &jsonschema.Schema{Type: "boolean"})
	case s.Type == "integer", s.Type == "number", s.Type == "boolean", s.Type == "string":
		orElse(s, ref("template"))
	case s.Type == "array" && s.Items != nil:
		orElse(s, s.Items, ref("template"))
	}
}

// orElse makes s accept the others too; its description stays outside.
func orElse(s *jsonschema.Schema, others ...*jsonschema.Schema) {
	own := *s
	own.Description = ""
	*s = jsonschema.Schema{Description: s.Description, AnyOf: append([]*jsonschema.Schema{&own}, others...)}
}
