package plan

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	yaml "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxSource is the largest plan. 10,000 members take less than one MiB.
const maxSource = 16 << 20

// maxDepth is how deep a plan may nest; the parser recurses.
const maxDepth = 100

// source is a text with an index of its lines.
type source struct {
	file  string
	text  []byte
	lines []int // offset of the first byte of each line
}

func newSource(file string, text []byte) *source {
	s := &source{file: file, text: text, lines: []int{0}}
	for i, c := range text {
		if c == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// line returns line n, which counts from 1, without its end.
func (s *source) line(n int) (string, bool) {
	if s == nil || n < 1 || n > len(s.lines) {
		return "", false
	}
	end := len(s.text)
	if n < len(s.lines) {
		end = s.lines[n] - 1
	}
	return string(s.text[s.lines[n-1]:end]), true
}

// offset is the byte at which p stands.
func (s *source) offset(p Pos) int {
	line, ok := s.line(p.Line)
	if !ok {
		return len(s.text)
	}
	head, _ := splitRunes(line, p.Column-1)
	return s.lines[p.Line-1] + len(head)
}

// pos makes a position that lies inside the text: parsers are sometimes one
// past it.
func (s *source) pos(line, column int) Pos {
	line = min(max(line, 1), len(s.lines))
	text, _ := s.line(line)
	n := utf8.RuneCountInString(strings.TrimRight(text, "\r"))
	return Pos{File: s.file, Line: line, Column: min(max(column, 1), n+1)}
}

// at is the position of a byte.
func (s *source) at(offset int) Pos {
	offset = min(max(offset, 0), len(s.text))
	lo, hi := 0, len(s.lines)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; s.lines[mid] <= offset {
			lo = mid
		} else {
			hi = mid
		}
	}
	return s.pos(lo+1, utf8.RuneCount(s.text[s.lines[lo]:offset])+1)
}

func (s *source) errorf(p Pos, width int, hint, format string, args ...any) *Error {
	return &Error{Pos: p, Width: width, Text: fmt.Sprintf(format, args...), Hint: hint, src: s}
}

// parse turns the text into one document, nil when it holds none.
func (s *source) parse() (ast.Node, *Error) {
	if err := s.readable(); err != nil {
		return nil, err
	}
	text := bytes.TrimPrefix(s.text, []byte("\ufeff"))
	if len(text) != len(s.text) {
		*s = *newSource(s.file, text)
	}
	file, err := s.document(text)
	if err != nil {
		return nil, err
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		bodies = append(bodies, doc.Body)
	}
	switch len(bodies) {
	case 0:
		return nil, nil
	case 1:
		return bodies[0], nil
	}
	p := s.tokenPos(first(bodies[1]))
	return nil, s.errorf(p, 1, "put each plan in a file of its own, without ---", "a second document begins here; a plan is one document")
}

// first is the token with which a document begins; a map's own is its colon.
func first(y ast.Node) *token.Token {
	switch y := y.(type) {
	case *ast.MappingNode:
		if !y.IsFlowStyle && len(y.Values) > 0 {
			return y.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return y.Key.GetToken()
	}
	return y.GetToken()
}

// readable refuses what is no text of a sensible size.
func (s *source) readable() *Error {
	if len(s.text) > maxSource {
		return s.errorf(Pos{File: s.file}, 1, "", "the plan has %d bytes, more than %d", len(s.text), maxSource)
	}
	if i := invalid(s.text); i >= 0 {
		return s.errorf(s.at(i), 1, "save the file as UTF-8", "byte 0x%02x is not UTF-8 text", s.text[i])
	}
	if i := bytes.IndexByte(s.text, 0); i >= 0 {
		return s.errorf(s.at(i), 1, "", "a NUL byte: this is not a text file")
	}
	return nil
}

// invalid is the offset of the first byte that is not UTF-8, -1 if none.
func invalid(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// document runs the YAML parser.
func (s *source) document(text []byte) (file *ast.File, failed *Error) {
	// A panic of the parser on foreign text must not take a run's process
	// with it.
	defer func() {
		if r := recover(); r != nil {
			file, failed = nil, s.errorf(s.pos(1, 1), 1, "", "this is not YAML that can be read")
		}
	}()
	tokens := lexer.Tokenize(string(text))
	if err := s.shallow(tokens); err != nil {
		return nil, err
	}
	if err := s.narrow(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, s.syntax(err)
	}
	return file, nil
}

// shallow refuses nesting that would exhaust the stack.
func (s *source) shallow(tokens token.Tokens) *Error {
	open, entries, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position != nil && t.Position.Line != line {
			entries, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			open++
		case token.SequenceEndType, token.MappingEndType:
			open--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType, token.MappingValueType:
			if open == 0 {
				entries++
			}
		default:
		}
		if open > maxDepth || entries > maxDepth || (t.Position != nil && t.Position.IndentNum > 10*maxDepth) {
			return s.errorf(s.tokenPos(t), 1, "", "nested more than %d deep", maxDepth)
		}
	}
	return nil
}

// maxKeys is how many keys a block map may have: the parser recurses for each,
// and its time grows with their square. Flow maps and lists have no limit.
const maxKeys = 10_000

// narrow refuses block maps with more keys than the parser can take.
func (s *source) narrow(tokens token.Tokens) *Error {
	type column struct{ at, keys int }
	var open []column // the block maps around a token, by the column of their keys
	line, flow := 0, 0
	for _, t := range tokens {
		if t.Position == nil {
			continue
		}
		if t.Position.Line != line && flow == 0 {
			for len(open) > 0 && open[len(open)-1].at > t.Position.Column {
				open = open[:len(open)-1]
			}
		}
		line = t.Position.Line
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.MappingValueType:
			if flow > 0 || t.Prev == nil || t.Prev.Position == nil {
				continue
			}
			at := t.Prev.Position.Column
			if len(open) == 0 || open[len(open)-1].at < at {
				open = append(open, column{at: at})
			}
			last := &open[len(open)-1]
			if last.keys++; last.keys > maxKeys {
				return s.errorf(s.tokenPos(t.Prev), 1, "write it as {a: ..., b: ...} or as a list", "a map of more than %d keys", maxKeys)
			}
		default:
		}
	}
	return nil
}

// syntax turns what the parser says into an Error.
func (s *source) syntax(err error) *Error {
	var y yaml.Error
	if !errors.As(err, &y) || y.GetToken() == nil {
		return s.errorf(s.pos(1, 1), 1, "", "%s", firstLine(err.Error()))
	}
	p := s.tokenPos(y.GetToken())
	line, _ := s.line(p.Line)
	text := y.GetMessage()
	if strings.HasPrefix(text, "found character '\t'") {
		text = "a tab stands where the indentation is"
	}
	advice := syntaxHint(line)
	if advice == "" && strings.HasPrefix(text, "value is not allowed in this context") {
		advice = "is this line, or one of those above, indented further than its neighbours?"
	}
	return s.errorf(p, 1, advice, "%s", text)
}

// syntaxHint guesses from the line why the YAML is broken.
func syntaxHint(line string) string {
	switch {
	case strings.Contains(line, "${{"):
		return `quote it: "${{ ... }}"`
	case strings.HasPrefix(strings.TrimLeft(line, " "), "\t") || strings.Contains(line, "\t"):
		return "indent with spaces; YAML allows no tabs"
	case strings.Count(line, ": ") > 1 && !strings.ContainsAny(line, "{"):
		return "a text that holds a colon and a space needs quotes"
	}
	return ""
}

func (s *source) tokenPos(t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return s.pos(1, 1)
	}
	return s.pos(t.Position.Line, t.Position.Column)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
