package wire

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// Host returns the canonical form of a domain name: lower case, no dot at the
// end, punycode where it is not ASCII. The root is ".". Labels are 1 to 63
// letters, digits, hyphens and underscores; "*" may be the first of them
// (RFC 1035, 4592).
func Host(text string) (string, error) {
	if text == "." {
		return text, nil
	}
	name := strings.TrimSuffix(text, ".")
	if name == "" {
		return "", errors.New("a name is missing")
	}
	if !ascii(name) {
		puny, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", fmt.Errorf("%q is not a domain name: %w", text, err)
		}
		name = puny
	}
	name = strings.ToLower(name)
	if len(name) > 253 {
		return "", fmt.Errorf("%q is longer than 253 characters", text)
	}
	for i, label := range strings.Split(name, ".") {
		if !validLabel(label) && (i != 0 || label != "*") {
			return "", fmt.Errorf("%q is not a domain name: the part %q", text, label)
		}
	}
	return name, nil
}

func validLabel(label string) bool {
	if label == "" || len(label) > 63 {
		return false
	}
	for _, c := range []byte(label) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func ascii(s string) bool {
	for _, c := range []byte(s) {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// Under reports whether name is zone or below it; both are canonical.
func Under(name, zone string) bool {
	return name == zone || zone == "." || strings.HasSuffix(name, "."+zone)
}

// fqdn is a canonical name as messages hold it.
func fqdn(name string) string {
	if name == "." {
		return name
	}
	return name + "."
}
