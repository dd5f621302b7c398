package ui_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
	"github.com/flip-cli/flip/pkg/ui"
)

// placed is an error at a place of a plan.
type placed struct {
	line int
	text string
}

func (p placed) Error() string { return fmt.Sprintf("release.yaml:%d:18: %s", p.line, p.text) }
func (p placed) Excerpt() string {
	return fmt.Sprintf("%5d |   set: {group: idle, wieght: 100}\n      |                      ^^^^^^\n", p.line)
}
func (p placed) Position() (file string, line, column int) { return "release.yaml", p.line, 18 }
func (p placed) Hints() []string {
	return []string{"haproxy sets: weight (0..256), state (ready|drain|maint)"}
}

// list is a list of errors of its own type.
type list []error

func (l list) Error() string   { return errors.Join(l...).Error() }
func (l list) Unwrap() []error { return l }

// marked has two errors below it and is no list.
type marked struct{ error }

func (m marked) Unwrap() []error { return []error{m.error, errors.New("permanent")} }

func TestAnErrorSaysWhereWhatAndWhatToDo(t *testing.T) {
	typo := placed{14, `unknown attribute "wieght" for haproxy; did you mean "weight"?`}
	denied := hint.Wrap(errors.New("target web: haproxy: unix:///run/haproxy/admin.sock: permission denied"),
		"the socket belongs to haproxy:haproxy mode 660; run flip as that group or set `mode 666 level admin` on the socket")
	sides := hint.Wrap(errors.New("which side is live? web says blue (100/0), users says green; nothing was changed\n"+
		"target  blue                green\nweb     web1 100, web2 100  web3 0, web4 0"), "bring them in line, or decide it with --live blue")
	for name, err := range map[string]error{
		"place":   typo,
		"wrapped": fmt.Errorf("lint: %w", typo),
		"hint":    denied,
		"table":   sides,
		"list":    hint.Wrap(list{typo, denied, placed{20, "no such group \x1b[31mgren"}}, "see: flip schema"),
		"joined":  errors.Join(typo, denied),
		"marked":  marked{denied},
		"journal": fmt.Errorf("step %q: %w", "out", &journal.Error{Text: "No such server.", Hints: []string{"servers: web-1, web-2"}}),
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, "error-"+name+".txt", render(t, func(b *bytes.Buffer) error { return ui.WriteError(b, err, options()) }))
		})
	}
}

func TestAnAnnotationEscapesWhatGitHubReads(t *testing.T) {
	err := list{placed{14, "100 % of\nit"}, errors.New("no place"), errors.New("a,b.yaml:3:4: bad")}
	got := render(t, func(b *bytes.Buffer) error { return ui.WriteAnnotations(b, err) })
	want := "::error file=release.yaml,line=14,col=18::100 %25 of%0Ait%0Ahint: haproxy sets: weight (0..256), state (ready|drain|maint)\n" +
		"::error file=a%2Cb.yaml,line=3,col=4::bad\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNoErrorWritesNothing(t *testing.T) {
	got := render(t, func(b *bytes.Buffer) error {
		return errors.Join(ui.WriteError(b, nil, options()), ui.WriteAnnotations(b, nil))
	})
	if len(got) > 0 {
		t.Errorf("got %q", got)
	}
}
