package plan

import (
	"slices"

	"github.com/invopop/jsonschema"
)

// stepSchema has one variant for each verb.
func stepSchema(drivers []SchemaBlock) *jsonschema.Schema {
	anyStep := []property{
		must("id", &jsonschema.Schema{Type: "string", Pattern: idForm.String(), Description: "the step's key in the journal"}),
		may("when", ref("condition")),
		may("timeout", ref("duration")),
		may("retry", ref("retry")),
		may("on_fail", words(onFail...)),
		may("commit", &jsonschema.Schema{Type: "boolean", Description: "no automatic way back beyond this step"}),
	}
	after := may("gate", ref("gateRefs"))
	undo := may("undo", anyOf(words("none"), ref("command")))
	verb := func(props ...property) *jsonschema.Schema {
		return object(append(slices.Clone(anyStep), props...)...)
	}
	parallel := object(must("steps", ref("steps")), may("limit", whole(1, "branches at once")))
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		verb(must("set", setSchema(drivers)), after),
		verb(must("ramp", rampSchema()), after),
		verb(must("drain", drainSchema()), after),
		verb(must("gate", ref("gateRefs"))),
		verb(must("wait", waitSchema()), after),
		verb(must("run", ref("command")), undo, after),
		verb(must("approve", anyOf(text("the question"), object(must("message", text("the question")), may("timeout", ref("duration"))))), after),
		verb(must("steps", ref("steps")), after),
		verb(must("parallel", anyOf(ref("steps"), parallel)), may("limit", whole(1, "branches at once")), after),
		verb(must("each", text("a group, live or idle")), must("do", ref("steps")), may("on", listOf(text("a target"))),
			may("limit", whole(1, "members at once")), after),
	}}
}

func selectorProperties() []property {
	return []property{
		may("group", text("a group, live or idle; inside each it may be left out")),
		may("on", about("only these targets of the group", listOf(text("a target")))),
		may("target", text("all members of a target, or those in members")),
		may("members", listOf(text("a name, or a pattern with * and ?"))),
	}
}

func setSchema(drivers []SchemaBlock) *jsonschema.Schema {
	s := object(selectorProperties()...)
	if len(drivers) == 0 {
		s.AdditionalProperties = attributeValue()
		return s
	}
	values := map[string][]*jsonschema.Schema{}
	var order []string
	add := func(name string, v *jsonschema.Schema) {
		if values[name] == nil {
			order = append(order, name)
		}
		values[name] = append(values[name], v)
	}
	for _, d := range drivers {
		for _, a := range d.Attributes {
			add(a.Name, a.schema(d.Name))
		}
		for _, key := range d.Selectors {
			add(key, text(d.Name+": names an object"))
		}
	}
	slices.Sort(order)
	for _, name := range order {
		s.Properties.Set(name, &jsonschema.Schema{AnyOf: append(values[name], ref("template"), &jsonschema.Schema{Type: "null"})})
	}
	return s
}

// attributeValue is any value that an attribute can have.
func attributeValue() *jsonschema.Schema {
	return anyOf(scalarSchema(), listOf(scalarSchema()), &jsonschema.Schema{Type: "null"})
}

// schema is the schema of the attribute's values.
func (a SchemaAttribute) schema(driver string) *jsonschema.Schema {
	s := &jsonschema.Schema{Description: driver}
	if a.Doc != "" {
		s.Description += ": " + a.Doc
	}
	switch a.Type {
	case "int", "number":
		s.Type = map[string]string{"int": "integer", "number": "number"}[a.Type]
		if a.Min != a.Max {
			s.Minimum, s.Maximum = number(a.Min), number(a.Max)
		}
	case "bool":
		s.Type = "boolean"
	case "enum":
		for _, w := range a.Enum {
			s.Enum = append(s.Enum, w)
		}
	case "list":
		s.AnyOf = listOf(scalarSchema()).AnyOf
	default:
		s.AnyOf = scalarSchema().AnyOf
	}
	return s
}

func rampSchema() *jsonschema.Schema {
	percent := anyOf(&jsonschema.Schema{Type: "integer", Minimum: "1", Maximum: "100"},
		&jsonschema.Schema{Type: "string", Pattern: `^([0-9]+%|.*\$\{\{.*)$`})
	return object(
		must("from", text("the group that gives traffic")),
		must("to", text("the group that takes it")),
		may("on", listOf(text("a target"))),
		must("percent", about("what the taking side gets, step by step", listOf(percent))),
		may("full", whole(1, "weight of a member that takes everything; what the other side has when left out")),
		may("hold", ref("duration")),
		may("gate", ref("gateRefs")),
		may("timeout", ref("duration")),
	)
}

func drainSchema() *jsonschema.Schema {
	return object(append(selectorProperties(),
		may("sessions", whole(0, "at or below is quiet")),
		may("timeout", ref("duration")),
		may("then", words(thens...)),
		may("interval", ref("duration")),
		may("samples", whole(1, "quiet looks in a row")),
		may("metric", anyOf(text("the name of a gate"), ref("gate"))),
		may("count", ref("count")),
		may("ask", ref("ask")),
		may("kill", ref("ask")),
	)...)
}

func waitSchema() *jsonschema.Schema {
	return anyOf(ref("duration"), object(must("for", ref("duration"))), ttlSchema())
}

func commandSchema() *jsonschema.Schema {
	argv := &jsonschema.Schema{Type: "array", Items: scalarSchema(), MinItems: count(1)}
	around := []property{
		may("env", mapOf(`.`, scalarSchema(), "added to the environment")),
		may("dir", text("where it runs")),
		may("timeout", ref("duration")),
	}
	return &jsonschema.Schema{
		Description: "a line for the shell, a list of arguments, or a map of either",
		AnyOf: []*jsonschema.Schema{
			text("a line for /bin/sh"), argv,
			object(append(slices.Clone(around), must("argv", anyOf(argv, text(""))))...),
			object(append(slices.Clone(around), must("shell", text("a line for /bin/sh")))...),
		},
	}
}
