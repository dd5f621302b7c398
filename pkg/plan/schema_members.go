package plan

import (
	"slices"
	"strings"

	"github.com/invopop/jsonschema"
)

// Names of the blocks of Schema that are about what a drain asks of members:
// "count http" is the block below count: {http: ...}.
const (
	SchemaCount = "count " // before the kind
	SchemaAsk   = "ask http"
)

// memberDefinitions are the schemas of count and ask. Without blocks anything
// goes below their kind.
func memberDefinitions(blocks []SchemaBlock) jsonschema.Definitions {
	call := &jsonschema.Schema{Type: "object"}
	var counts []*jsonschema.Schema
	for _, b := range blocks {
		if kind, ok := strings.CutPrefix(b.Name, SchemaCount); ok {
			counts = append(counts, object(must(kind, configSchema(b))))
		}
		if b.Name == SchemaAsk {
			call = configSchema(b)
		}
	}
	count := &jsonschema.Schema{OneOf: counts}
	if len(counts) == 0 {
		count = &jsonschema.Schema{Type: "object"}
	}
	around := []property{
		may("every", about("again and again while the drain goes on", ref("duration"))),
		may("optional", &jsonschema.Schema{Type: "boolean", Description: "a failure is told, and the drain goes on"}),
		may("timeout", about("of it on one member", ref("duration"))),
	}
	return jsonschema.Definitions{
		"count": about("how each member is asked what is in flight on it", count),
		"ask": about("what each member is made to do", &jsonschema.Schema{OneOf: []*jsonschema.Schema{
			object(append(slices.Clone(around), must("http", call))...),
			object(append(slices.Clone(around), must("run", ref("command")))...),
		}}),
	}
}

func alternateSchema() *jsonschema.Schema {
	pair := &jsonschema.Schema{Type: "array", Items: text(""), MinItems: count(2), MaxItems: count(2), UniqueItems: true}
	unequal := &jsonschema.Schema{Type: "boolean", Description: "members of one side may have different weights"}
	return about("two groups of which one is live and one idle", anyOf(pair, object(must("groups", pair), may("unequal", unequal))))
}
