package plan_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/flip-cli/flip/pkg/plan"
)

// Load never panics, and whatever it says has a place inside the text.
func FuzzLoad(f *testing.F) {
	archive, err := txtar.ParseFile("testdata/errors.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if file.Name != "says" {
			f.Add(file.Data)
		}
	}
	files, _ := filepath.Glob("testdata/good/*.yaml")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := plan.Load(text, plan.Options{File: "p.yaml", AllowMissing: true})
		lines := bytes.Split(bytes.TrimPrefix(text, []byte("\ufeff")), []byte("\n"))
		inside := func(what string, at plan.Pos) {
			if at.Line < 1 || at.Line > len(lines) || at.Column < 1 || at.Column > len([]rune(string(lines[at.Line-1])))+1 {
				t.Errorf("%s at %s, which is outside", what, at)
			}
		}
		for _, e := range all(err) {
			if e.Pos.Line == 0 {
				continue
			}
			inside(e.Text, e.Pos)
			if e.Excerpt() == "" {
				t.Errorf("%s has no excerpt", e)
			}
		}
		if err != nil {
			if len(all(err)) == 0 {
				t.Errorf("an error without a place: %v", err)
			}
			return
		}
		for _, w := range p.Warnings {
			inside(w.Text, w.Pos)
		}
		if p.Name == "" || len(p.Steps) == 0 {
			t.Errorf("a plan without a name or steps: %+v", p)
		}
		p.Walk(func(s plan.Step) {
			inside(s.ID, s.Pos)
			if s.ID == "" || s.Verb() == "gate" && len(s.Gate) == 0 {
				t.Errorf("step %+v has no id or verb", s)
			}
		})
	})
}
