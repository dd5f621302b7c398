package wire

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/miekg/dns"
)

// parseCAA reads FLAG TAG "VALUE" (RFC 8659, 4.1). The value may be without
// quotes when it is one word.
func parseCAA(h dns.RR_Header, value string) (dns.RR, error) {
	bad := fmt.Errorf(`%q is not FLAG TAG "VALUE"`, value)
	flag, rest, _ := strings.Cut(strings.TrimSpace(value), " ")
	tag, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.ParseUint(flag, 10, 8)
	if err != nil || !validLabel(strings.ToLower(tag)) || strings.ContainsAny(tag, "-_") {
		return nil, bad
	}
	text := strings.TrimSpace(rest)
	if inner, quoted := strings.CutPrefix(text, `"`); quoted {
		if text, quoted = strings.CutSuffix(inner, `"`); !quoted || bareQuote(text) {
			return nil, bad
		}
	} else if text == "" || strings.ContainsAny(text, " \t\"") {
		return nil, bad
	}
	b, err := unescape(text, true)
	if err != nil || len(b) > 4096 {
		return nil, bad
	}
	return &dns.CAA{Hdr: h, Flag: uint8(n), Tag: strings.ToLower(tag), Value: escape(b)}, nil
}

// bareQuote reports whether a quote ends s before its end, or an escape
// swallows the quote behind it.
func bareQuote(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return true
		case '\\':
			if i++; i >= len(s) {
				return true
			}
		}
	}
	return false
}

// showCAA is the inverse of parseCAA. The DNS library keeps the value escaped.
func showCAA(v *dns.CAA) (string, error) {
	b, err := unescape(v.Value, true)
	if err != nil {
		return "", fmt.Errorf("CAA value %q: %w", v.Value, err)
	}
	return fmt.Sprintf(`%d %s "%s"`, v.Flag, strings.ToLower(v.Tag), escape(b)), nil
}
