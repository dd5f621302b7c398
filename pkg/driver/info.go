package driver

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/state"
)

// Info says what a driver is and what can be set through it. It is data: plans
// are checked against it before anything runs, and documentation and the JSON
// Schema are made from it.
type Info struct {
	Name    string
	Summary string
	Kinds   []Kind
	// Counts: the driver is a Counter. A drain of its members needs no count
	// of their own.
	Counts bool
	// Kills: the driver is a Killer.
	Kills bool
	// Notes is what somebody who sets the driver up has to know, such as the
	// permissions that it needs; paragraphs, or a block of code.
	Notes string
}

// Kind is one kind of object of a target.
type Kind struct {
	// Name is the vendor's word: server, instance, record, map.
	Name string
	// Member: objects of this kind serve traffic and can be in groups. A
	// driver has at most one such kind.
	Member bool
	// Selector are the plan keys that name one object which is not a member:
	// ["record"] or ["map", "key"]. The object's name is their values, joined
	// by a space.
	Selector   []string
	Attributes []Attribute
	// Capacity is what an object with these attributes takes of the traffic:
	// 0 is none. It is nil for kinds that carry no traffic. It decides what is
	// live, what a guard counts, and which half of a change goes first.
	Capacity func(attrs map[string]state.Value) float64
	// Doc is a sentence for the documentation.
	Doc string
}

// AttrType is the type of an attribute's values.
type AttrType string

// The types of attributes.
const (
	TypeInt    AttrType = "int"
	TypeNumber AttrType = "number"
	TypeBool   AttrType = "bool"
	TypeText   AttrType = "text"
	TypeList   AttrType = "list"
	TypeEnum   AttrType = "enum"
)

// Attribute is one thing that can be set.
type Attribute struct {
	Name     string
	Type     AttrType
	Min, Max float64  // TypeInt and TypeNumber; both inclusive
	Enum     []string // TypeEnum
	ReadOnly bool     // shown and compared, never set by a plan
	Ordered  bool     // TypeList: the order counts, values are made by state.Sequence
	Doc      string
	// Via names values that the system may show while it goes from one value
	// to another. They count as the run's own after a crash.
	Via func(from, to state.Value) []state.Value
}

// Accepts describes the values of a for people: "0..256", "ready|drain|maint".
func (a Attribute) Accepts() string {
	switch a.Type {
	case TypeInt, TypeNumber:
		if a.Min != a.Max {
			return fmt.Sprintf("%g..%g", a.Min, a.Max)
		}
	case TypeEnum:
		return strings.Join(a.Enum, "|")
	case TypeBool:
		return "true|false"
	case TypeText, TypeList:
	}
	return string(a.Type)
}

// Check says what is wrong with v as a value of a, nil if nothing is.
func (a Attribute) Check(v state.Value) error {
	bad := func() error { return fmt.Errorf("%s is %s, not %s", a.Name, a.Accepts(), v) }
	if a.ReadOnly {
		return fmt.Errorf("%s can be read but not set", a.Name)
	}
	if !v.Present() {
		return bad()
	}
	switch a.Type {
	case TypeInt:
		if n, ok := v.Int(); !ok || (a.Min != a.Max && (float64(n) < a.Min || float64(n) > a.Max)) {
			return bad()
		}
	case TypeNumber:
		if f, ok := v.Float(); !ok || (a.Min != a.Max && (f < a.Min || f > a.Max)) {
			return bad()
		}
	case TypeBool:
		if v != "true" && v != "false" {
			return bad()
		}
	case TypeEnum:
		if !slices.Contains(a.Enum, v.Text()) {
			return bad()
		}
	case TypeText:
		if strings.HasPrefix(string(v), "[") {
			return bad()
		}
	case TypeList:
	}
	return nil
}

