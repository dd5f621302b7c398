package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/flip-cli/flip/pkg/state"
)

// liveObject is one object of `flip get`. Its JSON fields are stable.
type liveObject struct {
	Target string `json:"target"`
	ID     string `json:"id"`
	state.Object
	Health       string    `json:"health,omitempty"`
	HealthDetail string    `json:"health_detail,omitempty"`
	InFlight     *int      `json:"in_flight,omitempty"`
	Read         time.Time `json:"read"`
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// writeObjects writes a table. On a terminal of fewer columns than it needs the
// values go below their object; a width of 0 is none.
func writeObjects(w io.Writer, objects []liveObject, width int) error {
	rows := tabulate(objects, true)
	wide := func(row string) bool { return utf8.RuneCountInString(row) > width }
	if width > 0 && slices.ContainsFunc(rows, wide) {
		rows = tabulate(objects, false)
		for i, o := range objects {
			rows[i+1] += "\n  " + valuesOf(o)
		}
	}
	_, err := io.WriteString(w, strings.Join(rows, "\n")+"\n")
	return err
}

// tabulate returns the rows below their head, with or without the values.
func tabulate(objects []liveObject, values bool) []string {
	var out strings.Builder
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	row := func(target, id, value, health, flight string) {
		cells := []string{target, id, value, health, flight}
		if !values {
			cells = []string{target, id, health, flight}
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	row("target", "object", "values", "health", "in flight")
	for _, o := range objects {
		health, flight := o.Health, "-"
		if o.HealthDetail != "" {
			health += " (" + o.HealthDetail + ")"
		}
		if health == "" {
			health = "-"
		}
		if o.InFlight != nil {
			flight = fmt.Sprint(*o.InFlight)
		}
		row(o.Target, o.ID, valuesOf(o), health, flight)
	}
	_ = t.Flush() // into memory
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func valuesOf(o liveObject) string {
	var values []string
	for _, name := range slices.Sorted(maps.Keys(o.Attrs)) {
		values = append(values, name+" "+o.Attrs[name].String())
	}
	return strings.Join(values, ", ")
}
