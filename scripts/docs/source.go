package main

import (
	"encoding"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/secret"
)

const module = "github.com/flip-cli/flip"

// option is one key of a configuration, "tls.ca" for one of a block in it.
type option struct{ key, accepts, doc string }

// source finds the comments of struct fields in the packages below root.
type source struct {
	root  string
	types map[string]map[string]*ast.StructType // by import path and type
}

func newSource(root string) *source {
	return &source{root, map[string]map[string]*ast.StructType{}}
}

// options lists the keys of a configuration type in the order of its fields.
func (s *source) options(t reflect.Type, prefix string) ([]option, error) {
	var list []option
	for f := range t.Fields() {
		tag, mode, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if tag == "-" || (!f.IsExported() && !f.Anonymous) {
			continue
		}
		if strings.Contains(mode, "inline") {
			more, err := s.options(f.Type, prefix)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
			continue
		}
		if tag == "" {
			tag = strings.ToLower(f.Name)
		}
		doc, err := s.describe(t, f)
		if err != nil {
			return nil, err
		}
		list = append(list, option{prefix + tag, accepts(f.Type), doc})
		below, at := block(f.Type)
		if below == nil {
			continue
		}
		more, err := s.options(below, prefix+tag+at+".")
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// block is the struct inside t whose keys are options too, and how its place
// is written: "[]" for each of a list, ".NAME" for each of a map.
func block(t reflect.Type) (reflect.Type, string) {
	at := ""
	for !isText(t) {
		switch t.Kind() {
		case reflect.Pointer:
			t = t.Elem()
		case reflect.Slice:
			t, at = t.Elem(), at+"[]"
		case reflect.Map:
			t, at = t.Elem(), at+".NAME"
		case reflect.Struct:
			return t, at
		default:
			return nil, ""
		}
	}
	return nil, ""
}

// isText reports whether a value of t is written as one text. A type that
// decodes itself from YAML takes a text, and says in its description what else.
func isText(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	_, ownYAML := p.MethodByName("UnmarshalYAML")
	_, ownPlan := p.MethodByName("UnmarshalPlan")
	return ownYAML || ownPlan || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// accepts names the values of a type for people.
func accepts(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[secret.Ref]():
		return "text, may be a secret"
	case isText(t):
		return "text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return accepts(t.Elem())
	case reflect.Slice:
		return "list of " + accepts(t.Elem())
	case reflect.Map:
		return "map of " + accepts(t.Elem())
	case reflect.Struct:
		return "block"
	case reflect.Bool:
		return "true, false"
	case reflect.String:
		return "text"
	case reflect.Interface:
		return "any"
	}
	return "number"
}

// describe is what a field says about itself: for the JSON Schema, or else in
// the source.
func (s *source) describe(t reflect.Type, f reflect.StructField) (string, error) {
	if text := f.Tag.Get("jsonschema_description"); text != "" {
		return text, nil
	}
	return s.comment(t, f.Name)
}

// comment is what the source says about a field, on one line.
func (s *source) comment(t reflect.Type, field string) (string, error) {
	types, err := s.load(t.PkgPath())
	if err != nil {
		return "", err
	}
	st, ok := types[t.Name()]
	if !ok {
		return "", fmt.Errorf("%s.%s is not in its package's source", t.PkgPath(), t.Name())
	}
	for _, f := range st.Fields.List {
		for _, name := range f.Names {
			if name.Name == field {
				return strings.Join(strings.Fields(f.Doc.Text()+f.Comment.Text()), " "), nil
			}
		}
	}
	return "", nil
}

// load parses a package of this module.
func (s *source) load(path string) (map[string]*ast.StructType, error) {
	if types, ok := s.types[path]; ok {
		return types, nil
	}
	dir, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		return nil, fmt.Errorf("%s is not a package of flip", path)
	}
	entries, err := os.ReadDir(filepath.Join(s.root, dir))
	if err != nil {
		return nil, err
	}
	types := map[string]*ast.StructType{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		found, err := parseFile(filepath.Join(s.root, dir, e.Name()))
		if err != nil {
			return nil, err
		}
		maps.Copy(types, found)
	}
	s.types[path] = types
	return types, nil
}

// parseFile returns the structs that a file declares.
func parseFile(name string) (map[string]*ast.StructType, error) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	types := map[string]*ast.StructType{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if st, ok := spec.Type.(*ast.StructType); ok {
				types[spec.Name.Name] = st
			}
		}
		return true
	})
	return types, nil
}
