// Package layers_test holds the arrows between the packages of flip.
package layers_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/flip-cli/flip"

// A layer is a directory with what it may import of this module. "/..." means
// the packages below too; a layer always may import what is below itself.
type layer struct {
	dir     string
	imports []string
	tests   []string // what its test files may import besides
}

// base is what every package may know.
var base = []string{"pkg/state", "pkg/hint", "pkg/secret", "pkg/trust"}

// Arrows go down only. The first layer whose dir fits a package is its layer,
// so that single directories stand before the trees that they are in.
// .golangci.yml says the same to editors.
var layers = []layer{
	{dir: "pkg/hint"},
	{dir: "pkg/state", imports: []string{"pkg/hint"}},
	{dir: "pkg/secret", imports: []string{"pkg/hint"}},
	{dir: "pkg/trust", imports: []string{"pkg/hint"}},
	{dir: "pkg/httpdns/...", imports: []string{"pkg/hint"}},
	// From where names are looked up: for gates, the TTL rule and flip resolve.
	{dir: "pkg/resolve/...", imports: join(base, "pkg/httpdns"), tests: []string{"pkg/driver/dnstest", "pkg/plan", "pkg/httpdns/httpdnstest"}},
	{dir: "pkg/plan/...", imports: base},
	{dir: "pkg/journal/...", imports: []string{"pkg/state", "pkg/hint"}, tests: []string{"pkg/secret"}},
	{dir: "pkg/driver", imports: base, tests: []string{"pkg/driver/mem", "pkg/driver/drivertest"}},
	{dir: "pkg/driver/all", imports: join(base, "pkg/driver/...")},
	{dir: "pkg/driver/drivertest/...", imports: join(base, "pkg/driver"), tests: []string{"pkg/driver/mem"}},
	{dir: "pkg/driver/internal/...", imports: join(base, "pkg/driver"), tests: []string{"pkg/driver/slbtest", "pkg/driver/dnstest"}},
	// Servers for the tests of several drivers.
	{dir: "pkg/driver/slbtest/...", imports: join(base, "pkg/driver")},
	{dir: "pkg/driver/dnstest/...", imports: join(base, "pkg/driver")},
	// Every driver, with its test server below it. Siblings are not in reach. Tests may decode
	// a configuration as a plan would.
	{dir: "pkg/driver/*/...", imports: join(base, "pkg/driver", "pkg/driver/internal/...", "pkg/httpdns"), tests: []string{"pkg/driver/drivertest", "pkg/driver/slbtest", "pkg/driver/dnstest", "pkg/plan"}},
	{dir: "pkg/gate/...", imports: join(base, "pkg/driver", "pkg/resolve"), tests: []string{"pkg/driver/mem", "pkg/plan"}},
	{dir: "pkg/ui/...", imports: []string{"pkg/journal", "pkg/state", "pkg/hint"}},
	{
		dir:     "pkg/engine/...",
		imports: join(base, "pkg/plan", "pkg/journal", "pkg/driver", "pkg/gate", "pkg/resolve"),
		tests:   []string{"pkg/driver/mem", "pkg/driver/drivertest"},
	},
	{
		dir:     "pkg/rehearse/...",
		imports: join(base, "pkg/plan", "pkg/journal", "pkg/driver", "pkg/driver/mem", "pkg/engine"),
		tests:   []string{"pkg/driver/haproxy", "pkg/gate"},
	},
	{dir: "cmd/...", imports: []string{"pkg/..."}},
	{dir: "integration/...", imports: []string{"cmd", "pkg/..."}},
	{dir: "scripts/...", imports: []string{"integration/...", "pkg/...", "scripts/..."}},
	{dir: "internal/layers"},
	// Checks for tests, in reach of every one.
	{dir: "internal/expect", imports: []string{"pkg/hint"}},
	{dir: ".", imports: []string{"cmd"}},
}

// owned are libraries that only some layers use in code that ships.
var owned = []struct{ library, dir, why string }{
	{"github.com/spf13/viper", "cmd/...", "settings are read in cmd; viper lower-cases keys, plans must not pass through it"},
	{"github.com/goccy/go-yaml", "pkg/plan/...", "plans and the blocks in them are decoded in one place, strictly and with positions"},
}

func join(a []string, more ...string) []string { return append(slices.Clip(a), more...) }

func TestArrowsGoDownOnly(t *testing.T) {
	for _, wrong := range violations(t, os.DirFS("../..")) {
		t.Error(wrong)
	}
}

