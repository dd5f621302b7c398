package ui

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/journal"
)

// What an error may know about its place in a text.
type (
	excerpter interface {
		error
		Excerpt() string
	}
	positioner interface {
		error
		Position() (file string, line, column int)
	}
	hinter interface{ Hints() []string }
)

// WriteError writes err with the place that it is about and what to do: an
// error with Excerpt() string shows the source line, hints come from package
// hint and from Hints() []string. Of a list of errors each is written.
func WriteError(w io.Writer, err error, o Options) error {
	if err == nil {
		return nil
	}
	var b strings.Builder
	all := single(err)
	var said []string
	for _, one := range all {
		o.oneError(&b, one)
		said = append(said, hintsOf(one)...)
	}
	if len(all) > 1 { // hints for the whole list
		for _, h := range hintsOf(err) {
			if !slices.Contains(said, h) {
				o.hint(&b, h)
			}
		}
	}
	_, werr := io.WriteString(w, b.String())
	return werr
}

func (o Options) oneError(b *strings.Builder, err error) {
	lines := strings.Split(strings.TrimRight(err.Error(), "\n"), "\n")
	head := clean(lines[0])
	if _, ok := place(err); !ok || !startsWithPlace(lines[0]) {
		head = "flip: " + head
	}
	b.WriteString(o.paint(toneBad, head) + "\n")
	for _, l := range lines[1:] {
		b.WriteString("  " + clean(l) + "\n")
	}
	if e, ok := errors.AsType[excerpter](err); ok {
		for l := range strings.SplitSeq(strings.TrimRight(e.Excerpt(), "\n"), "\n") {
			if l != "" {
				b.WriteString(cleanKeepTabs(l) + "\n")
			}
		}
	}
	for _, h := range hintsOf(err) {
		o.hint(b, h)
	}
}

func (o Options) hint(b *strings.Builder, text string) {
	for i, l := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if i == 0 {
			b.WriteString("  " + o.paint(toneBold, "hint:") + " " + clean(l) + "\n")
			continue
		}
		b.WriteString("        " + clean(l) + "\n")
	}
}

// cleanKeepTabs is clean, but the carets below a line need its tabs.
func cleanKeepTabs(s string) string {
	parts := strings.Split(s, "\t")
	for i := range parts {
		parts[i] = clean(parts[i])
	}
	return strings.Join(parts, "\t")
}

// single takes a list of errors apart. Not every error with several below it
// is a list: one that has words of its own stays whole.
func single(err error) []error {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if inner := errors.Unwrap(err); inner != nil && inner.Error() == err.Error() {
			if all := single(inner); len(all) > 1 {
				return all
			}
		}
		return []error{err}
	}
	below := slices.DeleteFunc(slices.Clone(many.Unwrap()), func(e error) bool { return e == nil })
	texts := make([]string, len(below))
	for i, e := range below {
		texts[i] = e.Error()
	}
	if len(below) == 0 || strings.Join(texts, "\n") != err.Error() {
		return []error{err}
	}
	var all []error
	for _, e := range below {
		all = append(all, single(e)...)
	}
	return all
}

// hintsOf are all hints of err, each once, the outermost first.
func hintsOf(err error) []string {
	hints := hint.Of(err)
	for _, e := range chain(err) {
		if h, ok := e.(hinter); ok {
			hints = append(hints, h.Hints()...)
		}
		if j, ok := e.(*journal.Error); ok && j != nil { //nolint:errorlint // walks the chain itself
			hints = append(hints, j.Hints...)
		}
	}
	var once []string
	for _, h := range hints {
		if h != "" && !slices.Contains(once, h) {
			once = append(once, h)
		}
	}
	return once
}

// chain is err and everything that it wraps.
func chain(err error) []error {
	if err == nil {
		return nil
	}
	all := []error{err}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			all = append(all, chain(e)...)
		}
		return all
	}
	return append(all, chain(errors.Unwrap(err))...)
}

type filePlace struct {
	file         string
	line, column int
}

// placePattern is "file:line:column: " at the beginning of an error.
var placePattern = regexp.MustCompile(`^([^\s:][^:\n]*):(\d+):(\d+): `)

func startsWithPlace(text string) bool { return placePattern.MatchString(text) }

// place finds where in a file err is: by its Position method, else by how its
// text begins.
func place(err error) (filePlace, bool) {
	if p, ok := errors.AsType[positioner](err); ok {
		file, line, column := p.Position()
		return filePlace{file, line, column}, file != ""
	}
	m := placePattern.FindStringSubmatch(err.Error())
	if m == nil {
		return filePlace{}, false
	}
	line, _ := strconv.Atoi(m[2])
	column, _ := strconv.Atoi(m[3])
	return filePlace{m[1], line, column}, true
}

// WriteAnnotations writes a GitHub Actions annotation for each error that
// knows its place, so that it is shown beside the line. Source: GitHub's page
// "Workflow commands for GitHub Actions"; the escapes are those of its toolkit
// (packages/core/src/command.ts).
func WriteAnnotations(w io.Writer, err error) error {
	if err == nil {
		return nil
	}
	for _, one := range single(err) {
		p, ok := place(one)
		if !ok {
			continue
		}
		var text strings.Builder
		text.WriteString(placePattern.ReplaceAllString(one.Error(), ""))
		for _, h := range hintsOf(one) {
			text.WriteString("\nhint: " + h)
		}
		if _, err := fmt.Fprintf(w, "::error file=%s,line=%d,col=%d::%s\n", escapeProperty(p.file), p.line, p.column, escapeData(text.String())); err != nil {
			return err
		}
	}
	return nil
}

func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func escapeProperty(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(escapeData(s))
}
