package plan_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/flip-cli/flip/pkg/plan"
)

// all returns the single errors of a failed Load.
func all(err error) []*plan.Error {
	if many, ok := errors.AsType[plan.Errors](err); ok {
		return many
	}
	if one, ok := errors.AsType[*plan.Error](err); ok {
		return []*plan.Error{one}
	}
	return nil
}

// said is what a person reads about err.
func said(err error) string {
	var b strings.Builder
	for _, e := range all(err) {
		b.WriteString(e.Error() + "\n" + e.Excerpt())
		if e.Hint != "" {
			b.WriteString("  hint: " + e.Hint + "\n")
		}
	}
	return b.String()
}

// Each file of errors.txtar is a bad plan, followed by a file named "says"
// with what flip says about it. UPDATE=1 writes what it says now.
func TestEveryMistakeGetsAPlaceAReasonAndAWayOut(t *testing.T) {
	const golden = "testdata/errors.txtar"
	archive, err := txtar.ParseFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	update := os.Getenv("UPDATE") == "1"
	var fresh []txtar.File
	for i, f := range archive.Files {
		if f.Name == "says" {
			continue
		}
		want := ""
		if i+1 < len(archive.Files) && archive.Files[i+1].Name == "says" {
			want = string(archive.Files[i+1].Data)
		}
		t.Run(f.Name, func(t *testing.T) {
			_, err := plan.Load(f.Data, plan.Options{File: "p.yaml"})
			if err == nil {
				t.Fatal("the plan was accepted")
			}
			got := said(err)
			fresh = append(fresh, f, txtar.File{Name: "says", Data: []byte(got)})
			if diff := cmp.Diff(want, got); diff != "" && !update {
				t.Errorf("what flip says (-want +got):\n%s", diff)
			}
		})
	}
	if update {
		archive.Files = fresh
		if err := os.WriteFile(golden, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
