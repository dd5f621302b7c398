package wire

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The value of a TXT record is its bytes as text: the character-strings that
// it is cut into are one. A backslash is \\, and what cannot be shown is \DDD.

// maxString is the longest character-string (RFC 1035, 3.3).
const maxString = 255

// showText makes text of bytes.
func showText(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '\\':
			out.WriteString(`\\`)
		case r == utf8.RuneError && n == 1, !unicode.IsPrint(r):
			for _, c := range b[:n] {
				fmt.Fprintf(&out, `\%03d`, c)
			}
		default:
			out.Write(b[:n])
		}
		b = b[n:]
	}
	return out.String()
}

// parseText is the inverse of showText. It takes any text whose backslashes
// stand in pairs or before three digits.
func parseText(s string) ([]byte, error) { return unescape(s, false) }

// unescape reads \\ and \DDD; lax takes a backslash before anything else for
// that character itself, as zone files do.
func unescape(s string, lax bool) ([]byte, error) {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		n, three := decimal(s[i+1:])
		switch {
		case three && n <= 255:
			out = append(out, byte(n))
			i += 3
		case i+1 < len(s) && (s[i+1] == '\\' || lax) && !three:
			out = append(out, s[i+1])
			i++
		default:
			return nil, errors.New(`a backslash is written \\`)
		}
	}
	return out, nil
}

func decimal(s string) (n int, ok bool) {
	if len(s) < 3 {
		return 0, false
	}
	for _, c := range []byte(s[:3]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// cutText makes the character-strings of a TXT record, escaped as the DNS
// library wants them.
func cutText(b []byte) []string {
	var all []string
	for len(b) > maxString {
		all = append(all, escape(b[:maxString]))
		b = b[maxString:]
	}
	return append(all, escape(b))
}

func escape(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&out, `\%03d`, c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// joinText makes one text of the character-strings of the DNS library.
func joinText(parts []string) (string, error) {
	var all []byte
	for _, p := range parts {
		b, err := unescape(p, true)
		if err != nil {
			return "", fmt.Errorf("character-string %q: %w", p, err)
		}
		all = append(all, b...)
	}
	return showText(all), nil
}
