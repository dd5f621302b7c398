package plan

import (
	"regexp"
	"strings"
	"time"
)

// What a plain scalar is. YAML readers differ about most of these; a plan
// takes only the forms that all of them read alike.
var (
	integerForm = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)
	decimalForm = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)\.[0-9]+$`)
	trapForm    = regexp.MustCompile(`^[-+]?(0[0-9_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+|[0-9][0-9_]*_[0-9_]*|[0-9.]+[eE][-+]?[0-9]+|[0-9]+\.|\.[0-9]+|\.(inf|Inf|INF|nan|NaN|NAN))$`)
)

// trap says why a plain scalar is refused everywhere: other readers would see
// something else than what is written. Both are empty for a harmless one.
func (n *node) trap() (text, hint string) {
	if n.kind != scalarKind || !n.plain {
		return "", ""
	}
	s := n.text
	quote := `quote it if it is text: "` + s + `"`
	switch {
	case trapForm.MatchString(s):
		return s + " is not a plain decimal number; YAML readers disagree about it", "write the number in decimal, or " + quote
	case decimalForm.MatchString(s) && strings.HasSuffix(s, "0") && !strings.HasSuffix(s, ".0"):
		return s + " is the number " + strings.TrimRight(s, "0") + " in YAML", quote
	}
	return "", ""
}

// boolean reads true and false; the second result is whether it is one.
func (n *node) boolean() (value, ok bool) {
	if n.kind != scalarKind || !n.plain {
		return false, false
	}
	switch n.text {
	case "true", "True", "TRUE":
		return true, true
	case "false", "False", "FALSE":
		return false, true
	}
	return false, false
}

// boolHint helps those who know YAML 1.1.
func boolHint(s string) string {
	switch strings.ToLower(s) {
	case "yes", "on", "y", "1":
		return "write true"
	case "no", "off", "n", "0":
		return "write false"
	}
	return "write true or false"
}

// duration reads "1m30s". The hint is for a number without a unit.
func duration(s string) (d time.Duration, hint string, ok bool) {
	d, err := time.ParseDuration(s)
	if err == nil && integerForm.MatchString(s) {
		// ParseDuration takes a bare 0; a plan wants its unit.
		return 0, "write " + s + "s", false
	}
	switch {
	case err == nil && d >= 0:
		return d, "", true
	case err == nil:
		return 0, "a duration cannot be negative", false
	case integerForm.MatchString(s) || decimalForm.MatchString(s):
		return 0, "write " + strings.TrimPrefix(s, "-") + "s", false
	case daysForm.MatchString(s):
		return 0, "the longest unit is the hour: 24h", false
	}
	return 0, `like "500ms", "30s", "1m30s" or "24h"`, false
}

var daysForm = regexp.MustCompile(`^[0-9]+ ?(d|day|days|w|week|weeks)$`)
