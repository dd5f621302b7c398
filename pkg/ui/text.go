package ui

import (
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// width is how many columns s takes on a terminal; wide characters take two.
func width(s string) int { return columns().StringWidth(s) }

// columns does not look at the locale, as the library's default does: one
// output for one input.
func columns() *runewidth.Condition { return &runewidth.Condition{StrictEmojiNeutral: true} }

// cut shortens s to w columns and says so with an ellipsis.
func cut(s string, w int) string {
	if w <= 0 {
		return ""
	}
	return columns().Truncate(s, w, "…")
}

func pad(s string, w int) string { return s + strings.Repeat(" ", max(0, w-width(s))) }

// wrap breaks s between words into lines of at most w columns; a longer word
// is broken where it must. A w of 0 does not break.
func wrap(s string, w int) []string { return hang(s, w, 0) }

// hang wraps s, with the lines after the first indented by n columns.
func hang(s string, w, n int) []string {
	if w <= n || width(s) <= w {
		return []string{s}
	}
	var lines []string
	line, space := "", 0 // space is the indent that line stands behind
	flush := func() {
		lines = append(lines, strings.Repeat(" ", space)+line)
		line, space = "", n
	}
	for word := range strings.FieldsSeq(s) {
		if line != "" && space+width(line)+1+width(word) > w {
			flush()
		}
		if line != "" {
			line += " "
		}
		line += word
		for space+width(line) > w {
			head := columns().Truncate(line, w-space, "")
			if head == "" {
				break // one character that is wider than the line
			}
			rest := line[len(head):]
			line = head
			flush()
			line = rest
		}
	}
	flush()
	return lines
}

// clean makes one harmless line out of text that came from somewhere else, a
// command's output or a server's answer: no escape sequences, no control
// characters, nothing that turns the direction of writing.
func clean(s string) string {
	if isPlain(s) {
		return s
	}
	s = strings.ToValidUTF8(s, "�")
	s = strings.TrimRight(s, "\r\n")
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", " / ")
	var b strings.Builder
	runes := []rune(s)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case r == 0x1b:
			i = escapeEnd(runes, i)
		case r == '\t' || r == '\r':
			b.WriteByte(' ')
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029':
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isPlain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// escapeEnd returns the index of the last rune of the escape sequence that
// begins at i (ECMA-48 section 5.3 to 5.6).
func escapeEnd(s []rune, i int) int {
	if i+1 >= len(s) {
		return i
	}
	switch s[i+1] {
	case '[':
		for j := i + 2; j < len(s); j++ {
			if s[j] >= 0x40 && s[j] <= 0x7e {
				return j
			}
		}
		return len(s) - 1
	case ']', 'P', 'X', '^', '_':
		for j := i + 2; j < len(s); j++ {
			if s[j] == 0x07 {
				return j
			}
			if s[j] == 0x1b && j+1 < len(s) && s[j+1] == '\\' {
				return j + 1
			}
		}
		return len(s) - 1
	}
	return i + 1
}

// wording is s without its numbers: two observations with the same wording
// say the same thing about other amounts.
func wording(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, s)
}

// shellWord quotes s for a shell where it has to be.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_./:=@%+,", r)
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
