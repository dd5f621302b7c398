package plan

import (
	"slices"

	"github.com/invopop/jsonschema"
)

// viewKinds are the keys of which a view has exactly one.
var viewKinds = []string{"authoritative", "dns", "doh", "httpdns", "system"}

// views reads the places from where names are looked up. Which kind each is,
// and its target, are checked here; the rest of the block by whoever opens it.
func (l *loader) views() {
	n := l.root.get("views")
	if n == nil {
		return
	}
	if n.kind != mapKind {
		l.wrong(n, "views: {name: {dns: [\"10.0.0.2:53\"]}}", "views must be a map, not %s", n.what())
		return
	}
	l.check(n, place{vars: true})
	for _, e := range n.entries {
		if l.nameOf(e.key, "view") {
			l.view(e)
		}
	}
	l.plan.Views = Node{n: n, label: "the view"}
}

// view checks what kind of place a view is.
func (l *loader) view(e entry) {
	name := e.key.text
	if e.value.kind != mapKind {
		l.wrong(e.value, name+": {dns: [\"10.0.0.2:53\"]}", "a view is a map with its kind, not %s", e.value.what())
		return
	}
	var kinds []entry
	for _, v := range e.value.entries {
		if slices.Contains(viewKinds, v.key.text) {
			kinds = append(kinds, v)
		}
	}
	switch {
	case len(kinds) > 1:
		l.fail(kinds[1].key, "make two views", "view %s looks from one kind of place: %s or %s", name, kinds[0].key.text, kinds[1].key.text)
		return
	case len(kinds) == 0:
		l.noKind(e)
		return
	}
	kind := kinds[0]
	if kind.key.text != "authoritative" {
		return
	}
	var target string
	if l.read(kind.value, "authoritative", &target) && !slices.Contains(l.targetNames(), target) {
		l.reference(kind.value, "target", target, l.targetNames())
	}
}

// noKind says that a view has no kind, at the key that may have been meant.
func (l *loader) noKind(e entry) {
	for _, v := range e.value.entries {
		if near := Nearest(v.key.text, viewKinds); near != "" {
			l.fail(v.key, "kinds of views: "+some(viewKinds), "view %s has no kind %q%s", e.key.text, v.key.text, meant(v.key.text, viewKinds))
			return
		}
	}
	l.fail(e.key, "give one of "+some(viewKinds), "view %s does not say from where it looks", e.key.text)
}

// looks checks the views that a gate looks from.
func (l *loader) looks(kind *node) {
	from := kind.get("from")
	switch {
	case kind.kind != mapKind:
		return // who decodes it says so
	case l.plan.Views.IsZero():
		l.fail(kind, "views: {isp: {dns: [\"10.0.0.2\"]}}", "the plan has no views from where a name could be looked up")
	case from != nil:
		var names []string
		if l.read(from, "from", &names) && len(names) == 0 && !l.open(from) {
			l.fail(from, "leave it out for all views", "from names no view")
		}
		l.from(from, names)
	}
}

// SchemaView is the name of the block of Schema that is a view.
const SchemaView = "view"

// viewSchema is the schema of the views, one variant for each kind.
func viewSchema(blocks []SchemaBlock) *jsonschema.Schema {
	const doc = "from where names are looked up"
	var variants []*jsonschema.Schema
	for _, v := range blocks {
		if v.Name != SchemaView {
			continue
		}
		for _, kind := range viewKinds {
			s := configSchema(v)
			for _, other := range viewKinds {
				if other != kind {
					s.Properties.Delete(other)
				}
			}
			s.Required = []string{kind}
			variants = append(variants, s)
		}
	}
	if len(variants) == 0 {
		return &jsonschema.Schema{Type: "object", Description: doc}
	}
	return mapOf(nameForm.String(), &jsonschema.Schema{OneOf: variants}, doc)
}
