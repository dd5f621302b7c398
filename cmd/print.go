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

func writeObjects(w io.Writer, objects []liveObject) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "target\tobject\tvalues\thealth\tin flight")
	for _, o := range objects {
		var values []string
		for _, name := range slices.Sorted(maps.Keys(o.Attrs)) {
			values = append(values, name+" "+o.Attrs[name].String())
		}
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
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", o.Target, o.ID, strings.Join(values, ", "), health, flight)
	}
	return t.Flush()
}
