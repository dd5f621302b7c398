package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one thing that was measured.
type row struct {
	What string `json:"what"`
	Unit string `json:"unit"`
	// Measured and Goal are in Unit. Less is better; a row without a goal is
	// there to be compared with.
	Measured float64 `json:"measured"`
	Goal     float64 `json:"goal,omitempty"`
	Note     string  `json:"note,omitempty"`
	Missed   bool    `json:"missed"`
}

func (b *bench) add(what, unit string, measured, goal float64, note string) {
	b.rows = append(b.rows, row{what, unit, measured, goal, note, goal > 0 && measured > goal})
}

func (b *bench) missed() int {
	n := 0
	for _, r := range b.rows {
		if r.Missed {
			n++
		}
	}
	return n
}

func (b *bench) print(asJSON bool, out io.Writer) error {
	machine := fmt.Sprintf("%s/%s, %d CPUs, %s, %s, best of %d", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), haproxyVersion(), b.rounds)
	if asJSON {
		line, err := json.Marshal(map[string]any{"machine": machine, "rows": b.rows, "missed": b.missed()})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, string(line))
		return err
	}
	fmt.Fprintln(out, machine)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tmeasured\tgoal\tof goal\t\tnote")
	for _, r := range b.rows {
		goal, share, verdict := "-", "-", ""
		if r.Goal > 0 {
			goal, share, verdict = "<= "+figure(r.Goal)+" "+r.Unit, fmt.Sprintf("%.0f %%", 100*r.Measured/r.Goal), "ok"
		}
		if r.Missed {
			verdict = "MISSED"
		}
		fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\t%s\t%s\n", r.What, figure(r.Measured), r.Unit, goal, share, verdict, r.Note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if n := b.missed(); n > 0 {
		fmt.Fprintf(out, "%d goals MISSED\n", n)
	}
	return nil
}

func figure(f float64) string {
	switch {
	case f < 10:
		return fmt.Sprintf("%.2f", f)
	case f < 100:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// haproxyVersion is "HAProxy 2.6.12".
func haproxyVersion() string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, "haproxy", "-v").Output()
	if words := strings.Fields(string(text)); err == nil && len(words) > 2 {
		version, _, _ := strings.Cut(words[2], "-")
		return "HAProxy " + version
	}
	return "HAProxy of unknown version"
}
