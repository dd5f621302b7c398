package main

import (
	"encoding/json"
	"fmt"
	"math"
	"text/tabwriter"

	"github.com/flip-cli/flip/integration/traffic"
)

// table prints what users felt in each phase. Answers that the bad version
// itself failed are not lost requests: they are why flip went back. They are
// told apart by their status.
func (d *demo) table(r traffic.Result, asJSON bool) error {
	var rows []row
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(d.out)
	fmt.Fprintln(w, "phase\trequests\tlost\tanswered 500 by v3\twebsockets cut\tseconds\t")
	lost := int64(0)
	for _, p := range r.Phases {
		if p.Requests == 0 {
			continue
		}
		bad := int64(0)
		if p.Name == "bad v3" || p.Name == "rollback to v1" {
			bad = p.Kinds()["status 500"]
		}
		one := row{p.Name, p.Requests, p.Failed - bad, p.Websockets.Cut, math.Round(p.Seconds()*10) / 10}
		lost += one.Failed
		rows = append(rows, one)
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.1f\t\n", one.Name, one.Requests, one.Failed, bad, one.Cut, one.Seconds)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if lost > 0 {
		fmt.Fprintln(d.out, r)
	}
	if asJSON {
		b, err := json.Marshal(map[string]any{"phases": rows})
		if err != nil {
			return err
		}
		fmt.Fprintln(d.out, string(b))
	}
	if lost > 0 {
		return fmt.Errorf("%d requests were lost", lost)
	}
	return nil
}