func TestAnArrowThatGoesUpIsFound(t *testing.T) {
	file := func(imports ...string) *fstest.MapFile {
		var b strings.Builder
		b.WriteString("package x\n")
		for _, i := range imports {
			fmt.Fprintf(&b, "import _ %q\n", i)
		}
		return &fstest.MapFile{Data: []byte(b.String())}
	}
	tree := fstest.MapFS{
		"main.go":                           file(module + "/cmd"),
		"cmd/run.go":                        file(module+"/pkg/engine", "github.com/spf13/viper"),
		"pkg/engine/rollback_test.go":       file(module + "/pkg/driver/mem"),
		"pkg/driver/haproxy/client.go":      file(module+"/pkg/driver", module+"/pkg/driver/haproxy/wire"),
		"pkg/driver/all/all.go":             file(module + "/pkg/driver/haproxy"),
		"pkg/driver/testdata/skipped.go":    file(module + "/cmd"),
		"pkg/state/up.go":                   file(module + "/pkg/driver"),
		"pkg/engine/impl.go":                file(module + "/pkg/driver/mem"),
		"pkg/driver/slb/sibling.go":         file(module + "/pkg/driver/haproxy"),
		"pkg/driver/slb/slbtest/server.go":  file(module + "/pkg/engine"),
		"pkg/ui/live.go":                    file(module + "/pkg/engine"),
		"pkg/gate/http.go":                  file("github.com/goccy/go-yaml/ast"),
		"pkg/journal/command.go":            file(module + "/cmd"),
		"pkg/nowhere/new.go":                file("fmt"),
		"pkg/driver/cloudflare/settings.go": file("github.com/spf13/viper"),
	}
	want := []string{
		"pkg/driver/cloudflare/settings.go:2: imports github.com/spf13/viper; settings are read in cmd; viper lower-cases keys, plans must not pass through it",
		"pkg/driver/slb/sibling.go:2: imports pkg/driver/haproxy; pkg/driver/*/... may import pkg/state, pkg/hint, pkg/secret, pkg/trust, pkg/driver, pkg/driver/internal/..., pkg/httpdns",
		"pkg/driver/slb/slbtest/server.go:2: imports pkg/engine; pkg/driver/*/... may import pkg/state, pkg/hint, pkg/secret, pkg/trust, pkg/driver, pkg/driver/internal/..., pkg/httpdns",
		"pkg/engine/impl.go:2: imports pkg/driver/mem; pkg/engine/... may import pkg/state, pkg/hint, pkg/secret, pkg/trust, pkg/plan, pkg/journal, pkg/driver, pkg/gate, pkg/resolve",
		"pkg/gate/http.go:2: imports github.com/goccy/go-yaml/ast; plans and the blocks in them are decoded in one place, strictly and with positions",
		"pkg/journal/command.go:2: imports cmd; pkg/journal/... may import pkg/state, pkg/hint",
		"pkg/nowhere/new.go:1: pkg/nowhere belongs to no layer; name it in internal/layers and .golangci.yml",
		"pkg/state/up.go:2: imports pkg/driver; pkg/state may import pkg/hint",
		"pkg/ui/live.go:2: imports pkg/engine; pkg/ui/... may import pkg/journal, pkg/state, pkg/hint",
	}
	if diff := cmp.Diff(want, violations(t, tree)); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}

// violations reads the imports of every Go file and returns what breaks the
// layers, in the order of the files.
func violations(t *testing.T, tree fs.FS) []string {
	t.Helper()
	var wrong []string
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (d.Name() == "testdata" || d.Name() == "bin" || strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		found, err := inFile(tree, name)
		wrong = append(wrong, found...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return wrong
}

func inFile(tree fs.FS, name string) ([]string, error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	dir := path.Dir(name)
	i := slices.IndexFunc(layers, func(l layer) bool { return within(dir, l.dir) })
	if i < 0 {
		return []string{fmt.Sprintf("%s:1: %s belongs to no layer; name it in internal/layers and .golangci.yml", name, dir)}, nil
	}
	var wrong []string
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if why := refuse(layers[i], dir, imported, strings.HasSuffix(name, "_test.go")); why != "" {
			wrong = append(wrong, fmt.Sprintf("%s:%d: imports %s; %s", name, files.Position(spec.Pos()).Line, strings.TrimPrefix(imported, module+"/"), why))
		}
	}
	return wrong, nil
}

// refuse says why a package of that layer in dir may not import that, or
// nothing when it may.
func refuse(l layer, dir, imported string, test bool) string {
	ours, isOurs := strings.CutPrefix(imported, module+"/")
	if !isOurs {
		return refuseLibrary(dir, imported, test)
	}
	fits := func(pattern string) bool { return within(ours, pattern) }
	switch {
	case slices.ContainsFunc(l.imports, fits):
	case test && (ours == "internal/expect" || slices.ContainsFunc(l.tests, fits)):
	case family(l.dir, dir) == family(l.dir, ours): // its own tree
	case len(l.imports) == 0:
		return l.dir + " imports nothing of flip"
	default:
		return l.dir + " may import " + strings.Join(l.imports, ", ")
	}
	return ""
}

func refuseLibrary(dir, imported string, test bool) string {
	for _, o := range owned {
		if !test && within(imported, o.library+"/...") && !within(dir, o.dir) {
			return o.why
		}
	}
	return ""
}

// within reports whether dir fits a pattern: * stands for one element, a
// closing /... for any number of them, none too.
func within(dir, pattern string) bool {
	pattern, below := strings.CutSuffix(pattern, "/...")
	parts, want := strings.Split(dir, "/"), strings.Split(pattern, "/")
	if len(parts) < len(want) || (len(parts) > len(want) && !below) {
		return false
	}
	for i, w := range want {
		if w != "*" && w != parts[i] {
			return false
		}
	}
	return true
}

// family is the part of dir that a layer's pattern names: pkg/driver/slb of
// pkg/driver/slb/slbtest in pkg/driver/*/... .
func family(pattern, dir string) string {
	want := strings.Count(strings.TrimSuffix(pattern, "/..."), "/") + 1
	parts := strings.Split(dir, "/")
	if !within(dir, pattern) {
		return dir
	}
	return strings.Join(parts[:want], "/")
}