// Convert turns what a plan says into a value of a as drivers read it, and
// checks it: a number where text is wanted is its digits, a single item where
// a list is wanted is a list of one, the text "100" of a template is a number.
func (a Attribute) Convert(raw any) (state.Value, error) {
	v, err := state.Of(raw)
	if err != nil {
		return state.Absent, fmt.Errorf("%s: %w", a.Name, err)
	}
	isList := strings.HasPrefix(string(v), "[")
	switch {
	case !v.Present():
	case a.Type == TypeList && a.Ordered:
		v = state.Sequence(inOrder(raw, v))
	case a.Type == TypeList:
		v = state.List(v.List())
	case isList:
	case a.Type == TypeText, a.Type == TypeEnum:
		v = state.Text(v.Text())
	case a.Type == TypeInt, a.Type == TypeNumber:
		if f, err := strconv.ParseFloat(v.Text(), 64); err == nil && state.Float(f).Present() {
			v = state.Float(f)
		}
	case a.Type == TypeBool:
		if t := v.Text(); t == "true" || t == "false" {
			v = state.Value(t)
		}
	}
	return v, a.Check(v)
}

// inOrder are the items of a list as they were written; v is the list as a set.
func inOrder(raw any, v state.Value) []string {
	switch raw := raw.(type) {
	case []string:
		return raw
	case []any:
		items := make([]string, 0, len(raw))
		for _, item := range raw {
			one, _ := state.Of(item) // v is made of the same items
			items = append(items, one.Text())
		}
		return items
	}
	return v.List()
}

// Attribute returns the attribute of that name.
func (k Kind) Attribute(name string) (Attribute, bool) {
	i := slices.IndexFunc(k.Attributes, func(a Attribute) bool { return a.Name == name })
	if i < 0 {
		return Attribute{}, false
	}
	return k.Attributes[i], true
}

// Member returns the kind whose objects can be in groups.
func (i Info) Member() (Kind, bool) {
	n := slices.IndexFunc(i.Kinds, func(k Kind) bool { return k.Member })
	if n < 0 {
		return Kind{}, false
	}
	return i.Kinds[n], true
}

// Kind returns the kind of that name.
func (i Info) Kind(name string) (Kind, bool) {
	n := slices.IndexFunc(i.Kinds, func(k Kind) bool { return k.Name == name })
	if n < 0 {
		return Kind{}, false
	}
	return i.Kinds[n], true
}

// Factory opens one kind of driver.
type Factory struct {
	Info
	// Config is a zero value of the configuration type, for schema and
	// documentation.
	Config any
	// Open decodes a target's block into the configuration type, checks it and
	// connects. decode is strict: it reports unknown keys with their position.
	// Open does not have to reach the system; Read does.
	Open func(ctx context.Context, decode func(any) error, env Env) (Driver, error)
	// Check decodes and validates only, without any connection.
	Check func(decode func(any) error) error
}

// Validator is implemented by configuration types that can be wrong in ways
// that decoding does not see.
type Validator interface{ Validate() error }

// Define makes a Factory out of a configuration type and a constructor.
func Define[C any](info Info, open func(context.Context, C, Env) (Driver, error)) Factory {
	check := func(decode func(any) error) (C, error) {
		var c C
		if err := decode(&c); err != nil {
			return c, err
		}
		if v, ok := any(&c).(Validator); ok {
			return c, v.Validate()
		}
		return c, nil
	}
	return Factory{
		Info:   info,
		Config: *new(C),
		Open: func(ctx context.Context, decode func(any) error, env Env) (Driver, error) {
			c, err := check(decode)
			if err != nil {
				return nil, err
			}
			return open(ctx, c, env)
		},
		Check: func(decode func(any) error) error {
			_, err := check(decode)
			return err
		},
	}
}

// Registry is a set of drivers by name.
type Registry struct{ factories map[string]Factory }

// NewRegistry returns a registry of those drivers. Two of one name are a
// programming error and panic.
func NewRegistry(factories ...Factory) *Registry {
	r := &Registry{map[string]Factory{}}
	for _, f := range factories {
		if _, dup := r.factories[f.Name]; dup {
			panic("driver: two drivers named " + f.Name)
		}
		r.factories[f.Name] = f
	}
	return r
}

// Lookup returns the driver of that name.
func (r *Registry) Lookup(name string) (Factory, bool) {
	f, ok := r.factories[name]
	return f, ok
}

// All returns the drivers in the order of their names.
func (r *Registry) All() []Factory {
	var all []Factory
	for _, f := range r.factories {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b Factory) int { return strings.Compare(a.Name, b.Name) })
	return all
}
