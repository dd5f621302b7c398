package plan

import "github.com/invopop/jsonschema"

// ttlSchema is the rule for record sets of a wait.
func ttlSchema() *jsonschema.Schema {
	return object(
		must("ttl", about("record sets whose replaced answers nobody may have any more: \"www.example.com A\"", listOf(text("name and type")))),
		may("target", text("only the records of this target")),
		may("from", about("views that must not see what is retired", listOf(text("a view")))),
		may("retire", about("values that nobody may have any more; those that the run took out when left out", listOf(text("an address")))),
		may("max", about("ceiling of the whole wait; a day more than caches need when left out", ref("duration"))),
		may("on_max", words(onMax...)),
		may("slack", about("added to the time that caches need; 2s when left out", ref("duration"))),
		may("every", about("between looks at the views; 5s when left out", ref("duration"))),
		may("passes", whole(1, "rounds in a row in which every view passes; 2 when left out")),
	)
}
