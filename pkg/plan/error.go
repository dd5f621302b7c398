package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Error is one thing that is wrong in a plan, at its place.
type Error struct {
	Pos Pos
	// Width is how many characters are wrong, from Pos on; at least 1.
	Width int
	Text  string
	// Hint says what to do; it may be empty.
	Hint string

	src *source
}

// Error is the position and the text on one line, without the hint.
func (e *Error) Error() string {
	if p := e.Pos.String(); p != "" {
		return p + ": " + e.Text
	}
	return e.Text
}

// Hints returns what to do, for whoever prints the error.
func (e *Error) Hints() []string {
	if e.Hint == "" {
		return nil
	}
	return []string{e.Hint}
}

// Position returns where the error is.
func (e *Error) Position() (file string, line, column int) {
	return e.Pos.File, e.Pos.Line, e.Pos.Column
}

// Excerpt is the source line with its number, and below it carets under what
// is wrong. Both lines end in a newline. It is empty for an error without a
// place in a text.
func (e *Error) Excerpt() string {
	line, ok := e.src.line(e.Pos.Line)
	if !ok {
		return ""
	}
	shown, column := window(line, e.Pos.Column)
	lead, rest := splitRunes(shown, column-1)
	marked, _ := splitRunes(rest, max(e.Width, 1))
	var b strings.Builder
	fmt.Fprintf(&b, "%5d | %s\n", e.Pos.Line, shown)
	fmt.Fprintf(&b, "%5s | %s%s\n", "", blank(lead), strings.Repeat("^", max(cells(marked), 1)))
	return b.String()
}

// Errors are all errors of a plan, in the order of their places.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the single errors.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// err is nil without errors, the only one, or all of them.
func (e Errors) err() error {
	switch len(e) {
	case 0:
		return nil
	case 1:
		return e[0]
	}
	return e
}

// most is how many errors are told at once; more help nobody.
const most = 50

// few keeps the first errors and says how many there are beyond.
func (e Errors) few(file string) Errors {
	if len(e) <= most {
		return e
	}
	rest := &Error{Pos: Pos{File: file}, Width: 1, Text: fmt.Sprintf("%d more errors", len(e)-most)}
	return append(e[:most:most], rest)
}

// sorted puts errors in the order of their places and drops repetitions, which
// aliases make.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b *Error) int { return comparePos(a.Pos, b.Pos) })
	return slices.CompactFunc(e, func(a, b *Error) bool { return a.Pos == b.Pos && a.Text == b.Text })
}

func comparePos(a, b Pos) int {
	if c := strings.Compare(a.File, b.File); c != 0 {
		return c
	}
	if a.Line != b.Line {
		return a.Line - b.Line
	}
	return a.Column - b.Column
}

// Errorf makes an error at a place of the plan, for whoever checks what the
// plan leaves open: targets, gates, attributes.
func (p Plan) Errorf(pos Pos, width int, hint, format string, args ...any) *Error {
	e := &Error{Pos: pos, Width: width, Text: fmt.Sprintf(format, args...), Hint: hint}
	if p.env != nil && (pos.File == "" || pos.File == p.File) {
		e.src = p.env.src
	}
	return e
}

// sight is how many characters of a line an excerpt shows.
const sight = 100

// window cuts a long line around column, which counts from 1, and returns the
// column in the cut line.
func window(line string, column int) (string, int) {
	line = strings.TrimRight(line, "\r")
	if utf8.RuneCountInString(line) <= sight {
		return line, column
	}
	runes := []rune(line)
	from := min(max(column-1-sight/2, 0), max(len(runes)-sight, 0))
	to := min(from+sight, len(runes))
	cut := string(runes[from:to])
	if to < len(runes) {
		cut += "…"
	}
	if from == 0 {
		return cut, column
	}
	return "…" + cut, column - from + 1
}

// splitRunes cuts s after n characters.
func splitRunes(s string, n int) (head, tail string) {
	for i := range s {
		if n <= 0 {
			return s[:i], s[i:]
		}
		n--
	}
	return s, ""
}

// blank is s as white space of the same width on a terminal.
func blank(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == '\t' {
			b.WriteByte('\t')
			continue
		}
		b.WriteString(strings.Repeat(" ", cells(string(r))))
	}
	return b.String()
}

// cells is how many columns of a terminal s takes.
func cells(s string) int {
	n := 0
	for _, r := range s {
		switch width.LookupRune(r).Kind() {
		case width.EastAsianWide, width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// list is words for people: `"a", "b" and "c"` without the quotes.
func list(words []string) string {
	switch len(words) {
	case 0:
		return "none"
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// some is a list that stays readable when there are thousands of words.
func some(words []string) string {
	const shown = 12
	if len(words) > shown {
		return strings.Join(words[:shown], ", ") + ", ... (" + strconv.Itoa(len(words)) + " in all)"
	}
	return strings.Join(words, ", ")
}
