package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/secret"
)

func TestThePagesAreWhatTheCodeSays(t *testing.T) {
	want, err := pages("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(text, string(got)); diff != "" {
			t.Errorf("%s is old; run make docs (-code +page):\n%s", name, diff)
		}
	}
}

// sample is a configuration as drivers and gates have them.
type sample struct {
	Token  secret.Ref         `yaml:"token"` // who asks
	Every  time.Duration      `yaml:"every"`
	Nodes  []string           `yaml:"nodes" jsonschema_description:"a | b"`
	Pool   map[string]*member `yaml:"pool"`
	Secret string             `yaml:"-"`
	member `yaml:",inline"`
}

type member struct {
	// Weight above the
	// field.
	Weight int `yaml:"weight"`
}

func TestOptionsComeFromTagsAndComments(t *testing.T) {
	src := newSource("../..")
	types, err := parseFile("docs_test.go")
	if err != nil {
		t.Fatal(err)
	}
	src.types[reflect.TypeFor[sample]().PkgPath()] = types
	got, err := src.options(reflect.TypeFor[sample](), "")
	if err != nil {
		t.Fatal(err)
	}
	want := []option{
		{"token", "text, may be a secret", "who asks"},
		{"every", "duration", ""},
		{"nodes", "list of text", "a | b"},
		{"pool", "map of block", ""},
		{"pool.NAME.weight", "number", "Weight above the field."},
		{"weight", "number", "Weight above the field."},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(option{})); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
}
