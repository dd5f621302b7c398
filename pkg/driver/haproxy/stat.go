package haproxy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/flip-cli/flip/pkg/state"
)

// statRow is one server of `show stat` (management.txt 9.1).
type statRow struct {
	backend, name          string
	scur, qcur             int
	stot                   int64
	status                 string
	checkStatus, lastCheck string
	throttle, tracked      string
	lastChange             int // seconds
	fall                   int // check_fall
	answers, errors        int64
}

// statNeeded are columns without which a line cannot be understood. throttle,
// tracked, last_chk and check_fall are read where they are told.
var statNeeded = [...]string{"pxname", "svname", "qcur", "scur", "stot", "econ", "eresp", "status", "lastchg", "check_status", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other"}

// parseStat calls visit for every line.
func parseStat(text string, visit func(statRow)) error {
	head, rest, _ := strings.Cut(text, "\n")
	names, ok := strings.CutPrefix(head, "# ")
	if !ok {
		return fmt.Errorf("show stat begins with %q, not with its columns", oneLine(head))
	}
	columns := map[string]int{}
	for i, name := range strings.Split(names, ",") {
		columns[name] = i
	}
	for _, name := range statNeeded {
		if _, ok := columns[name]; !ok {
			return fmt.Errorf("show stat has no column %s", name)
		}
	}
	var fields []string
	for n := 2; rest != ""; n++ {
		var err error
		if fields, rest, err = csvLine(rest, fields[:0]); err != nil {
			return fmt.Errorf("show stat, line %d: %w", n, err)
		}
		if len(fields) == 1 && fields[0] == "" {
			continue
		}
		r, err := parseStatRow(columns, fields)
		if err != nil {
			return fmt.Errorf("show stat, line %d: %w", n, err)
		}
		visit(r)
	}
	return nil
}

// csvLine cuts one line off text. A field in quotes may hold commas, doubled
// quotes and newlines.
func csvLine(text string, fields []string) (line []string, rest string, err error) {
	for {
		var field string
		if strings.HasPrefix(text, `"`) {
			if field, text, err = quoted(text[1:]); err != nil {
				return nil, "", err
			}
			if text != "" && text[0] != ',' && text[0] != '\n' {
				return nil, "", fmt.Errorf("%q follows a quoted field", oneLine(text))
			}
		} else {
			end := strings.IndexAny(text, ",\n")
			if end < 0 {
				end = len(text)
			}
			field, text = text[:end], text[end:]
		}
		fields = append(fields, field)
		if text == "" {
			return fields, "", nil
		}
		sep := text[0]
		text = text[1:]
		if sep == '\n' {
			return fields, text, nil
		}
	}
}

func quoted(text string) (field, rest string, err error) {
	for i := 0; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			i++
			continue
		}
		return strings.ReplaceAll(text[:i], `""`, `"`), text[i+1:], nil
	}
	return "", "", errors.New("a quote is not closed")
}

func parseStatRow(columns map[string]int, fields []string) (statRow, error) {
	var bad error
	text := func(name string) string {
		if i, ok := columns[name]; ok && i < len(fields) {
			return fields[i]
		}
		return ""
	}
	number := func(name string) int64 {
		s := text(name)
		if s == "" {
			return 0 // not told for this kind of line, or in tcp mode
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if (err != nil || n < 0) && bad == nil {
			bad = fmt.Errorf("%s is %q, not a number", name, oneLine(s))
		}
		return max(n, 0)
	}
	r := statRow{
		backend: text("pxname"), name: text("svname"), status: text("status"),
		scur: int(number("scur")), qcur: int(number("qcur")), stot: number("stot"),
		checkStatus: strings.TrimPrefix(text("check_status"), "* "), lastCheck: text("last_chk"), throttle: text("throttle"), tracked: text("tracked"),
		lastChange: int(number("lastchg")), fall: int(number("check_fall")),
	}
	failed := number("econ") + number("eresp")
	r.errors = number("hrsp_5xx") + failed
	if text("hrsp_2xx") == "" { // tcp mode: sessions are all there is
		r.answers = max(r.stot, r.errors)
		return r, bad
	}
	r.answers = failed
	for _, class := range [...]string{"hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "hrsp_other"} {
		r.answers += number(class)
	}
	return r, bad
}

// detail is HAProxy's own words: "DOWN 1/2 (L7STS 503)".
func (r statRow) detail() string {
	s := r.status
	if c := strings.TrimSpace(r.checkStatus + " " + r.lastCheck); c != "" {
		s += " (" + c + ")"
	}
	if r.throttle != "" && r.throttle != "100" {
		s += ", throttled " + strings.TrimSuffix(r.throttle, "%") + "%"
	}
	return s
}

// parseInfo finds what tells one life of a HAProxy from the next.
func parseInfo(text string, now time.Time) (state.Incarnation, error) {
	var life state.Incarnation
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch key {
		case "Pid":
			life.ID = value
		case "Uptime_sec":
			if n, err := strconv.ParseInt(value, 10, 32); err == nil && n >= 0 && life.Since.IsZero() {
				life.Since = now.Add(-time.Duration(n) * time.Second).UTC().Truncate(time.Second)
			}
		case "Start_time_sec":
			// Exact, where it is told (2.6).
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 {
				life.Since = time.Unix(n, 0).UTC()
			}
		}
	}
	if life.ID == "" || life.Since.IsZero() {
		return life, errors.New("show info tells no Pid and Uptime_sec")
	}
	return life, nil
}

// oldWorkers returns the pids of workers that finish what they had before a
// reload, out of `show proc` of a master.
func oldWorkers(text string) []string {
	var pids []string
	old := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			old = strings.HasPrefix(line, "# old workers")
			continue
		}
		if f := strings.Fields(line); old && len(f) > 1 {
			pids = append(pids, f[0])
		}
	}
	return pids
}
